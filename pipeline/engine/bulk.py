"""How much of rows and request bodies may be held at once, in bytes: memory is bounded by that, not by how many rows are asked.

A picture's size is known only once it is read, fetched or shrunk. So only a few build at a time, and while more than the bound
is held nobody begins; the bound is met to within what those few build.
"""

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Load:
    """What one worker holds, in bytes."""

    size: int = 0
    building: bool = True


class Bulk:
    """Admits workers in the order they came while less than `most_bytes` is held, and at most `builders` that build.

    A worker that alone holds more than the bound goes on: a picture larger than that is sent all the same.
    """

    def __init__(self, most_bytes: int, *, builders: int) -> None:
        self.held = 0
        self._most_bytes = most_bytes
        self._builders = builders
        self._building = 0
        self._waiting: deque[asyncio.Future[Load]] = deque()

    def at_once(self) -> Load | None:
        """Admit a worker if there is room now; `leave` has to follow. None: `enter` waits for it."""
        return self._admit() if not self._waiting and self._has_room() else None

    async def enter(self) -> Load:
        """Wait until a row may be taken up; `leave` has to follow."""
        if (load := self.at_once()) is not None:
            return load
        future: asyncio.Future[Load] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave(future.result())
            raise

    def took(self, load: Load, size: int) -> None:
        """Note what the row itself takes."""
        load.size += size
        self.held += size

    def built(self, load: Load, size: int) -> None:
        """Note a body, and that nothing more is built for this row."""
        self.took(load, size)
        self._ended_building(load)

    def leave(self, load: Load) -> None:
        """Let go of row and body. Must not await."""
        self.held -= load.size
        load.size = 0
        self._ended_building(load)

    def _ended_building(self, load: Load) -> None:
        self._building -= load.building
        load.building = False
        while self._waiting and (self._waiting[0].done() or self._has_room()):
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._admit())

    def _has_room(self) -> bool:
        return self._building < self._builders and self.held < self._most_bytes

    def _admit(self) -> Load:
        self._building += 1
        return Load()
