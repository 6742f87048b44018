"""One POST on one connection, over aiohttp's connector and response protocol, under a request head that is written once.

aiohttp's session builds every request anew: URL, headers, payload, tracing, cookies, a task that writes. For small bodies that
is most of what a row costs; here all requests but for their bodies are the same, and connections are kept beside the head
that goes out on them. What is used of aiohttp, as of 3.14: TCPConnector.connect and close, and of the Connection it gives
`transport`, `close`, and `protocol` (set_response_params, read, set_exception, is_connected, connected, should_close). TLS,
proxies, DNS and the parser of answers are aiohttp's own.

Not here: what a body may be, and what failures mean (transport.py, raised.py).
"""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

# Less than the 5 s after which common servers close idle connections: whoever meets such a close has to send again.
KEEPALIVE_S = 4.0
# A larger body is not copied behind its head.
MOST_JOINED_BYTES = 64 * 2**10
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_SWITCHING_PROTOCOLS = 101


class Wire:
    """Makes exchanges over connections that are kept in between, or (`kept=False`) used once.

    `headers` go with every request that has none of that name, and to a proxy that is to tunnel; `tls` is asked for once an
    address wants it. Make it inside a running loop.
    """

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        *,
        tls: Callable[[], ssl.SSLContext],
        headers: Mapping[str, str],
        connect_s: float,
        proxy: str | None,
        kept: bool = True,
    ) -> None:
        self._connector = connector
        self._tls = tls
        self._headers = headers
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        self._proxy = None if proxy is None else URL(proxy)
        self._kept = kept
        self._loop = asyncio.get_running_loop()
        self._heads: dict[str, _Head] = {}

    def exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> "Exchange":
        """Give the exchange, not yet begun. Raises ValueError if the URL or a header cannot be sent."""
        head = self._heads.get(url)
        if head is None or head.headers != headers:  # the key may be another one by now
            head = self._heads[url] = self._head(url, headers, head)
        return Exchange(self, head, body)

    def tidy(self) -> None:
        """Close what has been idle for too long."""
        for head in self._heads.values():
            oldest = time.monotonic() - KEEPALIVE_S
            while head.idle and head.idle[0][1] < oldest:
                head.idle.pop(0)[0].close()

    async def close(self) -> None:
        await self._connector.close()  # first: it ends those with TLS without a goodbye, and waits until all are closed
        for head in self._heads.values():
            for connection, _ in head.idle:
                connection.close()
            head.idle.clear()

    async def connect(self, head: "_Head") -> Connection:
        """Make a connection."""
        try:
            return await self._connector.connect(head.pattern, traces=[], timeout=self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from error

    def keep(self, head: "_Head", connection: Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        if self._kept and _may_be_used(connection):
            head.idle.append((connection, time.monotonic()))
        else:
            _end(connection)

    def _head(self, url: str, headers: Mapping[str, str], former: "_Head | None") -> "_Head":
        # encoded=True: the provider quoted what needs it, and a URL given by the user is posted to exactly as written.
        target = URL(url, encoded=True)
        # yarl drops line breaks, and would then post to another address.
        if target.scheme not in ("http", "https") or any(letter <= " " for letter in url):
            raise ValueError("no address that can be posted to")
        secure = "https" in (target.scheme, self._proxy.scheme if self._proxy else None)
        own = CIMultiDict(self._headers)
        own.update(headers)
        pattern = aiohttp.ClientRequest(
            hdrs.METH_POST,
            target,
            headers=own,
            skip_auto_headers=(hdrs.CONTENT_TYPE,),
            loop=self._loop,
            proxy=self._proxy,
            proxy_headers=self._headers,
            ssl=self._tls() if secure else True,
        )
        pattern.headers.pop(hdrs.CONTENT_LENGTH, None)
        if not self._kept:
            pattern.headers[hdrs.CONNECTION] = "close"
        if former is not None and (login := former.pattern.headers.get(hdrs.PROXY_AUTHORIZATION)):
            # The connector adds it when it connects, which it does not where a former connection is used.
            pattern.headers[hdrs.PROXY_AUTHORIZATION] = login
        path = str(target) if self._proxy is not None and not pattern.is_ssl() else target.raw_path_qs
        return _Head(dict(headers), pattern, f"POST {path} HTTP/1.1", [] if former is None else former.idle)


@dataclass(slots=True)
class _Head:
    """What all requests with these `headers` share. `pattern` is what the connector goes by, `idle` the connections that
    wait for the next request, each with the time it was last used."""

    headers: Mapping[str, str]
    pattern: aiohttp.ClientRequest
    request_line: str
    idle: list[tuple[Connection, float]] = field(default_factory=list)
    written: bytes = b""

    def bytes(self, length: int) -> bytes:
        """Give the head of a request with a body of so many bytes. Ask once there is a connection: the connector adds what
        the proxy wants to see."""
        if not self.written:
            self.written = _serialized(self.request_line, self.pattern.headers)
        return b"%b%d\r\n\r\n" % (self.written, length)

    def reusable(self) -> Connection | None:
        """Give a connection that was used before, the latest one first, None if there is none.

        Not one on which something arrived while it waited: that would be taken for the answer to the next row.
        """
        oldest = time.monotonic() - KEEPALIVE_S
        while self.idle:
            connection, used_at = self.idle.pop()
            if used_at >= oldest and _may_be_used(connection):
                return connection
            connection.close()
        return None


class Exchange:
    """One request and its answer; use as an async context manager, inside which the body is read.

    `sent`: the request began to leave; `reused`: on a connection that was used before. Leaving keeps the connection if the
    answer was read to its end, and closes it otherwise.
    """

    __slots__ = (
        "_body",
        "_connecting",
        "_connection",
        "_head",
        "_late",
        "_wire",
        "content",
        "headers",
        "reused",
        "sent",
        "status",
    )

    def __init__(self, wire: Wire, head: _Head, body: bytes) -> None:
        self._wire = wire
        self._head = head
        self._body = body
        self._connecting: asyncio.Timeout | None = None
        self._connection: Connection | None = None
        self._late = False
        self.sent = False
        self.reused = False
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.content: aiohttp.StreamReader | None = None

    async def __aenter__(self) -> Self:
        connection = self._head.reusable()
        self.reused = connection is not None
        self._connection = connection = connection or await self._connect()
        try:
            await self._ask(_protocol(connection), connection.transport)
        except BaseException:
            _end(connection)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        connection = self._connection
        assert connection is not None
        if error is None:
            self._wire.keep(self._head, connection)
        else:
            _end(connection)

    def time_is_up(self) -> None:
        """Have whoever awaits something of this exchange get a TimeoutError. An answer that has come whole still counts."""
        self._late = True
        if self._connecting is not None:
            self._connecting.reschedule(asyncio.get_running_loop().time())
        elif self.content is not None:
            _end_late(self.content)
        elif self._connection is not None and (protocol := self._connection.protocol) is not None:
            protocol.set_exception(TimeoutError("no answer in time"))

    def look(self) -> None:
        """Have whoever awaits the body told if the connection is gone: of an error inside a body the parser tells nobody."""
        content, connection = self.content, self._connection
        if content is None or content.is_eof() or connection is None or connection.protocol is None:
            return
        if content.exception() is None and not connection.protocol.connected:
            content.set_exception(aiohttp.ClientPayloadError("the body is not valid"))

    async def _connect(self) -> Connection:
        async with asyncio.timeout(None) as self._connecting:
            connection = await self._wire.connect(self._head)
        self._connecting = None
        if self._late:  # in the moment in which it was made: that ends the block above, but not by a TimeoutError
            connection.close()
            raise TimeoutError("no connection in time")
        return connection

    async def _ask(self, protocol: ResponseHandler, transport: asyncio.Transport | None) -> None:
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        head = self._head.bytes(len(self._body))
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("closed before anything was sent")
        self.sent = True
        if len(self._body) <= MOST_JOINED_BYTES:
            transport.write(head + self._body)
        else:
            # Without waiting for it to leave: an answer may come before, and is heard at once. The last byte apart: TLS hands
            # on all it is given, and forgets it; only what it is given later waits there, to be seen by _may_be_used.
            body = memoryview(self._body)
            transport.writelines((head, body[:-1]))
            transport.write(body[-1:])
        message: Any
        while True:
            message, content = await protocol.read()
            if not 100 <= message.code < 200 or message.code == _SWITCHING_PROTOCOLS:
                break
        if self._late:  # in the moment in which the head came
            _end_late(content)
        self.content = content
        self.status = message.code
        self.headers = {name.lower(): value for name, value in message.headers.items()}


def _end_late(content: aiohttp.StreamReader) -> None:
    if not content.is_eof():
        content.set_exception(TimeoutError("no whole answer in time"))


def _protocol(connection: Connection) -> ResponseHandler:
    protocol = connection.protocol
    assert protocol is not None, "the connection was given back"
    return protocol


def _end(connection: Connection) -> None:
    """Close a connection at once. By close alone, what is still to leave of a body would be held until the server takes it."""
    if connection.transport is not None:
        connection.transport.abort()
    connection.close()


def _may_be_used(connection: Connection) -> bool:
    """Tell whether nothing more comes or goes on a connection, and both sides hold it open.

    An answer may come before its request has left entirely: what is still to leave would be taken for the next request.
    """
    protocol, transport = connection.protocol, connection.transport
    return (
        protocol is not None
        and protocol.is_connected()
        and not protocol.should_close
        and transport is not None
        and transport.get_write_buffer_size() == 0
    )


def _serialized(request_line: str, headers: CIMultiDict[str]) -> bytes:
    lines = [request_line, *(f"{name}: {value}" for name, value in headers.items()), "Content-Length: "]
    if any(_FORBIDDEN.search(line) for line in lines):
        raise ValueError("a header holds a control character")
    return "\r\n".join(lines).encode()
