"""What was seen, as two tables in Markdown, for people and for the README."""

from collections.abc import Iterable, Iterator

from tests.bench.workloads import Figure, Measured


def measurements(measured: Iterable[Measured]) -> Iterator[str]:
    yield "| workload | client | rows/s | CPU s per 1,000 rows | peak memory | of the bare loop |"
    yield "|---|---|---|---|---|---|"
    last = ""
    for each in measured:
        took = each.rounds
        beside = "" if each.beside_bare is None else f"{each.beside_bare:.2f}"
        workload = "" if each.workload == last else each.workload
        cells = f"{took.per_second:,.0f} | {took.cpu_per_1000:.3f} | {took.peak_mb:,.0f} MB | {beside}"
        yield f"| {workload} | {each.client} | {cells} |"
        last = each.workload


def figures(found: Iterable[Figure]) -> Iterator[str]:
    yield "| figure | goal | seen | |"
    yield "|---|---|---|---|"
    for each in found:
        yield f"| {each.text} | {each.goal} | {each.seen} | {'' if each.held else 'falls short'} |"
