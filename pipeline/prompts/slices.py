"""Reading what lies in files: a part of an archive, or a whole picture below a folder.

An archive that is not as it was when it was indexed is nobody's row's fault: what stood at a place may be anything by now.
Names below a folder come from whoever filled it, so they are opened as hostile ones are (files.py).
"""

import os
import stat
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pipeline.core.errors import BadRowError, ConfigError, InputChangedError, StoppedError
from pipeline.core.locations import Location, is_remote
from pipeline.core.types import Slice
from pipeline.prompts.files import too_large
from pipeline.prompts.folders import AnyFolder, folder_of
from pipeline.prompts.names import shown
from pipeline.prompts.sparing import Sparing

MOST_OPEN = 8
MOST_PICTURE_BYTES = 20_000_000
_ROOT = "input.path"
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_MOST_NAME_SHOWN = 200


@dataclass(slots=True)
class _Open:
    descriptor: int
    device_and_inode: tuple[int, int]
    readers: int = 0


class SliceReader:
    """Implements core.interfaces.ReadSlice. A few archives stay open, the latest ones read; `close` lets go of all.

    Of a picture below a folder never more than `most_picture_bytes` are read, whoever asks. `sparing`: of pictures in a store
    only so many as a page is worth, see sparing.py.
    """

    def __init__(
        self, *, most_open: int = MOST_OPEN, most_picture_bytes: int = MOST_PICTURE_BYTES, sparing: bool = False
    ) -> None:
        self._most_open = most_open
        self._most_picture_bytes = most_picture_bytes
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._sparing = sparing
        self._folders: dict[str, AnyFolder] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "SliceReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, cell: Slice, most_bytes: int) -> bytes:
        if cell.root is not None:
            return self._from_folder(cell, cell.root, min(most_bytes, self._most_picture_bytes))
        if cell.size > most_bytes:
            raise BadRowError(too_large(cell.size))
        called = shown(cell.file, _MOST_NAME_SHOWN)
        try:
            return self._from_archive(cell, called)
        except FileNotFoundError:
            raise InputChangedError(f"{called}: the file vanished during the run; put it back and run again") from None
        except OSError as error:
            raise StoppedError(f"{called}: cannot be read: {error.strerror}; its row is still to do") from error

    def close(self) -> None:
        with self._lock:
            for each in self._open.values():
                os.close(each.descriptor)
            self._open.clear()

    # -- archives

    def _from_archive(self, cell: Slice, called: str) -> bytes:
        named = Path(cell.file).stat()  # another file may have the name by now, while the old one is open
        _check(named, cell, called)
        opened = self._take(cell.file, (named.st_dev, named.st_ino))
        try:
            data = _read(opened.descriptor, cell.offset, cell.size)
            _check(os.fstat(opened.descriptor), cell, called)  # also if it was written to while it was read
        finally:
            self._give_back(opened)
        if len(data) < cell.size:
            raise InputChangedError(f"{called}: ends before byte {cell.offset + cell.size}, which its index promises")
        return data

    def _take(self, file: str, named: tuple[int, int]) -> _Open:
        with self._lock:
            opened = self._open.get(file)
            if opened is not None and opened.device_and_inode != named:
                self._drop(file)
                opened = None
            if opened is None:
                opened = self._open[file] = _Open(os.open(file, _FILE), named)
            self._open.move_to_end(file)
            opened.readers += 1
            while len(self._open) > self._most_open:
                self._drop(next(iter(self._open)))
            return opened

    def _drop(self, file: str) -> None:
        """Forget a file; whoever reads it just now closes it afterwards."""
        opened = self._open.pop(file)
        if opened.readers == 0:
            os.close(opened.descriptor)

    def _give_back(self, opened: _Open) -> None:
        with self._lock:
            opened.readers -= 1
            if opened.readers == 0 and all(each is not opened for each in self._open.values()):
                os.close(opened.descriptor)

    # -- folders

    def _from_folder(self, cell: Slice, root: str, most_bytes: int) -> bytes:
        if cell.size > most_bytes:
            raise BadRowError(too_large(cell.size))
        data = self._folder(root).read(cell.file, most_bytes, was=cell.stat)
        if cell.stat is None and len(data) != cell.size:
            # Half a picture that somebody copies here just now is not worth a question, and an exchanged one would be noticed
            # next time only, as if it were another than was asked about.
            called = shown(cell.file, _MOST_NAME_SHOWN)
            raise BadRowError(f"{called}: it had {cell.size} bytes when this run listed it, and now has {len(data)}")
        return data

    def _folder(self, root: str) -> AnyFolder:
        with self._lock:
            if root not in self._folders:
                try:
                    folder = folder_of(Location.parse(root) if is_remote(root) else Path(root), key=_ROOT)
                    self._folders[root] = Sparing(folder) if folder.in_store and self._sparing else folder
                except ConfigError as error:
                    raise StoppedError(f"{error}; the row is still to do") from error
            return self._folders[root]


def _check(seen: os.stat_result, cell: Slice, called: str) -> None:
    if not stat.S_ISREG(seen.st_mode) or cell.stat not in (None, (seen.st_size, seen.st_mtime_ns, seen.st_ino)):
        raise InputChangedError(f"{called}: the file changed during the run; put the old one back and run again")


def _read(descriptor: int, offset: int, size: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) == size or not data:
        return data
    pieces = [data]  # a read may give less than there is, as from a network's disk
    got = len(data)
    while got < size and (piece := os.pread(descriptor, size - got, offset + got)):
        pieces.append(piece)
        got += len(piece)
    return b"".join(pieces)
