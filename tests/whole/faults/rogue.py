"""A server that misbehaves as a function tells it to, on bare sockets, and keeps the truth of what reached it and what it served.

It speaks just as much HTTP as its own framing needs, so that nothing tidies up what it sends. It runs in a thread of its own:
the function that decides and the trial that looks share its memory, and reading its lists needs no lock.
"""

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Self, cast

import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DIGEST = re.compile(rb"digest:(\w+)")
# A close that discards what is not yet sent and tells the other side so: RST.
_RESET = struct.pack("ii", 1, 0)
# What was written before a reset has left by then, and the reset comes as a packet of its own.
_BEFORE_RESET_S = 0.01
_CONNECTIONS_WAITING = 1024


class Then(Enum):
    """What becomes of the connection after an answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


class Framing(Enum):
    """How a client can tell where the body ends."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"  # it ends with the connection: a body cut short looks like a whole one


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets `after` so many seconds. Body None: a completion with the row's own digest. Status None: no byte at
    all. `cut`: only so many bytes of the body are sent. `then` follows after `idle` seconds."""

    status: int | None = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    after: float = 0.0
    then: Then = Then.KEEP
    idle: float = 0.0
    framing: Framing = Framing.LENGTH
    cut: int | None = None

    @property
    def serves(self) -> bool:
        return self.status == 200 and self.body is None and self.cut is None


@dataclass(slots=True)
class Asked:
    """A request that arrived whole, as `number` (from 0), the `nth` with its digest (from 1), `used` the requests its connection
    had before; `at` and `answered_at` are seconds since the server began. `status` is what it was answered with, so far."""

    number: int
    digest: str
    nth: int
    at: float
    used: int
    answered_at: float | None = None
    status: int | None = None


# None: it is never answered, and its connection stays open.
Script = Callable[[Asked], Answer | None]


@dataclass
class Truth:
    """What happened, as the server saw it."""

    asked: list[Asked] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    sends: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    most_connections: int = 0
    accepted: int = 0

    def arrived(self, start: float, stop: float) -> int:
        """Count the requests that arrived from `start` on and before `stop`."""
        return sum(start <= each.at < stop for each in self.asked)

    def statuses(self, start: float = 0.0, stop: float = float("inf")) -> Counter[int | None]:
        """Count what was answered, and None for what was not, by requests that arrived in that time."""
        return Counter(each.status for each in self.asked if start <= each.at < stop)


class Rogue:
    """The server, as a context manager; `script` may be replaced while it runs. Leaving raises what went wrong in it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.truth = Truth()
        self.started = time.monotonic()
        self.connections: set[_Connection] = set()
        self.loop = uvloop.new_event_loop()
        self._went_wrong: list[dict[str, Any]] = []
        self._listening: asyncio.Server | None = None
        self._port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def now(self) -> float:
        return time.monotonic() - self.started

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        if self._went_wrong:
            raise AssertionError(f"the rogue itself failed: {self._went_wrong[0]}")

    def listen(self) -> None:
        """Accept connections, always at the same port."""
        self._do(self._listen())

    def refuse(self) -> None:
        """Reset every connection and refuse new ones until `listen`."""
        self._do(self._refuse())

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(lambda _, context: self._went_wrong.append(context))
        self.loop.run_forever()
        self.loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self.loop).result(10)

    async def _listen(self) -> None:
        self._listening = await self.loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self._port, backlog=_CONNECTIONS_WAITING
        )
        self._port = self._listening.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for connection in list(self.connections):
            connection.reset()

    def ask(self, body: bytes, used: int) -> tuple[Asked, Answer | None]:
        """Count an arrival and let the script decide."""
        found = _DIGEST.search(body)
        digest = found[1].decode() if found else ""
        truth = self.truth
        truth.sends[digest] += 1
        asked = Asked(len(truth.asked), digest, truth.sends[digest], self.now, used)
        truth.asked.append(asked)
        truth.in_flight += 1
        truth.most_in_flight = max(truth.most_in_flight, truth.in_flight)
        return asked, self.script(asked)


class _Connection(asyncio.Protocol):
    """One client's connection: requests one after another."""

    def __init__(self, rogue: Rogue) -> None:
        self._rogue = rogue
        self._received = bytearray()
        self._used = 0
        self._under_way: Asked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none
        self._rogue.connections.add(self)
        truth = self._rogue.truth
        truth.accepted += 1
        truth.most_connections = max(truth.most_connections, len(self._rogue.connections))

    def connection_lost(self, error: Exception | None) -> None:
        self._rogue.connections.discard(self)
        self._over()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._under_way is None and (body := self._whole()) is not None:
            self._under_way, answer = self._rogue.ask(body, self._used)
            self._used += 1
            if answer is not None and answer.after > 0:
                self._rogue.loop.call_later(answer.after, partial(self._give, self._under_way, answer))
            elif answer is not None:
                self._give(self._under_way, answer)

    def reset(self) -> None:
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _whole(self) -> bytes | None:
        """Take one whole request off what was received and give its body, None if it is not yet whole."""
        head, found, _ = self._received.partition(_HEAD_END)
        if not found:
            return None
        length = _LENGTH.search(head)
        start = len(head) + len(_HEAD_END)
        stop = start + (int(length[1]) if length else 0)
        if len(self._received) < stop:
            return None
        body = bytes(self._received[start:stop])
        del self._received[:stop]
        return body

    def _give(self, asked: Asked, answer: Answer) -> None:
        if self._under_way is not asked:  # the connection was lost meanwhile
            return
        if answer.status is not None:
            self._transport.write(rendered(asked, answer))
            asked.status = answer.status
        asked.answered_at = self._rogue.now
        self._rogue.truth.served[asked.digest] += answer.serves
        self._over()
        match answer.then:
            case Then.CLOSE:
                self._rogue.loop.call_later(answer.idle, self._transport.close)
            case Then.RESET:
                self._rogue.loop.call_later(max(answer.idle, 0.0 if answer.status is None else _BEFORE_RESET_S), self.reset)

    def _over(self) -> None:
        if self._under_way is not None:
            self._under_way = None
            self._rogue.truth.in_flight -= 1


def completion(digest: str, *, size: int = 0) -> bytes:
    """Make a chat completion that says the digest, filled up to `size` bytes."""

    def made(filling: str) -> bytes:
        message = {"role": "assistant", "content": f"digest:{digest}{filling}"}
        value = {
            "id": f"chat-{digest}",
            "object": "chat.completion",
            "model": "any",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
        }
        return json.dumps(value).encode()

    return made(" " + "." * (size - len(made(" ")))) if size else made("")


def rendered(asked: Asked, answer: Answer) -> bytes:
    """Lay out the bytes of an answer: head, and as much of the body as it sends."""
    body = completion(asked.digest) if answer.body is None else answer.body
    given = dict(answer.headers)
    headers = {} if "Content-Type" in given else {"Content-Type": "application/json"}
    headers |= given
    sent = body if answer.cut is None else body[: answer.cut]
    match answer.framing:
        case Framing.LENGTH:
            headers["Content-Length"] = str(len(body))
        case Framing.CHUNKED:
            headers["Transfer-Encoding"] = "chunked"
            end = b"\r\n0\r\n\r\n" if answer.cut is None else b""
            sent = b"%x\r\n" % len(body) + sent + end
        case Framing.CLOSE:
            headers["Connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} Reason\r\n{lines}\r\n".encode() + sent
