"""Parquet as the record and the output use it: page checksums, zstd, row groups of bounded size, one entry of metadata.

Without page checksums most flipped bits read back as silently wrong values; with them every one seen was noticed.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import DamagedError, RowcallError

if TYPE_CHECKING:
    from pipeline.storage import AnyFile, RemoteFile

METADATA_KEY = "rowcall"

# A row group closes at these many bytes, or at a part's end once it has these many rows: neither tiny nor huge. While one of
# pictures is written it is in memory as rows, as a dictionary and as a page.
GROUP_BYTES = 16 << 20
GROUP_ROWS = 8192

_BATCH_BYTES = 8 << 20
_MOST_BATCH_ROWS = 8192
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)


class Writer:
    """Writes batches of one schema into an open file, in row groups of bounded size. A context: leave it after close()."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = self._waiting_rows = 0
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._waiting_bytes += _bytes(batch)
        self._waiting_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._waiting_bytes >= GROUP_BYTES:
            self._flush()

    def end_of_part(self) -> None:
        """Close the row group here unless it is small, so that a part can be read back without its neighbours."""
        if self._waiting_rows >= GROUP_ROWS:
            self._flush()

    def close(self, metadata: Mapping[str, object] | None = None) -> None:
        """Write what is left and the footer, with `metadata` in it if any; the file itself stays open."""
        self._flush()
        if metadata is not None:
            self._writer.add_key_value_metadata({METADATA_KEY: orjson.dumps(metadata).decode()})
        self._writer.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            # pyarrow's close() would write a footer, and fail again on a full disk; the file is of no use either way.
            self._waiting.clear()
            with suppress(pa.ArrowException, OSError):
                self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), row_group_size=self._waiting_rows)
        self._waiting.clear()
        self._waiting_bytes = self._waiting_rows = 0


def read_rows(path: "AnyFile", start: int, stop: int, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Read rows start..stop-1 of a file in bounded batches, checking the page checksums.

    Only the columns of `schema` are read, if one is given, and conformed to it. Raises DamagedError for whatever is unreadable,
    and of a file in a store also what storage.trouble gives.
    """
    try:
        with _opened(path) as file:
            yield from _read(file, start, stop, schema, by_group=not isinstance(path, Path))
    except _UNREADABLE as error:
        if not isinstance(path, Path):
            _refuse_as_store(path, error)
        raise DamagedError(f"{path}: cannot be read back ({_one_line(error)})") from error


def _refuse_as_store(file: "RemoteFile", error: BaseException) -> None:
    """Raise what an error means that is the store's, and says nothing about the file."""
    from pipeline.storage import is_of_store, trouble

    found = trouble(file, error) if is_of_store(error) else None
    if isinstance(found, RowcallError):
        raise found from error


def can_hold(field: "pa.Field[Any]") -> bool:
    """Whether Parquet has a type for this column: asked before anything is paid for."""
    try:
        pq.ParquetWriter(io.BytesIO(), pa.schema([field])).close()
    except pa.ArrowException:
        return False
    return True


def facts(path: "AnyFile") -> tuple[int, dict[str, object]] | None:
    """Give a file's number of rows and its metadata of ours (empty if it has none); None if its footer cannot be read."""
    try:
        with _opened(path) as file:
            stored = (file.metadata.metadata or {}).get(METADATA_KEY.encode())
            metadata = orjson.loads(stored) if stored else {}
            return file.metadata.num_rows, metadata if isinstance(metadata, dict) else {}
    except (*_UNREADABLE, orjson.JSONDecodeError):
        return None


@contextmanager
def _opened(path: "AnyFile") -> Iterator[pq.ParquetFile]:
    if isinstance(path, Path):
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            yield file
    else:
        # What a row group's columns need is fetched at once there: each request takes longer than the bytes.
        with path.arrow() as opened, pq.ParquetFile(opened, page_checksum_verification=True, pre_buffer=True) as file:
            yield file


def _read(file: pq.ParquetFile, start: int, stop: int, schema: pa.Schema | None, *, by_group: bool) -> Iterator[pa.RecordBatch]:
    groups, first, size = _overlapping(file, start, stop)
    at = first
    columns = None if schema is None or len(schema) == len(file.schema_arrow) else schema.names
    # What is fetched ahead is held until the next call: of a whole file it would be all of it.
    calls = [[each] for each in groups] if by_group else [groups] if groups else []
    for batch in (
        # In this thread: with Arrow's own, one for each core, export took 119 -> 189 MB, and as much CPU.
        each
        for some in calls
        for each in file.iter_batches(batch_size=size, row_groups=some, columns=columns, use_threads=False)
    ):
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        at += batch.num_rows
        if low < high:
            piece = batch.slice(low, high - low)
            yield piece if schema is None else _conformed(piece, schema)
        if at >= stop:
            return


def _overlapping(file: pq.ParquetFile, start: int, stop: int) -> tuple[list[int], int, int]:
    """Give the row groups that hold these rows, the first one's first row, and a batch size that keeps memory bounded."""
    groups: list[int] = []
    first, at, widest = 0, 0, 1
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        if at < stop and at + group.num_rows > start:
            first = first if groups else at
            groups.append(index)
            widest = max(widest, group.total_byte_size // max(group.num_rows, 1))
        at += group.num_rows
    return groups, first, max(1, min(_MOST_BATCH_ROWS, _BATCH_BYTES // widest))


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.names != schema.names:
        try:
            batch = batch.select(schema.names)  # a name with a dot in it brings along what it would be a path to
        except KeyError as error:  # a flipped bit has renamed a column, or given it the name of another
            raise pa.ArrowInvalid(error.args[0]) from error
    arrays = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _bytes(batch: pa.RecordBatch) -> int:
    # A dictionary comes with every slice of it, whole: counted each time it would close groups of a few rows.
    return sum(each.indices.nbytes if isinstance(each, pa.DictionaryArray) else each.nbytes for each in batch.columns)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
