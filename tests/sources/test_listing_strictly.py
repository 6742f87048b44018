"""What a path in the config means: which files, in which order, and what is refused."""

import os
from pathlib import Path

import pytest

from pipeline.core.errors import SourceError
from pipeline.sources import format_of, list_files


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")


def names(folder: Path, *paths: str, exclude: tuple[Path, ...] = ()) -> list[str]:
    found = list_files([str(folder / each) for each in paths], exclude=exclude)
    assert all(each.is_absolute() for each in found)
    return [each.relative_to(folder).as_posix() for each in found]


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.parquet", "parquet"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.tsv", "tsv"),
        ("a.b.jsonl.GZ", "jsonl"),
        ("a.parquet.gz", None),
        ("a.json", None),
        ("csv", None),
        (".csv", None),
        ("a.gz", None),
    ],
)
def test_the_format_is_told_by_the_end_of_the_name(name, format_):
    assert format_of(Path(name)) == format_


def test_a_folder_is_searched_to_the_bottom_and_sorted_by_relative_name(tmp_path):
    make(tmp_path, "b.csv", "a/z.jsonl", "a.parquet", "a/y/x.tsv.gz", "read.me", "notes.txt")
    assert names(tmp_path, "") == ["a.parquet", "a/y/x.tsv.gz", "a/z.jsonl", "b.csv"]


@pytest.mark.parametrize(
    "name",
    [".hidden.csv", "_manifest.parquet", "_temporary/a.csv", ".git/a.csv", "out.parquet.rowcall/staged/a.parquet"],
)
def test_folders_and_globs_pass_over_what_is_no_data(tmp_path, name):
    make(tmp_path, name, "a.csv")
    assert names(tmp_path, "") == ["a.csv"]
    assert names(tmp_path, "**") == ["a.csv"]


@pytest.mark.parametrize("name", ["_a.csv", ".a.csv", "x.rowcall/a.csv"])
def test_a_file_named_in_full_is_taken_whatever_its_name(tmp_path, name):
    make(tmp_path, name)
    assert names(tmp_path, name) == [name]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]),
        ("x/**", ["x/c.csv", "x/e.parquet", "x/y/d.csv"]),
        ("[bx]*", ["b.csv", "x/c.csv", "x/e.parquet", "x/y/d.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("_m*.csv", ["_meant.csv"]),
        ("*.tsv", []),
        ("none/*", []),
    ],
)
def test_a_glob_gives_the_files_and_folders_it_matches(tmp_path, pattern, wanted):
    make(tmp_path, "a.csv", "b.csv", "x/c.csv", "x/y/d.csv", "x/e.parquet", "_meant.csv", "a.txt")
    assert names(tmp_path, pattern) == wanted


def test_the_order_is_that_of_the_list_and_no_file_comes_twice(tmp_path):
    make(tmp_path, "a.csv", "b.csv", "c.csv")
    os.symlink(tmp_path / "a.csv", tmp_path / "link.csv")
    assert names(tmp_path, "c.csv", "*.csv", "") == ["c.csv", "a.csv", "b.csv"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    make(tmp_path, "set[1].csv", "set1.csv")
    assert names(tmp_path, "set[1].csv") == ["set[1].csv"]


def test_the_jobs_own_output_can_be_kept_out_of_its_input_folder(tmp_path):
    make(tmp_path, "a.csv", "out.parquet", "set/part-000000.parquet")
    assert names(tmp_path, "", exclude=(tmp_path / "out.parquet", tmp_path / "set")) == ["a.csv"]


def test_an_empty_folder_gives_nothing(tmp_path):
    assert names(tmp_path, "") == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("gone.csv", ["gone.csv", "no such file"], id="missing"),
        pytest.param("a.xlsx", ["a.xlsx", ".parquet"], id="unknown format"),
        pytest.param("*.xlsx", ["a.xlsx", ".parquet"], id="a glob of unknown format"),
        pytest.param("pipe.csv", ["pipe.csv", "pipes"], id="pipe"),
        pytest.param("", ["pipe.csv", "pipes"], id="pipe in a folder"),
        pytest.param("nowhere.csv", ["nowhere.csv", "link"], id="broken link"),
    ],
)
def test_what_cannot_be_input_is_named(tmp_path, path, words):
    make(tmp_path, "a.xlsx")
    os.mkfifo(tmp_path / "pipe.csv")
    os.symlink("void.csv", tmp_path / "nowhere.csv")
    if not path:
        (tmp_path / "nowhere.csv").unlink()
    with pytest.raises(SourceError) as caught:
        names(tmp_path, path)
    assert all(word in str(caught.value) for word in words)


def test_a_device_is_refused(tmp_path):
    os.symlink("/dev/zero", tmp_path / "a.csv")
    with pytest.raises(SourceError, match="devices"):
        names(tmp_path, "a.csv")


def test_a_name_with_control_characters_is_shown_escaped(tmp_path):
    with pytest.raises(SourceError) as caught:
        names(tmp_path, "a\x1b]0;x\n.csv")
    assert "\\x1b]0;x\\n.csv" in str(caught.value)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.csv")).write_text("a\n1\n")
    with pytest.raises(SourceError, match="not UTF-8"):
        names(tmp_path, "")
