"""Reading rows by number in a worker: those it is asked for at about the same time in one go."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

from pipeline.core.errors import SourceError
from pipeline.core.interfaces import Source
from pipeline.core.parts import runs
from pipeline.core.types import Row

# Cells of rows that may be asked again. Beyond it they are read anew, from the start of their row group.
MOST_KEPT_BYTES = 64 << 20
# A place goes on to rows so little ahead; for others a new one is opened. Going back in a row group starts it over.
NEAR_ROWS = 4096


class Reader:
    """Reads rows in `thread`, one call at a time, and keeps them until they are forgotten.

    `open_source` is called when a place is needed to read on from, and there are `places` at most: a worker reads its own rows in
    one stretch, and now and then some of another's.
    """

    def __init__(
        self, open_source: Callable[[], Source], thread: Executor, *, places: int = 1, most_bytes: int = MOST_KEPT_BYTES
    ) -> None:
        self._open = open_source
        self._thread = thread
        self._most_places = places
        self._most_bytes = most_bytes
        self._places: list[_Place] = []  # those used last come last
        self._wanted: dict[int, asyncio.Future[Row]] = {}
        self._kept: OrderedDict[int, Row] = OrderedDict()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    async def row(self, index: int) -> Row:
        """Raises what the source does."""
        if index in self._kept:
            return self._kept[index]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Row] = loop.create_future()
        self._wanted[index] = future
        if self._task is None:
            self._task = loop.create_task(self._read())
        return await future

    def forget(self, index: int) -> None:
        row = self._kept.pop(index, None)
        self._bytes -= row.size if row is not None else 0

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            try:
                for each in _near(sorted(wanted)):
                    batches = iter(await loop.run_in_executor(self._thread, self._batches, each))
                    while (batch := await loop.run_in_executor(self._thread, _next, batches)) is not None:
                        for row in batch:
                            self._keep(row)
                            _tell(wanted.pop(row.index), row)
                if wanted:
                    raise SourceError(f"the input has no row {min(wanted)}")
            except Exception as error:  # also a bug: somebody waits
                for future in wanted.values():
                    _tell(future, error)
        self._task = None

    def _batches(self, wanted: list[int]) -> Iterator[Sequence[Row]]:
        near = [each for each in self._places if 0 <= wanted[0] - each.at < NEAR_ROWS]
        if near:
            place = max(near, key=lambda each: each.at)
            self._places.remove(place)
        elif len(self._places) < self._most_places:
            place = _Place(self._open())
        else:
            place = self._places.pop(0)
        self._places.append(place)
        place.at = wanted[-1] + 1
        return place.source.rows(runs(wanted))

    def _keep(self, row: Row) -> None:
        self._kept[row.index] = row
        self._bytes += row.size
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= old.size


class _Place:
    """A source, and the row `at` which it reads on."""

    __slots__ = ("at", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.at = 0


def _near(rows: Sequence[int]) -> Iterator[list[int]]:
    """Part ascending rows where one lies far from the one before."""
    group: list[int] = []
    for row in rows:
        if group and row - group[-1] >= NEAR_ROWS:
            yield group
            group = []
        group.append(row)
    yield group


def _tell(future: "asyncio.Future[Row]", found: Row | Exception) -> None:
    if future.done():  # who asked was sent home
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)


def _next(batches: Iterator[Sequence[Row]]) -> Sequence[Row] | None:
    return next(batches, None)
