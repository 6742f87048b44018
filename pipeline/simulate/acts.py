"""What a fault does to one request, as values: which bytes it writes and how, or that it writes none. Pure; wire.py does it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import Any

import orjson

from pipeline.simulate import shapes
from pipeline.simulate.answers import Answer
from pipeline.simulate.reading import Read
from pipeline.simulate.shapes import Reply, Style


class End(Enum):
    """What becomes of the connection once everything is written."""

    STAY = "stay"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Write:
    """Write `data` after `delay` seconds: at once, or in pieces of `piece` bytes with `pause` seconds between them."""

    data: bytes = field(repr=False)
    end: End = End.STAY
    delay: float = 0.0
    piece: int = 0
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Flood:
    """Write `head`, then each of `chunks` as fast as it is read, in HTTP's chunks. Made on the fly: it never stands in memory."""

    head: bytes
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hang:
    """Write nothing until the client goes, for `seconds` at most; then close."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Shut:
    """Break every connection off and listen to nobody for `seconds`."""

    seconds: float


Act = Write | Flood | Hang | Shut


class Bill(Enum):
    """Whether a real endpoint would have worked for this request, and whether the client can read what came of it."""

    NOTHING = "nothing"
    SERVED = "served"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Scene:
    """One request as a fault sees it.

    `wall` is Unix time; `draw` lies strictly between 0 and 1 and is this request's own; `key` is what was sent for one.
    `answer` is None where the fault strikes before any work.
    """

    style: Style
    serial: int
    wall: float
    draw: float = 0.5
    key: str = field(default="", repr=False)
    answer: Answer | None = None

    def completion(self) -> Reply:
        assert self.answer is not None, "this fault strikes before any work"
        return shapes.completion(self.answer, serial=self.serial, wall=self.wall)

    def body(self) -> dict[str, Any]:
        """Give the completion as a value of the caller's own, to be changed."""
        body: dict[str, Any] = orjson.loads(self.completion().body)
        return body


Given = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault with a name. `about` is its line in the list.

    `keys` are what a script may give it, each with its reader; `play` gets those that were given. `at_once`: it does not wait
    for the latency, as a gateway does not. `reused_only`: it strikes only on a connection that has carried a request before.
    """

    name: str
    about: str
    play: Callable[[Scene, Given], Act]
    keys: Mapping[str, Read] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    bill: Bill = Bill.NOTHING
    at_once: bool = False
    reused_only: bool = False


def wire(scene: Scene, reply: Reply, *, more: tuple[tuple[str, str], ...] = (), length: bool = True) -> bytes:
    """Write an answer out as HTTP/1.1. `more` are further headers, also of a name that is there already."""
    return head(scene, reply, more=more, length=length) + reply.body


def head(scene: Scene, reply: Reply, *, more: tuple[tuple[str, str], ...] = (), length: bool = True) -> bytes:
    fields = [("Date", formatdate(scene.wall, usegmt=True)), ("Server", "rowcall-simulate")]
    if reply.body:
        fields.append(("Content-Type", reply.content_type))
    if length and reply.status != HTTPStatus.NO_CONTENT:
        fields.append(("Content-Length", str(len(reply.body))))
    lines = [f"HTTP/1.1 {reply.status} {phrase(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in (*fields, *reply.headers.items(), *more)]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "replace")


def phrase(status: int) -> str:
    """Give the status's name, also of those that only Cloudflare and Anthropic use."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return _PHRASES.get(status, "Unknown Status")


_PHRASES = {
    499: "Client Closed Request",
    520: "Web Server Returned an Unknown Error",
    521: "Web Server Is Down",
    522: "Connection Timed Out",
    523: "Origin Is Unreachable",
    524: "A Timeout Occurred",
    525: "SSL Handshake Failed",
    526: "Invalid SSL Certificate",
    529: "Overloaded",
    530: "Origin DNS Error",
}


def said(reply: Reply, scene: Scene, given: Given) -> Write:
    """Write a whole answer, with the headers and the end that the script gave."""
    more = {**reply.headers, **given.get("headers", {})}
    end = End.CLOSE if given.get("close") else End.STAY
    return Write(wire(scene, replace(reply, headers=more)), end)
