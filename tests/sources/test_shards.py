"""WebDataset shards as rows: grouped as webdataset groups them, indexed and never copied."""

import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import InputChangedError, SourceError
from pipeline.core.types import Slice
from pipeline.sources import CsvOptions, Index, ParquetSource, head, identify, list_files, same, schema_of, stage, staged_ok
from pipeline.sources.identity import Proof
from pipeline.sources.shards import MOST_COLUMNS, MOST_TEXT_BYTES, key_and_extension, scan
from tests.sources.archives import END, JPEG, header, member, write_tar

OPTIONS = CsvOptions()


def staged(folder, path):
    target = folder / f"{path.name}.parquet"
    stage(path, target, OPTIONS)
    return Index(target, path, folder)


def rows_of(*indexes):
    """Give the rows of shards with bytes where their cells lie in them."""
    names = schema_of(indexes).names
    source = ParquetSource(indexes, prompt_columns=names, kept_columns=names, read=read)
    return pa.Table.from_batches(list(source.columns(0, source.count()))).to_pylist() if source.count() else []


def read(cell, most_bytes):
    with open(cell.file, "rb") as file:
        return os.pread(file.fileno(), cell.size, cell.offset)


def refused(path):
    with pytest.raises(SourceError) as caught:
        scan(path)
        stage(path, path.with_suffix(".parquet"), OPTIONS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- what is a row


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("a.jpg", ("a", "jpg")),
        ("x/y/a.jpg", ("x/y/a", "jpg")),
        ("./a.jpg", ("./a", "jpg")),
        ("a.seg.PNG", ("a", "seg.png")),
        ("v1.2/a.jpg", ("v1.2/a", "jpg")),
        ("../../etc/passwd.txt", ("../../etc/passwd", "txt")),
        ("/etc/passwd.txt", ("/etc/passwd", "txt")),
        ("a", None),
        ("v1.2/a", None),
        ("a.", None),
        (".hidden", None),
        ("x/._a.jpg", None),
        ("__meta__", None),
        ("__meta__/a.json", None),
        ("__a.jpg", ("__a", "jpg")),
    ],
)
def test_a_name_is_split_at_the_first_dot_of_the_file(name, split):
    assert key_and_extension(name) == split


def test_a_sample_is_a_row_and_each_extension_a_column(tmp_path):
    members = [("a.jpg", JPEG), ("a.txt", b"one"), ("b.JPG", JPEG + b"b"), ("b.json", b'{"n": 1}'), ("c.cls", b"7")]
    index = staged(tmp_path, write_tar(tmp_path / "s.tar", members))
    schema = schema_of([index])
    assert {each.name: str(each.type) for each in schema} == {
        "__key__": "string",
        "jpg": "binary",
        "txt": "string",
        "json": "string",
        "cls": "string",
    }
    assert rows_of(index) == [
        {"__key__": "a", "jpg": JPEG, "txt": "one", "json": None, "cls": None},
        {"__key__": "b", "jpg": JPEG + b"b", "txt": None, "json": '{"n": 1}', "cls": None},
        {"__key__": "c", "jpg": None, "txt": None, "json": None, "cls": "7"},
    ]


NAMES = st.text("ab./_A", min_size=1, max_size=6).map(lambda text: text.strip("/") or "a.a")


@given(members=st.lists(st.tuples(NAMES, st.binary(max_size=5)), min_size=1, max_size=12, unique_by=lambda each: each[0]))
def test_rows_are_what_webdataset_gives(tmp_path_factory, members):
    tariterators = pytest.importorskip("webdataset.tariterators")
    folder = tmp_path_factory.mktemp("w")
    path = write_tar(folder / "s.tar", members)
    try:
        files = [each | {"__url__": ""} for each in tariterators.tar_file_iterator(io.BytesIO(path.read_bytes()))]
        # Passed over here: a hidden file's folder is no key, and an empty extension no column.
        files = [each for each in files if key_and_extension(each["fname"]) is not None]
        wanted = [{key: each for key, each in found.items() if key != "__url__"} for found in tariterators.group_by_keys(files)]
    except ValueError:  # the same extension twice
        wanted = None
    keys = [] if wanted is None else [each["__key__"] for each in wanted]
    if not keys or len(set(keys)) < len(keys):
        refused(path)
        return
    assert [{name: cell for name, cell in row.items() if cell is not None} for row in rows_of(staged(folder, path))] == wanted


