"""The first rows of an input and what is known of its size, without staging anything: what `check` looks at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.core.types import Row, Slice
from pipeline.sources.album import IMAGE, PATH, SCHEMA
from pipeline.sources.delimited import CsvFile, CsvOptions
from pipeline.sources.footers import footers_of, stat_tuple
from pipeline.sources.input_file import InputFile
from pipeline.sources.jsonl import JsonlFile, count_records
from pipeline.sources.members import BLOCK
from pipeline.sources.naming import format_of
from pipeline.sources.parquet import ParquetSource, rows_of
from pipeline.sources.pictures import PictureFolder, number_and_bytes
from pipeline.sources.roots import path_of, prefixes_of, tree_path
from pipeline.sources.schema import agreed_schema
from pipeline.sources.shards import ShardFile, scan
from pipeline.sources.slices import Index, presented
from pipeline.storage import AnyFile, RemoteFile

# Of CSV and JSONL, and of a tar's headers, a few seconds' worth is read; of the first rows, as many as fit in here too.
MOST_BYTES = 64 << 20
_JSONL_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """`rows` are the first ones with all their columns, numbered from 0. `counted` rows were counted.

    `complete` says that these are all; else text files were read in part. A JSONL file longer than 1,000 rows shows the
    columns and types of these.
    """

    schema: pa.Schema
    rows: tuple[Row, ...] = field(repr=False)
    counted: int
    complete: bool
    files: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What one file showed. `sure`: its schema is that of the whole file."""

    schema: pa.Schema
    rows: Sequence[Row]
    counted: int
    read: int = 0
    complete: bool = True
    sure: bool = True


def head(files: Sequence[AnyFile], options: CsvOptions, *, rows: int = 10, most_bytes: int = MOST_BYTES) -> Head:
    """Look at files in their order. Raises SourceError for what is wrong with the part that is read, or if they disagree."""
    footers_of([each for each in files if isinstance(each, RemoteFile) and format_of(each) == "parquet"])  # many at once
    parts: list[tuple[AnyFile, _Part]] = []
    first: list[Row] = []
    for path in files:
        # Rows behind a gap would carry wrong numbers: only what follows the counted ones is taken.
        gapless = len(first) == sum(part.counted for _, part in parts)
        part = _part(path, options, rows - len(first) if gapless else 0, most_bytes)
        first += [Row(number, row.cells, row.size) for number, row in enumerate(part.rows, len(first))]
        parts.append((path, part))
        most_bytes -= part.read
    schema = agreed_schema((path, part.schema) for path, part in parts if part.sure)
    return Head(
        _with_more(schema, [part.schema for _, part in parts if not part.sure]),
        tuple(first),
        sum(part.counted for _, part in parts),
        all(part.complete for _, part in parts),
        len(files),
    )


def head_of_pictures(folders: Sequence[PictureFolder], *, rows: int = 10) -> Head:
    """Look at pictures in their order, as they would join a job."""
    first: list[Row] = []
    places = [each.root if isinstance(each.root, Path) else tree_path(each.root) for each in folders]
    prefixes = prefixes_of(places, {})
    for folder, place in zip(folders, places, strict=True):
        for name, size in folder.first(max(rows - len(first), 0)):
            first.append(Row(len(first), {PATH: path_of(name, prefixes[place]), IMAGE: Slice(name, 0, size, str(folder.root))}))
    number, _ = number_and_bytes(folders)
    return Head(presented(SCHEMA, index=True), tuple(first), number, True, number)


def _part(path: AnyFile, options: CsvOptions, rows: int, most_bytes: int) -> _Part:
    match format_of(path):
        case "parquet":
            return _parquet(path, rows)
        case "jsonl":
            return _jsonl(path, rows, most_bytes)
        case "tar" if isinstance(path, Path):
            return _tar(path, rows, most_bytes)
    return _csv(path, options, rows, most_bytes)


def _parquet(path: AnyFile, rows: int) -> _Part:
    schema = ParquetSource([path], prompt_columns=(), kept_columns=()).schema()
    source = ParquetSource([path], prompt_columns=schema.names, kept_columns=())
    first: list[Row] = []
    for batch in source.rows([range(min(rows, source.count()))]):
        first += batch
        if sum(row.size for row in first) > MOST_BYTES:
            break
    source.close()
    return _Part(schema, first, source.count())


def _csv(path: AnyFile, options: CsvOptions, rows: int, most_bytes: int) -> _Part:
    file = CsvFile(path, options)
    first: list[Row] = []
    counted = read = 0
    for batch in file.batches():
        if read >= most_bytes:
            return _Part(file.schema, first, counted, read, complete=False)
        first += rows_of(counted, batch.slice(0, rows - len(first)))
        counted, read = counted + batch.num_rows, read + batch.nbytes
    return _Part(file.schema, first, counted, read)


def _jsonl(path: AnyFile, rows: int, most_bytes: int) -> _Part:
    if most_bytes <= 0:
        return _Part(pa.schema([]), (), 0, complete=False, sure=False)
    file = JsonlFile(path, rows=_JSONL_ROWS)
    first: list[Row] = []
    if rows:
        batch = next(file.batches(), None)
        first += rows_of(0, batch.slice(0, rows)) if batch is not None else ()
    counted, read, complete = count_records(path, most_bytes)
    return _Part(file.schema, first, counted, read, complete, sure=complete and counted <= _JSONL_ROWS)


def _tar(path: Path, rows: int, most_bytes: int) -> _Part:
    if most_bytes <= 0:
        return _Part(pa.schema([]), (), 0, complete=False, sure=False)
    found = scan(path, most_bytes=most_bytes)
    file = ShardFile(path, found, rows=min(rows, found.samples))
    index, stat = Index(path, path, path.parent), stat_tuple(path)
    opened = InputFile(path, 0, rows, stat, file.schema, index, stat)
    first = [row for batch in (file.batches() if rows else ()) for row in rows_of(0, batch, opened)]
    schema = presented(found.schema, index=True)
    return _Part(schema, first, found.samples, found.members * BLOCK, found.complete, sure=found.complete)


def _with_more(schema: pa.Schema, others: Sequence[pa.Schema]) -> pa.Schema:
    for other in others:
        schema = pa.schema([*schema, *(each for each in other if each.name not in schema.names)])
    return schema
