"""Rows as a file of another format: nothing lost that the format can hold, whole or not there."""

import csv
import json
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import ConfigError
from pipeline.observe.export import export

TABLE = pa.table(
    {
        "id": ["007", "NA", ""],
        "text": ['say "hi", you\nthere', None, "=1+1"],
        "at": pa.array([datetime(2026, 1, 2, 3, 4, 5)] * 3, pa.timestamp("ns", "UTC")),
        "price": pa.array([Decimal("1.50")] * 3, pa.decimal128(6, 2)),
        "tags": [["a", "b"], [], None],
        "ok": [True, False, None],
    }
)


def test_parquet_comes_out_equal(tmp_path):
    assert export(TABLE.schema, iter(TABLE.to_batches()), tmp_path / "x.parquet") == (3, 0)
    assert pq.read_table(tmp_path / "x.parquet").equals(TABLE)


def test_parquet_has_few_row_groups_however_small_the_batches_are(tmp_path):
    one = pa.record_batch({"id": pa.array(range(100))})
    assert export(one.schema, iter([one] * 200), tmp_path / "x.parquet") == (20_000, 0)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert (metadata.num_rows, metadata.num_row_groups) == (20_000, 3)


def test_csv_keeps_text_as_it_is_and_counts_formulas(tmp_path):
    assert export(TABLE.schema, iter(TABLE.to_batches()), tmp_path / "x.csv") == (3, 1)
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["007", "NA", ""]
    assert rows[0]["text"] == 'say "hi", you\nthere'
    assert rows[0]["at"].startswith("2026-01-02 03:04:05")
    assert (rows[0]["price"], rows[0]["tags"], rows[0]["ok"]) == ("1.50", '["a","b"]', "true")


@pytest.mark.parametrize(
    ("cell", "runs"),
    [
        *(
            (cell, True)
            for cell in ('=HYPERLINK("http://x")', "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1")
        ),
        *((cell, False) for cell in ("plain", "-5", "+1.5e-3", "-1,25", "a=1", "'=1", "", "1-2")),
    ],
)
def test_csv_safe_puts_an_apostrophe_before_formulas_and_nothing_else(tmp_path, cell, runs):
    table = pa.table({"text": [cell], "number": [-5]})
    plain, safe = tmp_path / "plain.csv", tmp_path / "safe.csv"
    assert export(table.schema, iter(table.to_batches()), plain) == (1, int(runs))
    assert export(table.schema, iter(table.to_batches()), safe, csv_safe=True) == (1, int(runs))
    for path, expected in ((plain, cell), (safe, f"'{cell}" if runs else cell)):
        with path.open(newline="", encoding="utf-8") as file:
            assert list(csv.reader(file)) == [["text", "number"], [expected, "-5"]]


def test_csv_safe_covers_the_header(tmp_path):
    table = pa.table({"=1+1": ["x"]})
    export(table.schema, iter(table.to_batches()), tmp_path / "x.csv", csv_safe=True)
    assert (tmp_path / "x.csv").read_text() == "'=1+1\nx\n"


def test_csv_safe_is_for_csv_alone(tmp_path):
    with pytest.raises(ConfigError, match="csv-safe"):
        export(TABLE.schema, iter(TABLE.to_batches()), tmp_path / "x.parquet", csv_safe=True)


def test_jsonl_is_one_object_a_row(tmp_path):
    export(TABLE.schema, iter(TABLE.to_batches()), tmp_path / "x.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert rows[0]["tags"] == ["a", "b"]
    assert rows[1]["text"] is None
    assert rows[2]["ok"] is None


@pytest.mark.parametrize("name", ["x.xlsx", "x", "none/x.csv"])
def test_a_place_that_will_not_do_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=name.split("/")[0]):
        export(TABLE.schema, iter(TABLE.to_batches()), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
