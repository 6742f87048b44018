"""Several Parquet files as one sequence of rows: unchanged, in order, and never more than a few batches in memory."""

import os
import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import InputChangedError, SourceError
from pipeline.sources import ParquetSource, count_rows, cursor, schema_of
from pipeline.sources.cursor import BATCH_BYTES, open_parquet


def write(path: Path, table: pa.Table | dict[str, object], **options: object) -> Path:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def numbers(path: Path, start: int, stop: int, **options: object) -> Path:
    return write(path, {"id": list(range(start, stop)), "text": [f"row {n}" for n in range(start, stop)]}, **options)


def source(
    files: list[Path], prompt: tuple[str, ...] = ("id",), kept: tuple[str, ...] = ("id",), **options: object
) -> ParquetSource:
    return ParquetSource(files, prompt_columns=prompt, kept_columns=kept, **options)


def ids(made: ParquetSource, *ranges: range) -> list[tuple[int, object]]:
    return [(row.index, row.cells["id"]) for batch in made.rows(ranges) for row in batch]


def kept(made: ParquetSource, start: int, stop: int) -> pa.Table:
    return pa.Table.from_batches(made.columns(start, stop), made.kept_schema)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """105 rows in four files: groups of 7, no rows, one group, groups of 1."""
    return [
        numbers(tmp_path / "a.parquet", 0, 50, row_group_size=7),
        numbers(tmp_path / "b.parquet", 0, 0),
        numbers(tmp_path / "c.parquet", 50, 95),
        numbers(tmp_path / "d.parquet", 95, 105, row_group_size=1),
    ]


def test_rows_are_numbered_over_all_files(files):
    made = source(files)
    assert made.count() == 105
    assert ids(made, range(105)) == [(n, n) for n in range(105)]
    assert kept(made, 0, 105)["id"].to_pylist() == list(range(105))


@given(
    st.lists(
        st.lists(st.integers(0, 105), min_size=2, max_size=6, unique=True).map(sorted),
        min_size=1,
        max_size=4,
    )
)
def test_any_ranges_in_any_order_of_calls_give_their_rows(tmp_path_factory, calls):
    folder = tmp_path_factory.mktemp("files")
    made = source(
        [numbers(folder / "a.parquet", 0, 50, row_group_size=7), numbers(folder / "b.parquet", 50, 105, row_group_size=30)]
    )
    for bounds in calls:
        ranges = [range(low, high) for low, high in zip(bounds[::2], bounds[1::2], strict=False)]
        assert ids(made, *ranges) == [(n, n) for each in ranges for n in each]
        assert kept(made, bounds[0], bounds[-1])["id"].to_pylist() == list(range(bounds[0], bounds[-1]))


def test_an_abandoned_read_does_not_disturb_the_next(files):
    made = source(files)
    reading = made.rows([range(105)])
    next(reading)
    assert ids(made, range(3, 6)) == [(3, 3), (4, 4), (5, 5)]
    assert ids(made, range(90, 105)) == [(n, n) for n in range(90, 105)]


def test_cells_hold_the_prompts_columns_only(files):
    (batch,) = source(files, prompt=("text", "id")).rows([range(1)])
    assert dict(batch[0].cells) == {"text": "row 0", "id": 0}
    assert batch[0].size > 0


def test_a_prompt_without_columns_still_has_its_rows(files):
    rows = [row for batch in source(files, prompt=(), kept=()).rows([range(100, 105)]) for row in batch]
    assert [(row.index, dict(row.cells)) for row in rows] == [(n, {}) for n in range(100, 105)]


def test_an_output_without_input_columns_still_has_its_rows(files):
    batches = list(source(files, kept=()).columns(3, 20))
    assert (sum(batch.num_rows for batch in batches), batches[0].num_columns) == (17, 0)
    assert list(source(files, kept=()).columns(5, 5)) == []


def test_kept_columns_are_unchanged_and_in_the_order_asked_for(tmp_path):
    day = pa.array([1], pa.int32()).cast(pa.date32())
    table = pa.table(
        {
            "nested": pa.array([[{"a": [1, None]}]]),
            "decimal": pa.array([Decimal("1.50")]),
            "zone": pa.array([1], pa.timestamp("us", "Europe/Berlin")),
            "nanos": pa.array([123_456_789], pa.timestamp("ns")),
            "category": pa.array(["x"]).dictionary_encode(),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())),
            "large": pa.array(["x"], pa.large_string()),
            "bytes": pa.array([b"\xff"]),
            "day": day,
            "far": pa.array([10**18], pa.timestamp("us")),
            "none": pa.nulls(1),
            "a.b": pa.array([1]),
            "a": pa.array([{"b": 2, "c": 3}]),
            "": pa.array([4]),
        }
    )
    path = write(tmp_path / "a.parquet", table)
    names = table.column_names[::-1]
    made = source([path], prompt=tuple(names), kept=tuple(names))
    assert kept(made, 0, 1).equals(table.select(names))
    (batch,) = made.rows([range(1)])
    assert batch[0].cells["map"] == {"k": 1}
    assert (batch[0].cells["a.b"], batch[0].cells["a"], batch[0].cells[""]) == (1, {"b": 2, "c": 3}, 4)


