"""Which worker asks which row.

There are as many seats as workers are wanted; a seat may be empty for a while. Each has a piece of every part, so that all
have work while a worker reads its rows in one stretch: of an image table nobody reads what others ask.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest

from pipeline.core.interfaces import Source
from pipeline.core.types import Row
from pipeline.distributed.messages import Answered, Weighed

# The cell that holds a row's Held; no input column can have such a name.
HELD = "\0held"
BATCH_ROWS = 1024


def in_turns(ranges: Sequence[range], seats: int) -> Iterator[list[Row]]:
    """Give the rows of these ascending ranges, each once, of one seat after the other: each seat's in order."""
    count = sum(map(len, ranges))
    pieces = (_piece(ranges, count * seat // seats, count * (seat + 1) // seats) for seat in range(seats))
    rows = (
        Row(index, {HELD: Held(seat)}) for turn in zip_longest(*pieces) for seat, index in enumerate(turn) if index is not None
    )
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _piece(ranges: Sequence[range], start: int, stop: int) -> Iterator[int]:
    """Give some of the rows of ranges, by their place among all of them."""
    first = 0
    for each in ranges:
        yield from each[max(start - first, 0) : max(stop - first, 0)]
        first += len(each)


class Held:
    """Who has a row in hand: `home` is its seat, `at` the one where it is now. `told` in monotonic seconds; it was `lost` so many
    times with a worker since it was answered last. `future`: who waits for a report on it; None comes where the worker was lost.
    """

    __slots__ = ("at", "future", "home", "lost", "sending", "told")

    def __init__(self, home: int) -> None:
        self.home = home
        self.at: int | None = None
        self.told = 0.0
        self.lost = 0
        self.sending = False
        self.future: asyncio.Future[Weighed | Answered | None] | None = None


class InTurns:
    """Implements core.interfaces.Source for a driver: rows by number alone, columns as `source` has them."""

    def __init__(self, source: Source, seats: int) -> None:
        self._source = source
        self._seats = seats
        self.columns = source.columns
        self.count = source.count

    def rows(self, ranges: Sequence[range]) -> Iterator[Sequence[Row]]:
        return in_turns(ranges, self._seats)


class Seats:
    """Who sits where, and how many rows each has in hand: of `most` at once no more than an equal share, if others have room."""

    def __init__(self, count: int, most: int) -> None:
        self._most = most
        self._share = 0
        self.in_hand = [0] * count
        self._taken = [False] * count

    @property
    def live(self) -> int:
        return sum(self._taken)

    def choose(self, home: int) -> int | None:
        """Give the seat that asks a row; None if all are empty. It is the row's own, unless that is empty or has its share in
        hand already: then the one with least."""
        if not self._taken[home] or self.in_hand[home] >= self._share:
            live = [seat for seat, taken in enumerate(self._taken) if taken]
            if not live:
                return None
            least = min(live, key=self.in_hand.__getitem__)
            if not self._taken[home] or self.in_hand[least] < self._share:
                home = least
        self.in_hand[home] += 1
        return home

    def sit(self, seat: int) -> None:
        self._taken[seat] = True
        self._share_out()

    def leave(self, seat: int) -> None:
        """Empty a seat. Of what was in hand there nobody has anything in hand now."""
        self._taken[seat] = False
        self.in_hand[seat] = 0
        self._share_out()

    def _share_out(self) -> None:
        self._share = -(-self._most // max(self.live, 1))
