"""HTTP through one aiohttp session. Whatever happens on the wire comes back as a Response or a Fault, never as an exception.

What the settings are for:
- no limit in the connector: time spent waiting for a connection would count against the request's time-out;
- no total time-out of aiohttp's: it would give up replies that came while this process was stopped;
- keep-alive for less than the 5 s after which common servers close idle connections, since aiohttp never resends a POST;
- no redirects, no cookies, no environment proxies, no decompression: a body is read up to a bound or not at all.
"""

import asyncio
import errno
import os
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp
from yarl import URL

from pipeline.core.types import Fault, FaultKind, Request, Response
from pipeline.engine.awake import BEAT_S, Awake, patience
from pipeline.engine.settings import TransportSettings

KEEPALIVE_S = 4.0
CONNECT_TIMEOUT_S = 10.0
DNS_CACHE_S = 60
MOST_BODY_BYTES = 32 * 2**20
# A body cut short or a silent time-out was probably billed: worth three more tries and no more.
LOST_RESENDS = 3
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class HttpTransport:
    """An open session; use as an async context manager. `scrub` removes secrets from a body before anybody sees it."""

    def __init__(self, settings: TransportSettings, *, scrub: Callable[[bytes], bytes] = bytes) -> None:
        self._settings = settings
        self._scrub = scrub
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._awake = Awake(time.monotonic)
        self._beat: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        context = ssl.create_default_context()
        if self._settings.ca_file:
            context.load_verify_locations(self._settings.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=DNS_CACHE_S, keepalive_timeout=KEEPALIVE_S, ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_TIMEOUT_S, self._settings.timeout)),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "User-Agent": self._settings.user_agent},
            skip_auto_headers=("Content-Type",),
            trace_configs=[trace],
        )
        self._stay_awake()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if self._session is not None:
            await self._session.close()

    def _stay_awake(self) -> None:
        self._awake.seconds()
        self._beat = asyncio.get_running_loop().call_later(BEAT_S, self._stay_awake)

    async def post(self, request: Request) -> Response | Fault:
        """Send the request once and read the whole answer."""
        assert self._session is not None, "used outside its context"
        url = self._urls.get(request.url)
        if url is None:
            # encoded=True: the provider quoted what needs it, and a URL given by the user is posted to exactly as written.
            url = self._urls[request.url] = URL(request.url, encoded=True)
        seen = SimpleNamespace(reused=False)
        status: int | None = None
        try:
            async with (
                patience(self._awake, self._settings.timeout),
                self._session.post(
                    url,
                    data=request.body,
                    headers=request.headers,
                    allow_redirects=False,
                    proxy=self._settings.proxy,
                    trace_request_ctx=seen,
                ) as answer,
            ):
                status = answer.status
                headers = {name.lower(): value for name, value in answer.headers.items()}
                body = await _read(answer, headers)
                if isinstance(body, Fault):
                    return body
                return Response(status, headers, self._scrub(body))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return _fault(error, status=status, reused=seen.reused)


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


async def _read(answer: aiohttp.ClientResponse, headers: Mapping[str, str]) -> bytes | Fault:
    """Read the body up to the bound, and undo a content-encoding that nobody asked for."""
    declared = answer.content_length
    if declared is not None and declared > MOST_BODY_BYTES:
        return _too_long(answer.status)
    if declared is not None:
        body = await answer.read()
    else:
        chunks, size = [], 0
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            if size > MOST_BODY_BYTES:
                return _too_long(answer.status)
            chunks.append(chunk)
        body = b"".join(chunks)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return _malformed(answer.status, f"the reply came in content-encoding {encoding!r:.40}, which was not asked for")
    return _inflate(body, answer.status)


def _inflate(body: bytes, status: int) -> bytes | Fault:
    # 32 added to the window size lets zlib tell gzip from zlib by itself.
    decoder = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
    try:
        plain = decoder.decompress(body, MOST_BODY_BYTES + 1)
    except zlib.error:
        return _malformed(status, "the reply's compressed body is damaged")
    if len(plain) > MOST_BODY_BYTES:
        return _too_long(status)
    if not decoder.eof:
        return _malformed(status, "the reply's compressed body is cut short")
    return plain


def _too_long(status: int) -> Fault:
    return _malformed(status, f"the reply is longer than {MOST_BODY_BYTES // 2**20} MB")


def _malformed(status: int, message: str) -> Fault:
    return Fault(FaultKind.TRANSIENT, "bad_response", message, status, ambiguous=status == 200, resends=1)


def _fault(error: Exception, *, status: int | None, reused: bool) -> Fault:
    """Classify what aiohttp raised. The order matters: its classes inherit from one another and from OSError and ValueError.

    Messages are ours: some of aiohttp's carry the raw response, headers and all.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() if _is_certificate(error):
            return Fault(FaultKind.FATAL, "connection", f"the server's TLS certificate is not trusted: {_certificate(error)}")
        case aiohttp.ConnectionTimeoutError():
            return Fault(FaultKind.DOWN, "connection", f"no connection within {CONNECT_TIMEOUT_S:g} s")
        case aiohttp.ClientConnectorDNSError():
            return Fault(FaultKind.DOWN, "connection", "the host name cannot be resolved")
        case aiohttp.ClientConnectorError():
            if error.errno in _OUT_OF_DESCRIPTORS:
                return Fault(FaultKind.LOCAL, "connection", _errno_text(error))
            return Fault(FaultKind.DOWN, "connection", f"cannot connect: {_errno_text(error)}")
        case aiohttp.ClientPayloadError():
            return Fault(
                FaultKind.TRANSIENT, "connection", "the reply was cut short", status, ambiguous=True, resends=LOST_RESENDS
            )
        case aiohttp.ClientHttpProxyError():
            return Fault(FaultKind.DOWN, "connection", f"the proxy refused the connection ({error.status})")
        case aiohttp.ClientResponseError():
            # Its `status` is aiohttp's own 400, not the server's.
            return Fault(FaultKind.TRANSIENT, "connection", "the reply is not valid HTTP", status, ambiguous=True)
        case TimeoutError():
            return Fault(FaultKind.TRANSIENT, "timeout", "no reply in time", status, ambiguous=True, resends=LOST_RESENDS)
        case aiohttp.InvalidURL() | ValueError():
            return Fault(FaultKind.FATAL, "bad_request", "the request cannot be sent: its URL or a header is not valid")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS:
                return Fault(FaultKind.LOCAL, "connection", _errno_text(error))
            return Fault(FaultKind.TRANSIENT, "connection", "the connection was closed", status, ambiguous=True, free=reused)
    return Fault(FaultKind.TRANSIENT, "connection", type(error).__name__, status, ambiguous=True)


def _errno_text(error: OSError) -> str:
    if error.errno and error.errno > 0:
        return f"{errno.errorcode.get(error.errno, error.errno)} ({os.strerror(error.errno).lower()})"
    return type(error).__name__


def _is_certificate(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientConnectorCertificateError) or isinstance(
        getattr(error, "os_error", None), ssl.SSLCertVerificationError
    )


def _certificate(error: BaseException) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return str(getattr(cause, "verify_message", None) or "verification failed")
