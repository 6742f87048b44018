"""A store that does as it is told: takes its time, refuses keys or everything, goes away. It speaks what of S3 reading needs.

What a real server answers is tested against one (server.py); none can be told to fail.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

_REFUSED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass
class ScriptedStore:
    """Runs while it is entered. `objects` by `bucket/key`; `delay` seconds for an answer; `denied` are keys that are refused.

    With `away` no request is answered; it goes away by itself after so many `answers`. `asked` counts requests by
    `METHOD bucket/key`, `most_at_once` those under way.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    delay: float = 0.0
    denied: set[str] = field(default_factory=set)
    denies_all: bool = False
    away: bool = False
    answers: int | None = None
    asked: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_anew(self, objects: Mapping[str, bytes]) -> None:
        """Forget what was told and asked. Better than a new server: each that a process meets leaves connections behind."""
        fresh = ScriptedStore(dict(objects))
        for name in ("objects", "delay", "denied", "denies_all", "away", "answers", "asked", "most_at_once"):
            setattr(self, name, getattr(fresh, name))

    def __enter__(self) -> Self:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                store._answer(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def env(self) -> Mapping[str, str]:
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**keys, "AWS_ENDPOINT_URL": url}

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path).lstrip("/")
        with self._lock:
            self.asked[f"{request.command} {path}"] += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            if self.answers is not None:
                self.answers -= 1
                self.away = self.away or self.answers < 0
        try:
            time.sleep(self.delay)
            if self.away:
                request.close_connection = True
                return
            self._send(request, *self._found(path, request.headers.get("Range")))
        finally:
            with self._lock:
                self._now -= 1

    def _found(self, path: str, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
        if self.denies_all or path in self.denied:
            return 403, _REFUSED, {}
        body = self.objects.get(path)
        if body is None:
            is_bucket = any(each.startswith(f"{path}/") for each in self.objects) and "/" not in path.rstrip("/")
            return (200, b"", {}) if is_bucket else (404, b"<Error><Code>NoSuchKey</Code></Error>", {})
        if wanted is None:
            return 200, body, {}
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        stop = min(int(last) + 1, len(body))
        return 206, body[int(first) : stop], {"Content-Range": f"bytes {first}-{stop - 1}/{len(body)}"}

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        request.send_response(status)
        stated = {"Content-Length": str(len(body)), "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT", "ETag": '"1"', **headers}
        for name, value in stated.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
