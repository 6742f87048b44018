"""CSV and JSONL made into Parquet once, so that everything behind the source knows one format; of a tar only an index is made.

A staged copy says which file it was made from and how it was read. It is whole or not there.
"""

import errno
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputChangedError, OutputError, RowcallError, SourceError, StoppedError
from pipeline.sources.delimited import CsvFile, CsvOptions
from pipeline.sources.identity import FileIdentity, footer_of, not_empty, stat_of
from pipeline.sources.jsonl import JsonlFile
from pipeline.sources.naming import format_of
from pipeline.sources.shards import ShardFile
from pipeline.sources.wording import reason, shown
from pipeline.storage import AnyFile, RemoteFile

_KEY = b"rowcall.staged"
# Raised when the same bytes would be read into other cells than before: copies of older versions are then made anew.
_VERSION = 1
_GROUP_BYTES = 16 << 20  # held twice while it is written
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class TextFile(Protocol):
    """What CSV, JSONL and tar files have in common: a schema, and batches of it, to be read once."""

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def sha256(self) -> str | None:
        """The hash of all bytes, once the batches have been read; None of a tar, whose bytes are not."""

    def batches(self) -> Iterator[pa.RecordBatch]: ...


def open_text(path: AnyFile, options: CsvOptions) -> TextFile:
    """Open a file that is not Parquet. A JSONL file is read once for its types."""
    match format_of(path):
        case "csv" | "tsv":
            return CsvFile(path, options)
        case "jsonl":
            return JsonlFile(path)
        case "tar" if isinstance(path, Path):
            return ShardFile(path)
    raise SourceError(f"{shown(path)}: neither CSV nor TSV nor JSONL nor tar by its name")


def stage(path: AnyFile, target: Path, options: CsvOptions) -> FileIdentity:
    """Write the file's rows to `target` as Parquet, in bounded memory and durably, replacing what is there; give what was read.

    Raises SourceError for what is wrong with the file, naming the line; InputChangedError if it changes meanwhile;
    StoppedError for a full disk.
    """
    before = not_empty(path)
    return write_staged(path, target, options, before, open_text(path, options))


def write_staged(path: AnyFile, target: Path, options: CsvOptions, before: FileIdentity, file: TextFile) -> FileIdentity:
    """Write what `file` gives of the file at `path`, which was `before` when it was opened."""
    with replacing(target) as out, writing(out, file.schema) as writer:
        _write(writer, file.schema, file.batches())
        sha256 = file.sha256
        now = stat_of(path.fresh() if isinstance(path, RemoteFile) else path)
        if (now.size, now.mtime_ns, now.inode) != (before.size, before.mtime_ns, before.inode):
            raise InputChangedError(f"{shown(path)}: the file changed while it was read; run again when it is complete")
        now = replace(now, sha256=sha256) if sha256 is not None else replace(now, footer=footer_of(path))
        writer.add_key_value_metadata({_KEY.decode(): json.dumps(_facts(path, now, options))})
        writer.close()
    return now


def staged_before(path: AnyFile, target: Path, options: CsvOptions) -> FileIdentity | None:
    """Give the identity of a file that an earlier run staged to `target` before it was killed, None if it is to be staged yet."""
    now = not_empty(path)
    if not staged_ok(target, now, options):
        return None
    source = (_stored(target) or {}).get("source")
    # A store has no inodes, and files of one size and second are many.
    if not isinstance(source, dict) or source.get("location") != _location(path):
        return None
    return replace(now, sha256=source.get("sha256"), footer=source.get("footer"))


def staged_ok(target: Path, identity: FileIdentity, options: CsvOptions) -> bool:
    """Whether `target` is a whole staged copy of the file with this identity, read with these options."""
    stored = _stored(target)
    if stored is None or stored.get("version") != _VERSION:
        return False
    if stored.get("format") in ("csv", "tsv") and stored.get("csv") != _csv(options):
        return False
    source = stored.get("source")
    if not isinstance(source, dict):
        return False
    if identity.footer is not None:
        return source.get("footer") == identity.footer
    if identity.sha256 is not None:
        return source.get("sha256") == identity.sha256
    return (source.get("size"), source.get("mtime_ns"), source.get("inode")) == (
        identity.size,
        identity.mtime_ns,
        identity.inode,
    )


def _stored(target: Path) -> dict[str, object] | None:
    try:
        metadata = pq.read_metadata(target).metadata or {}
        stored = json.loads(metadata.get(_KEY, b"null"))
    except (pa.ArrowException, OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None


def _facts(path: AnyFile, source: FileIdentity, options: CsvOptions) -> dict[str, object]:
    identity: dict[str, object] = {"size": source.size, "mtime_ns": source.mtime_ns, "inode": source.inode}
    identity |= {"sha256": source.sha256} if source.footer is None else {"footer": source.footer}
    if (location := _location(path)) is not None:
        identity["location"] = location
    return {"version": _VERSION, "format": format_of(path), "source": identity, "csv": _csv(options)}


def _location(path: AnyFile) -> str | None:
    return str(path) if isinstance(path, RemoteFile) else None


def _csv(options: CsvOptions) -> dict[str, object]:
    return {"delimiter": options.delimiter, "encoding": options.encoding, "types": dict(options.types)}


@contextmanager
def writing(out: BinaryIO, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    writer = pq.ParquetWriter(out, schema, compression="zstd", write_page_checksum=True)
    try:
        yield writer
    finally:
        # Left open it would write a footer when it is collected, into a file that is closed by then.
        with suppress(pa.ArrowException, OSError):
            writer.close()


def _write(writer: pq.ParquetWriter, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write row groups of bounded size, not one a batch: many small groups are slow to read."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            _flush(writer, schema, waiting)
            size = 0
    _flush(writer, schema, waiting)


def _flush(writer: pq.ParquetWriter, schema: pa.Schema, waiting: list[pa.RecordBatch]) -> None:
    if waiting:
        table = pa.Table.from_batches(waiting, schema)
        writer.write_table(table, row_group_size=table.num_rows)
        waiting.clear()


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Give a private file beside `target` that takes its name when it is whole and on disk, or leaves no trace."""
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for torn in target.parent.glob(f"{escape(target.name)}.*.tmp"):
            torn.unlink(missing_ok=True)  # of a run that was killed: only one runs at a time
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
        _sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        kind = StoppedError if error.errno in _FULL else OutputError
        raise kind(f"{shown(target)}: cannot write the staged copy of the input: {reason(error)}") from error
    except (RowcallError, pa.ArrowException):
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
