"""Which files are new, gone, moved or changed: no content joins a job twice."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources import Joined, KnownFile, identify, join, key_of


class Folder:
    """A job's input folder: what was there when its files joined, and what is there now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: list[KnownFile] = []

    def write(self, name: str, content: str) -> None:
        # A new inode each time, as an editor or a download makes it.
        (self.path / "new").write_text(content)
        os.replace(self.path / "new", self.path / name)

    def joined(self, *names: str) -> None:
        for name in names:
            self.known.append(KnownFile(len(self.known), name, 1, identify(self.path / name)))

    def join(self) -> Joined:
        found = sorted(self.path.iterdir())
        return join(self.known, [(key_of(each, self.path), each) for each in found])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write("a.csv", "a\n1\n")
    made.write("b.csv", "a\n2\n")
    made.joined("a.csv", "b.csv")
    return made


def moved(joined: Joined) -> list[tuple[str, str]]:
    return [(known.path, key) for known, key in joined.moved]


def test_nothing_new_is_nothing(folder):
    assert folder.join() == Joined()


def test_new_files_come_in_the_order_found(folder):
    folder.write("0.csv", "a\n3\n")
    folder.write("c.csv", "a\n4\n")
    joined = folder.join()
    assert [key for key, _ in joined.new] == ["0.csv", "c.csv"]
    assert (joined.vanished, joined.moved, joined.changed) == ((), (), ())


def test_a_file_that_went_is_vanished(folder):
    (folder.path / "a.csv").unlink()
    assert folder.join() == Joined(vanished=(folder.known[0],))


def test_a_file_with_other_content_is_changed_and_not_new(folder):
    folder.write("a.csv", "a\n9\n")
    assert folder.join() == Joined(changed=(folder.known[0],))


def test_a_renamed_file_is_the_same_one(folder):
    (folder.path / "a.csv").rename(folder.path / "z.csv")
    assert moved(folder.join()) == [("a.csv", "z.csv")]
    assert folder.join().new == ()


def test_a_folder_that_was_copied_elsewhere_is_not_paid_for_again(folder, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("a.csv", "b.csv"):
        (inner / name).write_bytes((tmp_path / name).read_bytes())
        (tmp_path / name).unlink()
    found = [(key_of(inner / name, tmp_path), inner / name) for name in ("a.csv", "b.csv")]
    joined = join(folder.known, found)
    assert moved(joined) == [("a.csv", "inner/a.csv"), ("b.csv", "inner/b.csv")]
    assert (joined.new, joined.vanished) == ((), ())


def test_a_rotated_file_is_one_move_and_one_new_file(folder):
    (folder.path / "a.csv").rename(folder.path / "a.1.csv")
    folder.write("a.csv", "a\n7\n")
    joined = folder.join()
    assert moved(joined) == [("a.csv", "a.1.csv")]
    assert [key for key, _ in joined.new] == ["a.csv"]
    assert joined.changed == ()


def test_two_files_that_swapped_names_are_two_moves(folder):
    (folder.path / "a.csv").rename(folder.path / "x")
    (folder.path / "b.csv").rename(folder.path / "a.csv")
    (folder.path / "x").rename(folder.path / "b.csv")
    joined = folder.join()
    assert moved(joined) == [("a.csv", "b.csv"), ("b.csv", "a.csv")]
    assert (joined.new, joined.changed, joined.vanished) == ((), (), ())


def test_a_copy_beside_the_original_is_a_new_file(folder):
    folder.write("copy.csv", "a\n1\n")
    assert [key for key, _ in folder.join().new] == ["copy.csv"]


def test_of_several_copies_the_renamed_original_is_the_one_that_moved(folder):
    folder.write("0.csv", "a\n1\n")
    (folder.path / "a.csv").rename(folder.path / "z.csv")
    joined = folder.join()
    assert moved(joined) == [("a.csv", "z.csv")]
    assert [key for key, _ in joined.new] == ["0.csv"]


@given(
    before=st.dictionaries(st.sampled_from("abcd"), st.sampled_from("1234"), max_size=4),
    after=st.dictionaries(st.sampled_from("abcd"), st.sampled_from("1234"), max_size=4),
)
def test_every_known_and_every_found_file_is_accounted_for_once(tmp_path_factory, before, after):
    folder = Folder(tmp_path_factory.mktemp("input"))
    for name, content in sorted(before.items()):
        folder.write(name, content)
    folder.joined(*sorted(before))
    for name in before:
        (folder.path / name).unlink()
    for name, content in after.items():
        folder.write(name, content)
    joined = folder.join()
    stayed = {name for name in before if before[name] == after.get(name)}
    known = [*stayed, *(k.path for k, _ in joined.moved), *(k.path for k in (*joined.vanished, *joined.changed))]
    found = [*stayed, *(key for _, key in joined.moved), *(k.path for k in joined.changed), *(key for key, _ in joined.new)]
    assert sorted(known) == sorted(before)
    assert sorted(found) == sorted(after)
    assert all(before[k.path] == after[key] for k, key in joined.moved)


def test_a_key_is_relative_to_the_anchor_so_that_both_may_move(tmp_path):
    assert key_of(tmp_path / "data" / "a.csv", tmp_path / "out") == "../data/a.csv"
