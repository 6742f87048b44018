"""What stands between rowcall and an S3 server in a test: it notes what is asked, and can take the server away."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request. `size` is how many bytes of body answered it; `ranged`: it asked for a part of an object."""

    method: str
    key: str
    query: str
    ranged: bool
    size: int


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    watched: "Watched"


class Watched:
    """Runs while it is entered. `log` holds what was answered. While `away`, connections are cut off without an answer.

    `until` is asked after each answer whether it was the last one before the server goes away.
    """

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server).netloc
        self.log: list[Asked] = []
        self.away = False
        self.denies = False  # answers as Amazon does to whoever lacks the right
        self.until: Callable[[], bool] = lambda: False

    def __enter__(self) -> Self:
        self._proxy = _Server(("127.0.0.1", 0), _Handler)
        self._proxy.watched = self
        self.url = f"http://127.0.0.1:{self._proxy.server_port}"
        self._thread = threading.Thread(target=self._proxy.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()
        self._thread.join()

    def count(self, method: str, *, key: str | None = None, query: str | None = None) -> int:
        """Give how many such requests there were; `key` and `query` are what theirs begin with."""
        return len([1 for each in self.log if each.method == method and _fits(each.key, key) and _fits(each.query, query)])

    def fetched(self, suffix: str = "") -> list[Asked]:
        """Give the requests for the content of objects whose keys end so."""
        return [each for each in self.log if each.method == "GET" and "list-type" not in each.query and each.key.endswith(suffix)]


def _fits(text: str, start: str | None) -> bool:
    return start is None or text.startswith(start)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        watched = self.server.watched
        if watched.away:
            self.close_connection = True
            return
        if watched.denies:
            return self._deny()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection(watched.server)
        upstream.request(self.command, self.path, body, dict(self.headers))
        reply = upstream.getresponse()
        content = reply.read()
        upstream.close()
        place = urlsplit(self.path)
        # Before it is sent, so that whoever has the answer finds it here.
        asked = Asked(self.command, unquote(place.path).lstrip("/"), place.query, "Range" in self.headers, len(content))
        watched.log.append(asked)
        if watched.until():
            watched.away = True
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = reply.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)

    def _deny(self) -> None:
        said = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>" * (self.command != "HEAD")
        self.send_response_only(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass
