"""A host's addresses, remembered for a while and forgotten at once when a connection fails: the service may have moved.

aiohttp's own cache must not be cleared while a request waits for an address: that one then ends in a KeyError.
"""

import socket
import time
from collections import deque
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

KEPT_S = 60.0


class Addresses(AbstractResolver):
    """The system's resolver behind a memory. Each call begins with another address, so that load is spread over all."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._system = aiohttp.ThreadedResolver()
        self._now = now
        self._known: dict[tuple[str, int, int], tuple[float, deque[ResolveResult]]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Give the addresses. Raises OSError if there are none."""
        key = (host, port, family)
        until, found = self._known.get(key, (0.0, deque()))
        if self._now() >= until:
            found = deque(await self._system.resolve(host, port, family))
            self._known[key] = (self._now() + KEPT_S, found)
        addresses = list(found)
        found.rotate(-1)
        return addresses

    def forget(self) -> None:
        self._known.clear()

    async def close(self) -> None:
        await self._system.close()
