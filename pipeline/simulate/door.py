"""Where the simulator listens, and how it shuts for a while: connections are broken off, nobody listens, then it is back."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from pipeline.core.errors import ConfigError

# A run may open a thousand connections at once; the kernel's usual queue of 128 would make most of them wait a second.
_BACKLOG = 4096
_LAST_PORT = 65535
_TRY_AGAIN_S = 0.1


class Door:
    """Use as an async context manager. `port` is the one that was really taken."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self.port = port
        self._runner = runner
        self._host = host
        self._site: web.TCPSite | None = None
        self._shut: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block lasts. ConfigError if that cannot be."""
        await self._open()
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                if self._shut is not None:
                    self._shut.cancel()

    def shut(self, seconds: float) -> None:
        """Listen to nobody for so long, from now on. No effect while it is shut already."""
        if self._shut is None or self._shut.done():
            self._shut = self._tasks.create_task(self._stay_shut(seconds))

    async def _stay_shut(self, seconds: float) -> None:
        assert self._site is not None and self._runner.server is not None
        await self._site.stop()
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        with self._held():
            await asyncio.sleep(seconds)
        while True:
            try:
                return await self._open()
            except ConfigError:
                await asyncio.sleep(_TRY_AGAIN_S)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep the port without listening on it: clients are refused, and neither another process nor a client takes it."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family) as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # a host name of several addresses: then it goes without
                holder.bind((self._host, self.port))
            yield

    async def _open(self) -> None:
        if not 0 <= self.port <= _LAST_PORT:  # uvloop would take the remainder
            raise ConfigError(f"port {self.port}: give a number from 0 (any free one) to {_LAST_PORT}")
        site = web.TCPSite(self._runner, self._host, self.port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(
                f"the simulator cannot listen on {self._host}:{self.port} ({why}): choose another port, or 0 for a free one"
            ) from error
        self._site, self.port = site, site.port