@pytest.mark.parametrize("columns", [("a.b",), ("a",), ("",)])
def test_a_dot_in_a_name_is_no_path(tmp_path, columns):
    path = write(tmp_path / "a.parquet", {"a.b": [1], "a": [{"b": 2, "c": 3}], "": [4]})
    made = source([path], prompt=columns, kept=columns)
    assert made.kept_schema.names == list(columns)
    assert kept(made, 0, 1).to_pylist() == pq.read_table(path).select(list(columns)).to_pylist()


def test_files_may_differ_in_order_and_wrapping(tmp_path):
    one = write(tmp_path / "a.parquet", pa.table({"a": pa.array(["x"]), "b": [1]}))
    two = write(tmp_path / "b.parquet", pa.table({"b": [2], "a": pa.array(["y"], pa.large_string())}))
    made = source([one, two], kept=("a", "b"), prompt=())
    assert made.schema() == schema_of([one, two]) == pa.schema([("a", pa.string()), ("b", pa.int64())])
    assert kept(made, 0, 2).to_pylist() == [{"a": "x", "b": 1}, {"a": "y", "b": 2}]


def test_the_jobs_own_types_go_before_the_files(tmp_path):
    path = write(tmp_path / "a.parquet", {"a": pa.nulls(1)})
    made = source([path], prompt=(), kept=("a",), schema=pa.schema([("a", pa.int64())]))
    assert kept(made, 0, 1).schema == pa.schema([("a", pa.int64())])


def test_files_that_disagree_are_refused(tmp_path):
    one, two = write(tmp_path / "a.parquet", {"a": [1]}), write(tmp_path / "b.parquet", {"a": ["x"]})
    with pytest.raises(SourceError, match=r"b\.parquet: column 'a' is string"):
        source([one, two], prompt=(), kept=())


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(SourceError, match="name 'a' stands there twice"):
        source([write(tmp_path / "a.parquet", table)], prompt=(), kept=())


@pytest.mark.parametrize("kind", ["prompt", "kept"])
def test_a_column_that_is_not_there_is_named(files, kind):
    with pytest.raises(SourceError, match="no column 'txt'; did you mean 'text'"):
        source(files, **{kind: ("txt",)})


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(pa.table({"id": pa.array([], pa.int64())}), id="zero rows"),
        pytest.param(pa.table({}), id="zero columns"),
    ],
)
def test_an_empty_file_has_no_rows(tmp_path, table):
    path = write(tmp_path / "a.parquet", table)
    names = tuple(table.column_names)
    made = source([path], prompt=names, kept=names)
    assert (made.count(), list(made.rows([range(0)])), list(made.columns(0, 0))) == (0, [], [])


def test_a_file_without_row_groups_has_no_rows(tmp_path):
    path = tmp_path / "a.parquet"
    pq.ParquetWriter(path, pa.schema([("id", pa.int64())])).close()
    assert pq.read_metadata(path).num_row_groups == 0
    assert source([path]).count() == count_rows(path) == 0


def test_no_files_have_no_rows():
    made = source([], prompt=(), kept=())
    assert (made.count(), made.schema().names) == (0, [])


def test_rows_that_do_not_exist_are_an_error(files):
    with pytest.raises(SourceError, match="the input has 105"):
        ids(source(files), range(100, 106))


# -- files that are broken, or change


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 40 + b"PAR1", b"a,b\n1,2\n"])
def test_what_is_no_parquet_file_is_named(tmp_path, content):
    path = tmp_path / "in.parquet"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"in\.parquet: cannot be read as Parquet") as caught:
        source([path])
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.parquet: there is no such file"):
        count_rows(tmp_path / "gone.parquet")


