"""A server that hands back the key it was sent, in every place an answer has; and one that only notes who calls."""

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

# Answers of status 200 that are paid for; the rows that get them are ok.
PAID = ("plain", "escaped", "in-url", "base64", "streamed", "fields", "tools", "utf-16", "headers")
# Answers that fail their own row and no other.
REFUSED = ("400", "detail", "page", "cut", "long", "reason", "no-json", "500", "encoding", "policy")
# Answers that end the run.
FATAL = ("401", "402", "403", "404", "redirect")


def answer(name: str, key: str, elsewhere: str) -> tuple[str, dict[str, str], bytes]:
    """Give status and reason, headers and body of the answer called `name`, which holds the key."""
    spelled = "".join(f"\\u{ord(char):04x}" if at % 2 else char for at, char in enumerate(key))
    bearer = base64.b64encode(f"Bearer {key}".encode()).decode()
    error = json.dumps({"error": {"message": f"Incorrect API key provided: {key}. In base64 {bearer}", "code": "x"}}).encode()
    paid = {
        "plain": _reply(f"Your key is {key}."),
        "escaped": _reply("KEY").replace(b"KEY", spelled.encode()),
        "in-url": _reply(f"https://example.org/?key={quote(key, safe='')}"),
        "base64": _reply(f"{bearer} {base64.b64encode(f'user:{key}'.encode()).decode()}"),
        "streamed": b"".join(_pieces(key)),
        "fields": _reply("x", id=f"r-{key}", model=key, finish_reason=key),
        "tools": _reply(None, tool_calls=[{"function": {"name": key, "arguments": json.dumps({"key": key})}}]),
        "utf-16": _reply(f"in another encoding {key}").decode().encode("utf-16"),
        "headers": _reply("x"),
    }
    told = {"x-request-id": key, "set-cookie": f"key={key}", "x-remaining-credits": key, "retry-after": key}
    if name in paid:
        return "200 OK", told, paid[name]
    match name:
        case "detail":
            return "422 No", told, json.dumps({"detail": [{"loc": ["header", key], "msg": f"got {key}", "input": key}]}).encode()
        case "page":
            return "400 No", {"content-type": "text/html"}, f"<html><title>{key}</title>{key}</html>".encode()
        case "cut":  # where an excerpt ends
            return "400 No", told, b"x " * 195 + spelled.encode()
        case "long":
            return "400 No", told, json.dumps({"echo": "x" * 100_000, "message": f"{'y' * 1990}{key}"}).encode()
        case "reason":
            return f"400 {key}", {"content-type": key}, b""
        case "no-json":
            return "200 OK", told, f"here is {spelled} and {key}".encode()
        case "encoding":
            return "200 OK", {"content-encoding": key}, b"{}"
        case "policy":
            return "403 No", told, json.dumps({"error": {"message": f"content policy: {key}", "code": key}}).encode()
        case "redirect":
            return "307 Elsewhere", {"location": f"{elsewhere}/{quote(key)}"}, b""
        case "429":
            return "429 No", {"retry-after": "7200"}, error
    return f"{name} {key}", told, error


def _reply(content: str | None, **fields: Any) -> bytes:
    choice = {"message": {"content": content, **{k: v for k, v in fields.items() if k == "tool_calls"}}}
    return json.dumps({**fields, "choices": [{**choice, "finish_reason": fields.get("finish_reason", "stop")}]}).encode()


def _pieces(key: str) -> Iterator[bytes]:
    for at in range(0, len(key), 5):
        delta = {"choices": [{"index": 0, "delta": {"content": key[at : at + 5]}}]}
        yield f"data: {json.dumps(delta)}\n\n".encode()
    yield b"data: [DONE]\n\n"


class Echo:
    """The server, on a port of its own; as a context manager. `echoed` counts the answers that held a key, by name."""

    def __init__(self, elsewhere: str = "") -> None:
        self.echoed: dict[str, int] = {}
        self.received: list[bytes] = []
        self._elsewhere = elsewhere
        self._held = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> "Echo":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._talker())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        self._server.shutdown()
        self._server.server_close()

    def let_go(self) -> None:
        """Answer what is held, and hold nothing any more."""
        self._held.set()

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[str, dict[str, str], bytes]:
        asked = re.search(rb"answer:([\w-]+)", body)
        name = asked[1].decode() if asked else "plain"
        key = headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            self.received.append(repr(dict(headers)).encode() + body)
            self.echoed[name] = self.echoed.get(name, 0) + bool(key)
        if name == "held":
            self._held.wait(60)
        return answer("plain" if name == "held" else name, key, self._elsewhere)

    def _talker(self) -> type[BaseHTTPRequestHandler]:
        echo = self

        class Talker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, said = echo.take({name.lower(): value for name, value in self.headers.items()}, body)
                lines = [f"HTTP/1.1 {status}", f"content-length: {len(said)}", "connection: close"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + said)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Talker
