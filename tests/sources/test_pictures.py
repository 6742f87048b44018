"""Pictures as input: which names are taken for them, in what order, and what is passed over."""

import os
import socket
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import SourceError
from pipeline.sources import find
from pipeline.sources.album import compare, joined_albums, places_of, read_album, resize_album, write_album
from pipeline.sources.pictures import is_picture


def put(folder: Path, *names: str, data: bytes = b"x") -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return put(tmp_path / "photos", "b.JPG", "a.png", "sub/deep/c.webp", "sub/a.tiff", ".hidden.jpg", "_made/d.jpg", "notes.txt")


def found(tree: Path, *paths: str) -> list[tuple[str, list[str]]]:
    """Give each folder of pictures, and the names in it."""
    it = find([str(tree / path) for path in paths])
    assert it.tables == ()
    return [(each.root.relative_to(tree).as_posix(), each.names.to_pylist()) for each in it.pictures]


ALL = ["a.png", "b.JPG", "sub/a.tiff", "sub/deep/c.webp"]


@pytest.mark.parametrize(
    ("pattern", "root", "wanted"),
    [
        pytest.param("", ".", ALL, id="folder"),
        pytest.param("**", ".", ALL, id="everything below, named twice"),
        pytest.param("**/*", ".", ALL, id="everything below, folders matched too"),
        pytest.param("*.png", ".", ["a.png"], id="glob"),
        pytest.param("*/*.tiff", ".", ["sub/a.tiff"], id="glob over folders"),
        pytest.param("sub/*", "sub", ["a.tiff", "deep/c.webp"], id="a folder that a glob matches is searched"),
        pytest.param("sub/a.tiff", "sub", ["a.tiff"], id="one file"),
        pytest.param("_made/*", "_made", ["d.jpg"], id="a folder that is named itself is meant"),
    ],
)
def test_a_path_names_pictures_by_their_place_below_its_fixed_part(tree, pattern, root, wanted):
    assert found(tree, pattern) == [(root, wanted)]


def test_a_picture_named_twice_is_one(tree):
    assert found(tree, "sub", "", "**/*.png") == [
        ("sub", ["a.tiff", "deep/c.webp"]),
        (".", ["a.png", "b.JPG"]),
    ]
    assert found(tree, "", "sub", "sub/deep/../a.tiff") == [(".", ALL)]


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif"])
def test_a_picture_is_known_by_its_suffix_in_any_case(suffix):
    assert is_picture(f"a.{suffix}")
    assert is_picture(f"a.b.{suffix.upper()}")


@pytest.mark.parametrize("name", ["jpg", ".jpg", "a.svg", "a.jpg.txt", "a.pdf", "a.", ""])
def test_other_names_are_none(name):
    assert not is_picture(name)


def test_tables_beside_pictures_are_meant_and_it_is_said(tree):
    put(tree, "sub/metadata.csv")
    it = find(str(tree))
    assert [each.name for each in it.tables] == ["metadata.csv"]
    assert it.pictures == ()
    assert len(it.notices) == 1
    assert "metadata.csv is read" in it.notices[0]
    by_glob = find(str(tree / "*.png"))
    assert (by_glob.tables, by_glob.notices) == ((), ())


def test_the_jobs_own_output_beside_the_pictures_is_no_table_that_is_meant(tree):
    put(tree, "out.parquet")
    it = find(str(tree), exclude=[tree / "out.parquet"])
    assert (it.tables, it.notices) == ((), ())
    assert [each.names.to_pylist() for each in it.pictures] == [ALL]


def test_pictures_and_tables_named_side_by_side_are_refused(tree):
    put(tree.parent, "rows.csv")
    with pytest.raises(SourceError, match=r"rows\.csv is a table and .*photos holds pictures"):
        find([str(tree), str(tree.parent / "rows.csv")])


def test_an_empty_folder_gives_nothing(tmp_path):
    assert not find(str(tmp_path))


def test_a_picture_that_is_named_must_be_there(tree):
    with pytest.raises(SourceError, match="there is no such file"):
        find(str(tree / "absent.jpg"))


def test_what_is_no_file_is_passed_over_and_a_link_is_a_row(tree, monkeypatch):
    os.mkfifo(tree / "pipe.jpg")
    put(tree, "folder.jpg/inner.jpg")
    (tree / "linked.jpg").symlink_to("sub")
    (tree / "out.jpg").symlink_to("/dev/zero")
    (tree / "nowhere.jpg").symlink_to("absent")
    (tree / "circle.jpg").symlink_to("circle.jpg")
    monkeypatch.chdir(tree)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")
        it = find(str(tree))
    names = it.pictures[0].names.to_pylist()
    assert names == sorted([*ALL, "circle.jpg", "folder.jpg/inner.jpg", "nowhere.jpg", "out.jpg"])
    assert len(it.notices) == 1
    assert "3 names end like a picture's and are no files" in it.notices[0]


