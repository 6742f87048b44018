"""Locations: what is one, its parts, and what cannot be one."""

import pytest

from pipeline.core.locations import Location, is_remote


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/a/b.parquet", "gs://bucket/%41?x#y", "abfss://box@account.dfs.core.windows.net/k", "s3://b/10.00\u202fAM.png"],
)
def test_a_location_is_taken_as_it_is_written(text: str) -> None:
    assert is_remote(text)
    assert str(Location.parse(text)) == text


def test_gcs_is_another_spelling_of_gs() -> None:
    assert Location.parse("GCS://b/k") == Location.parse("gs://b/k")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://host/file", "allowed"),
        ("s3:///key", "no bucket"),
        ("s3://key:secret@bucket/x", "no credentials"),
        ("s3://bucket:9000/x", "no bucket"),
        ("s3://bucket/a//b", "empty parts"),
        ("s3://bucket/a/../b", "empty parts"),
        ("s3://bucket/a\nb", "control characters"),
        ("data/x.csv", "no location"),
    ],
)
def test_what_cannot_be_a_location_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Location.parse(text)


def test_names_parents_and_folders() -> None:
    file = Location.parse("s3://b/out/x.parquet")
    assert (file.name, str(file.parent), str(file.with_name("y"))) == ("x.parquet", "s3://b/out/", "s3://b/out/y")
    assert str(Location.parse("s3://b/out") / "part") == "s3://b/out/part"
    assert str(Location.parse("s3://b") / "part") == "s3://b/part"
    assert file.store == "s3://b"


def test_a_prefix_ends_at_a_slash() -> None:
    folder = Location.parse("s3://b/out")
    assert Location.parse("s3://b/out/x").is_below(folder)
    assert folder.is_below(folder)
    assert not Location.parse("s3://b/output/x").is_below(folder)
    assert not Location.parse("s3://c/out/x").is_below(folder)
    assert Location.parse("s3://b/anything").is_below(Location.parse("s3://b"))
