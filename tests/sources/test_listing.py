"""What input.path names: a stable order, each file once, and nothing that is no data."""

import os

import pytest

from pipeline.core.errors import SourceError
from pipeline.sources import format_of, list_files


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b.csv",
        "a.parquet",
        "sub/c.jsonl.gz",
        "sub/a.tsv",
        ".hidden.csv",
        "notes.txt",
        "_manifest.json",
        "x.csv.rowcall/p.parquet",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(tree, *paths):
    return [str(path.relative_to(tree)) for path in list_files([str(tree / path) for path in paths])]


def test_a_folder_gives_its_data_files_by_name(tree):
    assert names(tree, "") == ["a.parquet", "b.csv", "sub/a.tsv", "sub/c.jsonl.gz"]


def test_a_glob_gives_what_matches_by_name(tree):
    assert names(tree, "*.csv") == ["b.csv"]
    assert names(tree, "**/*") == ["a.parquet", "b.csv", "sub/a.tsv", "sub/c.jsonl.gz"]


def test_a_list_keeps_its_order_and_names_each_file_once(tree):
    assert names(tree, "sub", "b.csv", "*", "sub/a.tsv") == ["sub/a.tsv", "sub/c.jsonl.gz", "b.csv", "a.parquet"]


def test_a_name_with_brackets_is_a_name_if_it_exists(tree):
    (tree / "set[1].csv").write_bytes(b"x")
    assert names(tree, "set[1].csv") == ["set[1].csv"]


def test_what_matches_nothing_is_an_empty_list_and_what_is_named_must_be_there(tree):
    assert names(tree, "*.none") == []
    with pytest.raises(SourceError, match=r"none\.csv"):
        names(tree, "none.csv")


@pytest.mark.parametrize("name", ["notes.txt", "pipe.csv"])
def test_what_is_no_input_is_refused_by_name(tree, name):
    os.mkfifo(tree / "pipe.csv")
    with pytest.raises(SourceError, match=name):
        names(tree, name)


def test_only_parquet_is_read_as_it_is(tree):
    assert [format_of(path) == "parquet" for path in list_files([str(tree)])] == [True, False, False, False]
