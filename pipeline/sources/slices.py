"""Cells that stay in their file until they are asked for: an index says where each lies.

An index is a Parquet file of our own, staged in a job's record. A column of it that is marked holds places (file, root, offset,
size, mtime_ns, inode) and no bytes. To everybody else it is a column of bytes: prompts get a core.types.Slice a cell, and who
keeps the column gets what the slices hold. In a file that is not an Index the mark means nothing: it may be anybody's.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.errors import BadRowError, InputChangedError, SourceError
from pipeline.core.interfaces import ReadSlice
from pipeline.core.locations import is_remote
from pipeline.core.types import Slice
from pipeline.sources.wording import shown

_MARK = b"rowcall.slice"
_SHARD = b"rowcall.shard"
_PLACE = pa.struct(
    [
        ("file", pa.string()),  # relative to `root`; null: the file that the index was made from
        ("root", pa.string()),  # relative to the index's anchor, or a location
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),  # of the file below `root`, as it was when it was indexed; null: any content will do
        ("inode", pa.int64()),
    ]
)
# Arrow's arrays, and much that reads them, end at two gigabytes; a film is no value of a table.
MOST_KEPT_BYTES = 256 << 20
_SLICE_BYTES = 250  # about what a Slice occupies while its row waits

Stat = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Index:
    """A staged file at `path`, made from `original`. The folders it names are relative to `anchor`, the job's own."""

    path: Path
    original: Path
    anchor: Path


def slice_field(name: str) -> "pa.Field[Any]":
    """Give the field of an index's column whose cells are places."""
    return pa.field(name, _PLACE, metadata={_MARK: b"1"})


def shard_key_field(name: str) -> "pa.Field[Any]":
    """Give the field of a shard's keys. It marks the schema: what one shard lacks of another's columns is null in it."""
    return pa.field(name, pa.string(), nullable=False, metadata={_SHARD: b"1"})


def place(
    offset: int, size: int, *, file: str | None = None, root: str | None = None, stat: Stat | None = None
) -> dict[str, Any]:
    """Give the cell of such a column. `stat` is (size, mtime_ns, inode) of the file below `root`."""
    mtime_ns, inode = stat[1:] if stat is not None else (None, None)
    return {"file": file, "root": root, "offset": offset, "size": size, "mtime_ns": mtime_ns, "inode": inode}


def is_slices(field: "pa.Field[Any]") -> bool:
    """Whether this column of a source's schema holds slices."""
    return _MARK in (field.metadata or {})


def is_shard(schema: pa.Schema) -> bool:
    return any(_SHARD in (each.metadata or {}) for each in schema)


def no_shard(schema: pa.Schema) -> pa.Schema:
    """Give the schema without that mark."""
    return pa.schema([_without(each, _SHARD) for each in schema])


def slice_columns(schema: pa.Schema) -> tuple[str, ...]:
    return tuple(each.name for each in schema if is_slices(each))


def presented(schema: pa.Schema, *, index: bool) -> pa.Schema:
    """Give a file's schema as the source shows it: places as bytes, still marked. Marks in other files go."""
    if index:
        return pa.schema([each.with_type(pa.binary()) if is_slices(each) else each for each in schema])
    return pa.schema([_without(_without(each, _MARK), _SHARD) for each in schema])


def with_marks(field: "pa.Field[Any]", other: "pa.Field[Any]") -> "pa.Field[Any]":
    """Give the field with the marks of both."""
    merged: dict[str | bytes, str | bytes] = {
        key: value
        for each in (field, other)
        for key, value in (each.metadata or {}).items()
        if each is field or key in (_MARK, _SHARD)
    }
    return field.with_metadata(merged) if merged else field


def unmarked(field: "pa.Field[Any]") -> "pa.Field[Any]":
    """Give the field of a column whose cells will be in the output itself."""
    return _without(_without(field, _MARK), _SHARD)


def _without(field: "pa.Field[Any]", mark: bytes) -> "pa.Field[Any]":
    metadata = field.metadata or {}
    if mark not in metadata:
        return field
    left: dict[str | bytes, str | bytes] = {key: value for key, value in metadata.items() if key != mark}
    return field.with_metadata(left) if left else field.remove_metadata()


def slices_of(array: "pa.Array[Any]", index: Index, stat: Stat) -> list[Slice | None]:
    """Give the slices of an index's column; `stat` is that of the file it was made from."""
    original, roots = str(index.original), dict[str, str]()
    return [None if cell is None else _slice(cell, original, stat, index.anchor, roots) for cell in array.to_pylist()]


def sizes_of_slices(cells: Sequence[object]) -> list[int]:
    return [_SLICE_BYTES] * len(cells)


def _slice(cell: dict[str, Any], original: str, stat: Stat, anchor: Path, roots: dict[str, str]) -> Slice:
    if cell["file"] is None:
        return Slice(original, cell["offset"], cell["size"], stat=stat)
    root = cell["root"]
    if root not in roots:
        roots[root] = root if is_remote(root) else os.path.normpath(anchor / root)
    known = None if cell["mtime_ns"] is None else (cell["size"], cell["mtime_ns"], cell["inode"])
    return Slice(cell["file"], cell["offset"], cell["size"], roots[root], known)


def filled(
    piece: pa.RecordBatch, index: Index, stat: Stat, read: ReadSlice | None, *, most_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Give the piece with what its slices hold in their place, in batches of about `most_bytes`, or one row.

    A picture that cannot be read is null. Raises SourceError for a cell of an archive that no table can hold, InputChangedError
    for one that cannot be read any more.
    """
    columns = slice_columns(piece.schema)
    if not columns:
        yield piece
        return
    cells = {name: slices_of(piece.column(name), index, stat) for name in columns}
    sizes = [sum(cell.size for cell in row if cell is not None) for row in zip(*cells.values(), strict=True)]
    start = 0
    while start < piece.num_rows:
        stop, size = start + 1, sizes[start]
        while stop < piece.num_rows and size + sizes[stop] <= most_bytes:
            size += sizes[stop]
            stop += 1
        yield _filled(piece.slice(start, stop - start), {name: each[start:stop] for name, each in cells.items()}, read)
        start = stop


def _filled(piece: pa.RecordBatch, cells: dict[str, list[Slice | None]], read: ReadSlice | None) -> pa.RecordBatch:
    assert read is not None, "nobody who keeps this column may leave out what reads it"
    arrays: list[pa.Array[Any]] = [
        pa.array([None if cell is None else _bytes(cell, field.name, read) for cell in cells[field.name]], pa.binary())
        if field.name in cells
        else piece.column(field.name)
        for field in piece.schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=presented(piece.schema, index=True))


def _bytes(cell: Slice, column: str, read: ReadSlice) -> bytes | None:
    if cell.root is not None:
        try:
            return read(cell, MOST_KEPT_BYTES)
        except BadRowError:
            return None  # one of many pictures, and its row says why: the others go on
    if cell.size > MOST_KEPT_BYTES:
        raise SourceError(
            f"{shown(cell.file)}: a cell of column {column!r} has {cell.size / 1e6:.0f} MB, more than an output takes; "
            "leave the column out of output.columns"
        )
    try:
        return read(cell, MOST_KEPT_BYTES)
    except BadRowError as error:
        raise InputChangedError(
            f"column {column!r}: {error}; put the file back, or leave the column out of output.columns"
        ) from error
