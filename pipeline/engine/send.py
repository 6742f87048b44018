"""One send of one row: build the request, wait for the gate, post, read the answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from pipeline.core.errors import BadRowError
from pipeline.core.interfaces import Prepare, Provider, Render, Transport
from pipeline.core.quota import Quotas
from pipeline.core.types import Fault, FaultKind, Prompt, Reply, Request, Row
from pipeline.core.values import value
from pipeline.engine.stop import Stopped

A = TypeVar("A")
B = TypeVar("B")

# A stale connection shows within a round trip. One that breaks later broke over work on this request.
STALE_WITHIN_S = 1.0


@value(frozen=True, slots=True)
class Sent:
    """What came of a send, begun `at` monotonic seconds. `requests` is how many left the machine: two where a stale
    connection was met. `ambiguous` of them may have been served although no reply came. Where the answer said so: `credits`,
    what is left on the account, and `quotas`, what is left of rate limits."""

    result: Reply | Fault
    at: float
    elapsed: float
    requests: int = 1
    ambiguous: int = 0
    credits: float | None = None
    quotas: Quotas | None = None


class Builder:
    """Row -> Request, on the loop, or in a thread where rendering reads files."""

    def __init__(self, render: Render, provider: Provider, thread: Executor | None, prepare: Prepare | None = None) -> None:
        self._render = render
        self._provider = provider
        self._thread = thread
        self._prepare = prepare
        self._preparing: set[asyncio.Task[object]] = set()
        self._stopped = False

    async def build(self, row: Row) -> Request | Fault:
        """Give the request, or the fault `bad_row`. Raises Stopped if the run ends before the pictures are there."""
        try:
            if self._prepare is None:
                return self._build(row) if self._thread is None else await self._aside(self._build, row)
            prompt = await self._prepared(self._prepare, await self._aside(self._render, row))
            return await self._aside(self._provider.encode, prompt)
        except BadRowError as error:
            return Fault(FaultKind.REJECTED, "bad_row", str(error))

    def stop(self) -> None:
        """End the preparing, by cancelling who waits for it: that may be an hour, and nothing is paid for yet."""
        self._stopped = True
        for worker in self._preparing:
            worker.cancel()

    async def _prepared(self, prepare: Prepare, prompt: Prompt) -> Prompt:
        worker = asyncio.current_task()
        assert worker is not None
        if self._stopped:
            raise Stopped
        self._preparing.add(worker)
        try:
            return await prepare(prompt)
        finally:
            self._preparing.discard(worker)

    def _build(self, row: Row) -> Request:
        return self._provider.encode(self._render(row))

    async def _aside(self, work: Callable[[A], B], what: A) -> B:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, what)


async def send(request: Request, transport: Transport, provider: Provider, *, now: Callable[[], float], may_resend: bool) -> Sent:
    """Post the request and read the answer.

    With `may_resend`, a connection that the server had already closed is met by one more send at once, on a new one:
    nothing was served in so short a time, so it costs the row nothing.
    """
    started = now()
    answer = await transport.post(request)
    requests, ambiguous = 1, 0
    if may_resend and isinstance(answer, Fault) and answer.free and now() - started < STALE_WITHIN_S:
        ambiguous += answer.ambiguous
        started = now()
        answer = await transport.post(request, fresh=True)
        requests = 2
    elapsed = now() - started
    if isinstance(answer, Fault):
        return Sent(answer, started, elapsed, requests, ambiguous + answer.ambiguous)
    result = provider.decode(answer, request)
    ambiguous += isinstance(result, Fault) and result.ambiguous
    return Sent(result, started, elapsed, requests, ambiguous, provider.credits(answer), provider.quotas(answer))
