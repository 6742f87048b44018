"""One POST on one connection, over aiohttp's connector and response protocol, under a request head that is written once.

aiohttp's session builds every request anew: URL, headers, payload, tracing, cookies, a task that writes. For small bodies that
is most of what a row costs; here all requests but for their bodies are the same. What is used of aiohttp, as of 3.14:
TCPConnector.connect, and of the Connection it gives `protocol` (set_response_params, read, should_close), `transport`,
`release` and `close`. Pool, TLS, proxies, DNS, and the parser of answers are aiohttp's own.

Not here: time-outs, what a body may be, and what failures mean (transport.py, raised.py).
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import StreamReader
from multidict import CIMultiDict
from yarl import URL

# A larger body is not copied behind its head.
MOST_JOINED_BYTES = 64 * 2**10
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_OK_INTERIM = range(100, 200)
_SWITCHING_PROTOCOLS = 101


class Wire:
    """Sends requests to one address after another's pattern, and keeps connections open between them, or not if `unpooled`.

    `headers` go with every request, besides its own. Make it inside a running loop.
    """

    def __init__(
        self, connector: aiohttp.TCPConnector, *, headers: Mapping[str, str], connect_s: float, proxy: str | None
    ) -> None:
        self._connector = connector
        self._headers = headers
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        self._proxy = None if proxy is None else URL(proxy)
        self._loop = asyncio.get_running_loop()
        self._used: WeakSet[ResponseHandler] = WeakSet()  # connections that something was sent on
        self._heads: dict[str, _Head] = {}

    def exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> "Exchange":
        """Give the exchange, not yet begun. Raises ValueError if the URL or a header cannot be sent."""
        head = self._heads.get(url)
        if head is None or head.headers != headers:  # the key may be another one by now
            head = self._heads[url] = self._head(url, headers)
        return Exchange(self, head, body)

    async def close(self) -> None:
        await self._connector.close()

    async def connect(self, head: "_Head") -> tuple[aiohttp.connector.Connection, bool]:
        """Give a connection, and whether it was used before.

        Not one on which something arrived while it waited: that would be taken for the answer to the next row.
        """
        while True:
            try:
                connection = await self._connector.connect(head.pattern, traces=[], timeout=self._timeout)
            except TimeoutError as error:
                raise aiohttp.ConnectionTimeoutError("no connection in time") from error
            protocol = connection.protocol
            assert protocol is not None
            if not protocol.should_close:
                break
            connection.close()
        reused = protocol in self._used
        if not reused:
            self._used.add(protocol)
        return connection, reused

    def _head(self, url: str, headers: Mapping[str, str]) -> "_Head":
        # encoded=True: the provider quoted what needs it, and a URL given by the user is posted to exactly as written.
        target = URL(url, encoded=True)
        pattern = aiohttp.ClientRequest(
            hdrs.METH_POST,
            target,
            headers={**self._headers, **headers},
            skip_auto_headers=(hdrs.CONTENT_TYPE,),
            loop=self._loop,
            proxy=self._proxy,
        )
        pattern.headers.pop(hdrs.CONTENT_LENGTH, None)
        if self._connector.force_close:
            pattern.headers[hdrs.CONNECTION] = "close"
        path = str(target) if self._proxy is not None and not pattern.is_ssl() else target.raw_path_qs
        return _Head(dict(headers), pattern, f"POST {path} HTTP/1.1")


@dataclass(slots=True)
class _Head:
    """What is the same for all requests with these `headers`. `pattern` is what the connector goes by."""

    headers: Mapping[str, str]
    pattern: aiohttp.ClientRequest
    request_line: str
    written: bytes = b""

    def bytes(self, length: int) -> bytes:
        """Give the head of a request with a body of so many bytes. Ask after the first connection is made: the connector
        adds what the proxy wants to see."""
        if not self.written:
            self.written = _serialized(self.request_line, self.pattern.headers)
        return b"%b%d\r\n\r\n" % (self.written, length)


class Exchange:
    """One request and its answer; use as an async context manager, inside which the body is read.

    `sent`: the request began to leave; `reused`: on a connection that was used before. Leaving gives the connection back if
    the answer was read to its end, and closes it otherwise.
    """

    __slots__ = ("_body", "_connection", "_head", "_wire", "content", "headers", "reused", "sent", "status")

    def __init__(self, wire: Wire, head: _Head, body: bytes) -> None:
        self._wire = wire
        self._head = head
        self._body = body
        self._connection: aiohttp.connector.Connection | None = None
        self.sent = False
        self.reused = False
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.content: StreamReader

    async def __aenter__(self) -> Self:
        self._connection, self.reused = await self._wire.connect(self._head)
        try:
            await self._ask(self._connection)
        except BaseException:
            self._connection.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        transport = connection.transport
        # An answer that came before the request had left entirely: what is still to leave would be taken for the next one.
        if error is not None or transport is None or transport.get_write_buffer_size() > 0:
            connection.close()
        else:
            connection.release()  # closes it, too, if the answer has not come to its end, or if either side wants that

    async def _ask(self, connection: aiohttp.connector.Connection) -> None:
        protocol, transport = connection.protocol, connection.transport
        assert protocol is not None
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        head = self._head.bytes(len(self._body))
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("closed before anything was sent")
        self.sent = True
        if len(self._body) <= MOST_JOINED_BYTES:
            transport.write(head + self._body)
        else:
            # Without waiting for it to leave: an answer may come before, and is heard at once.
            transport.writelines((head, self._body))
        message: Any
        while True:
            message, self.content = await protocol.read()
            if message.code not in _OK_INTERIM or message.code == _SWITCHING_PROTOCOLS:
                break
        self.status = message.code
        self.headers = {name.lower(): value for name, value in message.headers.items()}


def _serialized(request_line: str, headers: CIMultiDict[str]) -> bytes:
    lines = [request_line, *(f"{name}: {value}" for name, value in headers.items()), "Content-Length: "]
    if any(_FORBIDDEN.search(line) for line in lines):
        raise ValueError("a header holds a control character")
    return "\r\n".join(lines).encode()
