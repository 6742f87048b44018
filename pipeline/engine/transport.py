"""HTTP through aiohttp. Whatever happens on the wire comes back as a Response or a Fault, never as an exception.

What the settings are for:
- no limit in the connector: time spent waiting for a connection would count against the request's time-out;
- no time-out of aiohttp's but for connecting: it would give up replies that came while this process was stopped;
- no decompression on the way: a body is read up to a bound or not at all.
Redirects, cookies and environment proxies are a session's, and there is none (wire.py).
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from pipeline.core.stale import Stale
from pipeline.core.types import Fault, FaultKind, Request, Response
from pipeline.engine.addresses import Addresses
from pipeline.engine.awake import BEAT_S, Awake, Patience
from pipeline.engine.encodings import TooLong, Undecodable, undo
from pipeline.engine.raised import fault_of
from pipeline.engine.settings import MOST_BODY_BYTES, TransportSettings
from pipeline.engine.wire import Exchange, Wire

CONNECT_TIMEOUT_S = 10.0
# An error's words stand at its beginning.
MOST_ERROR_BYTES = 64 * 2**10
WIRE_ERRORS = (aiohttp.ClientError, aiohttp.EofStream, HttpProcessingError, OSError, TimeoutError)


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Give the terms on which a server is spoken to: a certificate that is trusted and names it, TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # the system's OpenSSL may be set to less
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


class HttpTransport:
    """Open connections; use as an async context manager. `scrub` removes secrets from a body before anybody sees it."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        scrub: Callable[[bytes], bytes] = bytes,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._scrub = scrub
        self._notice = notice
        self._stale = Stale()
        self._awake = Awake(time.monotonic)
        self._patience = Patience(self._awake, settings.timeout)
        self._beat: asyncio.TimerHandle | None = None
        self._addresses: Addresses
        self._pooled: Wire | None = None
        self._unpooled: Wire | None = None

    async def __aenter__(self) -> Self:
        self._addresses = Addresses()
        tls = cache(lambda: tls_context(self._settings.ca_file))  # once, and only if it is wanted: it takes 20 ms
        self._pooled = self._wire(tls, kept=True)
        self._unpooled = self._wire(tls, kept=False)
        self._stay_awake()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._beat is not None:
            self._beat.cancel()
        self._patience.close()
        for wire in (self._pooled, self._unpooled):
            if wire is not None:
                await wire.close()

    async def post(self, request: Request, *, fresh: bool = False) -> Response | Fault:
        """Send the request once and read the whole answer. `fresh`: on a connection that nothing was sent on before."""
        wire = self._unpooled if fresh or self._stale.often else self._pooled
        assert wire is not None, "used outside its context"
        exchange: Exchange | None = None
        head: Response | None = None
        try:
            exchange = wire.exchange(request.url, request.headers, request.body)
            self._patience.begin(exchange)
            try:
                async with exchange:
                    head = Response(exchange.status, exchange.headers, b"")
                    result = await self._received(exchange.content, head)
            finally:
                self._patience.end(exchange)
        except (*WIRE_ERRORS, ValueError) as error:
            if isinstance(error, TimeoutError) and head is not None and _is_refusal(head):
                result = head  # its body never came to an end; its status speaks for itself
            else:
                status = head.status if head is not None else None
                sent, reused = (exchange.sent, exchange.reused) if exchange is not None else (False, False)
                result = fault_of(error, status=status, sent=sent, reused=reused)
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                self._addresses.forget()
        if self._stale.sent(lost=isinstance(result, Fault) and result.free):
            self._notice("the server keeps closing connections that were to be used again: from now on each request gets its own")
        return result

    def _wire(self, tls: Callable[[], ssl.SSLContext], *, kept: bool) -> Wire:
        return Wire(
            aiohttp.TCPConnector(limit=0, resolver=self._addresses, use_dns_cache=False),
            tls=tls,
            headers={"Accept-Encoding": "identity", "User-Agent": self._settings.user_agent},
            connect_s=min(CONNECT_TIMEOUT_S, self._settings.timeout),
            proxy=self._settings.proxy,
            kept=kept,
        )

    def _stay_awake(self) -> None:
        self._awake.seconds()
        self._patience.look()
        if self._pooled is not None:
            self._pooled.tidy()
        self._beat = asyncio.get_running_loop().call_later(BEAT_S, self._stay_awake)

    async def _received(self, content: aiohttp.StreamReader | None, head: Response) -> Response | Fault:
        assert content is not None
        refused = _is_refusal(head)
        body = await (_beginning(content) if refused else _whole(content, head))
        if isinstance(body, Fault):
            return body
        try:
            plain = _plain(body, head.headers, refused=refused)
        except TooLong:
            return _too_long(head.status)
        except Undecodable as error:
            return _malformed(head.status, str(error))
        return Response(head.status, head.headers, self._scrub(plain))


def _is_refusal(head: Response) -> bool:
    return not 200 <= head.status < 300


async def _whole(content: aiohttp.StreamReader, head: Response) -> bytes | Fault:
    """Read a body up to the bound."""
    said = head.headers.get("content-length", "")
    if said.isdecimal() and int(said) > MOST_BODY_BYTES:
        return _too_long(head.status)
    if content.is_eof():  # it came with its head, as nearly always
        body = content.read_nowait()
        return body if len(body) <= MOST_BODY_BYTES else _too_long(head.status)
    chunks, size = [], 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > MOST_BODY_BYTES:
            return _too_long(head.status)
        chunks.append(chunk)
    return b"".join(chunks)


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Read what of an error's body is worth reading, and arrives: its status speaks for itself."""
    chunks, size = [], 0
    try:
        async for chunk in content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size >= MOST_ERROR_BYTES:
                break
    except WIRE_ERRORS:
        pass
    return b"".join(chunks)[:MOST_ERROR_BYTES]


def _plain(body: bytes, headers: Mapping[str, str], *, refused: bool) -> bytes:
    encoding = headers.get("content-encoding")
    if encoding is None:
        return body
    if not refused:
        return undo(encoding, body, most=MOST_BODY_BYTES)
    try:
        return undo(encoding, body, most=MOST_ERROR_BYTES, cut=True)
    except Undecodable:
        return b""


def _too_long(status: int) -> Fault:
    return _malformed(status, f"the reply is longer than {MOST_BODY_BYTES // 2**20} MB")


def _malformed(status: int, message: str) -> Fault:
    return Fault(FaultKind.TRANSIENT, "bad_response", message, status, ambiguous=True, resends=1)
