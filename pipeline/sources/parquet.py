"""Parquet files as one numbered sequence of rows, read forward in batches bounded by bytes, whatever their row groups."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputChangedError, SourceError
from pipeline.core.types import Row

BATCH_BYTES = 8 * 2**20
BATCH_ROWS = 4096
# Column chunks are read in blocks of this size: without it a 20 GB row group would be fetched whole.
_BUFFER_BYTES = 2**20
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)


def count_rows(path: Path) -> int:
    """Give the rows of a Parquet file by its footer. Raises SourceError naming the file."""
    with _translated(path), _open(path) as file:
        return int(file.metadata.num_rows)


class ParquetSource:
    """Implements core.interfaces.Source over files in order. Reads forward: going back costs a new start in that file.

    `prompt_columns` become cells; `kept_columns` are given as they are. Raises SourceError naming the file at fault.
    """

    def __init__(self, files: Sequence[Path], *, prompt_columns: Sequence[str], kept_columns: Sequence[str]) -> None:
        self._files = list(files)
        self._starts = [0]
        for path in self._files:
            self._starts.append(self._starts[-1] + count_rows(path))
        self._cells = _Reader(self._files, self._starts, prompt_columns)
        self._kept = _Reader(self._files, self._starts, kept_columns)

    def count(self) -> int:
        return self._starts[-1]

    def rows(self, ranges: Sequence[range]) -> Iterator[Sequence[Row]]:
        for each in ranges:
            for start, batch in self._cells.read(each.start, each.stop):
                yield _rows(batch, start)

    def columns(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        for _, batch in self._kept.read(start, stop):
            yield batch


def schema_of(files: Sequence[Path]) -> pa.Schema:
    """Give the schema that all files share, in the first one's order. Raises SourceError naming file and column."""
    first: pa.Schema | None = None
    for path in files:
        with _translated(path), _open(path) as file:
            schema = file.schema_arrow.remove_metadata()
        _check_names(path, schema)
        if first is None:
            first = schema
        else:
            check_same(files[0], first, path, schema)
    return first if first is not None else pa.schema([])


def check_same(first_path: Path, first: pa.Schema, path: Path, schema: pa.Schema) -> None:
    """Refuse a file whose columns are not those of the first; their order does not matter."""
    for name in first.names:
        if name not in schema.names:
            raise SourceError(
                f"{path}: has no column {name!r}, which {first_path.name} has; all input files need the same columns"
            )
        if not schema.field(name).type.equals(first.field(name).type):
            raise SourceError(
                f"{path}: column {name!r} is {schema.field(name).type}, but {first.field(name).type} in {first_path.name}"
            )
    for name in schema.names:
        if name not in first.names:
            raise SourceError(
                f"{path}: has a column {name!r}, which {first_path.name} lacks; all input files need the same columns"
            )


def _check_names(path: Path, schema: pa.Schema) -> None:
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise SourceError(f"{path}: the column name {twice[0]!r} stands there twice; rename one")


