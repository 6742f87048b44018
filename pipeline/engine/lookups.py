"""Names of picture hosts -> addresses: the system's resolver, in a thread of its own for each name.

The loop's own threads are few. Old lists of links are full of names that take ten seconds to come to nothing; there, a few of
them keep every other name waiting, and healthy hosts look unreachable.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_NUMBERS = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Lookups(AbstractResolver):
    """As many at once as are asked for: whoever fetches asks one name at a time. Threads are left to end by themselves."""

    def __init__(self, getaddrinfo: Callable[..., Any] = socket.getaddrinfo) -> None:
        self._getaddrinfo = getaddrinfo

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Give the addresses. Raises OSError if there are none."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def tell(say: Callable[[Any], None], what: object) -> None:
            if not future.done():
                say(what)

        def look() -> None:
            try:
                told = future.set_result, self._getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
            except (OSError, UnicodeError) as error:
                # A name that cannot be put into a query is one that nobody has.
                failed = error if isinstance(error, OSError) else socket.gaierror(socket.EAI_NONAME, "no such name")
                told = future.set_exception, failed
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, *told)

        # A daemon: the run's end does not wait for a name server.
        threading.Thread(target=look, name="rowcall-lookup", daemon=True).start()
        return [
            ResolveResult(hostname=host, host=str(where[0]), port=int(where[1]), family=kind, proto=protocol, flags=_NUMBERS)
            for kind, _, protocol, _, where in await future
        ]

    async def close(self) -> None:
        """Nothing is kept."""
