import os
from pathlib import Path

import pytest

from pipeline.checkpoint.layout import Layout, make_folder, preflight
from pipeline.core.errors import OutputError
from pipeline.core.locations import Location


def layout_in(folder: Path, name: str = "out.parquet", is_directory: bool = False, record: Path | None = None) -> Layout:
    return Layout.of(folder / name, is_directory=is_directory, folder=record)


def test_the_record_lies_beside_the_output_unless_told_otherwise(tmp_path: Path) -> None:
    assert layout_in(tmp_path).folder == tmp_path / "out.parquet.rowcall"
    assert layout_in(tmp_path, "out", True).folder == tmp_path / "out.rowcall"
    assert layout_in(tmp_path, record=tmp_path / "state").folder == tmp_path / "state"


def test_relative_paths_are_taken_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Layout.of(Path("a/../out.parquet"), is_directory=False).output == tmp_path / "out.parquet"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_the_record_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    layout = layout_in(tmp_path)
    before = os.umask(umask)
    try:
        make_folder(layout)
    finally:
        os.umask(before)
    for folder in (layout.folder, layout.parts, layout.kept, layout.staged):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_making_it_again_is_fine_and_tightens_its_mode(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    make_folder(layout)
    layout.lock.touch()
    layout.folder.chmod(0o755)
    make_folder(layout)
    assert layout.folder.stat().st_mode & 0o777 == 0o700


def test_missing_folders_above_the_output_are_made(tmp_path: Path) -> None:
    layout = layout_in(tmp_path / "a" / "b", record=tmp_path / "c" / "state")
    make_folder(layout)
    preflight(layout)
    assert layout.output.parent.is_dir()


def symlink(layout: Layout) -> None:
    real = layout.folder.with_name("real")
    real.mkdir(mode=0o700)
    layout.folder.symlink_to(real)


def a_file(layout: Layout) -> None:
    layout.folder.write_text("in the way")


def open_to_others(layout: Layout) -> None:
    layout.folder.mkdir()
    layout.folder.chmod(0o777)


def somebody_elses_files(layout: Layout) -> None:
    layout.folder.mkdir()
    (layout.folder / "thesis.doc").write_text("dear")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (symlink, "symlink"),
        (a_file, "in the way"),
        (open_to_others, "others may write"),
        (somebody_elses_files, "no rowcall record"),
    ],
)
def test_a_folder_that_is_not_safe_is_refused_and_not_touched(tmp_path: Path, before, said: str) -> None:
    layout = layout_in(tmp_path)
    before(layout)
    mode = layout.folder.stat().st_mode
    with pytest.raises(OutputError, match=said):
        make_folder(layout)
    assert layout.folder.stat().st_mode == mode


def test_a_probe_that_a_kill_left_behind_goes_with_the_next(tmp_path: Path) -> None:
    layout = layout_in(tmp_path / "out")
    make_folder(layout)
    left = [folder / f"{layout.probe}.tmp" for folder in (layout.folder, layout.output.parent)]
    for each in left:
        each.write_bytes(b"rowcall")
    preflight(layout)
    assert not any(each.exists() for each in left)


def test_preflight_leaves_nothing_behind(tmp_path: Path) -> None:
    layout = layout_in(tmp_path, "out", True)
    make_folder(layout)
    layout.output.mkdir()
    preflight(layout)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["kept", "out", "out.rowcall", "parts", "staged"]


def output_symlink(layout: Layout) -> None:
    layout.output.symlink_to(layout.output.with_name("elsewhere.parquet"))


def output_folder(layout: Layout) -> None:
    layout.output.mkdir()


def output_fifo(layout: Layout) -> None:
    os.mkfifo(layout.output)


@pytest.mark.parametrize(
    ("before", "said"), [(output_symlink, "symlink"), (output_folder, "not a regular file"), (output_fifo, "not a regular file")]
)
def test_an_output_that_cannot_be_replaced_is_refused_before_anything_is_sent(tmp_path: Path, before, said: str) -> None:
    layout = layout_in(tmp_path)
    make_folder(layout)
    before(layout)
    with pytest.raises(OutputError, match=said):
        preflight(layout)


def test_a_file_where_an_output_folder_should_be_is_refused(tmp_path: Path) -> None:
    layout = layout_in(tmp_path, "out", True)
    make_folder(layout)
    layout.output.write_text("x")
    with pytest.raises(OutputError, match="asks for a folder"):
        preflight(layout)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    layout = layout_in(tmp_path / "out", record=tmp_path / "state")
    make_folder(layout)
    layout.output.parent.mkdir(mode=0o500)
    with pytest.raises(OutputError, match=str(layout.output.parent)):
        preflight(layout)


def test_a_parent_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(OutputError, match="cannot be written to"):
        make_folder(layout_in(tmp_path / "a"))


def test_of_an_output_in_a_store_everything_local_lies_in_and_beside_the_record(tmp_path: Path) -> None:
    layout = Layout.of(Location("s3", "bucket", "deep/out/"), is_directory=True, folder=tmp_path / "record")
    assert str(layout.output) == "s3://bucket/deep/out"
    assert (layout.anchor, layout.outbox) == (tmp_path, tmp_path / "record" / "outbox")
    make_folder(layout)
    preflight(layout)
    assert layout.outbox.stat().st_mode & 0o777 == 0o700
    make_folder(layout)
    with pytest.raises(ValueError, match="has to lie on a local disk"):
        Layout.of(Location("s3", "bucket", "out.parquet"), is_directory=False)
