"""Small typed stand-ins at the seams, and virtual time. Nothing here patches anything."""

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.parts import gaps
from pipeline.core.quota import Quotas, quotas
from pipeline.core.tally import Progress, Tally
from pipeline.core.types import Fault, FaultKind, Message, Outcome, Part, Prompt, Reply, Request, Response, Row, Usage
from pipeline.engine.work import Clock

# No test plays a longer run than this.
MOST_SECONDS = 2 * 86_400.0


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: the wait it was asked for is added to `elapsed`, in seconds, instead."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("every task waits and no timer is set: a deadlock")
            self.elapsed += max(timeout, 0.0)
            if self.elapsed > MOST_SECONDS:
                raise RuntimeError("only timers fire, for days: a livelock")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose hours pass in milliseconds. Threads must not be used on it: see SameThread."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.elapsed

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # the blocking work is instant here
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run_virtual(main: Callable[[VirtualLoop], Awaitable[Any]]) -> Any:
    """Run a coroutine function to its end in virtual time."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_call(main, loop))


async def _call(main: Callable[[VirtualLoop], Awaitable[Any]], loop: VirtualLoop) -> Any:
    return await main(loop)


def virtual_clock(loop: VirtualLoop, seed: int = 0) -> Clock:
    return Clock(now=loop.time, wall=lambda: 1_800_000_000.0 + loop.time(), draw=random.Random(seed).random)


@dataclass
class FakeSource:
    """Rows 0..n-1 with one cell each."""

    rows_total: int
    row_bytes: int = 100
    batch: int = 50

    def count(self) -> int:
        return self.rows_total

    def rows(self, ranges: Sequence[range]) -> Iterator[Sequence[Row]]:
        indices = [index for each in ranges for index in each]
        for at in range(0, len(indices), self.batch):
            yield [Row(index, {"text": f"row {index}"}, self.row_bytes) for index in indices[at : at + self.batch]]

    def columns(self, start: int, stop: int) -> Iterator[Any]:
        return iter(())


@dataclass
class FakeJournal:
    """Remembers commits, and how many there were."""

    done: dict[int, Outcome] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    opened: list[Part] = field(default_factory=list)
    sealed: list[Part] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    bytes_open: int = 0

    def record(self, batch: Sequence[Outcome]) -> Tally | None:
        self.batches.append(len(batch))
        for outcome in batch:
            if outcome.row in self.done:
                self.twice.append(outcome.row)
            self.done[outcome.row] = outcome
        return None

    def forget(self, rows: Sequence[int]) -> Tally:
        gone = Tally()
        for row in rows:
            gone.add(self.done.pop(row))
        return gone

    def missing(self, part: Part) -> Sequence[range]:
        return gaps(part.start, part.stop, (i for i in range(part.start, part.stop) if i in self.done))

    def attempts(self, part: Part) -> dict[int, int]:
        return {}

    def open_part(self, part: Part, columns: Iterator[Any]) -> None:
        self.opened.append(part)

    def seal(self, part: Part) -> None:
        assert all(index in self.done for index in range(part.start, part.stop)), "sealed before its last row"
        self.sealed.append(part)

    def open_bytes(self) -> int:
        return self.bytes_open


def render(row: Row) -> Prompt:
    return Prompt(row.index, (Message("user", (str(row.cells["text"]),)),))


class FakeProvider:
    """Encodes the text as the body; decodes what ScriptedTransport made."""

    def encode(self, prompt: Prompt) -> Request:
        return Request(prompt.row, "http://127.0.0.1/v1", {}, str(prompt.messages[0].parts[0]).encode(), tokens=10)

    def decode(self, response: Response, request: Request) -> Reply | Fault:
        if response.status == 200:
            return Reply(response.body.decode(), "stop", Usage(3, 2, 5), "fake", None, None)
        kind = {401: FaultKind.FATAL, 429: FaultKind.THROTTLED, 400: FaultKind.REJECTED}.get(response.status, FaultKind.TRANSIENT)
        name = {401: "unauthorized", 429: "rate_limited", 400: "bad_request"}.get(response.status, "server_error")
        hint = response.headers.get("retry-after")
        resends = int(response.headers["resends"]) if "resends" in response.headers else None
        return Fault(kind, name, "as scripted", response.status, float(hint) if hint else None, resends=resends)

    def credits(self, response: Response) -> float | None:
        return float(response.headers["credits"]) if "credits" in response.headers else None

    def quotas(self, response: Response) -> Quotas | None:
        return quotas(response.headers, wall_now=0.0)


Answer = int | Response | Fault


@dataclass
class ScriptedTransport:
    """Answers as `script(row, nth send of that row, time)` says; 200 echoes the body.

    After `latency` virtual seconds, by turns up to half of the share `spread` more or less.
    """

    script: Callable[[int, int, float], Answer]
    now: Callable[[], float]
    latency: float = 1.0
    fault_latency: float | None = None  # of all that is no 200, if it is another
    spread: float = 0.0
    sends: list[tuple[float, int]] = field(default_factory=list)  # (time, row)
    per_row: dict[int, int] = field(default_factory=dict)
    in_flight: int = 0
    peak: int = 0

    async def post(self, request: Request, *, fresh: bool = False) -> Response | Fault:
        self.per_row[request.row] = self.per_row.get(request.row, 0) + 1
        self.sends.append((self.now(), request.row))
        answer = self.script(request.row, self.per_row[request.row], self.now())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            fine = answer == 200 or (isinstance(answer, Response) and answer.status == 200)
            latency = self.latency if fine or self.fault_latency is None else self.fault_latency
            await asyncio.sleep(latency * (1 + self.spread * (len(self.sends) * 0.618 % 1 - 0.5)))
        finally:
            self.in_flight -= 1
        if isinstance(answer, int):
            return Response(answer, {}, request.body)
        return answer


@dataclass
class Watcher:
    """An observer that keeps everything."""

    pictures: list[Progress] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def progress(self, now: Progress) -> None:
        self.pictures.append(now)

    def notice(self, text: str) -> None:
        self.notices.append(text)
