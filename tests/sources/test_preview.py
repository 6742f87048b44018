"""What `check` sees of an input: its first rows and size, without a file written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import SourceError
from pipeline.sources import CsvOptions, head


def csv(path: Path, count: int, start: int = 0) -> Path:
    path.write_text("id,text\n" + "".join(f"{n},text {n}\n" for n in range(start, start + count)))
    return path


def parquet(path: Path, count: int, start: int = 0) -> Path:
    pq.write_table(pa.table({"id": [str(n) for n in range(start, start + count)], "text": ["x"] * count}), path)
    return path


def test_the_first_rows_run_over_files_and_formats(tmp_path):
    files = [csv(tmp_path / "a.csv", 3), parquet(tmp_path / "b.parquet", 3, 3), csv(tmp_path / "c.csv", 3, 6)]
    seen = head(files, CsvOptions(), rows=8)
    assert [(row.index, row.cells["id"]) for row in seen.rows] == [(n, str(n)) for n in range(8)]
    assert (seen.counted, seen.complete, seen.files) == (9, True, 3)
    assert seen.schema == pa.schema([("id", pa.string()), ("text", pa.string())])
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_jsonl_shows_its_rows_and_types(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2.5, "b": ["x"]}\n')
    seen = head([path], CsvOptions())
    assert [dict(row.cells) for row in seen.rows] == [{"a": 1.0, "b": None}, {"a": 2.5, "b": ["x"]}]
    assert (seen.counted, seen.complete) == (2, True)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_reading_stops_after_so_many_bytes_and_says_so(tmp_path, name):
    path = tmp_path / name
    path.write_text("id,text\n" + "1,x\n" * 50_000 if name == "a.csv" else '{"id": "1", "text": "x"}\n' * 50_000)
    seen = head([path, csv(tmp_path / "b.csv", 5)], CsvOptions(), rows=3, most_bytes=1000)
    assert 3 <= seen.counted < 50_000
    assert not seen.complete
    assert len(seen.rows) == 3


def test_a_long_jsonl_file_may_bring_more_columns_later(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text('{"a": 1}\n' * 2000 + '{"a": 0.5, "b": 2}\n')
    second.write_text('{"a": 0.5, "b": 1}\n')
    seen = head([first, second], CsvOptions())
    assert seen.schema.names == ["a", "b"]
    assert seen.counted == 2002


def test_a_header_alone_is_an_input_without_rows(tmp_path):
    seen = head([csv(tmp_path / "a.csv", 0)], CsvOptions())
    assert (seen.rows, seen.counted, seen.complete, seen.schema.names) == ((), 0, True, ["id", "text"])


def test_no_files_are_an_input_without_columns():
    assert head([], CsvOptions()).schema.names == []


def test_first_rows_are_bounded_in_bytes_too(tmp_path):
    pq.write_table(pa.table({"photo": [bytes(9_000_000)] * 12}), tmp_path / "a.parquet")
    seen = head([tmp_path / "a.parquet"], CsvOptions(), rows=100)
    assert 1 <= len(seen.rows) < 12
    assert seen.counted == 12


@pytest.mark.parametrize(
    ("content", "words"),
    [("id,text\n1\n", "line 2"), ("", "no header"), ("id,txt\n1,2\n", "has no column 'text'")],
)
def test_mistakes_show_as_in_a_run(tmp_path, content, words):
    (tmp_path / "b.csv").write_text(content)
    with pytest.raises(SourceError, match=words) as caught:
        head([csv(tmp_path / "a.csv", 2), tmp_path / "b.csv"], CsvOptions())
    assert "b.csv" in str(caught.value)
