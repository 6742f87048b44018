"""Rows read by number in a worker."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.core.errors import SourceError
from pipeline.core.types import Row
from pipeline.distributed.reader import NEAR_ROWS, Reader

COUNT = 100_000


class Shelf:
    """A source that notes how often it had to go back, and what was read."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.at = self.back = 0
        self.read: list[int] = []

    def rows(self, ranges: Sequence[range]) -> Iterator[list[Row]]:
        if self.error is not None:
            raise self.error
        for each in ranges:
            self.back += each.start < self.at
            self.at = each.stop
            self.read += each
            yield [Row(index, {"text": f"row {index}"}, 10) for index in each if index < COUNT]


def played(asked: Sequence[Sequence[int]], *, places: int = 1, most_bytes: int = 1 << 20) -> list[Shelf]:
    """Ask for these rows, some at a time."""
    shelves: list[Shelf] = []

    def open_source() -> Shelf:
        shelves.append(Shelf())
        return shelves[-1]

    async def main() -> None:
        with ThreadPoolExecutor(1) as thread:
            reader = Reader(open_source, thread, places=places, most_bytes=most_bytes)  # type: ignore[arg-type]
            for rows in asked:
                found = await asyncio.gather(*(reader.row(row) for row in rows))
                assert [(row.index, row.cells["text"]) for row in found] == [(row, f"row {row}") for row in rows]

    asyncio.run(main())
    return shelves


def test_rows_are_read_once_in_whatever_order_they_are_asked() -> None:
    (shelf,) = played([[3, 1, 2], [7, 5], [2, 7]])
    assert shelf.read == [1, 2, 3, 5, 7]


def test_a_workers_own_rows_and_those_of_others_are_read_on_from_places_of_their_own() -> None:
    turns = [[at, 30_000 + at, 60_000 + at] for at in range(0, 300, 3)]
    shelves = played(turns, places=3)
    assert [shelf.back for shelf in shelves] == [0, 0, 0]
    assert sorted(row for shelf in shelves for row in shelf.read) == sorted(row for turn in turns for row in turn)
    assert played(turns)[0].back == 99, "with one place it goes to and fro"


def test_rows_that_lie_a_little_ahead_need_no_other_place() -> None:
    assert len(played([[0], [NEAR_ROWS // 2], [NEAR_ROWS]], places=4)) == 1
    assert len(played([[0], [NEAR_ROWS + 1]], places=4)) == 2


def test_what_was_let_go_of_for_others_is_read_again() -> None:
    (shelf,) = played([[1], [2], [3], [1]], most_bytes=20)
    assert shelf.read == [1, 2, 3, 1]


@pytest.mark.parametrize("error", [SourceError("in.parquet: No such file"), ZeroDivisionError("a bug")])
def test_an_error_reaches_all_who_asked_and_those_who_ask_later(error: Exception) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as thread:
            reader = Reader(lambda: Shelf(error), thread)  # type: ignore[arg-type, return-value]
            for rows in ([1, 2], [3]):
                found = await asyncio.gather(*(reader.row(row) for row in rows), return_exceptions=True)
                assert found == [error] * len(rows)

    asyncio.run(main())


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SourceError, match="the input has no row 100000"):
        played([[COUNT]])
