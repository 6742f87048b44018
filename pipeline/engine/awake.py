"""Time in which this process ran. While it is stopped (SIGSTOP, a debugger, a suspended machine) nobody is late.

Timers go on through a stop, and all of them fire when it ends, before the replies that came meanwhile are read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

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


@asynccontextmanager
async def patience(awake: Awake, seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError once the block has had so many seconds awake."""
    loop = asyncio.get_running_loop()
    until = awake.seconds() + seconds
    timer: asyncio.TimerHandle
    async with asyncio.timeout(None) as limit:

        def look() -> None:
            nonlocal timer
            left = until - awake.seconds()
            if left > 0:
                timer = loop.call_later(left, look)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_later(seconds, look)
        try:
            yield
        finally:
            timer.cancel()
