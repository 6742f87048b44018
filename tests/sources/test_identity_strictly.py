"""What counts as proof that a file is the one that joined."""

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import SourceError
from pipeline.sources import identify, same, sha256_of

DAY = 86_400


def parquet(path: Path, values: list[int]) -> Path:
    pq.write_table(pa.table({"a": values}), path)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def aged(path: Path) -> Path:
    os.utime(path, (DAY, DAY))
    return path


def copied(path: Path) -> Path:
    """Put the same bytes in a new inode with a new time."""
    data = path.read_bytes()
    other = path.with_name("copy")
    other.write_bytes(data)
    aged(other)
    os.replace(other, path)
    return path


def test_a_parquet_file_has_a_footer_and_a_text_file_a_hash(tmp_path):
    found = identify(parquet(tmp_path / "a.parquet", [1]))
    assert found.footer is not None and found.sha256 is None
    found = identify(text(tmp_path / "a.csv", "a\n1\n"))
    assert found.footer is None and found.sha256 == sha256_of(tmp_path / "a.csv")


def test_an_untouched_file_is_the_same_without_reading_it(tmp_path):
    path = text(tmp_path / "a.csv", "a\n1\n")
    assert same(replace(identify(path), sha256="not looked at"), path)


@pytest.mark.parametrize("change", [aged, copied])
def test_a_touched_or_copied_file_is_proved_by_its_content(tmp_path, change):
    csv, table = text(tmp_path / "a.csv", "a\n1\n"), parquet(tmp_path / "a.parquet", [1])
    before = [identify(csv), identify(table), replace(identify(table), sha256=sha256_of(table))]
    assert [same(old, change(path)) for old, path in zip(before, [csv, table, table], strict=True)] == [True] * 3


def test_without_proof_a_file_is_not_the_same(tmp_path):
    path = text(tmp_path / "a.csv", "a\n1\n")
    old = replace(identify(path), sha256=None)
    assert not same(old, aged(path))


@pytest.mark.parametrize("content", ["a\n2\n", "a\n1\n1\n", ""])
def test_other_content_is_another_file(tmp_path, content):
    path = text(tmp_path / "a.csv", "a\n1\n")
    old = identify(path)
    assert not same(old, aged(text(path, content)))


def test_other_parquet_content_is_another_file(tmp_path):
    path = parquet(tmp_path / "a.parquet", [1, 2, 3])
    old = identify(path)
    assert not same(old, aged(parquet(path, [1, 2, 4])))
    assert not same(old, aged(text(path, "x" * old.size)))


def test_equal_footers_do_not_outweigh_other_bytes(tmp_path):
    path = parquet(tmp_path / "a.parquet", [1, 2, 3])
    old = replace(identify(path), sha256=sha256_of(path))
    data = bytearray(path.read_bytes())
    data[6] ^= 1
    path.write_bytes(data)
    assert not same(old, aged(path))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("a.csv", b"", "zero bytes", id="empty text"),
        pytest.param("a.parquet", b"", "zero bytes", id="empty Parquet"),
        pytest.param("a.parquet", b"PAR1", "not a whole Parquet file", id="only the magic"),
        pytest.param("a.parquet", b"PAR1" + b"x" * 50, "not a whole Parquet file", id="no end"),
        pytest.param("a.parquet", b"PAR1\xff\xff\xff\x7fPAR1", "not a whole Parquet file", id="footer longer than the file"),
        pytest.param("a.parquet", b"PARE\x01\x00\x00\x00PARE", "encrypted", id="encrypted"),
        pytest.param("a.parquet", b"a,b\n1,2\n", "not a whole Parquet file", id="CSV"),
    ],
)
def test_what_cannot_be_identified_is_named(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        identify(path)
    assert name in str(caught.value)


def test_every_truncation_of_a_parquet_file_is_noticed(tmp_path):
    path = parquet(tmp_path / "a.parquet", list(range(50)))
    data = path.read_bytes()
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(SourceError, match=r"a\.parquet"):
            identify(path)
