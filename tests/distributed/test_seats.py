"""Which worker asks which row."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.types import Row
from pipeline.distributed.seats import BATCH_ROWS, HELD, Held, Seats, in_turns


@st.composite
def ascending(draw: st.DrawFn) -> list[range]:
    ranges, at = [], 0
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 900)), max_size=6)):
        ranges.append(range(at + gap, at + gap + length))
        at += gap + length
    return ranges


def seat_of(row: Row) -> int:
    held = row.cells[HELD]
    assert isinstance(held, Held)
    return held.home


@given(ascending(), st.integers(1, 9))
def test_every_row_has_one_seat_and_each_seat_reads_ahead(ranges: list[range], seats: int) -> None:
    batches = list(in_turns(ranges, seats))
    by_seat: dict[object, list[int]] = {}
    for batch in batches:
        assert 0 < len(batch) <= BATCH_ROWS
        for row in batch:
            by_seat.setdefault(seat_of(row), []).append(row.index)
    every = [seat_of(row) for batch in batches for row in batch]
    assert all(len(set(every[at : at + seats])) == seats for at in range(len(every) - 2 * seats)), "some wait for another's"
    assert sorted(index for rows in by_seat.values() for index in rows) == [index for each in ranges for index in each]
    assert all(rows == sorted(rows) for rows in by_seat.values())
    if by_seat:
        sizes = [len(by_seat.get(seat, [])) for seat in range(seats)]
        assert max(sizes) - min(sizes) <= 1
    stretches = sorted((min(rows), max(rows)) for rows in by_seat.values())
    assert all(before[1] < after[0] for before, after in pairwise(stretches)), "two read the same rows"


def test_a_row_goes_to_its_own_seat_or_while_that_is_empty_where_there_is_least_to_do() -> None:
    seats = Seats(3, most=8)
    assert seats.choose(0) is None
    seats.sit(1)
    seats.sit(2)
    assert [seats.choose(0) for _ in range(4)] == [1, 2, 1, 2]
    assert seats.choose(2) == 2
    assert seats.in_hand == [0, 2, 3]
    seats.leave(2)
    assert (seats.live, seats.in_hand) == (1, [0, 2, 0])
    assert seats.choose(2) == 1


def test_a_seat_that_is_slow_leaves_rows_beyond_its_share_to_others() -> None:
    seats = Seats(3, most=9)
    for seat in range(3):
        seats.sit(seat)
    assert [seats.choose(0) for _ in range(9)] == [0, 0, 0, 1, 2, 1, 2, 1, 2]
    assert seats.choose(1) == 1, "who made rows ready beyond those in flight: each its own"
