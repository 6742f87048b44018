"""Pausing while the disk is short of room: nothing new is sent for a minute at most, then the run goes on or ends.

What is in flight is recorded meanwhile; the room for that is kept free by whoever says what is lacking.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pipeline.core.errors import FullError
from pipeline.engine.gate import Gate
from pipeline.engine.stop import Stop, Stopped

LONGEST_S = 60.0
LOOK_S = 1.0
AGAIN_S = 5.0
# Renewed at every look, so that the run goes on soon after there is room.
_HOLD_S = 2.5

# Says in a line what is lacking and where, or None. Blocking.
Lacking = Callable[[], str | None]
T = TypeVar("T")


class Room:
    """Looks every second, and takes in what writers meet in between."""

    def __init__(
        self, lacking: Lacking, *, gate: Gate, stop: Stop, now: Callable[[], float], notice: Callable[[str], None]
    ) -> None:
        self._lacking = lacking
        self._gate = gate
        self._stop = stop
        self._now = now
        self._notice = notice
        self._since: float | None = None
        self._refused: dict[int, str] = {}  # writers that wait to try again, with what they were told

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            why = await asyncio.to_thread(self._lacking) or next(iter(self._refused.values()), None)
            if why is not None:
                self._short(why)
            elif self._since is not None:
                self._notice(f"the disk has room again, after {self._now() - self._since:.0f} s: the run goes on")
                self._since = None

    async def write(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what may find the disk full, every few seconds for as long as a pause may last. Raises the last FullError."""
        number = id(work)
        try:
            while True:
                try:
                    return await work()
                except FullError as error:
                    self._refused[number] = str(error)
                    self._short(str(error))
                    try:
                        await self._stop.sleep(AGAIN_S)
                    except Stopped:
                        raise error from None
        finally:
            self._refused.pop(number, None)

    def _short(self, why: str) -> None:
        if self._stop.requested:
            return
        if self._since is None:
            self._since = self._now()
            self._notice(f"nothing new is sent for a minute, unless there is room before: {why}")
        if self._now() - self._since >= LONGEST_S:
            self._stop.request(why, FullError.exit_code)
        self._gate.hold(_HOLD_S, "full disk")
