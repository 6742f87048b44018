"""An object where a file is expected: it has what readers here use of a Path, and no more."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from pipeline.core.locations import Location
from pipeline.storage.store import Seen, Store, store_of

# What is read from its start comes in ever larger pieces: who looks at the first lines does not fetch megabytes, and who reads
# on waits for the store once in eight.
_FIRST_BYTES, _MOST_BYTES = 256 << 10, 8 << 20


@dataclass(frozen=True, slots=True)
class RemoteStat:
    """What of a stat_result an object has. It has no inode: 0."""

    st_size: int
    st_mtime_ns: int
    st_ino: int = 0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object. `seen` is as a listing saw it; where it is given, `stat` asks nobody."""

    location: Location
    seen: Seen | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return str(self.location)

    def __fspath__(self) -> str:
        raise TypeError(f"{self.location} is no local file")  # a caller that forgot about stores, rather than a file named s3:

    @property
    def name(self) -> str:
        return self.location.name

    @property
    def store(self) -> Store:
        return store_of(self.location)

    def stat(self) -> RemoteStat:
        """Raises FileNotFoundError, or what storage.trouble gives."""
        seen = self.seen or self.store.info(self.location.key)
        if seen is None:
            raise FileNotFoundError(2, "there is no such object", str(self.location))
        return RemoteStat(seen.size, seen.mtime_ns)

    def exists(self) -> bool:
        return self.seen is not None or self.store.info(self.location.key) is not None

    def fresh(self) -> "RemoteFile":
        """Give the same object without what was seen of it: its `stat` asks the store."""
        return RemoteFile(self.location)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open it for reading, with a buffer; seeking costs nothing until the next read."""
        assert mode == "rb", "objects are put whole"
        return cast(BinaryIO, io.BufferedReader(_Ahead(self)))

    def arrow(self) -> pa.NativeFile:
        """Open it for readers that know what they want: each read is a request. Its errors are the store's: is_of_store knows
        them, trouble says what they mean."""
        return self.store.open(self.location.key)


class _Ahead(io.RawIOBase):
    """Reads an object in pieces that double from one to the next, for as long as they follow one another."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file.arrow()
        self._size = self._file.size()
        self._explained = file.store.explained(file.location.key)
        self._at = self._start = 0
        self._piece = memoryview(b"")
        self._next = _FIRST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if not 0 <= self._at - self._start < len(self._piece):
            self._fetch()
        part = self._piece[self._at - self._start :][: len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._piece = memoryview(b"")
        self._file.close()
        super().close()

    def _fetch(self) -> None:
        follows = self._at == self._start + len(self._piece)
        self._next = min(2 * self._next, _MOST_BYTES) if follows and self._at else _FIRST_BYTES
        self._start, self._piece = self._at, memoryview(b"")  # before the next one comes: two need not fit
        wanted = min(self._next, self._size - self._at)
        if wanted > 0:
            with self._explained:
                self._piece = memoryview(self._file.read_at(wanted, self._at))  # type: ignore[call-arg]  # the stubs lack one


AnyFile = Path | RemoteFile


def remote_file(text: str) -> RemoteFile:
    """Give the object at a location. Raises ValueError for what is none."""
    return RemoteFile(Location.parse(text))
