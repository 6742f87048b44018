"""One try to fetch one picture: over http(s), from public addresses, in bounded time and space. What fails is a value.

Neither keys nor cookies nor a proxy nor the environment have a part in it: this session is not the endpoint's. Redirects are
followed by hand, each looked at as the first URL was.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from pipeline.core.errors import BadRowError
from pipeline.core.public import Target, objection, shown
from pipeline.core.retry_after import retry_after
from pipeline.core.types import FaultKind
from pipeline.engine.encodings import TooLong, Undecodable, undo
from pipeline.engine.lookups import Lookups
from pipeline.engine.raised import fault_of
from pipeline.engine.settings import FetchSettings
from pipeline.engine.transport import WIRE_ERRORS, tls_context

MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_COMPLETE = frozenset({200, 203})
_TOO_EARLY_OR_LATE = frozenset({408, 425})
_THROTTLED = 429
_SERVERS_OWN = 500
# With many hosts a longer one leaves too many connections open that nobody uses again.
_KEPT_ALIVE_S = 3.0
_ADDRESSES_KEPT_S = 60
_READ_BYTES = 256 * 2**10


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a try gave no picture, where another may. `host` is who failed, `asked_at` when it was asked.

    `unreachable`: nobody was there. `certain`: whoever asks it now fares so. `again`: soon trying again may help.
    `local`: this machine lacks something.
    """

    host: str
    reason: str
    asked_at: float
    unreachable: bool = False
    certain: bool = False
    again: bool = True
    local: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Unfit:
    """An answer that holds no picture, nor ever will."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


class _NotPublic(OSError):
    """An address that may not be connected to."""


class Places:
    """So many at once from one host. Only hosts that somebody asks, or waits for, are remembered."""

    def __init__(self, per_host: int) -> None:
        self._per_host = per_host
        self._known: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextmanager
    def of(self, host: str) -> Iterator[asyncio.Semaphore]:
        """Give what is to be acquired."""
        semaphore, users = self._known.get(host) or (asyncio.Semaphore(self._per_host), 0)
        self._known[host] = semaphore, users + 1
        try:
            yield semaphore
        finally:
            users = self._known[host][1]
            if users == 1:
                del self._known[host]
            else:
                self._known[host] = semaphore, users - 1

    def __len__(self) -> int:
        return len(self._known)


class PictureClient:
    """Open connections; use as an async context manager. `answered` is told of each host that is there, and of the URL."""

    def __init__(
        self,
        settings: FetchSettings,
        *,
        now: Callable[[], float] = time.monotonic,
        resolver: AbstractResolver | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.answered: Callable[[str, str], None] = lambda host, url: None
        self._settings = settings
        self._now = now
        self._resolver = resolver
        self._ca_file = ca_file
        self._places = Places(settings.per_host)
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        # Names and numbers alike come past the socket's maker, with the very address that is connected to next. A resolver
        # is not asked about numbers, and what it says now need not be what it says later.
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=self._resolver or Lookups(),
            ttl_dns_cache=_ADDRESSES_KEPT_S,
            keepalive_timeout=_KEPT_ALIVE_S,
            socket_factory=self._socket,
            ssl=tls_context(self._ca_file),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._settings.connect),
            headers={"User-Agent": self._settings.user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def get(self, address: str) -> bytes | Trouble:
        """Give what lies there. Raises BadRowError where no further try would help."""
        url, left = self._followed(address), self._settings.total
        for _ in range(MOST_REDIRECTS + 1):
            host = url.raw_host or ""
            with self._places.of(host) as place:
                async with place:
                    began = self._now()
                    answer = await self._ask(url, host, began, left)
            if isinstance(answer, Trouble):
                return answer
            self.answered(host, str(url))
            match answer:
                case bytes():
                    return answer
                case _Unfit(reason):
                    raise _bad(url, reason)
                case _Redirect(location):
                    url = self._redirected(url, location)
            left -= self._now() - began
        raise _bad(url, f"more than {MOST_REDIRECTS} redirects lead here and on")

    # -- where to

    def _followed(self, address: str) -> URL:
        try:
            url = url_of(address)
            target = Target(url.scheme, url.raw_host, url.port, url.raw_user is not None or url.raw_password is not None)
        except ValueError:  # a broken IPv6 address, a port that is no number, a host that no name can be
            raise BadRowError(f"{shown(address)}: the URL is not valid") from None
        if (reason := objection(target, ports=self._settings.ports)) is not None:
            raise _bad(url, reason)
        return url

    def _redirected(self, url: URL, location: str) -> URL:
        try:
            target = url.join(url_of(location))
            followed = self._followed(str(target))
        except (ValueError, BadRowError) as error:
            reason = str(error) if isinstance(error, BadRowError) else "that is not valid"
            raise _bad(url, f"it redirects to an address that is not followed: {reason}") from None
        if url.scheme == "https" and followed.scheme == "http":
            raise _bad(url, f"it redirects from https to http, to {shown(str(followed))}")
        return followed

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = address
        if not self._settings.allowed(str(where[0])):
            # The same words for each of several addresses: only then are they handed on as they are.
            raise _NotPublic("not public")
        return socket.socket(family, kind, protocol)

    # -- there

    async def _ask(self, url: URL, host: str, began: float, left: float) -> bytes | Trouble | _Unfit | _Redirect:
        try:
            async with asyncio.timeout(left):
                response = await self._session.get(url, allow_redirects=False)
                try:
                    return await self._read(response, host, began)
                finally:
                    response.close()  # what has not been read is not wanted; a connection that has been is kept
        except (*WIRE_ERRORS, ValueError) as error:
            return self._trouble(error, url, host, began)

    async def _read(self, response: aiohttp.ClientResponse, host: str, began: float) -> bytes | Trouble | _Unfit | _Redirect:
        status, headers = response.status, response.headers
        if status in _REDIRECTS and "Location" in headers:
            return _Redirect(headers["Location"])
        if status == _THROTTLED or status >= _SERVERS_OWN or status in _TOO_EARLY_OR_LATE:
            hint = retry_after({name.lower(): text for name, text in headers.items()}, wall_now=time.time())
            return Trouble(host, f"it answers {status}", began, certain=status == _THROTTLED, retry_after=hint)
        if status not in _COMPLETE:
            return _Unfit(f"it answers {status}")
        most = self._settings.most_bytes
        too_large = _Unfit(f"the picture is larger than {most / 1e6:g} MB (images.max_megabytes)")
        if (response.content_length or 0) > most:
            return too_large
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > most:
                return too_large
            chunks.append(chunk)
        try:
            return undo(headers.get("Content-Encoding", ""), b"".join(chunks), most=most)
        except TooLong:
            return too_large
        except Undecodable:
            return _Unfit("the picture came compressed, unasked, and cannot be unpacked")

    def _trouble(self, error: Exception, url: URL, host: str, began: float) -> Trouble:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _NotPublic):
            raise _bad(url, "this address, or the one that the name stands for, is not public") from None
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            return Trouble(host, f"it took longer than {self._settings.total:g} s", began)
        fault = fault_of(error, status=None, sent=not isinstance(error, aiohttp.ConnectionTimeoutError), reused=False)
        down = fault.kind is FaultKind.DOWN
        return Trouble(
            host,
            fault.message,
            began,
            unreachable=down,
            certain=down,
            again=fault.kind is not FaultKind.FATAL and not _no_such_name(error),
            local=fault.kind is FaultKind.LOCAL,
        )


def url_of(address: str) -> URL:
    """Take an address apart. Raises ValueError for whatever is none."""
    try:
        return URL(address)
    except IndexError:  # yarl looks for a host behind the login of http://[]@/, and there is none
        raise ValueError("no host") from None


def _no_such_name(error: Exception) -> bool:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorDNSError) else None
    return cause is not None and cause.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def _bad(url: URL, reason: str) -> BadRowError:
    return BadRowError(f"{shown(str(url))}: {reason}")
