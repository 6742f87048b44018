"""The run's waits, in one place and for everyone: how many are in flight, holds, pacing, and one row alone.

What one row waits for by itself (its backoff) is the feed's.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from pipeline.core.pace import Pace
from pipeline.engine.stop import Stop, Stopped

# After a hold the pool must not stampede: each start is late by a share of the hold, but never by more than this.
JITTER_SHARE = 0.1
MOST_JITTER_S = 5.0


class Gate:
    """Admits requests. Holds apply to whoever is not yet sent; `limit` is changed by `grow`.

    `now` gives monotonic seconds, `draw` a number in [0, 1).
    """

    def __init__(
        self,
        limit: int,
        *,
        stop: Stop,
        now: Callable[[], float],
        draw: Callable[[], float],
        pace: Pace,
    ) -> None:
        self.limit = limit
        self.in_flight = 0
        self.held_until = float("-inf")
        self.held_by: str | None = None
        self._held_for = 0.0
        self._stop = stop
        self._now = now
        self._draw = draw
        self._pace = pace
        self._door = asyncio.Lock()  # who is paced waits here: one start is booked at a time, so that a new rate holds at once
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._tickets: int | None = None  # None: everybody may start; 0 or 1 while one row goes out alone
        self._apart: list[asyncio.Future[None]] = []

    def at_once(self) -> bool:
        """Start a request now, as `enter` does for one that is not alone, if there is nothing to wait for: as nearly always."""
        if self._taken >= self.limit or self._waiting or not self._open:
            return False
        self._taken += 1
        self._pace.started(self._now())
        self.in_flight += 1
        return True

    async def enter(self, tokens: int) -> bool:
        """Wait until one request of about so many tokens may start; give whether it goes out alone. `leave` has to follow.

        Raises Stopped if the run ends before the start. A pair of calls and no context manager: that, as a generator, costs
        3 us more, on every row. `at_once` spares most rows even the coroutine.
        """
        if self._stop.requested:
            raise Stopped
        if self._taken >= self.limit or self._waiting:
            await self._wait_for_slot()
        else:
            self._taken += 1
        try:
            alone = False if self._open else await self._paced(tokens)
        except BaseException:
            self._give_back()
            raise
        self._pace.started(self._now())
        self.in_flight += 1
        return alone

    def leave(self) -> None:
        """Give the slot back. Must not await."""
        self.in_flight -= 1
        self._look_again()
        self._give_back()

    def grow(self, limit: int) -> None:
        """Set the limit; a larger one wakes waiters, a smaller one only stops admitting."""
        self.limit = limit
        self._wake()
        self._look_again()

    def hold(self, seconds: float, reason: str) -> None:
        """Start nothing for so long. A hold that ends before the one in force changes nothing."""
        until = self._now() + seconds
        if until <= self.held_until:
            return
        self.held_until, self.held_by, self._held_for = until, reason, seconds
        self._pace.hold(until)

    def alone(self) -> None:
        """From now on let one request start, and nobody else until `together` or another `alone`."""
        self._tickets = 1
        self._look_again()

    def shut(self) -> None:
        """Let nobody start until `alone` or `together`."""
        self._tickets = 0

    def together(self) -> None:
        """Admit as before."""
        self._tickets = None
        self._look_again()

    def stopped(self) -> None:
        """Send home everybody who waits for a slot: the run ends."""
        for future in (*self._waiting, *self._apart):
            if not future.done():
                future.set_exception(Stopped())
        self._waiting.clear()
        self._apart.clear()

    @property
    def _open(self) -> bool:
        """Whether a request that has a slot may start without any wait, as nearly always."""
        free = self._tickets is None and self._pace.free and not self._stop.requested
        return free and self.in_flight < self.limit and self.held_until <= self._now()

    def _look_again(self) -> None:
        if self._tickets == 0:  # nobody could start: who opens the gate looks again
            return
        for future in self._apart:
            if not future.done():
                future.set_result(None)
        self._apart.clear()

    def _give_back(self) -> None:
        self._taken -= 1
        self._wake()

    def _wake(self) -> None:
        # A woken waiter counts as taken at once, so that no newcomer slips in before it runs.
        while self._waiting and self._taken < self.limit:
            future = self._waiting.popleft()
            if not future.done():
                self._taken += 1
                future.set_result(None)

    async def _wait_for_slot(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back()
            raise

    async def _paced(self, tokens: int) -> bool:
        """Sit out holds, somebody else's going alone and the pace; look again after every wait, for a hold may have begun."""
        while True:
            while (held := self.held_until - self._now()) > 0:
                jitter = self._draw() * min(JITTER_SHARE * self._held_for, MOST_JITTER_S)
                await self._stop.sleep(held + jitter)
            if self._stop.requested:
                raise Stopped
            # Not only when the slot was taken: the limit may have shrunk since.
            if self._tickets == 0 or self.in_flight >= self.limit:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._apart.append(future)
                await future
                continue
            async with self._door:
                held_until = self.held_until
                if held_until <= self._now() and (wait := self._pace.reserve(self._now(), tokens)) > 0:
                    await self._stop.sleep(wait)
            if self._stop.requested:
                raise Stopped
            if self.held_until != held_until or held_until > self._now() or self._tickets == 0 or self.in_flight >= self.limit:
                continue
            if self._tickets is None:
                return False
            self._tickets -= 1
            return True
