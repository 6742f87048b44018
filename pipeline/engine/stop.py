"""Asking a run to end early: said once, seen everywhere, never a cancellation."""

import asyncio


class Stopped(Exception):
    """Raised in a wait that a stop has made pointless. Stays inside the engine."""


class Stop:
    """Whether this run is to end early, why, and with which exit code. The first request wins.

    After it nothing new is sent; what is in flight is awaited and recorded.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self._event = asyncio.Event()

    @property
    def requested(self) -> bool:
        return self.reason is not None

    def request(self, reason: str, exit_code: int) -> None:
        if self.reason is None:
            self.reason, self.exit_code = reason, exit_code
            self._event.set()

    async def wait(self) -> None:
        await self._event.wait()

    async def sleep(self, seconds: float) -> None:
        """Sleep, or raise Stopped as soon as the run is to end."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        raise Stopped
