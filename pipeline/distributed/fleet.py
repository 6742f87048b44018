"""The driver's side: hands that are workers elsewhere. Orders go out in batches, as reports come in.

A worker that is lost takes its rows in flight with it, and no more: they go to others at once, counted as sent twice. Its seat
is taken again as soon as somebody can. A row may be what loses workers (a picture too large for their memory, say): once it was
lost with two, it is a suspect, and suspects are asked one after the other, so that none is blamed for another.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from pipeline.core.errors import RowcallError, StoppedError
from pipeline.core.types import Fault, FaultKind, Row
from pipeline.distributed.messages import Answered, Failed, Flat, Notice, Orders, Report, Weighed, whole
from pipeline.distributed.seats import HELD, Held, Seats
from pipeline.engine.hands import Built
from pipeline.engine.send import Sent
from pipeline.engine.stop import Stopped

FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 60.0
# What is to be said within so many seconds a worker of the last message goes in one: each costs the driver a millisecond,
# whatever its size. To a model that takes a second for a reply the most is nothing.
GATHER_S, MOST_GATHER_S = 0.005, 0.1
# A cluster may need so long to make room.
TOLD_AFTER_S = 60.0
# With so many workers lost a row is a suspect; with so many it is given up while its request is made ready.
SUSPECT, MOST_LOST = 2, 5
# What a request weighs is guessed from those before where nobody needs it more exactly; each new one has so much say.
_SAY = 0.05
# What may be the fault of the machine that asked, so that another one asks the next time.
_ELSEWHERE = (FaultKind.DOWN, FaultKind.TRANSIENT, FaultKind.LOCAL, FaultKind.FATAL)


class LostError(Exception):
    """A worker is gone. Stays in this package."""


class Link(Protocol):
    """The way to one worker. `place`: where that is, for people."""

    place: str

    def tell(self, orders: Orders) -> None:
        """Send a batch of orders."""

    async def hear(self, gather: float) -> Flat:
        """Wait for the next reports, `gather` seconds after the last. Raises LostError once the worker is gone."""

    async def close(self) -> None:
        """Let the worker go."""


# Makes the worker of a seat, as soon as there is room for it. Raises LostError if this one did not start, RowcallError if
# none could work.
Open = Callable[[int], Awaitable[Link]]


class WorkerError(RowcallError):
    """What ended the run, as a worker met it at a `place`."""

    def __init__(self, said: Failed, place: str) -> None:
        super().__init__(f"{said.reason} (a worker on {place})")
        self.exit_code = said.exit_code


class Fleet:
    """Implements engine.hands.Hands. Make it by `fleet()`. Of the `at_once` rows that are sent at once each worker has its share.

    `weigh`: have each request weighed before it is sent; else its tokens are guessed, and its bytes are nobody's concern.
    """

    def __init__(
        self, seats: int, *, at_once: int, weigh: bool, longest: float, now: Callable[[], float], notice: Callable[[str], None]
    ) -> None:
        self.failure: RowcallError | None = None
        self._weigh = weigh
        self._longest = longest
        self._timer: asyncio.TimerHandle | None = None
        self._now = now
        self._notice = notice
        self._seats = Seats(seats, at_once)
        self._links: dict[int, Link] = {}
        self._orders: dict[int, Orders] = {}
        self._gather = min(GATHER_S * seats, MOST_GATHER_S)
        self._flushed = -self._gather
        self._rows: dict[int, Held] = {}
        self._suspects = [asyncio.Lock() for _ in range(seats)]
        self._tokens = 0.0
        self._stopped = False
        self._met = False  # whether any worker was there yet
        self._somebody = asyncio.Event()  # a worker is there, or none will be
        self._loop = asyncio.get_running_loop()

    # -- Hands

    async def build(self, row: Row) -> Built | Fault:
        held = row.cells[HELD]
        assert isinstance(held, Held)
        index = row.index
        held.at, held.sending = None, False
        self._rows[index] = held
        if not self._weigh:
            return Built(index, round(self._tokens), 0)
        while (weighed := await self._asked(index, held, _build)) is None:
            held.lost += 1
            if held.lost >= MOST_LOST:
                self._done(index, held)
                said = f"{MOST_LOST} workers were lost while they made its request ready"
                return Fault(FaultKind.REJECTED, "bad_row", said)
        assert isinstance(weighed, Weighed)
        if weighed.fault is None:
            return Built(index, weighed.tokens, weighed.size)
        self._done(index, held)
        return weighed.fault

    async def send(self, built: Built, *, may_resend: bool) -> Sent:
        row, lost = built.row, 0
        held = self._rows[row]
        held.sending = True
        which = _resend if may_resend else _once
        try:
            while not lost or held.lost <= SUSPECT:
                if held.lost < SUSPECT and self._placed(held):  # nearly always; each coroutine costs 1 us
                    answered = await self._ordered(row, held, which)
                else:
                    answered = await self._asked(row, held, which)
                if answered is not None:
                    assert isinstance(answered, Answered)
                    self._heed(held, answered)
                    return answered.sent(held.told, lost)
                lost += 1
                held.lost += 1
        except (Stopped, RowcallError):  # what ends the run; what was sent before is counted all the same
            if not lost:
                raise
        finally:
            self._done(row, held)
        fault = Fault(FaultKind.TRANSIENT, "connection", "the worker that sent it was lost", ambiguous=True)
        return Sent(fault, held.told, self._now() - held.told, lost, lost)

    def _heed(self, held: Held, answered: Answered) -> None:
        held.lost = 0
        if not isinstance(answered.result, Fault):
            self._tokens += (answered.tokens - self._tokens) * (_SAY if self._tokens else 1.0)
        elif answered.result.kind in _ELSEWHERE:
            held.home = (held.home + 1) % len(self._seats.in_hand)

    def stop(self) -> None:
        """Let nobody wait for a worker any more. What was sent is awaited."""
        self._stopped = True
        self._somebody.set()
        for held in self._rows.values():
            if not held.sending and held.future is not None and not held.future.done():
                held.future.set_exception(Stopped())

    # -- rows and seats

    async def _asked(self, row: int, held: Held, which: Callable[[Orders], list[int]]) -> Weighed | Answered | None:
        """Have a worker do it, as soon as one may and can; None if that was lost over it."""
        if held.lost < SUSPECT:
            await self._place(held)
            return await self._ordered(row, held, which)
        while True:
            await self._place(held)
            seat = held.at
            assert seat is not None
            async with self._suspects[seat]:
                if held.at == seat:  # else that worker was lost meanwhile, and not over this row
                    return await self._ordered(row, held, which)

    def _ordered(self, row: int, held: Held, which: Callable[[Orders], list[int]]) -> "asyncio.Future[Weighed | Answered | None]":
        held.told = self._now()
        which(self._orders_for(held)).append(row)
        held.future = self._loop.create_future()
        return held.future

    def _placed(self, held: Held) -> bool:
        """See whether a worker has this row in hand, or may have it now."""
        if held.at is None and not self._stopped and self.failure is None:
            held.at = self._seats.choose(held.home)
        return held.at is not None

    async def _place(self, held: Held) -> None:
        """See that a worker has this row in hand. Raises Stopped, or what ends the run."""
        while not self._placed(held):
            if self.failure is not None:
                raise self.failure
            if self._stopped:
                raise Stopped
            await self._somebody.wait()

    def _done(self, row: int, held: Held) -> None:
        if held.at is not None:
            self._seats.in_hand[held.at] -= 1
        del self._rows[row]

    def _orders_for(self, held: Held) -> Orders:
        """Give what goes to a row's worker next."""
        assert held.at is not None
        if (orders := self._orders.get(held.at)) is None:
            if not self._orders:
                self._loop.call_at(max(self._loop.time(), self._flushed + self._gather), self._flush)
            orders = self._orders[held.at] = Orders()
        return orders

    def _flush(self) -> None:
        self._flushed = self._loop.time()
        for seat, each in self._orders.items():
            if seat in self._links:
                self._links[seat].tell(each)
        self._orders.clear()

    def _take(self, report: Report, place: str) -> None:
        match report:
            case Answered() | Weighed():
                self._tell(report.row, report)
            case Notice():
                self._notice(report.text)
            case Failed(row=row):
                error = WorkerError(report, place)
                self._fail(error)
                future = self._rows[row].future if row is not None and row in self._rows else None
                if future is not None and not future.done():
                    future.set_exception(error)

    def _tell(self, row: int, report: Weighed | Answered | None) -> None:
        held = self._rows.get(row)
        if held is not None and held.future is not None and not held.future.done():
            held.future.set_result(report)

    def _fail(self, error: RowcallError) -> None:
        if self.failure is None:
            self.failure = error
            self._somebody.set()

    # -- workers

    async def keep(self, seat: int, open_: Open) -> None:
        """Keep a seat taken, until the run ends."""
        pause = FIRST_PAUSE_S
        while self.failure is None and not self._stopped:
            try:
                link = await open_(seat)
            except (LostError, RowcallError) as error:
                if isinstance(error, RowcallError) and not self._met:
                    return self._fail(error)  # none can work, it seems; after others could it is that one's machine
                self._notice(f"worker {seat + 1} did not start ({error}); it is tried again in {pause:.0f} s")
                await asyncio.sleep(pause)
                pause = min(2 * pause, MOST_PAUSE_S)
            else:
                pause = FIRST_PAUSE_S
                await self._listen(seat, link)

    def tell_who_is_there(self) -> None:
        if not self._stopped and self.failure is None and self._seats.live < len(self._seats.in_hand):
            self._notice(f"{self._seats.live} of {len(self._seats.in_hand)} workers are there; the others may come at any time")

    def wait_for_somebody(self) -> None:
        """From now on a worker has to come within `longest` seconds, or the run ends."""
        if self.failure is None and not self._stopped:
            self._somebody.clear()
            self._timer = asyncio.get_running_loop().call_later(self._longest, self._despair)

    def _despair(self) -> None:
        self._fail(StoppedError(f"no worker has been there for {self._longest / 60:g} minutes; the same command goes on"))

    async def _listen(self, seat: int, link: Link) -> None:
        self._links[seat] = link
        if not self._met:
            self._notice(f"the first of {len(self._seats.in_hand)} workers is there, on {link.place}")
        self._met = True
        self._seats.sit(seat)
        self._somebody.set()
        if self._timer is not None:
            self._timer.cancel()
        try:
            while True:
                for report in whole(await link.hear(self._gather)):
                    self._take(report, link.place)
        except LostError:
            self._lose(seat)
        finally:
            del self._links[seat]
            await link.close()

    def _lose(self, seat: int) -> None:
        self._seats.leave(seat)
        if not self._seats.live:
            self.wait_for_somebody()
        self._orders.pop(seat, None)
        sent = 0
        for row, held in self._rows.items():
            if held.at == seat:
                held.at = None
                sent += held.sending
                self._tell(row, None)
        self._notice(f"worker {seat + 1} was lost; {sent} rows that it had in flight go to others")


def _build(orders: Orders) -> list[int]:
    return orders.build


def _resend(orders: Orders) -> list[int]:
    return orders.send


def _once(orders: Orders) -> list[int]:
    return orders.send_once


@asynccontextmanager
async def fleet(
    seats: int, open_: Open, *, at_once: int, weigh: bool, longest: float, now: Callable[[], float], notice: Callable[[str], None]
) -> AsyncIterator[Fleet]:
    """Give a fleet whose seats are kept taken while the block lasts. Without a worker for `longest` seconds it gives up."""
    made = Fleet(seats, at_once=at_once, weigh=weigh, longest=longest, now=now, notice=notice)
    made.wait_for_somebody()
    asyncio.get_running_loop().call_later(TOLD_AFTER_S, made.tell_who_is_there)
    async with asyncio.TaskGroup() as keepers:
        tasks = [keepers.create_task(made.keep(seat, open_)) for seat in range(seats)]
        try:
            yield made
        finally:
            made.stop()
            for each in tasks:
                each.cancel()
