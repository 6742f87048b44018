"""Kept columns come out as they went in, through every place a row can lie in: set aside, sealed, published, carried."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.checkpoint.entries import StoredJob
from pipeline.checkpoint.layout import Layout, make_folder
from pipeline.checkpoint.publish import publish
from pipeline.checkpoint.record import open_record
from pipeline.core.errors import ConfigError
from pipeline.core.types import Part
from tests.checkpoint.desk import Desk, failed, ok

NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 123456)
COLUMNS = {
    "decimal": pa.array([Decimal("1.50"), None, Decimal("-99999999.99")], pa.decimal128(10, 2)),
    "zoned": pa.array([NOON, None, NOON], pa.timestamp("us", tz="Europe/Berlin")),
    "nanoseconds": pa.array([1_700_000_000_123_456_789, None, -1], pa.timestamp("ns")),
    "date": pa.array([dt.date(2024, 2, 29), None, dt.date(1, 1, 1)], pa.date32()),
    "duration": pa.array([1, None, 3], pa.duration("us")),
    "words": pa.array(["a", None, "b"]).dictionary_encode(),
    "ordered": pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array(["low", "high"]), ordered=True),
    "nested": pa.array([[{"a": [1, None]}], None, []], pa.list_(pa.struct([("a", pa.list_(pa.int16()))]))),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "image": pa.array([{"bytes": b"\x89PNG", "path": None}, None, {"bytes": None, "path": "x"}]),
    "large": pa.array(["a", None, ""], pa.large_string()),
    "fixed": pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2)),
    "half": pa.array([1.5, None, -0.0], pa.float16()),
    "flags": pa.array([True, None, False]),
    "unsigned": pa.array([2**64 - 1, None, 0], pa.uint64()),
    "nothing": pa.array([None, None, None], pa.null()),
    "not null": pa.array([1, 2, 3], pa.int64()),
}
SCHEMA = pa.schema([pa.field(name, each.type, nullable=name != "not null") for name, each in COLUMNS.items()])
TABLE = pa.Table.from_arrays(list(COLUMNS.values()), schema=SCHEMA)


def rows(part: Part) -> Iterator[pa.RecordBatch]:
    yield from TABLE.slice(part.start, len(part)).to_batches()


@pytest.mark.parametrize("is_directory", [False, True], ids=["file", "folder"])
def test_every_type_and_value_is_unchanged_after_every_way_a_row_can_go(tmp_path: Path, is_directory: bool) -> None:
    layout = Layout.of(tmp_path / ("out" if is_directory else "out.parquet"), is_directory=is_directory)
    make_folder(layout)
    record = open_record(layout, create=True)
    record.store_job(StoredJob({}, {}, SCHEMA))
    parts = [Part(0, 0, 2), Part(1, 2, 3)]

    def whole() -> pa.Table:
        return pa.Table.from_batches(batch for part in parts for batch in record.batches(part)).select(SCHEMA.names)

    for part in parts:
        record.open_part(part, rows(part))
    assert whole().equals(TABLE), "set aside"
    record.record([ok(0), failed(1), ok(2)])
    for part in parts:
        record.seal(part)
    assert whole().equals(TABLE), "sealed"
    publish(record, metadata={})
    assert whole().equals(TABLE), "published"
    record.redo(None)
    record.record([ok(1)])
    assert whole().equals(TABLE), "with a newer outcome"
    record.seal(parts[0])
    publish(record, metadata={})
    assert whole().equals(TABLE), "carried"
    assert whole().schema.equals(SCHEMA)
    record.close()


def test_a_dictionary_that_changes_between_batches_is_kept(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)
    make_folder(layout)
    record = open_record(layout, create=True)
    record.store_job(StoredJob({}, {}, pa.schema([("word", pa.dictionary(pa.int32(), pa.string()))])))
    batches = [pa.RecordBatch.from_pydict({"word": pa.array(words).dictionary_encode()}) for words in (["a", "b"], ["c", None])]
    part = Part(0, 0, 4)
    record.open_part(part, iter(batches))
    record.record([ok(row) for row in range(4)])
    record.seal(part)
    publish(record, metadata={})
    assert pa.Table.from_batches(record.batches(part))["word"].to_pylist() == ["a", "b", "c", None]
    record.close()


def test_a_type_that_parquet_cannot_hold_is_refused_before_anything_is_sent(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    with pytest.raises(ConfigError, match="column age"):
        record.store_job(StoredJob({}, {}, pa.schema([("age", pa.month_day_nano_interval())])))
    record.close()
