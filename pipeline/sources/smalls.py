"""Small files of an object store: each is fetched whole and once, and the next ones meanwhile.

What they cost is waiting for answers, and that is better done for many at once.
"""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.core.errors import InputChangedError
from pipeline.sources.input_file import InputFile
from pipeline.sources.wording import shown
from pipeline.storage import RemoteFile

# Below it a file costs one request whole, and no more time than a piece of it would.
SMALL_BYTES = 1 << 20
# Kept for whoever reads other columns of the same files a part later.
MOST_BYTES, MOST_FILES = 16 << 20, 1000
AHEAD = 16


class Smalls:
    """Gives the bytes of these files by their places. Use from one thread at a time."""

    def __init__(self, files: Sequence[InputFile]) -> None:
        self._files = files
        self._held: OrderedDict[int, Future[bytes]] = OrderedDict()  # the latest asked for last
        self._pool: ThreadPoolExecutor | None = None

    def has(self, place: int) -> bool:
        """Whether the file there is one of these: small, and in a store."""
        file = self._files[place]
        return isinstance(file.path, RemoteFile) and file.stat[0] <= SMALL_BYTES

    def read(self, place: int) -> bytes:
        """Give the bytes of a file as it was when the source was made. Raises what reading a piece of it does."""
        wanted = [each for each in range(place, min(place + AHEAD, len(self._files))) if self.has(each)]
        for each in wanted:
            if each not in self._held:
                self._pool = self._pool or ThreadPoolExecutor(AHEAD, "rowcall-small-files")
                self._held[each] = self._pool.submit(_fetched, self._files[each])
        self._held.move_to_end(place)
        self._make_room(keep=wanted)
        return self._held[place].result()

    def close(self) -> None:
        self._held.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _make_room(self, *, keep: Sequence[int]) -> None:
        size = sum(self._files[each].stat[0] for each in self._held)
        for each in [each for each in self._held if each not in keep]:
            if size <= MOST_BYTES and len(self._held) <= MOST_FILES:
                break
            size -= self._files[each].stat[0]
            del self._held[each]


def _fetched(file: InputFile) -> bytes:
    assert isinstance(file.path, RemoteFile)
    size = file.stat[0]
    with file.path.arrow() as opened:
        data: bytes = opened.read(size) if opened.size() == size else b""
    file.check()  # after it was read: what came is what was there until now
    if len(data) != size:
        raise InputChangedError(f"{shown(file.path)}: the file changed during the run; put the old one back and run again")
    return data
