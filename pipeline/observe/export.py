"""Rows as one file of another format: Parquet, CSV or JSON Lines, written beside its place and renamed when whole."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pybase64

from pipeline.checkpoint.parquet import Writer
from pipeline.core.errors import ConfigError
from pipeline.observe.formulas import is_formula
from pipeline.observe.whole_file import replacing

Batches = Iterator[pa.RecordBatch]


def export(schema: pa.Schema, batches: Batches, target: Path, *, csv_safe: bool = False) -> tuple[int, int]:
    """Write the rows to `target` by its suffix; give how many, and how many CSV cells a spreadsheet would take for a formula.

    `csv_safe` puts an apostrophe before these, so that it shows them as text. Raises ConfigError for a suffix or place
    that will not do, StoppedError if the disk is full.
    """
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise ConfigError(f"{target}: export writes {', '.join(_WRITERS)}; give one of these")
    if csv_safe and writer is not _csv:
        raise ConfigError(f"{target}: --csv-safe is for .csv alone; no spreadsheet runs what is in {target.suffix}")
    if csv_safe:
        writer = _safe_csv
    with replacing(target) as file:
        rows, formulas = writer(schema, batches, file)
    return rows, formulas


def _parquet(schema: pa.Schema, batches: Batches, file: Any) -> tuple[int, int]:
    # Groups as the output has them: one a batch, a million rows of an open part would make two thousand.
    with Writer(file, schema) as writer:
        for batch in batches:
            writer.write(batch)
            writer.end_of_part()  # as far as can be seen from here it may be
        writer.close()
    return writer.rows, 0


def _safe_csv(schema: pa.Schema, batches: Batches, file: Any) -> tuple[int, int]:
    return _csv(schema, batches, file, before_formula="'")


def _csv(schema: pa.Schema, batches: Batches, file: Any, *, before_formula: str = "") -> tuple[int, int]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(_LineFeeds(text))
    cells = _Cells(before_formula)
    writer.writerow(map(cells.text, schema.names))
    rows = 0
    for batch in batches:
        writer.writerows(zip(*(map(cells.text, values) for values in _columns(batch)), strict=True))
        rows += batch.num_rows
    text.flush()
    text.detach()
    return rows, cells.formulas


class _LineFeeds:
    """Ends each record with a line feed alone. Told to do so, csv.writer leaves a cell with a carriage return unquoted
    (before Python 3.13), and readers take that for the end of the row."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text

    def write(self, record: str) -> object:
        return self._text.write(record.removesuffix("\r\n") + "\n")


def _jsonl(schema: pa.Schema, batches: Batches, file: Any) -> tuple[int, int]:
    rows = 0
    for batch in batches:
        for values in zip(*_columns(batch), strict=True):
            file.write(orjson.dumps(dict(zip(schema.names, map(_plain, values), strict=True)), option=orjson.OPT_NON_STR_KEYS))
            file.write(b"\n")
        rows += batch.num_rows
    return rows, 0


_WRITERS: dict[str, Callable[[pa.Schema, Batches, Any], tuple[int, int]]] = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
SUFFIXES = tuple(_WRITERS)


class _Cells:
    """Values as CSV cells, counting those that begin like a formula; `before` is put before each of them."""

    def __init__(self, before: str) -> None:
        self.formulas = 0
        self._before = before

    def text(self, value: Any) -> str:
        cell = _cell(value)
        if not is_formula(cell):
            return cell
        self.formulas += 1
        return self._before + cell


def _columns(batch: pa.RecordBatch) -> list[list[Any]]:
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns.append(_values(column))
        except (pa.ArrowException, ValueError, OverflowError) as error:  # years past 9999, unknown time zones, bytes for text
            raise ConfigError(
                f"column {name} holds a value that only Parquet can ({str(error)[:200]}); export to .parquet,"
                " or leave the column out with output.columns"
            ) from None
    return columns


def _values(column: Any) -> list[Any]:
    if pa.types.is_nested(column.type) or pa.types.is_temporal(column.type):
        # Text keeps nanoseconds and time zones, which Python's own types do not.
        if pa.types.is_temporal(column.type):
            return list(column.cast(pa.string()).to_pylist())
        return [value.as_py() if value.is_valid else None for value in column]
    return list(column.to_pylist())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    value = value if type(value) is str else _plain(value)  # nearly every cell is text
    match value:
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    # CSV readers disagree about NUL; nobody loses by its absence.
    return str(value).replace("\0", "")


def _plain(value: Any) -> Any:
    """Make a value fit for JSON: bytes in base64, decimals as text, a map's pairs as an object."""
    if value is None or type(value) in (str, int, float):  # nearly all of them
        return value
    match value:
        case bytes():
            return pybase64.b64encode(value).decode()
        case Decimal() | timedelta():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