def test_text_is_kept_as_written(tmp_path):
    words = " Über, 猫 \r\n\0\ufeff"
    index = staged(tmp_path, write_tar(tmp_path / "s.tar", [("a.front.json", words.encode()), ("a.caption", b"")]))
    assert rows_of(index) == [{"__key__": "a", "front.json": words, "caption": ""}]


def test_a_prompt_gets_the_place_in_the_shard(tmp_path):
    path = write_tar(tmp_path / "s.tar", [("a.jpg", JPEG), ("a.txt", b"x")])
    source = ParquetSource([staged(tmp_path, path)], prompt_columns=["jpg", "txt"], kept_columns=[])
    [[row]] = source.rows([range(1)])
    seen = path.stat()
    assert row.cells["jpg"] == Slice(str(path), 512, len(JPEG), stat=(seen.st_size, seen.st_mtime_ns, seen.st_ino))
    assert row.cells["txt"] == "x"


def test_pictures_are_not_copied(tmp_path):
    index = staged(tmp_path, write_tar(tmp_path / "s.tar", [(f"{number:03d}.jpg", os.urandom(5000)) for number in range(200)]))
    assert index.path.stat().st_size < 20_000 < index.original.stat().st_size


def test_shards_may_differ_in_what_their_samples_have(tmp_path):
    one = staged(tmp_path, write_tar(tmp_path / "1.tar", [("a.jpg", JPEG), ("a.txt", b"one")]))
    two = staged(tmp_path, write_tar(tmp_path / "2.tar", [("b.json", b"{}"), ("b.png", JPEG)]))
    three = staged(tmp_path, write_tar(tmp_path / "3.tar", [("c.txt", b"three")]))
    assert schema_of([one, two, three]).names == ["__key__", "jpg", "txt", "json", "png"]
    nothing = {"jpg": None, "txt": None, "json": None, "png": None}
    assert rows_of(one, two, three) == [
        nothing | {"__key__": "a", "jpg": JPEG, "txt": "one"},
        nothing | {"__key__": "b", "json": "{}", "png": JPEG},
        nothing | {"__key__": "c", "txt": "three"},
    ]


def test_columns_that_a_shard_lacks_altogether_are_null_in_its_rows(tmp_path):
    one = staged(tmp_path, write_tar(tmp_path / "1.tar", [("a.jpg", JPEG)]))
    two = staged(tmp_path, write_tar(tmp_path / "2.tar", [("b.txt", b"x"), ("c.txt", b"y")]))
    source = ParquetSource([one, two], prompt_columns=["jpg"], kept_columns=["jpg"], read=read)
    assert [row.cells["jpg"] is None for batch in source.rows([range(3)]) for row in batch] == [False, True, True]
    assert pa.Table.from_batches(list(source.columns(0, 3))).column("jpg").to_pylist() == [JPEG, None, None]


def test_other_files_beside_shards_still_need_the_same_columns(tmp_path):
    one = staged(tmp_path, write_tar(tmp_path / "1.tar", [("a.txt", b"x"), ("a.jpg", JPEG)]))
    pq.write_table(pa.table({"__key__": ["b"], "txt": ["y"]}), tmp_path / "2.parquet")
    with pytest.raises(SourceError, match=r"2\.parquet: has no column 'jpg', which .*1\.tar"):
        schema_of([one, tmp_path / "2.parquet"], names=[one.original, tmp_path / "2.parquet"])


# -- what is no shard


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("a.jpg", b""), ("a.JPG", b"")], "'a.JPG' stands there twice, whatever the case"),
        ([("a.__key__", b"")], "'a.__key__' stands there twice"),
        ([("README", b"x")], "holds no samples"),
        ([], "holds no samples"),
        ([("a.jpg", b""), ("b.jpg", b""), ("a.txt", b"x")], "the key 'a' comes again after other samples; .* --sort=name"),
        ([("a.txt", b"caf\xe9")], "'a.txt' is not UTF-8 at its byte 3; convert it"),
        ([("a.txt", b"x"), ("a.caption", b"\x1b\xff")], "'a.caption' is not UTF-8"),
        ([(f"photo.{number}.jpg", b"") for number in range(MOST_COLUMNS + 1)], "has more than 200 members"),
        ([(f"{number}.{number}.jpg", b"") for number in range(MOST_COLUMNS + 1)], "more than 200 different extensions, such as"),
    ],
)
def test_a_shard_that_is_not_what_it_should_be_says_so(tmp_path, members, why):
    path = write_tar(tmp_path / "s.tar", members)
    with pytest.raises(SourceError, match=why):
        scan(path)
        stage(path, tmp_path / "s.parquet", OPTIONS)
    assert not (tmp_path / "s.parquet").exists()


