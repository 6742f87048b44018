"""The first rows of an input, for `check`: nothing is staged, and reading stops after a bounded number of bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.core.types import Row
from pipeline.sources.listing import format_of, is_parquet
from pipeline.sources.parquet import ParquetSource, cells, check_same, count_rows, schema_of
from pipeline.sources.text import CsvOptions, batches

MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Head:
    """What `check` knows of an input. `rows` are the first ones; `counted` rows were counted, `complete` if that is all."""

    schema: pa.Schema
    rows: Sequence[Row]
    counted: int
    complete: bool
    files: int


def head(files: Sequence[Path], options: CsvOptions, *, rows: int, most_bytes: int = MOST_BYTES) -> Head:
    """Read the first rows with all their columns, and count the rest: Parquet by footers, text by reading `most_bytes` at most.

    Raises SourceError for files that cannot be read or do not have the same columns.
    """
    first: list[Row] = []
    schema: pa.Schema | None = None
    counted, complete = 0, True
    for path in files:
        if is_parquet(path):
            found = schema_of([path])
            wanted = rows - len(first)
            if wanted > 0:
                source = ParquetSource([path], prompt_columns=found.names, kept_columns=[])
                stop = min(wanted, source.count())
                first += [_at(counted, row) for batch in source.rows([range(stop)]) for row in batch]
            counted += count_rows(path)
        else:
            found, taken, number, whole = _text(path, options, rows - len(first), most_bytes)
            first += [_at(counted, row) for row in taken]
            counted += number
            complete = complete and whole
            most_bytes -= path.stat().st_size
        if schema is None:
            schema = found
        elif format_of(path) != ".jsonl":
            check_same(files[0], schema, path, found)
    return Head(schema if schema is not None else pa.schema([]), first, counted, complete, len(files))


def _at(offset: int, row: Row) -> Row:
    return Row(offset + row.index, row.cells, row.size)


def _text(path: Path, options: CsvOptions, wanted: int, most_bytes: int) -> tuple[pa.Schema, list[Row], int, bool]:
    taken: list[Row] = []
    counted, size = 0, 0
    schema = pa.schema([])
    for batch in batches(path, options):
        schema = batch.schema
        if len(taken) < wanted:
            some = batch.slice(0, wanted - len(taken))
            columns = [cells(column) for column in some.columns]
            taken += [
                Row(counted + number, dict(zip(schema.names, values, strict=True)))
                for number, values in enumerate(zip(*columns, strict=True))
            ]
        counted += batch.num_rows
        size += batch.nbytes
        if size > most_bytes:
            return schema, taken, counted, False
    return schema, taken, counted, True
