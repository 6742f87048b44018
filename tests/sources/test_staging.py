"""Text files become Parquet once: whole or not at all, and made again when the file or its reading changed."""

import gzip
import os
import stat
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import InputChangedError, OutputError, SourceError
from pipeline.sources import CsvOptions, count_rows, identify, stage, staged_ok
from pipeline.sources import staging as module

CSV = "id,text\n007,NA\n1,\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in.csv").write_text(CSV)
    return tmp_path / "in.csv"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "staged" / "file-000000.parquet"


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", CSV.encode(), [{"id": "007", "text": "NA"}, {"id": "1", "text": ""}]),
        ("a.csv.gz", gzip.compress(CSV.encode()), [{"id": "007", "text": "NA"}, {"id": "1", "text": ""}]),
        ("a.tsv", b"id\ttext\n1\ta,b\n", [{"id": "1", "text": "a,b"}]),
        ("a.jsonl", b'{"a": [1, null]}\n{"b": {"c": "x"}}\n', [{"a": [1, None], "b": None}, {"a": None, "b": {"c": "x"}}]),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n'), [{"a": 1}]),
        ("a.jsonl", b'{"a": null, "b": [], "c": {}}\n', [{"a": None, "b": [], "c": None}]),
        ("a.csv", b"id,text\n", []),
    ],
    ids=["csv", "csv.gz", "tsv", "keys of some rows", "jsonl.gz", "keys without a value", "no rows"],
)
def test_a_staged_copy_holds_the_rows(tmp_path, target, name, content, rows):
    (tmp_path / name).write_bytes(content)
    stage(tmp_path / name, target, CsvOptions())
    assert pq.read_table(target).to_pylist() == rows
    assert count_rows(target) == len(rows)


def test_a_staged_copy_is_private_and_alone(source, target):
    old = os.umask(0)
    try:
        stage(source, target, CsvOptions())
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700
    assert list(target.parent.iterdir()) == [target]


def test_a_staged_copy_is_good_for_its_file_and_options_only(source, target):
    options = CsvOptions(types={"id": "int64"})
    stage(source, target, options)
    identity = identify(source)
    assert staged_ok(target, identity, options)
    assert staged_ok(target, replace(identity, sha256=None), options)
    assert not staged_ok(target, identity, CsvOptions())
    assert not staged_ok(target, identity, replace(options, delimiter=";"))
    assert not staged_ok(target, replace(identity, sha256="0" * 64), options)
    assert not staged_ok(target, replace(identity, sha256=None, mtime_ns=1), options)


def test_a_touched_file_is_not_staged_again(source, target):
    stage(source, target, CsvOptions())
    os.utime(source, (1, 1))
    assert staged_ok(target, identify(source), CsvOptions())


def test_the_csv_options_do_not_matter_to_jsonl(tmp_path, target):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    stage(tmp_path / "a.jsonl", target, CsvOptions())
    assert staged_ok(target, identify(tmp_path / "a.jsonl"), CsvOptions(";"))


def test_what_is_no_staged_copy_is_not_taken_for_one(source, target):
    identity = identify(source)
    assert not staged_ok(target, identity, CsvOptions())
    target.parent.mkdir()
    pq.write_table(pa.table({"id": ["1"]}), target)
    assert not staged_ok(target, identity, CsvOptions())
    stage(source, target, CsvOptions())
    target.write_bytes(target.read_bytes()[:-5])
    assert not staged_ok(target, identity, CsvOptions())


@pytest.mark.parametrize("content", ["", "a,b\n1\n", "a,a\n"])
def test_a_file_that_cannot_be_read_leaves_nothing_behind(source, target, content):
    source.write_text(content)
    with pytest.raises(SourceError, match=r"in\.csv"):
        stage(source, target, CsvOptions())
    assert list(target.parent.glob("*")) == []


def test_an_older_copy_stays_until_the_new_one_is_whole(source, target):
    stage(source, target, CsvOptions())
    before = target.read_bytes()
    source.write_text("a\n1,2\n")
    with pytest.raises(SourceError):
        stage(source, target, CsvOptions())
    assert target.read_bytes() == before


def test_what_a_killed_run_left_is_swept_away(source, target):
    target.parent.mkdir()
    torn = target.with_name(f"{target.name}.abc.tmp")
    torn.write_text("torn")
    other = target.with_name("file-000001.parquet")
    other.write_text("another file's")
    stage(source, target, CsvOptions())
    assert sorted(target.parent.iterdir()) == [target, other]


def test_a_file_that_grows_while_it_is_staged_is_an_error(source, target):
    # The file's own content makes it long enough for a second chunk, at which this appends.
    source.write_text("a\n" + "x\n" * 10_000)
    reading = module.open_text(source, CsvOptions())

    class Growing:
        schema = reading.schema

        @property
        def sha256(self):
            return reading.sha256

        def batches(self):
            for batch in reading.batches():
                yield batch
                with source.open("a") as file:
                    file.write("y\n")

    with pytest.raises(InputChangedError, match=r"in\.csv"):
        module.write_staged(source, target, CsvOptions(), identify(source), Growing())
    assert not target.exists()


def test_a_folder_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "staged").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="staged copy"):
        stage(source, tmp_path / "staged" / "a.parquet", CsvOptions())


def test_many_chunks_make_few_row_groups(tmp_path, target):
    (tmp_path / "a.csv").write_text("id\n" + "".join(f"{number}\n" for number in range(30_000)))
    stage(tmp_path / "a.csv", target, CsvOptions())
    assert pq.read_metadata(target).num_row_groups == 1
    assert count_rows(target) == 30_000
