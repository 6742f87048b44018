"""Counting down the rows of open parts, and sealing each in a thread after its last row is recorded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from pipeline.core.errors import RowcallError
from pipeline.core.interfaces import Journal
from pipeline.core.types import Part
from pipeline.engine.room import Room
from pipeline.engine.stop import Stop

# Parts that are complete and wait for their turn; past it the workers wait too, so that unsealed rows stay bounded.
MOST_WAITING = 64


class Sealing:
    """Counts down the rows of each open part and seals it when none is left, unless the run is to stop.

    While `in_doubt` what is recorded may yet have to be forgotten: complete parts then wait.
    """

    def __init__(
        self,
        journal: Journal,
        thread: Executor,
        stop: Stop,
        room: Room,
        *,
        most_open_bytes: int,
        in_doubt: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._thread = thread
        self._stop = stop
        self._room = room
        self._most_open_bytes = most_open_bytes
        self._in_doubt = in_doubt
        self._left: dict[int, int] = {}  # by part id, which hashes faster than a Part
        self._doubtful: list[Part] = []
        self._complete: asyncio.Queue[Part | None] = asyncio.Queue(MOST_WAITING)
        self._changed = asyncio.Event()

    async def opened(self, part: Part, missing: int) -> None:
        """Note a part whose rows are about to be sent; with none missing it is sealed at once."""
        self._left[part.id] = missing
        if missing == 0:
            await self._completed(part)

    async def room(self, *, under_way: Callable[[], bool]) -> None:
        """Wait while the open parts occupy more than `checkpoint.max_open_megabytes`, as long as one may still be sealed.

        `under_way` tells whether rows of them are: if none is, they wait for news that only further rows can bring.
        """
        while (under_way() or self._being_sealed) and not self._stop.requested:
            if self._journal.open_bytes() <= self._most_open_bytes:
                break
            self._changed.clear()
            await self._changed.wait()

    async def recorded(self, part: Part) -> None:
        """Note that one more row of the part is on disk."""
        self._left[part.id] -= 1
        if self._left[part.id] == 0:
            await self._completed(part)
        elif self._doubtful and not self._in_doubt():
            await self._believe()

    async def close(self) -> None:
        """Let `run` end once what is complete is sealed."""
        await self._believe()
        await self._complete.put(None)

    @property
    def _being_sealed(self) -> bool:
        return sum(left == 0 for left in self._left.values()) > len(self._doubtful)

    async def _completed(self, part: Part) -> None:
        self._doubtful.append(part)
        if not self._in_doubt():
            await self._believe()

    async def _believe(self) -> None:
        parts, self._doubtful = self._doubtful, []
        for part in parts:
            await self._complete.put(part)

    def look_again(self) -> None:
        """Wake whoever waits for room: nothing is under way any more, or the run ends."""
        self._changed.set()

    async def run(self) -> None:
        """Seal complete parts, one after another, until closed. After a stop they are left to the next run."""
        while (part := await self._complete.get()) is not None:
            if self._stop.requested:
                continue
            try:
                await self._room.write(partial(self._seal, part))
            except RowcallError as error:
                self._stop.request(str(error), error.exit_code)
                continue
            del self._left[part.id]
            self._changed.set()

    async def _seal(self, part: Part) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.seal, part)
