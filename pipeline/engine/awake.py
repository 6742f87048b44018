"""Time in which this process ran. While it is stopped (SIGSTOP, a debugger, a suspended machine) nobody is late.

Timers go on through a stop, and all of them fire when it ends, before the replies that came meanwhile are read.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

BEAT_S = 1.0
# A busy machine may keep a process waiting for seconds; what is missing past that, it did not run.
STOPPED_S = 5.0


class Awake:
    """A clock that stands still with the process. Ask it about every BEAT_S: that is how it knows.

    `now` gives monotonic seconds; `missed` are those in which the process did not run.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = now()
        self.missed = 0.0

    def seconds(self) -> float:
        """Give the seconds awake; the difference of two calls counts."""
        now = self._now()
        if now - self._last > STOPPED_S:
            self.missed += now - self._last
        self._last = now
        return now - self.missed

    def missed_now(self) -> float:
        """Give the seconds in which the process did not run since this was asked before, or anything else of this clock."""
        before = self.missed
        self.seconds()
        return self.missed - before


class Waiting(Protocol):
    """Something that may have to end early."""

    def time_is_up(self) -> None:
        """End it."""

    def look(self) -> None:
        """End it if what it waits for can no longer come."""


class Patience:
    """Gives each of many waits the same number of seconds awake. They end in the order in which they began, so one timer
    serves all: two of its own for each wait cost 5 us a row."""

    def __init__(self, awake: Awake, seconds: float) -> None:
        self._awake = awake
        self._seconds = seconds
        self._until: dict[Waiting, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, wait: Waiting) -> None:
        """Tell `wait` that its time is up unless `end` comes before."""
        self._until[wait] = self._awake.seconds() + self._seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._ring)

    def end(self, wait: Waiting) -> None:
        self._until.pop(wait, None)

    def look(self) -> None:
        """Have every wait look whether it is in vain."""
        for wait in self._until:
            wait.look()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        loop, now = asyncio.get_running_loop(), self._awake.seconds()
        while self._until:
            wait, until = next(iter(self._until.items()))
            if until > now:
                self._timer = loop.call_later(until - now, self._ring)
                return
            del self._until[wait]
            wait.time_is_up()
