"""Commits outcomes in groups: whatever was queued when the last commit returned. No timer, no batch size.

One fsync is shared by everybody who came while the last one ran, so durability costs little at any rate.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from pipeline.core.errors import StoppedError
from pipeline.core.interfaces import Journal
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome
from pipeline.engine.stop import Stop

# Turns of the loop between the first outcome and the commit. While replies pour in they make groups nearly twice as large,
# which is 5 of 95 us of CPU a row; while they do not, they take no time.
TURNS = 3


class Recorder:
    """Feeds the journal. `committed` is told of each batch once it is on disk, with the tally of what it replaced."""

    def __init__(
        self,
        journal: Journal,
        thread: Executor,
        stop: Stop,
        committed: Callable[[list[Outcome], Tally | None], None],
    ) -> None:
        self._journal = journal
        self._thread = thread
        self._stop = stop
        self._committed = committed
        self._queue: list[tuple[Outcome, asyncio.Future[bool]]] = []
        self._wakeup = asyncio.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def record(self, outcome: Outcome) -> "asyncio.Future[bool]":
        """Give what is done once the outcome is on disk; False if the disk failed and the row counts as still to do."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._queue.append((outcome, future))
        self._wakeup.set()
        # Whoever waits here may be cancelled; the outcome is in the queue, and no cancellation parts it from the journal.
        return future

    def close(self) -> None:
        """Let `run` end when the queue is empty."""
        self._closed = True
        self._wakeup.set()

    async def run(self) -> None:
        """Commit until closed."""
        loop = asyncio.get_running_loop()
        while self._queue or not self._closed:
            if not self._queue:
                self._wakeup.clear()
                await self._wakeup.wait()
                continue
            for _ in range(TURNS):
                await asyncio.sleep(0)
            queued, self._queue = self._queue, []
            batch = [outcome for outcome, _ in queued]
            try:
                replaced = await loop.run_in_executor(self._thread, self._journal.record, batch)
            except StoppedError as error:
                # Replies still in flight go the same way, so that the journal can put them where it put these.
                self._stop.request(str(error), error.exit_code)
                recorded = False
            else:
                recorded = True
                self._committed(batch, replaced)
            for _, future in queued:
                if not future.done():
                    future.set_result(recorded)
