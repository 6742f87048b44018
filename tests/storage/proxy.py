"""Stands before the S3 server: counts what is asked of it, answers in its stead where it is told to, and spoils what is put."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its kind, such as `PUT object` or `GET list`, and the key or prefix it is about."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that the server answered, `size` bytes of body. `ranged`: it asked for a part of an object."""

    method: str
    path: str
    query: str
    ranged: bool
    size: int


@dataclass(frozen=True, slots=True)
class Denied:
    """An answer in the server's stead. Codes that the clients take for passing trouble are asked for again and again."""

    status: int = 403
    code: str = "AccessDenied"


class Away:
    """No answer at all: the connection is cut."""


@dataclass
class Proxy:
    """Runs while it is entered. `answer` may answer a request; `spoil` may change the body of a PUT; `heard` is told what the
    server answered, before whoever asked is, and whether that goes on to them."""

    target: str
    answer: Callable[[Asked], Denied | Away | None] = lambda asked: None
    heard: Callable[[Exchange], bool] = lambda exchange: True
    spoil: Callable[[Asked, bytes], bytes] = lambda asked, body: body
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def counts(self) -> Counter[str]:
        return Counter(each.kind for each in self.asked)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = _body_of(request)
        asked = _asked(request.command, request.path)
        self.asked.append(asked)
        denied = self.answer(asked)
        if isinstance(denied, Away):
            request.close_connection = True
            return
        if denied is not None:
            content = f"<Error><Code>{denied.code}</Code><Message>as the test wants it</Message></Error>".encode()
            _send(request, denied.status, [("Content-Type", "application/xml")], content)
            return
        if request.command == "PUT":
            body = self.spoil(asked, body)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in {*_HOP, "expect"}}
        upstream = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=60)
        try:
            upstream.request(request.command, request.path, body=body, headers=headers)
            reply = upstream.getresponse()
            content = reply.read()
            url = urlsplit(request.path)
            ranged = "Range" in request.headers
            exchange = Exchange(request.command, unquote(url.path).lstrip("/"), url.query, ranged, len(content))
            if self.heard(exchange):
                _send(request, reply.status, reply.getheaders(), content)
            else:
                request.close_connection = True
        finally:
            upstream.close()


def _asked(method: str, target: str) -> Asked:
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True)
    key = unquote(url.path.lstrip("/").partition("/")[2])
    if key:
        what = "upload" if {"uploads", "uploadId"} & query.keys() else "object"
        return Asked(f"{method} {what}", key)
    what = "uploads" if "uploads" in query else "list" if method == "GET" else "bucket"
    return Asked(f"{method} {what}", query.get("prefix", [""])[0])


def _body_of(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline().partition(b";")[0], 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass
    return body


def _send(request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
    request.send_response_only(status)
    length = str(len(content))
    for name, value in headers:
        if name.lower() == "content-length" and request.command == "HEAD":
            length = value
        if name.lower() not in _HOP:
            request.send_header(name, value)
    if status != 204:
        request.send_header("Content-Length", length)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)
