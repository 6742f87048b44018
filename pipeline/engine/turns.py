"""Who waits for somebody to be answered again, and whose turn it is to ask: one by one, every few seconds."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Turn(Enum):
    ASK = "ask"  # for all who wait; `asked` has to follow
    AGAIN = "again"  # somebody was answered: ask as if nothing had been
    NEVER = "never"  # the wait has come to nothing


@dataclass(slots=True)
class _Queue:
    waiting: deque[asyncio.Future[Turn]] = field(default_factory=deque)
    asking: bool = False
    timer: asyncio.TimerHandle | None = None


class Turns:
    """`after` gives the seconds until the next one who waits there may ask."""

    def __init__(self, after: Callable[[str], float]) -> None:
        self._after = after
        self._queues: dict[str, _Queue] = {}

    async def wait(self, scope: str) -> Turn:
        """Join the end of the queue."""
        queue = self._queues.setdefault(scope, _Queue())
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        queue.waiting.append(future)
        self._set_timer(scope, queue)
        return await future

    def asked(self, scope: str) -> None:
        """The one whose turn it was has asked, or left."""
        if (queue := self._queues.get(scope)) is not None:
            queue.asking = False
            self._set_timer(scope, queue)

    def end(self, scope: str, turn: Turn) -> None:
        """Send home all who wait there."""
        queue = self._queues.pop(scope, None)
        if queue is None:
            return
        if queue.timer is not None:
            queue.timer.cancel()
        for future in queue.waiting:
            if not future.done():
                future.set_result(turn)

    def _set_timer(self, scope: str, queue: _Queue) -> None:
        if queue.timer is None and not queue.asking and queue.waiting:
            queue.timer = asyncio.get_running_loop().call_later(self._after(scope), self._next, scope, queue)

    def _next(self, scope: str, queue: _Queue) -> None:
        queue.timer = None
        while queue.waiting:
            future = queue.waiting.popleft()
            if not future.done():
                queue.asking = True
                future.set_result(Turn.ASK)
                return