def test_a_name_that_is_no_text_is_passed_over_and_shown_harmlessly(tree):
    Path(os.fsdecode(os.fsencode(tree) + b"/caf\xe9\x1b.jpg")).write_bytes(b"x")
    it = find(str(tree))
    assert it.pictures[0].names.to_pylist() == ALL
    assert len(it.notices) == 1
    assert "not UTF-8" in it.notices[0]
    assert it.notices[0].isprintable()


def test_names_come_as_they_are_whatever_they_hold(tree):
    strange = ["new\nline.jpg", "esc\x1b[31m.jpg", "bidi\u202egpj.jpg", "a b'\".jpg"]
    put(tree / "strange", *strange)
    assert found(tree, "strange") == [("strange", sorted(strange))]


# Albums: what a job remembers of its pictures


def joined(folder: Path, anchor: Path, target: Path):
    write_album(find(str(folder)).pictures, target, anchor)
    return read_album(target)


def test_an_album_gives_back_what_joined(tree, tmp_path):
    album = joined(tree, tmp_path, tmp_path / "staged" / "album.parquet")
    assert album.paths.to_pylist() == [f"photos/{name}" for name in ALL]
    assert album.sizes.to_pylist() == [1] * 4
    assert album.folders == (("photos", 4),)


def test_only_new_pictures_are_new_however_they_are_named(tree, tmp_path):
    album = joined(tree, tmp_path, tmp_path / "album.parquet")
    put(tree, "sub/new.jpg")
    for path in (tree, tree / "**", tree / "sub"):
        seen = compare(album, find(str(path)).pictures, tmp_path)
        assert [each.names.to_pylist()[-1].rpartition("/")[2] for each in seen.new] == ["new.jpg"]
        assert sum(map(len, seen.new)) == 1


def test_what_is_gone_and_what_changed_is_told_apart(tree, tmp_path):
    album = joined(tree, tmp_path, tmp_path / "album.parquet")
    (tree / "a.png").unlink()
    (tree / "b.JPG").write_bytes(b"longer")
    seen = compare(album, find(str(tree)).pictures, tmp_path)
    assert (seen.gone, places_of(seen.changed), seen.sizes.to_pylist(), seen.new) == (1, [1], [None, 6, 1, 1], ())


def test_a_moved_project_and_a_touched_picture_are_the_same(tree, tmp_path):
    album = joined(tree, tmp_path, tmp_path / "album.parquet")
    os.utime(tree / "a.png", (1, 1))
    (tmp_path / "moved").mkdir()
    tree.rename(tmp_path / "moved" / "photos")
    seen = compare(album, find(str(tmp_path / "moved" / "photos")).pictures, tmp_path / "moved")
    assert (seen.gone, seen.changed.true_count, seen.new) == (0, 0, ())


def test_two_folders_in_one_album_keep_their_roots(tree, tmp_path):
    put(tmp_path / "more", "a.png")
    write_album(find([str(tree), str(tmp_path / "more"), str(tmp_path / "*.jpg")]).pictures, tmp_path / "album.parquet", tmp_path)
    album = read_album(tmp_path / "album.parquet")
    assert album.folders == (("photos", 4), ("more", 1))
    assert album.paths.to_pylist()[-1] == "more/a.png"
    assert album.prefixes == {"photos": "photos", "more": "more"}


def test_sizes_taken_over_stand_in_the_album(tree, tmp_path):
    target = tmp_path / "album.parquet"
    put(tmp_path / "more", "a.png")
    write_album(find([str(tree), str(tmp_path / "more")]).pictures, target, tmp_path)
    album, called = read_album(target), pq.read_table(target, columns=["path"])
    (tree / "b.JPG").write_bytes(b"longer")
    (tree / "a.png").unlink()
    resize_album(target, compare(album, find([str(tree), str(tmp_path / "more")]).pictures, tmp_path).sizes)
    assert pq.read_table(target, columns=["path"]) == called
    after = read_album(target)
    assert after.sizes.to_pylist() == [1, 6, 1, 1, 1]
    assert (after.paths, after.folders, after.prefixes) == (album.paths, album.folders, album.prefixes)


def test_no_albums_are_an_empty_one(tree, tmp_path):
    nothing = joined_albums([])
    seen = compare(nothing, find(str(tree)).pictures, tmp_path)
    assert (seen.gone, sum(map(len, seen.new))) == (0, 4)