def test_damage_anywhere_is_an_error_or_harmless_and_never_a_crash(tmp_path):
    path = numbers(tmp_path / "in.parquet", 0, 500, row_group_size=100, write_page_checksum=True)
    whole = path.read_bytes()
    rand = random.Random(7)
    noticed = 0
    for _ in range(150):
        data = bytearray(whole)
        data[rand.randrange(len(data))] ^= 1 << rand.randrange(8)
        path.write_bytes(data)
        try:
            assert len(ids(source([path], prompt=("id", "text")), range(500))) == 500
        except SourceError as error:
            noticed += 1
            assert "in.parquet" in str(error) or "column" in str(error) or "rows" in str(error)
        except AssertionError:
            pass  # a footer that says other rows
    assert noticed > 75


@pytest.mark.parametrize("change", ["touched", "replaced", "grown", "gone"])
def test_a_file_that_changes_during_a_run_stops_it(tmp_path, change):
    path = numbers(tmp_path / "in.parquet", 0, 5000, row_group_size=2500)
    made = source([path])
    rows = made.rows([range(5000)])
    next(rows)
    match change:
        case "touched":
            os.utime(path, (1, 1))
        case "replaced":
            os.replace(numbers(tmp_path / "new.parquet", 1, 5001), path)
        case "grown":
            with path.open("ab") as file:
                file.write(b"x")
        case "gone":
            path.unlink()
    with pytest.raises(InputChangedError, match=r"in\.parquet"):
        list(rows)


def test_a_file_overwritten_in_place_counts_as_changed_not_as_broken(tmp_path):
    path = numbers(tmp_path / "in.parquet", 0, 5000, row_group_size=2500)
    made = source([path])
    path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(InputChangedError, match=r"in\.parquet"):
        ids(made, range(5000))


# -- memory and speed, by what is read


def test_batches_are_bounded_by_bytes_within_one_large_row_group(tmp_path):
    image = os.urandom(200_000)
    path = write(tmp_path / "a.parquet", {"id": list(range(300)), "photo": [image] * 300}, use_dictionary=False)
    made = source([path], prompt=("photo",), kept=("photo",))
    for batch in made.columns(0, 300):
        assert batch.nbytes <= 2 * BATCH_BYTES
    for rows in made.rows([range(300)]):
        assert sum(row.size for row in rows) <= 2 * BATCH_BYTES


@pytest.mark.parametrize("nested", [False, True])
def test_a_value_stored_once_and_repeated_in_every_row_does_not_fill_the_memory(tmp_path, nested):
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * 900_000]))
    column = pa.StructArray.from_arrays([repeated, pa.array(range(2000))], ["content", "n"]) if nested else repeated
    path = write(tmp_path / "a.parquet", pa.table({"text": column}), store_schema=False)
    assert path.stat().st_size < 200_000, "the file holds 1.8 GB in a few kilobytes"
    made = source([path], prompt=("text",), kept=("text",))
    assert "dictionary" not in str(made.schema())
    for batch in made.columns(0, 100):
        assert batch.nbytes <= 2 * BATCH_BYTES
    for rows in made.rows([range(100)]):
        assert sum(row.size for row in rows) <= 2 * BATCH_BYTES


def test_a_file_of_many_row_groups_is_opened_for_all_of_them_together(tmp_path, monkeypatch):
    groups, rows = 30, 1500
    path = write(tmp_path / "a.parquet", {"text": ["x" * 500 + str(row) for row in range(groups * rows)]}, row_group_size=rows)
    opened = []

    def counted(path, **options):
        opened.append(options)
        return open_parquet(path, **options)

    monkeypatch.setattr(cursor, "open_parquet", counted)
    made = source([path], prompt=("text",), kept=("text",))
    assert sum(len(batch) for batch in made.rows([range(groups * rows)])) == groups * rows
    # As its rows are read, and once more to see how long the words in its dictionaries are: with the footer as it was read.
    assert [options.keys() >= {"metadata"} for options in opened] == [False, True]


def test_only_the_columns_asked_for_are_read(tmp_path):
    path = write(tmp_path / "a.parquet", {"id": [1, 2], "photo": [os.urandom(1000), os.urandom(1000)]}, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(1)
    data[chunk.data_page_offset + 40] ^= 1  # unreadable by its checksum
    path.write_bytes(data)
    assert ids(source([path]), range(2)) == [(0, 1), (1, 2)]


def test_reading_on_does_not_start_a_row_group_over(tmp_path):
    path = numbers(tmp_path / "a.parquet", 0, 200_000)
    made = source([path])
    before = pa.total_allocated_bytes()
    for start in range(0, 200_000, 500):
        assert kept(made, start, start + 500)["id"][0].as_py() == start
        assert pa.total_allocated_bytes() - before < 4 * BATCH_BYTES
