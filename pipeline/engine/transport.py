"""HTTP through aiohttp. Whatever happens on the wire comes back as a Response or a Fault, never as an exception.

What the settings are for:
- no limit in the connector: time spent waiting for a connection would count against the request's time-out;
- no total time-out of aiohttp's: it would give up replies that came while this process was stopped;
- keep-alive for less than the 5 s after which common servers close idle connections, since aiohttp never resends a POST;
- no redirects, no cookies, no environment proxies, no decompression: a body is read up to a bound or not at all.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from pipeline.core.stale import Stale
from pipeline.core.types import Fault, FaultKind, Request, Response
from pipeline.engine.addresses import Addresses
from pipeline.engine.awake import BEAT_S, Awake, patience
from pipeline.engine.encodings import TooLong, Undecodable, undo
from pipeline.engine.raised import CONNECT_TIMEOUT_S, fault_of
from pipeline.engine.settings import MOST_BODY_BYTES, TransportSettings

KEEPALIVE_S = 4.0
# An error's words stand at its beginning.
MOST_ERROR_BYTES = 64 * 2**10
_WIRE_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Give the terms on which a server is spoken to: a certificate that is trusted and names it, TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # the system's OpenSSL may be set to less
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


class HttpTransport:
    """Open sessions; use as an async context manager. `scrub` removes secrets from a body before anybody sees it."""

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
        self._urls: dict[str, URL] = {}
        self._stale = Stale()
        self._awake = Awake(time.monotonic)
        self._beat: asyncio.TimerHandle | None = None
        self._addresses: Addresses
        self._pooled: aiohttp.ClientSession | None = None
        self._unpooled: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        context = tls_context(self._settings.ca_file)
        self._addresses = Addresses()
        self._pooled = self._session(ssl=context, keepalive_timeout=KEEPALIVE_S)
        self._unpooled = self._session(ssl=context, force_close=True)
        self._stay_awake()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._beat is not None:
            self._beat.cancel()
        for session in (self._pooled, self._unpooled):
            if session is not None:
                await session.close()

    async def post(self, request: Request, *, fresh: bool = False) -> Response | Fault:
        """Send the request once and read the whole answer. `fresh`: on a connection that nothing was sent on before."""
        assert self._pooled is not None and self._unpooled is not None, "used outside its context"
        session = self._unpooled if fresh or self._stale.often else self._pooled
        seen = SimpleNamespace(sent=False, reused=False)
        head: Response | None = None
        try:
            async with (
                patience(self._awake, self._settings.timeout),
                session.post(
                    self._url(request.url),
                    data=request.body,
                    headers=request.headers,
                    allow_redirects=False,
                    proxy=self._settings.proxy,
                    trace_request_ctx=seen,
                ) as answer,
            ):
                head = Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, b"")
                result = await self._received(answer, head)
        except (*_WIRE_ERRORS, ValueError) as error:
            if isinstance(error, TimeoutError) and head is not None and _is_refusal(head):
                result = head  # its body never came to an end; its status speaks for itself
            else:
                result = fault_of(error, status=head.status if head is not None else None, sent=seen.sent, reused=seen.reused)
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                self._addresses.forget()
        if self._stale.sent(lost=isinstance(result, Fault) and result.free):
            self._notice("the server keeps closing connections that were to be used again: from now on each request gets its own")
        return result

    def _session(self, **how: Any) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        trace.on_request_headers_sent.append(_note_sent)
        return aiohttp.ClientSession(
            connector=_Connector(limit=0, resolver=self._addresses, use_dns_cache=False, **how),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_TIMEOUT_S, self._settings.timeout)),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "User-Agent": self._settings.user_agent},
            skip_auto_headers=("Content-Type",),
            trace_configs=[trace],
        )

    def _stay_awake(self) -> None:
        self._awake.seconds()
        self._beat = asyncio.get_running_loop().call_later(BEAT_S, self._stay_awake)

    def _url(self, text: str) -> URL:
        url = self._urls.get(text)
        if url is None:
            # encoded=True: the provider quoted what needs it, and a URL given by the user is posted to exactly as written.
            url = self._urls[text] = URL(text, encoded=True)
        return url

    async def _received(self, answer: aiohttp.ClientResponse, head: Response) -> Response | Fault:
        refused = _is_refusal(head)
        body = await (_beginning(answer) if refused else _whole(answer))
        if isinstance(body, Fault):
            return body
        try:
            plain = _plain(body, head.headers, refused=refused)
        except TooLong:
            return _too_long(answer.status)
        except Undecodable as error:
            return _malformed(answer.status, str(error))
        return replace(head, body=self._scrub(plain))


def _is_refusal(head: Response) -> bool:
    return not 200 <= head.status < 300


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Give a connection on which nothing arrived while it waited: that would be taken for the answer to the next row."""
        while True:
            connection = await super().connect(*args, **kwargs)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


async def _note_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.sent = True


async def _whole(answer: aiohttp.ClientResponse) -> bytes | Fault:
    """Read a body up to the bound."""
    if (answer.content_length or 0) > MOST_BODY_BYTES:
        return _too_long(answer.status)
    chunks, size = [], 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > MOST_BODY_BYTES:
            return _too_long(answer.status)
        chunks.append(chunk)
    return b"".join(chunks)


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Read what of an error's body is worth reading, and arrives: its status speaks for itself."""
    chunks, size = [], 0
    try:
        async for chunk in answer.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size >= MOST_ERROR_BYTES:
                break
    except _WIRE_ERRORS:
        pass
    return b"".join(chunks)[:MOST_ERROR_BYTES]


def _plain(body: bytes, headers: Mapping[str, str], *, refused: bool) -> bytes:
    encoding = headers.get("content-encoding", "")
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
