"""The footers of Parquet files: what each holds, and a hash that proves it. Those in a store are read many at once.

A footer in a store is one request, and it is remembered: a run needs it to join the file, to know its columns, and to read it.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputChangedError, RowcallError, SourceError
from pipeline.core.locations import Location
from pipeline.sources.slices import Stat
from pipeline.sources.wording import reason, shown
from pipeline.storage import AnyFile, RemoteFile, is_of_store, trouble

_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_TAIL = 8  # the footer's length in four bytes, then the magic
# One request brings most footers whole: a row group of ten columns is a kilobyte of it.
_GUESS_BYTES = 64 << 10
# A store answers a request in tens of milliseconds, however many wait.
_AT_ONCE = 16
_REMEMBERED = 20_000
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file's footer says, and its hash in hex. `stat` is that of the file when it was read."""

    stat: Stat
    rows: int
    schema: pa.Schema
    digest: str


def stat_tuple(path: AnyFile) -> Stat:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def unreadable(path: AnyFile, error: BaseException) -> RowcallError:
    """Give what to raise for a file that Arrow gave up on: damage, or a store that is away."""
    if isinstance(path, RemoteFile) and is_of_store(error):
        meant = trouble(path, error)
        return meant if isinstance(meant, RowcallError) else SourceError(f"{shown(path)}: {reason(meant)}")
    return SourceError(f"{shown(path)}: cannot be read as Parquet: {reason(error)}")


def open_parquet(path: AnyFile | pa.NativeFile, *, buffer_bytes: int = 1 << 20, **options: Any) -> pq.ParquetFile:
    """Open a file for bounded reading. Page checksums are heeded where there are any; extension types stay plain."""
    options |= {"page_checksum_verification": True, "arrow_extensions_enabled": False}
    source = path.arrow() if isinstance(path, RemoteFile) else path
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=buffer_bytes, **options)


def footers_of(files: Sequence[RemoteFile]) -> list[Footer]:
    """Give the footers of files in a store, in their order. Raises for the first of them that cannot be read: SourceError, or
    what storage.trouble gives."""
    if len(files) <= 1:
        return [_footer_of(each) for each in files]
    with ThreadPoolExecutor(min(_AT_ONCE, len(files)), "rowcall-footers") as pool:
        return list(pool.map(_footer_of, files))


def footer_bytes(file: BinaryIO | pa.NativeFile, path: AnyFile) -> bytes:
    """Read a file's footer. Raises SourceError for what is no whole Parquet file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _GUESS_BYTES, 0))
    tail = file.read(_GUESS_BYTES)
    if tail.endswith(_ENCRYPTED):
        raise SourceError(f"{shown(path)}: an encrypted Parquet file; decrypt it first")
    length = int.from_bytes(tail[-_TAIL:-4], "little")
    if not tail.endswith(_MAGIC) or length + _TAIL + len(_MAGIC) > size:
        raise SourceError(f"{shown(path)}: not a whole Parquet file; it is cut off or of another format")
    missing = length + _TAIL - len(tail)
    if missing > 0:
        file.seek(size - _TAIL - length)
        tail = file.read(missing) + tail
    return tail[-_TAIL - length : -_TAIL]


def _footer_of(file: RemoteFile) -> Footer:
    try:
        return _remembered(file.location, *stat_tuple(file)[:2])
    except UNREADABLE as error:
        raise unreadable(file, error) from error


@lru_cache(maxsize=_REMEMBERED)
def _remembered(location: Location, size: int, mtime_ns: int) -> Footer:
    file = RemoteFile(location)
    with file.arrow() as opened:
        if opened.size() != size:
            raise InputChangedError(f"{shown(file)}: the file changed while it was looked at; run again when it is complete")
        footer = footer_bytes(opened, file)
    # What describes a file is read as if nothing lay before it.
    alone = pa.BufferReader(_MAGIC + footer + len(footer).to_bytes(4, "little") + _MAGIC)
    with open_parquet(alone) as parquet:
        return Footer((size, mtime_ns, 0), parquet.metadata.num_rows, parquet.schema_arrow, hashlib.sha256(footer).hexdigest())
