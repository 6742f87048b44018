"""Damage: nothing is begun anew, deleted or paid for again in silence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.record import open_record
from pipeline.checkpoint.repair import repair
from pipeline.core.errors import DamagedError
from pipeline.core.types import Part
from tests.checkpoint.desk import Crash, Desk, columns, failed, ok


def half_done(desk: Desk) -> None:
    """Two sealed parts, and an open one with two rows."""
    record = desk.open()
    desk.ask(record, upto=20)
    part = Part(2, 20, 23)
    record.open_part(part, columns(part))
    record.record([ok(20), ok(22)])
    progress_file.write(desk.layout, record.mark())
    record.close()


def a_part(desk: Desk) -> Path:
    return min(desk.layout.parts.iterdir())


def gone(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def zeros_at_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200] + bytes(200))


def one_bit(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 3] ^= 4
    path.write_bytes(body)


@pytest.mark.parametrize("harm", [gone, truncated, zeros_at_the_end, one_bit], ids=lambda each: each.__name__)
def test_a_harmed_part_is_named_with_the_rows_at_stake(desk_of_file: Desk, harm: Callable[[Path], None]) -> None:
    half_done(desk_of_file)
    name = a_part(desk_of_file).name
    harm(a_part(desk_of_file))
    with pytest.raises(DamagedError, match=rf"{name}.*rows 0 to 9"):
        desk_of_file.open()


def test_another_records_part_under_the_right_name_is_not_believed(desk_of_file: Desk, tmp_path: Path) -> None:
    half_done(desk_of_file)
    other = Desk(tmp_path / "other")
    other.folder.mkdir()
    half_done(other)
    a_part(desk_of_file).write_bytes(a_part(other).read_bytes())
    with pytest.raises(DamagedError):
        desk_of_file.open()


def test_a_copied_record_is_as_good_as_the_first(desk_of_file: Desk, tmp_path: Path) -> None:
    half_done(desk_of_file)
    moved = desk_of_file.moved_to(tmp_path / "elsewhere")
    moved.run()
    assert moved.table().num_rows == 23
    assert moved.asked.total() == 21


@pytest.mark.parametrize("harm", [gone, lambda path: path.write_bytes(b"")], ids=["gone", "empty"])
def test_a_lost_journal_beside_parts_is_never_begun_anew(desk_of_file: Desk, harm: Callable[[Path], object]) -> None:
    half_done(desk_of_file)
    harm(desk_of_file.layout.journal)
    for _ in range(2):
        with pytest.raises(DamagedError, match=r"journal is (gone|empty), although"):
            desk_of_file.open()
    assert len(list(desk_of_file.layout.parts.iterdir())) == 2


def test_a_lost_journal_of_a_job_without_parts_is_noticed_by_its_mark(desk_of_file: Desk) -> None:
    desk_of_file.run()
    record = desk_of_file.open()
    progress_file.write(desk_of_file.layout, record.mark())
    record.close()
    desk_of_file.layout.journal.unlink()
    with pytest.raises(DamagedError, match="journal is gone"):
        desk_of_file.open()


@pytest.mark.parametrize("left", ["log", "kept columns"])
def test_a_lost_journal_is_noticed_by_anything_it_left_behind(desk_of_file: Desk, tmp_path: Path, left: str) -> None:
    record = desk_of_file.open()
    part = Part(0, 0, 10)
    record.open_part(part, columns(part))
    record.record([ok(0)])
    killed = desk_of_file.moved_to(tmp_path / "killed")
    record.close()
    killed.layout.journal.unlink()
    if left == "log":
        next(killed.layout.kept.iterdir()).unlink()
    else:
        killed.layout.journal.with_name("journal.db-wal").unlink()
    with pytest.raises(DamagedError, match="journal is gone"):
        killed.open()


def test_a_journal_that_was_never_finished_is_begun_again(desk_of_file: Desk) -> None:
    def crash(point: str) -> None:
        if point == "create: database":
            raise Crash(point)

    with pytest.raises(Crash):
        desk_of_file.open(crash)
    desk_of_file.run()
    assert desk_of_file.table().num_rows == 23


def test_a_journal_that_is_no_database_is_left_as_it_is(desk_of_file: Desk) -> None:
    half_done(desk_of_file)
    desk_of_file.layout.journal.write_bytes(b"\0garbage" * 1000)
    with pytest.raises(DamagedError, match="not a database"):
        desk_of_file.open()
    assert desk_of_file.layout.journal.read_bytes() == b"\0garbage" * 1000


def test_commits_lost_with_the_log_are_noticed_counted_and_can_be_accepted(desk_of_file: Desk, tmp_path: Path) -> None:
    record = desk_of_file.open()
    part = Part(0, 0, 10)
    record.open_part(part, columns(part))
    record.close()
    record = desk_of_file.open()
    record.record([ok(1), ok(2)])
    record.record([ok(3)])
    progress_file.write(desk_of_file.layout, record.mark())
    killed = desk_of_file.moved_to(tmp_path / "killed")
    record.close()
    (killed.layout.folder / "journal.db-wal").unlink()
    with pytest.raises(DamagedError, match="3 recorded rows are missing"):
        killed.open()
    repair(killed.layout)
    killed.run()
    assert killed.table().num_rows == 23


def test_a_flip_in_the_log_loses_no_commit_unnoticed(desk_of_file: Desk, tmp_path: Path) -> None:
    record = desk_of_file.open()
    part = Part(0, 0, 10)
    record.open_part(part, columns(part))
    for row in range(10):
        record.record([ok(row)])
    progress_file.write(desk_of_file.layout, record.mark())
    length = (desk_of_file.layout.folder / "journal.db-wal").stat().st_size
    for number in range(25):
        harmed = desk_of_file.moved_to(tmp_path / f"harmed{number}")
        log = harmed.layout.folder / "journal.db-wal"
        body = bytearray(log.read_bytes())
        body[(2 * number + 1) * length // 50] ^= 1 << number % 8
        log.write_bytes(body)
        try:
            opened = harmed.open()
        except DamagedError:
            continue
        assert [each.row for each in opened.outcomes(part)] == list(range(10))
        opened.close()
    record.close()


def test_a_flip_in_the_journal_is_never_a_wrong_answer(desk_of_file: Desk, tmp_path: Path) -> None:
    half_done(desk_of_file)
    desk_of_file.moved_to(tmp_path / "whole").run()
    expected = Desk(tmp_path / "whole").table()
    length = desk_of_file.layout.journal.stat().st_size
    noticed = 0
    for number in range(40):
        harmed = desk_of_file.moved_to(tmp_path / f"harmed{number}")
        body = bytearray(harmed.layout.journal.read_bytes())
        body[(number * 7919 * 31) % length] ^= 1 << number % 8
        harmed.layout.journal.write_bytes(body)
        try:
            harmed.run()
        except DamagedError:
            noticed += 1
            continue
        assert harmed.table().equals(expected)
    assert noticed < 40


def orphan_of_a_seal(desk: Desk, upto: str) -> None:
    def crash(point: str) -> None:
        if point == upto:
            raise Crash(point)

    record = desk.open(crash)
    with pytest.raises(Crash):
        desk.ask(record, upto=10)
    record.close()


@pytest.mark.parametrize("upto", ["seal: writing", "seal: written", "seal: renamed", "seal: folder synced"])
def test_what_a_broken_off_seal_left_is_removed_and_sealed_anew(desk_of_file: Desk, upto: str) -> None:
    orphan_of_a_seal(desk_of_file, upto)
    (orphan,) = desk_of_file.layout.parts.iterdir()
    record = desk_of_file.open()
    assert not orphan.exists()
    desk_of_file.finish(record)
    record.close()
    assert desk_of_file.asked.total() == 23


def test_what_a_kill_left_of_the_jobs_file_is_removed(desk_of_file: Desk) -> None:
    desk_of_file.run()
    left = desk_of_file.layout.folder / "job.json.tmp"
    left.write_bytes(b"torn")
    desk_of_file.open().close()
    assert not left.exists()


def test_an_orphan_that_holds_more_than_the_journal_is_never_removed(desk_of_file: Desk, tmp_path: Path) -> None:
    record = desk_of_file.open()
    part = Part(0, 0, 10)
    record.open_part(part, columns(part))
    before = desk_of_file.moved_to(tmp_path / "before")
    desk_of_file.ask(record, upto=10)
    record.close()
    (orphan,) = desk_of_file.layout.parts.iterdir()
    saved = before.layout.parts / orphan.name
    saved.write_bytes(orphan.read_bytes())
    with pytest.raises(DamagedError, match="no record of"):
        before.open()
    assert saved.exists()


def test_an_orphan_with_a_retrys_answers_is_never_removed_either(desk_of_file: Desk, tmp_path: Path) -> None:
    desk_of_file.answer = failed
    desk_of_file.run()
    before = desk_of_file.moved_to(tmp_path / "before")
    desk_of_file.answer = ok
    record = desk_of_file.open()
    record.redo(None)
    desk_of_file.ask(record)
    record.close()
    for orphan in desk_of_file.layout.parts.iterdir():
        (before.layout.parts / orphan.name).write_bytes(orphan.read_bytes())
    with pytest.raises(DamagedError, match="no record of"):
        before.open()


def test_a_reader_changes_nothing_on_disk(desk_of_file: Desk) -> None:
    orphan_of_a_seal(desk_of_file, "seal: renamed")

    def snapshot() -> dict[str, bytes]:
        return {str(each): each.read_bytes() for each in desk_of_file.folder.rglob("*") if each.is_file()}

    before = snapshot()
    record = open_record(desk_of_file.layout, create=False, read_only=True)
    assert record.tally().done == 10
    record.close()
    assert snapshot() == before
