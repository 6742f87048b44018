"""The rows not yet sent: new ones from the input, and failed ones that wait for their time. Bounded in rows and bytes.

A waiting row holds neither worker nor slot. Due rows come before new ones, but while nobody gets through; when too many wait,
the input pauses.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from pipeline.core.types import Part, Row
from pipeline.engine.send import Sent

# Rows in backoff that hold the input back, as a multiple of the concurrency: at 40 % faults two rows wait for each one sent.
WAITING_PER_WORKER = 16
MOST_BYTES = 32 * 2**20


@dataclass(slots=True)
class Throttled:
    """How often a row was throttled, and how many others had been answered at the first and at the latest time.

    `recovered` of those answered at the first time had been throttled before.
    """

    times: int = 0
    first: int = 0
    latest: int = 0
    recovered: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """One row under way, with what its earlier sends in this run taught."""

    row: Row
    part: Part
    attempts: int = 0  # requests sent, older runs of a retry included
    sent: int = 0  # requests sent in this run
    failures: int = 0  # sends that failed for the row's own reasons
    lost: dict[str, int] = field(default_factory=dict)  # probably billed, by error kind
    freed: bool = False  # its one free resend is used
    throttled: Throttled = field(default_factory=Throttled)
    answers_before: int = 0  # rows of the run that had been answered when it was first sent
    verdict: Sent | None = None  # what it fails with unless an outage excuses it; until then it may not be sent again


class Feed:
    """Hands tasks to workers. `now` gives monotonic seconds.

    A task stays the feed's concern until `finished`: it comes back by `put_back`, waits in `shelve` for everybody else's
    news, or in `withhold` for an answer to anybody. `take` gives None when no task is left or the feed was stopped.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        now: Callable[[], float],
        most_bytes: int = MOST_BYTES,
        when_full: Callable[[], None] = lambda: None,
    ) -> None:
        self.when_full = when_full
        self.new_first = False  # while nobody gets through: rows that failed may be those that always do
        self._now = now
        self._most_rows = max(4 * concurrency, 256)
        self._most_waiting = WAITING_PER_WORKER * concurrency
        self._most_bytes = most_bytes
        self._new: deque[Task] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._shelved: list[Task] = []
        self._withheld: list[Task] = []
        self._bytes = 0
        self._out = 0  # taken, and neither finished nor put back
        self._order = count()
        self._closed = False
        self._stopped = False
        self._takers: deque[asyncio.Future[None]] = deque()
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._later) + len(self._shelved) + len(self._withheld)

    @property
    def shelved(self) -> int:
        return len(self._shelved)

    @property
    def withheld(self) -> int:
        return len(self._withheld)

    @property
    def under_way(self) -> bool:
        """Whether any task is to be sent or in somebody's hands, shelved and withheld ones apart."""
        return bool(self._new or self._later or self._out)

    @property
    def idle(self) -> bool:
        """Whether nothing is left, unless shelved or withheld, or behind so many of these that no more is taken in."""
        return (self._closed or self._room is not None) and not self.under_way

    async def put(self, tasks: Iterable[Task]) -> None:
        """Add new tasks, as soon as there is room. A batch is taken whole, so the bounds are met to within one batch."""
        while not self._stopped and self._full():
            self._room = asyncio.get_running_loop().create_future()
            self.when_full()
            await self._room
        before = len(self._new)
        self._new.extend(tasks)
        added = len(self._new) - before
        self._bytes += sum(self._new[i].row.size for i in range(before, before + added))
        self._wake(added)

    def close(self) -> None:
        """No new tasks will come."""
        self._closed = True
        self._wake_if_over()

    def stop(self) -> None:
        """Give nothing out any more."""
        self._stopped = True
        self._wake(len(self._takers))
        self._make_room()

    def at_once(self) -> Task | None:
        """Give a new task if nothing else comes before it; None: `take` knows more."""
        return None if self._stopped or self._later or not self._new else self._give(self._new.popleft())

    async def take(self) -> Task | None:
        """Give the next task: one that is due, else a new one; wait for one if need be."""
        while not self._stopped:
            if self._later and self._later[0][0] <= self._now() and not (self.new_first and self._new):
                return self._give(heapq.heappop(self._later)[2])
            if self._new:
                return self._give(self._new.popleft())
            if self._closed and not (self._later or self._out or self._shelved or self._withheld):
                break
            await self._something()
        return None

    def put_back(self, task: Task, after: float) -> None:
        """Take a task back that is to be sent again `after` seconds from now."""
        self._out -= 1
        self._keep(task)
        heapq.heappush(self._later, (self._now() + after, next(self._order), task))
        self._set_timer()
        if after <= 0:
            self._wake(1)

    def shelve(self, task: Task) -> None:
        """Take a task back that may not be sent until `unshelve`."""
        self._out -= 1
        self._keep(task)
        self._shelved.append(task)
        self._wake_if_over()

    def unshelve(self, most: int | None = None) -> int:
        """Make shelved tasks due now, the latest ones first if only some; give how many."""
        number = len(self._shelved) if most is None else min(most, len(self._shelved))
        for _ in range(number):
            heapq.heappush(self._later, (self._now(), next(self._order), self._shelved.pop()))
        self._wake(number)
        return number

    def withhold(self, task: Task) -> None:
        """Take a task back that is not to be sent until `release`."""
        self._out -= 1
        self._keep(task)
        self._withheld.append(task)

    def release(self) -> None:
        """Make withheld tasks due now."""
        if not self._withheld:
            return
        for task in self._withheld:
            heapq.heappush(self._later, (self._now(), next(self._order), task))
        number = len(self._withheld)
        self._withheld.clear()
        self._wake(number)

    def finished(self) -> None:
        """A taken task has its outcome."""
        self._out -= 1
        self._wake_if_over()

    def _give(self, task: Task) -> Task:
        self._out += 1
        self._bytes -= task.row.size
        if self._room is not None and not self._full():
            self._make_room()
        if self._takers:
            self._set_timer()
        return task

    def _keep(self, task: Task) -> None:
        self._bytes += task.row.size

    def _full(self) -> bool:
        return len(self._new) >= self._most_rows or self.waiting >= self._most_waiting or self._bytes >= self._most_bytes

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _wake(self, number: int) -> None:
        while number > 0 and self._takers:
            future = self._takers.popleft()
            if not future.done():
                future.set_result(None)
                number -= 1

    def _wake_if_over(self) -> None:
        if self.idle and not (self._shelved or self._withheld):
            self._wake(len(self._takers))

    async def _something(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._takers.append(future)
        self._set_timer()
        await future

    def _set_timer(self) -> None:
        """Wake one taker when the first waiting task is due."""
        if not self._later:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(max(self._later[0][0] - self._now(), 0.0), self._due)

    def _due(self) -> None:
        # Whoever is woken takes the task and sets the timer for the next.
        self._timer = None
        self._wake(1)
