"""Delimited text and JSON lines as batches of Arrow rows, strict about what is wrong and where.

CSV cells stay the strings they are: `007`, `NA`, `true`, and the empty string for an empty cell, quoted or not.
"""

import codecs
import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from pipeline.core.errors import SourceError
from pipeline.sources.listing import format_of

BATCH_BYTES = 8 * 2**20
BATCH_ROWS = 8192
_LONG_NUMBER = re.compile(rb"\d{19}")
Batch = list[tuple[int, Any]]  # (line number, cells or object)


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How CSV and TSV are read; `delimiter` None goes by the name's end. `types` maps columns to what their text means."""

    delimiter: str | None = None
    encoding: str = "utf-8"
    types: Mapping[str, str] = field(default_factory=dict)


def batches(path: Path, options: CsvOptions) -> Iterator[pa.RecordBatch]:
    """Read a text file in batches, each with the schema of what was read so far: for JSONL it may still grow.

    A CSV file gives at least one batch, empty if it holds a header only. Raises SourceError with the line number.
    """
    kind = format_of(path)
    return _csv_batches(path, options, "\t" if kind == ".tsv" else ",") if kind in (".csv", ".tsv") else _json_batches(path)


@contextmanager
def opened(path: Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """Open a file, unpacked if its name says gzip, and translate what can go wrong while it is read."""
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise SourceError(f"{path}: damaged or incomplete gzip") from None
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None


# -- delimited text


def _csv_batches(path: Path, options: CsvOptions, usual: str) -> Iterator[pa.RecordBatch]:
    # The default limit of 131,072 characters a cell is smaller than a long prompt.
    csv.field_size_limit(sys.maxsize)
    with opened(path) as binary:
        if not binary.peek(1):
            raise SourceError(f"{path}: is empty, without even a header line")
        text = io.TextIOWrapper(binary, _without_mark(options.encoding), errors="strict", newline="")
        reader = csv.reader(text, delimiter=options.delimiter or usual, strict=True)
        with _reading(path, options, reader):
            header = _header(path, next(reader, None), options)
        convert = _converter(path, header, options.types)
        rows: list[list[str]] = []
        lines: list[int] = []
        size = 0
        with _reading(path, options, reader):
            for cells in reader:
                if not cells:
                    continue  # a blank line, as after the last row
                if len(cells) != len(header):
                    raise SourceError(f"{path}, line {reader.line_num}: {len(cells)} cells where the header has {len(header)}")
                rows.append(cells)
                lines.append(reader.line_num)
                size += sum(map(len, cells))
                if size >= BATCH_BYTES or len(rows) >= BATCH_ROWS:
                    yield convert(rows, lines)
                    rows, lines, size = [], [], 0
        yield convert(rows, lines)


def _without_mark(encoding: str) -> str:
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _header(path: Path, names: list[str] | None, options: CsvOptions) -> list[str]:
    if not names:
        raise SourceError(f"{path}, line 1: there is no header")
    # A table written with its row numbers has a first column without a name; pandas calls it so, too.
    names = [name or f"Unnamed: {number}" for number, name in enumerate(names)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"{path}, line 1: the column name {twice[0]!r} stands there twice; rename one")
    for column in options.types:
        if column not in names:
            raise SourceError(
                f"{path}: input.csv.types names {column!r}, which is no column here (columns: {', '.join(names[:20])})"
            )
    return names


@contextmanager
def _reading(path: Path, options: CsvOptions, reader: Any) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        said = str(error)
        if "unexpected end of data" in said:
            said = "a quote is opened and never closed"
        elif "expected after" in said:
            said = "a quoted cell goes on after its closing quote"
        raise SourceError(f"{path}, line {max(reader.line_num, 1)}: {said}") from None
    except UnicodeError:
        line = _undecodable_line(path, options.encoding) or reader.line_num + 1
        raise SourceError(
            f"{path}, line {line}: not valid {options.encoding}; name the file's encoding in input.csv.encoding"
        ) from None


def _undecodable_line(path: Path, encoding: str) -> int | None:
    """Find the line at fault: the decoder reads ahead of the rows, so the reader's own count is too low."""
    with opened(path) as binary:
        for number, line in enumerate(binary, 1):
            try:
                line.decode(encoding)
            except UnicodeError:
                return number
    return None


def _converter(path: Path, header: list[str], types: Mapping[str, str]) -> Callable[[list[list[str]], list[int]], pa.RecordBatch]:
    schema = pa.schema([pa.field(name, _ARROW[types.get(name, "string")]) for name in header])

    def convert(rows: list[list[str]], lines: list[int]) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
        arrays = [
            pa.array(_typed(path, name, types[name], cells, lines) if name in types else list(cells), each.type)
            for name, cells, each in zip(header, columns, schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    return convert


_ARROW: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def _bool(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _int64(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _timestamp(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is not None:
        raise ValueError("has a time zone")
    return value


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "string": str,
    "int64": _int64,
    "float64": float,
    "bool": _bool,
    "date": date.fromisoformat,
    "timestamp": _timestamp,
}


def _typed(path: Path, column: str, type_: str, cells: Sequence[str], lines: Sequence[int]) -> list[Any]:
    """Parse cells of a column whose type the user named; an empty one is null."""
    parse = _PARSERS[type_]
    values: list[Any] = []
    for cell, line in zip(cells, lines, strict=True):
        try:
            values.append(parse(cell) if cell or type_ == "string" else None)
        except (ValueError, KeyError):
            raise SourceError(f"{path}, line {line}, column {column!r}: {cell!r:.60} is no {type_} (input.csv.types)") from None
    return values


# -- JSON lines


def _json_batches(path: Path) -> Iterator[pa.RecordBatch]:
    schema: pa.Schema | None = None
    rows: Batch = []
    size = 0
    with opened(path) as file:
        if not file.peek(1):
            raise SourceError(f"{path}: is empty")
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            rows.append((number, _object(path, number, line)))
            size += len(line)
            if size >= BATCH_BYTES or len(rows) >= BATCH_ROWS:
                batch = _batch(path, rows, schema)
                schema, rows, size = batch.schema, [], 0
                yield batch
    if rows:
        yield _batch(path, rows, schema)


def _object(path: Path, number: int, line: bytes) -> dict[str, object]:
    try:
        # orjson turns an integer beyond 64 bits into a float, silently.
        value = json.loads(line) if _LONG_NUMBER.search(line) else orjson.loads(line)
    except json.JSONDecodeError as error:
        raise SourceError(f"{path}, line {number}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise SourceError(f"{path}, line {number}: holds a number or nesting that cannot be stored") from None
    if not isinstance(value, dict):
        raise SourceError(f'{path}, line {number}: each line must be an object, such as {{"text": …}}')
    return value


def _batch(path: Path, rows: Batch, known: pa.Schema | None) -> pa.RecordBatch:
    """Make a batch whose schema holds what is known and what these rows add."""
    schema = _grown(known, [value for _, value in rows])
    if schema is None:
        number, schema = _culprit(path, rows, known)
        raise SourceError(f"{path}, line {number}: {schema}")
    try:
        return pa.RecordBatch.from_pylist([value for _, value in rows], schema=schema)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        number, what = _culprit(path, rows, schema)
        raise SourceError(f"{path}, line {number}: {what}") from None


def _grown(known: pa.Schema | None, values: list[dict[str, Any]]) -> pa.Schema | None:
    """Unify what is known with what these values are; None if they contradict it or one another."""
    names = dict.fromkeys(key for value in values for key in value)
    try:
        seen = pa.schema([(name, pa.array([value.get(name) for value in values]).type) for name in names])
        return pa.unify_schemas([known, seen], promote_options="permissive") if known is not None else seen
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


def _culprit(path: Path, rows: Batch, known: pa.Schema | None) -> tuple[int, Any]:
    """Find the first line that does not go with those before it, and say in which column."""
    schema = known
    for number, value in rows:
        grown = _grown(schema, [value])
        if grown is None:
            for name, cell in value.items():
                before = schema.field(name).type if schema is not None and name in schema.names else None
                if _grown(pa.schema([(name, before)]) if before is not None else None, [{name: cell}]) is None:
                    was = f"was {before} in the lines before" if before is not None else "cannot be stored"
                    return number, f"column {name!r} holds {_kind(cell)}, which {was}" if before is None else (
                        f"column {name!r} {was} and holds {_kind(cell)} here"
                    )
        schema = grown or schema
    return rows[0][0], "the values of a column differ in type from line to line"


def _kind(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return "an integer beyond 64 bits"
    return {str: "text", int: "an integer", float: "a number", bool: "true or false", list: "a list", dict: "an object"}.get(
        type(value), "null"
    )
