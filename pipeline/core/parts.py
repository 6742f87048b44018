"""Cutting the rows of a job into parts. Ranges are half-open and ascending."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.core.types import Part


def plan(planned: int, total: int, part_rows: int, *, next_id: int) -> Iterator[Part]:
    """Give the parts that cover the rows from `planned`, where the last known part ended, up to `total`."""
    for id_, start in enumerate(range(planned, total, part_rows), next_id):
        yield Part(id_, start, min(start + part_rows, total))


def gaps(start: int, stop: int, present: Iterable[int]) -> list[range]:
    """Give the ranges of start..stop-1 that do not contain `present`, which is ascending and within."""
    found, at = [], start
    for index in present:
        if index > at:
            found.append(range(at, index))
        at = index + 1
    if at < stop:
        found.append(range(at, stop))
    return found


def runs(indices: Iterable[int]) -> list[range]:
    """Join ascending indices into ranges."""
    found: list[range] = []
    for index in indices:
        if found and found[-1].stop == index:
            found[-1] = range(found[-1].start, index + 1)
        else:
            found.append(range(index, index + 1))
    return found


def rows_in(ranges: Sequence[range]) -> int:
    """Count the rows of these ranges."""
    return sum(map(len, ranges))
