"""Rows as one file of another format: Parquet, CSV or JSON Lines, written beside its place and renamed when whole."""

import csv
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pybase64

from pipeline.core.errors import ConfigError, StoppedError

Batches = Iterator[pa.RecordBatch]


def export(schema: pa.Schema, batches: Batches, target: Path) -> tuple[int, int]:
    """Write the rows to `target` by its suffix; give how many, and how many CSV cells a spreadsheet would take for a formula.

    Raises ConfigError for a suffix or place that will not do, StoppedError if the disk is full.
    """
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise ConfigError(f"{target}: export writes {', '.join(_WRITERS)}; give one of these")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            rows, formulas = writer(schema, batches, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except FileNotFoundError:
        raise ConfigError(f"{target}: its folder does not exist") from None
    except (PermissionError, IsADirectoryError) as error:
        raise ConfigError(f"{target}: cannot be written: {(error.strerror or 'no permission').lower()}") from None
    except OSError as error:
        raise StoppedError(f"{target}: cannot be written: {(error.strerror or type(error).__name__).lower()}") from None
    finally:
        with suppress(OSError):  # what went wrong before is what counts
            temporary.unlink(missing_ok=True)
    return rows, formulas


def _parquet(schema: pa.Schema, batches: Batches, file: Any) -> tuple[int, int]:
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows, 0


def _csv(schema: pa.Schema, batches: Batches, file: Any) -> tuple[int, int]:
    import io

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(schema.names)
    rows = formulas = 0
    for batch in batches:
        columns = [[_cell(value) for value in values] for values in _columns(batch)]
        formulas += sum(value[:1] in _FORMULA for column in columns for value in column if value)
        writer.writerows(zip(*columns, strict=True))
        rows += batch.num_rows
    text.flush()
    text.detach()
    return rows, formulas


def _jsonl(schema: pa.Schema, batches: Batches, file: Any) -> tuple[int, int]:
    rows = 0
    for batch in batches:
        for values in zip(*_columns(batch), strict=True):
            file.write(orjson.dumps(dict(zip(schema.names, map(_plain, values), strict=True)), option=orjson.OPT_NON_STR_KEYS))
            file.write(b"\n")
        rows += batch.num_rows
    return rows, 0


_WRITERS: dict[str, Callable[[pa.Schema, Batches, Any], tuple[int, int]]] = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
# How a cell begins that a spreadsheet runs instead of shows.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    value = _plain(value)
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    # CSV readers disagree about NUL; nobody loses by its absence.
    return str(value).replace("\0", "")


def _plain(value: Any) -> Any:
    """Make a value fit for JSON: bytes in base64, decimals as text, a map's pairs as an object."""
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
