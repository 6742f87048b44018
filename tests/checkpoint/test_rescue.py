"""Replies that arrived and could not be committed."""

import os
import sqlite3
import tempfile
from pathlib import Path

import orjson
import pytest

from pipeline.checkpoint import rescue
from pipeline.checkpoint.record import Record
from pipeline.core.errors import StoppedError
from pipeline.core.types import Part
from tests.checkpoint.desk import Desk, columns, failed, ok

PART = Part(0, 0, 10)


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def broken(desk: Desk) -> Record:
    """A record with two rows in it, whose next commit fails."""
    armed = False

    def step(point: str) -> None:
        if armed and point == "record: before the commit":
            raise sqlite3.OperationalError("disk I/O error")

    record = desk.open(step)
    record.open_part(PART, columns(PART))
    record.record([ok(0), ok(1)])
    armed = True
    return record


def test_replies_that_could_not_be_committed_are_taken_in_by_the_next_run(desk_of_file: Desk) -> None:
    record = broken(desk_of_file)
    with pytest.raises(StoppedError, match=r"disk I/O error.*replies saved in .*rescue-.*: 1"):
        record.record([ok(2, "paid \ud800 for")])
    with pytest.raises(StoppedError, match="saved"):
        record.record([ok(3), failed(4)])
    assert record.committed == 2
    record.close()
    (path,) = desk_of_file.layout.folder.glob("rescue-*")
    assert path.stat().st_mode & 0o777 == 0o600
    record = desk_of_file.open()
    assert record.rescued == 3
    assert list(record.outcomes(PART)) == [ok(0), ok(1), ok(2, "paid \ufffd for"), ok(3), failed(4)]
    assert record.missing(PART) == [range(5, 10)]
    assert not path.exists()
    record.close()


def test_a_folder_that_takes_nothing_is_passed_over(desk_of_file: Desk, tmp_path: Path) -> None:
    record = broken(desk_of_file)
    (desk_of_file.layout.folder / f"rescue-{os.getpid()}.jsonl").mkdir()
    (desk_of_file.folder / f"rescue-{record.book.id}-{os.getpid()}.jsonl").symlink_to("elsewhere")
    with pytest.raises(StoppedError, match=str(tmp_path / "tmp")):
        record.record([ok(2)])
    record.close()
    record = desk_of_file.open()
    assert record.rescued == 1
    assert list((tmp_path / "tmp").iterdir()) == []
    record.close()


def test_what_is_on_record_already_is_not_taken_in_again(desk_of_file: Desk) -> None:
    record = broken(desk_of_file)
    rescue.spill(desk_of_file.layout, record.book.id, [ok(1, "other"), ok(2), ok(99)])
    record.close()
    record = desk_of_file.open()
    assert record.rescued == 1
    assert list(record.outcomes(PART)) == [ok(0), ok(1), ok(2)]
    record.close()


def test_lines_that_prove_nothing_are_kept_aside_and_never_believed(desk_of_file: Desk) -> None:
    record = broken(desk_of_file)
    path = rescue.spill(desk_of_file.layout, record.book.id, [ok(2), ok(3), ok(4)])
    assert path is not None
    record.close()
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    foreign = orjson.dumps(orjson.loads(lines[2]) | {"record": "another"})
    path.write_bytes(
        b"\n".join([lines[0], lines[1].replace(b"answer", b"Answer"), foreign, b"[1]", b'{"row": "x"}', lines[2][:20]])
    )
    record = desk_of_file.open()
    assert record.rescued == 1
    assert record.missing(PART) == [range(3, 10)]
    record.close()
    assert [each.name for each in desk_of_file.layout.folder.glob("*.doubtful")] == [f"{path.name}.doubtful"]


def test_the_answer_to_a_retry_is_taken_in_as_its_new_outcome(desk_of_file: Desk) -> None:
    desk_of_file.answer = failed
    desk_of_file.run()
    record = desk_of_file.open()
    record.redo(None)
    rescue.spill(desk_of_file.layout, record.book.id, [ok(5)])
    record.close()
    record = desk_of_file.open()
    assert record.tally().ok == 1
    assert record.missing(PART) == [range(0, 5), range(6, 10)]
    record.close()


def test_a_machine_without_room_for_temporary_files_is_no_reason_to_stop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_usable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    desk.run()
    assert desk.table().num_rows == 23
