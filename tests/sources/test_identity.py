"""A file is known again by its content; names and times are hints."""

import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources import KnownFile, identify, join, sha256_of
from pipeline.sources.identity import FileIdentity, same


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": list(range(1000))}), path)
    return path


def touched(path):
    os.utime(path, ns=(1, 1))
    return path


def test_an_untouched_file_is_the_same_and_a_touched_one_is_by_its_content(parquet):
    known = identify(parquet)
    assert same(known, parquet)
    assert same(known, touched(parquet)), "the footer proves it"


def test_a_copy_is_the_same_and_other_content_is_not(parquet, tmp_path):
    known = identify(parquet)
    assert same(known, shutil.copy(parquet, tmp_path / "b.parquet"))
    pq.write_table(pa.table({"x": list(range(1, 1001))}), parquet)
    assert not same(known, parquet)


def test_equal_size_without_proof_counts_as_changed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    known = identify(path)
    bare = FileIdentity(known.size, known.mtime_ns, known.inode)
    assert same(bare, path)
    assert not same(bare, touched(path))
    assert same(known, path), "all its bytes are known"
    path.write_text("x\n2\n")
    assert not same(known, touched(path))


def test_the_hash_of_all_bytes_goes_before_the_footer(parquet):
    known = identify(parquet)
    whole = FileIdentity(known.size, known.mtime_ns, known.inode, "wrong", sha256_of(parquet))
    assert same(whole, touched(parquet))


def known(id_, path):
    return KnownFile(id_, path.name, 1, identify(path))


def test_joining_tells_new_vanished_moved_and_changed(tmp_path):
    for name in "abcd":
        (tmp_path / name).with_suffix(".csv").write_text(f"x\n{name}\n")
    a, b, c, d = (tmp_path / f"{name}.csv" for name in "abcd")
    before = [known(0, a), known(1, b), known(2, c)]
    a.unlink()
    b.rename(tmp_path / "z.csv")
    c.write_text("x\nother\n")
    found = [(path.name, path) for path in sorted(tmp_path.iterdir())]
    joined = join(before, found)
    assert [key for key, _ in joined.new] == ["d.csv"]
    assert [each.path for each in joined.vanished] == ["a.csv"]
    assert [(each.path, key) for each, key in joined.moved] == [("b.csv", "z.csv")]
    assert [each.path for each in joined.changed] == ["c.csv"]
    assert d.exists()


def test_two_files_of_the_same_content_are_two_files(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("x\n1\n")
    joined = join([], [(name, tmp_path / name) for name in ("a.csv", "b.csv")])
    assert len(joined.new) == 2
    one = join([known(0, tmp_path / "a.csv")], [(name, tmp_path / name) for name in ("a.csv", "b.csv")])
    assert [key for key, _ in one.new] == ["b.csv"]