class _Reader:
    """Some columns of all files, in global row numbers. Keeps its place, so that reading on costs nothing."""

    def __init__(self, files: Sequence[Path], starts: Sequence[int], columns: Sequence[str]) -> None:
        self._files = files
        self._starts = starts
        self._columns = list(columns)
        self._cursor: _Cursor | None = None
        self._at = -1

    def read(self, start: int, stop: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        for number, path in enumerate(self._files):
            first, last = max(start, self._starts[number]), min(stop, self._starts[number + 1])
            if first >= last:
                continue
            offset = self._starts[number]
            cursor = self._cursor_for(number, path, first - offset)
            for at, batch in cursor.read(first - offset, last - offset):
                yield offset + at, batch

    def _cursor_for(self, number: int, path: Path, start: int) -> "_Cursor":
        if self._cursor is None or self._at != number or start < self._cursor.position:
            if self._cursor is not None:
                self._cursor.close()
            self._cursor, self._at = _Cursor(path, self._columns), number
        return self._cursor


class _Cursor:
    """One pass over one file. `position` is the first row that can still be read."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self._path = path
        self._columns = columns
        with _translated(path):
            self._file = _open(path)
            self._seen = _look(path)
        self.position = 0
        self._held: pa.RecordBatch | None = None  # read, and not yet given: begins at `position`
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._group = 0  # the next row group to begin
        self._group_start = 0  # its first row

    def close(self) -> None:
        self._file.close()

    def read(self, start: int, stop: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Give rows start to stop-1 in batches, each with its first row's number."""
        self._skip_to(start)
        while self.position < stop:
            batch = self._next()
            end = self.position + batch.num_rows
            if end > start:
                given = batch.slice(max(start - self.position, 0), min(stop, end) - max(start, self.position))
                first = max(start, self.position)
                if end > stop:
                    self._held = batch.slice(stop - self.position)
                    self.position = stop
                else:
                    self.position = end
                if given.num_rows:
                    yield first, given
            else:
                self.position = end
        if _look(self._path) != self._seen:
            raise InputChangedError(f"{self._path}: changed while it was being read; run again when it is complete")

    def _skip_to(self, start: int) -> None:
        """Leave out whole row groups that end before `start`."""
        metadata = self._file.metadata
        while self._group < metadata.num_row_groups and self._group_start + metadata.row_group(self._group).num_rows <= start:
            self._group_start += metadata.row_group(self._group).num_rows
            self._group += 1
            self._held, self._batches, self.position = None, iter(()), self._group_start

    def _next(self) -> pa.RecordBatch:
        if self._held is not None:
            batch, self._held = self._held, None
            return batch
        with _translated(self._path):
            while (read := next(self._batches, None)) is None:
                if self._group >= self._file.metadata.num_row_groups:
                    raise SourceError(f"{self._path}: holds fewer rows than its footer says; the file is damaged")
                self._begin_group()
        # Another file may have the same columns in another order.
        return read.select(self._columns)

    def _begin_group(self) -> None:
        group = self._file.metadata.row_group(self._group)
        self._batches = self._file.iter_batches(
            batch_size=_batch_rows(group, self._columns), row_groups=[self._group], columns=self._columns, use_threads=False
        )
        self._group += 1
        self._group_start += group.num_rows


def _batch_rows(group: Any, columns: list[str]) -> int:
    """How many rows make a batch of about BATCH_BYTES, by the group's own sizes."""
    wanted = set(columns)
    size = sum(
        chunk.total_uncompressed_size
        for chunk in (group.column(number) for number in range(group.num_columns))
        if chunk.path_in_schema in wanted or chunk.path_in_schema.split(".")[0] in wanted
    )
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES * max(group.num_rows, 1) // max(size, 1))))


def _open(path: Path) -> pq.ParquetFile:
    # Extension types are read as what they are stored as: some carry code or pickles. (The stubs lag behind.)
    settings: dict[str, Any] = {"page_checksum_verification": True, "arrow_extensions_enabled": False}
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES, **settings)


def _look(path: Path) -> tuple[int, int, int]:
    seen = os.stat(path)  # noqa: PTH116 -- follows a link, as opening did
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except _UNREADABLE as error:
        said = " ".join(str(error).split())[:200]
        raise SourceError(f"{path}: not a readable Parquet file, or damaged: {said}") from None


# -- cells


def _rows(batch: pa.RecordBatch, start: int) -> list[Row]:
    size = batch.nbytes // max(batch.num_rows, 1) + 200
    if not batch.num_columns:
        return [Row(start + number, {}, size) for number in range(batch.num_rows)]
    names = batch.schema.names
    columns = [cells(column) for column in batch.columns]
    return [
        Row(start + number, dict(zip(names, values, strict=True)), size)
        for number, values in enumerate(zip(*columns, strict=True))
    ]


def cells(column: "pa.Array[Any]") -> list[Any]:
    """Give a column as plain Python values: maps as dicts, nanoseconds cut to microseconds, which is what Python has."""
    plain = _plain(column.type)
    if plain != column.type:
        column = column.cast(plain, safe=False)
    try:
        return column.to_pylist(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        # Text that is no UTF-8 fails its own row: as lone surrogates it cannot be sent, and says so.
        return [_lenient(value) for value in column.cast(pa.large_binary()).to_pylist()]


def _lenient(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _plain(type_: Any) -> Any:
    """Replace what Python cannot hold: to_pylist refuses nanosecond times that are not whole microseconds."""
    if pa.types.is_timestamp(type_) and type_.unit == "ns":
        return pa.timestamp("us", type_.tz)
    if pa.types.is_duration(type_) and type_.unit == "ns":
        return pa.duration("us")
    if pa.types.is_time64(type_) and type_.unit == "ns":
        return pa.time64("us")
    if pa.types.is_struct(type_):
        return pa.struct([each.with_type(_plain(each.type)) for each in type_])
    if pa.types.is_large_list(type_):
        return pa.large_list(type_.value_field.with_type(_plain(type_.value_type)))
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(type_.value_field.with_type(_plain(type_.value_type)), type_.list_size)
    if pa.types.is_list(type_):
        return pa.list_(type_.value_field.with_type(_plain(type_.value_type)))
    if pa.types.is_map(type_):
        return pa.map_(_plain(type_.key_type), _plain(type_.item_type))
    if pa.types.is_dictionary(type_):
        value: pa.DataType = _plain(type_.value_type)
        return type_ if value == type_.value_type else value
    return type_
