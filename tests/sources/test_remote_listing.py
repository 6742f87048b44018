"""What a location names in an object store: the same as a path would in a folder with the same files."""

from pathlib import Path

import pytest

from pipeline.core.errors import SourceError, StorageError
from pipeline.core.locations import Location
from pipeline.sources import find, list_files
from pipeline.storage import RemoteFile
from tests.storage.server import S3Server

pytestmark = pytest.mark.network

NAMES = (
    "in/a.parquet",
    "in/b.csv",
    "in/B.CSV",
    "in/notes.txt",
    "in/_SUCCESS",
    "in/_late.csv",
    "in/.hidden.csv",
    "in/ü 1.csv",
    "in/.git/x.csv",
    "in/_old/y.csv",
    "in/day=1/a.jsonl.gz",
    "in/day=1/part-2.csv",
    "in/day=1/part-10.csv",
    "in/day=2/deep/er/z.tsv",
    "in/day=2/part-1.csv",
    "in/set[1].csv",
    "in/set1.csv",
    "in/out.rowcall/parts/p.parquet",
    "in-other/c.csv",
)


@pytest.fixture
def tree(s3: S3Server, bucket: str, tmp_path: Path) -> tuple[str, Path]:
    """Give a bucket and a folder that hold the same."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
        s3.put(bucket, name, b"x")
    return bucket, tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "in",
        "in/",
        "in/b.csv",
        "in/*.csv",
        "in/*",
        "in/**",
        "in/**/*.csv",
        "in/**/part-*.csv",
        "in/day=*",
        "in/day=*/",
        "in/day=[12]/*.csv",
        "in/day=[!1]/**/*.tsv",
        "in/day=?/deep/**",
        "in/_*.csv",
        "in/_*/*.csv",
        "in/.h*.csv",
        "in/.git/*.csv",
        "in/set[1].csv",
        "in/set[12].csv",
        "in*/*.csv",
        "*",
        "**/deep/**/z.tsv",
        "in/*.none",
        "in/day=1/*/",
    ],
)
def test_a_location_names_what_a_path_does(tree: tuple[str, Path], path: str) -> None:
    bucket, folder = tree
    here = [each.relative_to(folder).as_posix() for each in list_files(f"{folder}/{path}") if isinstance(each, Path)]
    there = [each.location.key for each in list_files(f"s3://{bucket}/{path}") if isinstance(each, RemoteFile)]
    assert there == here


def test_a_list_keeps_its_order_local_or_not_and_names_each_object_once(tree: tuple[str, Path]) -> None:
    bucket, folder = tree
    root = f"s3://{bucket}"
    found = list_files([f"{root}/in/day=2/", f"{folder}/in/b.csv", f"{root}/in/b.csv", f"{root}/in/day=*/part-1*.csv"])
    assert [str(each).removeprefix(f"{root}/").removeprefix(f"{folder}/") for each in found] == [
        "in/day=2/deep/er/z.tsv",
        "in/day=2/part-1.csv",
        "in/b.csv",
        "in/b.csv",
        "in/day=1/part-10.csv",
    ]


def test_what_a_listing_saw_need_not_be_asked_again(tree: tuple[str, Path]) -> None:
    found = list_files(f"s3://{tree[0]}/in/")
    assert all(isinstance(each, RemoteFile) and each.seen is not None for each in found)


def test_a_jobs_own_output_is_not_its_input(tree: tuple[str, Path]) -> None:
    place = Location("s3", tree[0], "in/day=1")
    found = list_files(f"s3://{tree[0]}/in/day=*", exclude=[place])
    assert [each.name for each in found] == ["z.tsv", "part-1.csv"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("in/none.csv", "there is no such object"),
        ("none", "there is no such object"),
        ("in/notes.txt", "not a format that is read"),
        ("in/note*", "not a format that is read"),
        ("a//b", "empty parts"),
    ],
)
def test_what_is_named_must_be_there_and_of_a_known_format(tree: tuple[str, Path], path: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as error:
        list_files(f"s3://{tree[0]}/{path}")
    assert f"s3://{tree[0]}/" in str(error.value)


def test_a_prefix_without_anything_below_it_gives_nothing(bucket: str) -> None:
    assert list_files([f"s3://{bucket}/", f"s3://{bucket}/in/", f"s3://{bucket}/in/*.csv"]) == []


def test_tars_in_a_store_are_said_to_be_no_input(s3: S3Server, bucket: str) -> None:
    for name in ("photos/a.jpg", "shards/a.tar", "mixed/a.jpg", "mixed/list.csv", "packed/a.tar.gz"):
        s3.put(bucket, name, b"x")
    for name in ("shards/", "shards/a.tar"):
        with pytest.raises(SourceError, match="tars in an object store are not read yet"):
            list_files(f"s3://{bucket}/{name}")
    with pytest.raises(SourceError, match="a compressed tar"):
        list_files(f"s3://{bucket}/packed/")
    found = find(f"s3://{bucket}/mixed/")
    assert [each.name for each in found.tables] == ["list.csv"]
    assert "list.csv is read, and the pictures beside it are not input" in found.notices[0]


def test_a_bucket_that_is_not_there_is_no_empty_one(s3: S3Server) -> None:
    for path in ("in/", "in/a.csv", "in/*.csv", ""):
        with pytest.raises(StorageError, match="no such bucket"):
            list_files(f"s3://nobodys-bucket/{path}")


@pytest.mark.parametrize("key", ["in/a\tb.csv", "in/a\x1b[31m.csv"])
def test_a_table_under_a_key_with_control_characters_is_named_harmlessly_and_not_read(
    s3: S3Server, bucket: str, key: str
) -> None:
    s3.put(bucket, key, b"id\n1\n")
    with pytest.raises(SourceError, match="give the object another key") as error:
        list_files(f"s3://{bucket}/in/")
    assert str(error.value).isprintable()


def test_dots_in_keys_lead_nowhere(s3: S3Server, bucket: str) -> None:
    for key in ("in/./a.csv", "in/../a.csv", "in/b.csv"):
        s3.put(bucket, key, b"id\n1\n")
    assert [str(each) for each in list_files(f"s3://{bucket}/in/")] == [f"s3://{bucket}/in/b.csv"]
