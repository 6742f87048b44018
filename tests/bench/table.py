"""What was seen, as two tables in Markdown, for people and for the README."""

from collections.abc import Iterable, Iterator

from tests.bench.workloads import Figure, Measured

_VERDICTS = {True: "", False: "falls short", None: "disturbed by other work"}


def measurements(measured: Iterable[Measured]) -> Iterator[str]:
    yield "| workload | client | rows/s | CPU s per 1,000 rows | peak memory | rows/s beside the bare loop's | by CPU time |"
    yield "|---|---|---|---|---|---|---|"
    last = ""
    for each in measured:
        took = each.rounds
        workload = "" if each.workload == last else each.workload
        cells = f"{took.per_second:,.0f} | {took.cpu_per_1000:.3f} | {took.peak_mb:,.0f} MB | {_beside(each)}"
        yield f"| {workload} | {each.client} | {cells} |"
        last = each.workload


def _beside(each: Measured) -> str:
    if each.bare is None or each.bare is each.rounds:
        return " | "
    return f"{each.rounds.rate_beside(each.bare):.2f} | {each.rounds.thrift_beside(each.bare):.2f}"


def figures(found: Iterable[Figure]) -> Iterator[str]:
    yield "| figure | goal | seen | |"
    yield "|---|---|---|---|"
    for each in found:
        yield f"| {each.text} | {each.goal} | {each.seen} | {_VERDICTS[each.held]} |"
