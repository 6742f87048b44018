"""An object where a file is expected: it has what readers here use of a Path, and no more."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from pipeline.core.locations import Location
from pipeline.storage.store import Seen, Store, store_of

_BUFFER_BYTES = 1 << 20


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
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, self.arrow()), _BUFFER_BYTES))

    def arrow(self) -> pa.NativeFile:
        """Open it for Arrow's readers."""
        return self.store.open(self.location.key, self.seen)


AnyFile = Path | RemoteFile


def remote_file(text: str) -> RemoteFile:
    """Give the object at a location. Raises ValueError for what is none."""
    return RemoteFile(Location.parse(text))
