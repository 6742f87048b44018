"""Links in the places of a job's files: never written through, whoever put them there."""

import os
from pathlib import Path

import pytest

from pipeline.checkpoint import progress_file, timeline_file
from pipeline.checkpoint.layout import make_folder, preflight
from pipeline.core.errors import DamagedError, OutputError, RowcallError
from tests.checkpoint.desk import Desk


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    (path := tmp_path / "precious").write_text("mine")
    return path


@pytest.mark.parametrize(
    "name", ["progress.json", "progress.json.tmp", "summary.json", "summary.json.tmp", "timeline.json", "ballast"]
)
def test_a_symlink_among_the_records_files_is_replaced(desk: Desk, precious: Path, name: str) -> None:
    make_folder(desk.layout)
    (desk.layout.folder / name).symlink_to(precious)
    preflight(desk.layout)
    progress_file.write(desk.layout, {"pid": 1})
    progress_file.write_summary(desk.layout, {"rows": 1})
    timeline_file.TimelineFile(desk.layout, 0).write([])
    desk.run()
    assert precious.read_text() == "mine"
    assert not (desk.layout.folder / name).is_symlink()


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_a_symlink_where_the_journal_or_its_log_goes_is_not_written_through(desk: Desk, precious: Path, name: str) -> None:
    make_folder(desk.layout)
    (desk.layout.folder / name).symlink_to(precious)
    with pytest.raises(RowcallError):
        desk.run()
    assert precious.read_text() == "mine"


def test_a_journal_with_a_second_name_is_refused_and_not_written(desk: Desk, tmp_path: Path) -> None:
    desk.run()
    os.link(desk.layout.journal, other := tmp_path / "backup.db")
    before = other.read_bytes()
    with pytest.raises(DamagedError, match="hard links"):
        desk.open()
    assert other.read_bytes() == before


@pytest.mark.parametrize("name", ["parts", "kept", "staged"])
def test_a_symlink_for_a_folder_of_the_record_is_refused(desk: Desk, tmp_path: Path, name: str) -> None:
    make_folder(desk.layout)
    (desk.layout.folder / name).rmdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (desk.layout.folder / name).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="symlink"):
        make_folder(desk.layout)
    assert list(elsewhere.iterdir()) == []


def test_another_name_of_the_output_keeps_its_content_when_the_output_is_made_anew(desk_of_file: Desk, tmp_path: Path) -> None:
    desk = desk_of_file
    desk.rows = 10
    desk.run()
    os.link(desk.layout.output, other := tmp_path / "other.parquet")
    before = other.read_bytes()
    desk.rows = 23
    desk.run()
    assert other.read_bytes() == before
    assert desk.table().num_rows == 23
