"""Parquet read as numbered rows: any range, any row groups, any types, in bounded memory."""

import itertools
import tracemalloc
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputChangedError, SourceError
from pipeline.core.parts import runs
from pipeline.sources import ParquetSource, count_rows
from pipeline.sources.parquet import schema_of


def write(folder, sizes, group=10):
    paths, at = [], 0
    for number, size in enumerate(sizes):
        path = folder / f"{number}.parquet"
        table = pa.table({"n": pa.array(range(at, at + size), pa.int64()), "s": [f"s{index}" for index in range(at, at + size)]})
        pq.write_table(table if number % 2 == 0 else table.select(["s", "n"]), path, row_group_size=max(group, 1))
        paths.append(path)
        at += size
    return paths


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    group=st.integers(1, 50),
    wanted=st.sets(st.integers(0, 160)),
    cuts=st.lists(st.integers(0, 160), max_size=4),
)
def test_any_rows_come_in_order_with_their_numbers_and_so_do_the_kept_columns(tmp_path_factory, sizes, group, wanted, cuts):
    paths = write(tmp_path_factory.mktemp("p"), sizes, group)
    source = ParquetSource(paths, prompt_columns=["n"], kept_columns=["s", "n"])
    total = sum(sizes)
    assert source.count() == total
    indices = sorted(index for index in wanted if index < total)
    seen = [row for batch in source.rows(runs(indices)) for row in batch]
    assert [row.index for row in seen] == indices
    assert [row.cells for row in seen] == [{"n": index} for index in indices]
    edges = sorted({0, total, *(cut for cut in cuts if cut < total)})
    kept = [
        value
        for start, stop in itertools.pairwise(edges)
        for batch in source.columns(start, stop)
        for value in batch["n"].to_pylist()
    ]
    assert kept == list(range(total))


def test_a_prompt_without_columns_still_has_its_rows(tmp_path):
    source = ParquetSource(write(tmp_path, [25]), prompt_columns=[], kept_columns=[])
    assert [row.index for batch in source.rows([range(3, 25)]) for row in batch] == list(range(3, 25))


TYPES = pa.table(
    {
        "ns": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns", "UTC")),
        "nested ns": pa.array([[{"t": 1}], None], pa.list_(pa.struct([("t", pa.timestamp("ns"))]))),
        "duration": pa.array([1, None], pa.duration("ns")),
        "time": pa.array([1, None], pa.time64("ns")),
        "decimal": pa.array([Decimal("1.50"), None]),
        "dictionary": pa.array(["a", None]).dictionary_encode(),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "large": pa.array(["x", None], pa.large_string()),
        "view": pa.array(["x", None], pa.string_view()),
        "bytes": pa.array([b"\xff", None], pa.binary()),
        "fixed": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
        "date": pa.array([datetime(2026, 1, 2).date(), None]),
        "half": pa.array([1.5, None], pa.float16()),
    }
)


def test_every_type_becomes_cells_and_passes_through_unchanged(tmp_path):
    pq.write_table(TYPES, tmp_path / "t.parquet")
    stored = pq.read_table(tmp_path / "t.parquet")
    source = ParquetSource([tmp_path / "t.parquet"], prompt_columns=TYPES.column_names, kept_columns=TYPES.column_names)
    first, second = (row.cells for batch in source.rows([range(2)]) for row in batch)
    assert first["ns"].microsecond == 123_456
    assert first["map"] == {"k": 1}
    assert first["bytes"] == b"\xff"
    assert set(second.values()) == {None}
    assert pa.Table.from_batches(source.columns(0, 2)).equals(stored)


def test_text_that_is_no_utf8_fails_its_row_and_not_the_job(tmp_path):
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff"))
    pq.write_table(pa.table({"s": broken}), tmp_path / "t.parquet")
    source = ParquetSource([tmp_path / "t.parquet"], prompt_columns=["s"], kept_columns=[])
    assert [row.cells["s"] for batch in source.rows([range(2)]) for row in batch] == ["a", "\udcff"]


def test_a_file_that_changes_while_it_is_read_stops_the_run(tmp_path):
    (path,) = write(tmp_path, [100])
    source = ParquetSource([path], prompt_columns=["n"], kept_columns=[])
    batches = source.rows([range(100)])
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises((InputChangedError, SourceError), match=r"0\.parquet"):
        list(batches)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"x" * 1000])
def test_what_is_no_parquet_is_named(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.parquet"):
        count_rows(tmp_path / "x.parquet")


def test_files_must_have_the_same_columns_in_any_order(tmp_path):
    assert schema_of(write(tmp_path, [1, 1])).names == ["n", "s"]
    pq.write_table(pa.table({"n": ["text"], "s": ["x"]}), tmp_path / "z.parquet")
    with pytest.raises(SourceError, match=r"z\.parquet.*'n'"):
        schema_of([tmp_path / "0.parquet", tmp_path / "z.parquet"])
    pq.write_table(pa.table({"n": [1]}), tmp_path / "y.parquet")
    with pytest.raises(SourceError, match=r"y\.parquet.*'s'"):
        schema_of([tmp_path / "0.parquet", tmp_path / "y.parquet"])


def test_one_huge_row_group_is_streamed_and_read_on_from_where_one_stood(tmp_path):
    rows, size = 400, 100_000
    table = pa.table({"photo": [bytes([index % 256]) * size for index in range(rows)]})
    pq.write_table(
        table, tmp_path / "big.parquet", row_group_size=rows, compression="none", use_dictionary=False, write_batch_size=8
    )
    del table
    source = ParquetSource([tmp_path / "big.parquet"], prompt_columns=["photo"], kept_columns=[])
    before, peak = pa.total_allocated_bytes(), 0
    tracemalloc.start()
    for start in range(0, rows, 50):
        for batch in source.rows([range(start, start + 50)]):
            assert all(row.cells["photo"][:1] == bytes([row.index % 256]) for row in batch)
            assert all(size < row.size < 2 * size for row in batch)
            peak = max(peak, pa.total_allocated_bytes() - before)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + python_peak < rows * size * 0.75, "the row group was held whole"