def test_a_text_too_long_is_not_read(tmp_path):
    path = tmp_path / "s.tar"
    with path.open("wb") as file:
        file.write(header(b"a.txt", MOST_TEXT_BYTES + 1))
        file.seek(MOST_TEXT_BYTES + 512, 1)
        file.write(END)
    assert "'a.txt' has 17 MB, more than a text may" in refused(path)


@pytest.mark.parametrize("name", ["s.tar.gz", "s.tgz", "s.TAR.ZST", "s.tar.xz"])
@pytest.mark.parametrize("asked", ["{}", "*", "."])
def test_a_compressed_shard_is_refused_with_the_way_on(tmp_path, name, asked):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=r"a compressed tar, .*unpack it to a \.tar first"):
        list_files(str(tmp_path / asked.format(name)))


# -- whether it is the same


def test_a_shard_is_the_same_under_another_name_and_time_and_not_with_other_headers(tmp_path):
    path = write_tar(tmp_path / "s.tar", [("a.jpg", JPEG)])
    known = identify(path)
    assert known.sha256 is None
    copy = tmp_path / "copy.tar"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(5, 5))
    assert same(known, copy)
    copy.write_bytes(path.read_bytes().replace(b"a.jpg", b"b.jpg"))
    assert not Proof(copy).proves(known)
    copy.write_bytes(write_tar(tmp_path / "other.tar", [("b.jpg", JPEG)]).read_bytes())
    assert not same(known, copy)


def test_an_index_holds_for_the_shard_it_was_made_of_wherever_that_lies(tmp_path):
    path = write_tar(tmp_path / "s.tar", [("a.jpg", JPEG)])
    index = staged(tmp_path, path)
    assert staged_ok(index.path, identify(path), OPTIONS)
    assert staged_ok(index.path, identify(path), CsvOptions(delimiter=";"))  # which says nothing of a tar
    moved = path.rename(tmp_path / "moved.tar")
    assert staged_ok(index.path, identify(moved), OPTIONS)
    assert rows_of(Index(index.path, moved, tmp_path)) == [{"__key__": "a", "jpg": JPEG}]
    write_tar(moved, [("b.jpg", JPEG)])
    assert not staged_ok(index.path, identify(moved), OPTIONS)


def test_a_shard_that_is_still_written_to_is_not_indexed(tmp_path):
    from pipeline.sources.identity import stat_of
    from pipeline.sources.shards import ShardFile
    from pipeline.sources.staging import write_staged

    path = write_tar(tmp_path / "s.tar", [("a.jpg", JPEG)])
    before, file = stat_of(path), ShardFile(path)
    path.write_bytes(path.read_bytes()[:-10240] + member(b"b.jpg", JPEG) + END)
    with pytest.raises((InputChangedError, SourceError)):
        write_staged(path, tmp_path / "s.parquet", OPTIONS, before, file)
    assert not (tmp_path / "s.parquet").exists()


# -- a look without staging


def test_a_look_shows_the_first_samples_and_counts_all(tmp_path):
    path = write_tar(tmp_path / "s.tar", [(f"{at:03d}.{kind}", b"x") for at in range(50) for kind in ("jpg", "txt")])
    seen = head([path], OPTIONS, rows=3)
    assert (seen.counted, seen.complete, len(seen.rows)) == (50, True, 3)
    assert [row.cells["__key__"] for row in seen.rows] == ["000", "001", "002"]
    assert read(seen.rows[2].cells["jpg"], 10) == b"x"
    assert os.listdir(tmp_path) == ["s.tar"]


def test_a_look_at_many_shards_reads_only_so_many_headers(tmp_path):
    paths = [
        write_tar(tmp_path / f"{number}.tar", [(f"{at}.{kind}", b"x") for at in range(50) for kind in ("jpg", "txt")])
        for number in range(3)
    ]
    seen = head(paths, OPTIONS, rows=60, most_bytes=120 * 512)
    assert not seen.complete
    assert 50 < seen.counted < 70
    assert [row.index for row in seen.rows] == list(range(len(seen.rows)))
    assert seen.schema.names == ["__key__", "jpg", "txt"]
