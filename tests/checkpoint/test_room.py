"""How much must be free, and what happens in the moment when nothing is."""

import os
from pathlib import Path

import pytest

from pipeline.checkpoint import ballast
from pipeline.checkpoint.layout import make_folder, preflight
from pipeline.checkpoint.record import Record
from pipeline.checkpoint.room import LEAST_BYTES, REPLY_BYTES, Room
from pipeline.core.errors import FullError, StoppedError
from pipeline.core.parts import plan
from tests.checkpoint.desk import Desk, columns, ok
from tests.small_disk import SmallDisk, small_disk

MB = 1 << 20


def room_of(record: Record, concurrency: int = 8, least: int | None = None) -> Room:
    return Room(record, concurrency=concurrency, least=least)


def test_what_has_to_be_free_is_said_with_the_folder_and_the_key_that_rules_it(desk: Desk) -> None:
    record = desk.open()
    why = room_of(record, least=1 << 60).lacking()
    assert why is not None
    assert why.startswith(f"{desk.layout.folder}: ")
    assert f"{1 << 40} MB are needed (see checkpoint.min_free_megabytes)" in why
    assert room_of(record, least=0).lacking() is None
    record.close()


def test_a_run_does_not_begin_with_too_little(desk: Desk) -> None:
    record = desk.open()
    with pytest.raises(FullError, match="are needed"):
        room_of(record, least=1 << 60).prepare()
    assert not desk.layout.ballast.exists()
    record.close()


def test_requests_in_flight_are_counted_in(desk: Desk) -> None:
    record = desk.open()
    many = 1 << 40
    why = room_of(record, concurrency=many, least=0).lacking()
    assert why is not None
    assert int(why.split(" MB are needed")[0].split(", ")[-1]) >= 2 * many * REPLY_BYTES >> 20
    record.close()


def test_a_small_disk_needs_less_to_be_free(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=100m") as disk:
        assert disk.free < LEAST_BYTES
        record = Desk(disk.path / "job").make().open()
        assert room_of(record).lacking() is None
        disk.fill(leave=4 * MB)
        why = room_of(record).lacking()
        assert why is not None
        assert "4 MB are free, 5 MB are needed" in why
        record.close()


def test_a_disk_without_room_for_more_files_is_named_as_that(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=64m,nr_inodes=40") as disk:
        record = Desk(disk.path / "job").make().open()
        assert room_of(record).lacking() is None
        for number in range(20):
            (disk.path / str(number)).touch()
        assert "more files (inodes)" in str(room_of(record).lacking())
        record.close()


def test_the_outputs_own_disk_is_looked_at_too(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        desk = Desk(disk.path, record=tmp_path / "record")
        record = desk.open()
        assert room_of(record).lacking() is None
        disk.fill()
        assert str(room_of(record).lacking()).startswith(f"{disk.path}: 0 MB are free")
        record.close()


def test_the_ballast_is_really_allocated_private_and_gone_at_the_end(desk: Desk) -> None:
    record = desk.open()
    room_of(record, least=0).prepare()
    seen = desk.layout.ballast.stat()
    assert (seen.st_size, seen.st_mode & 0o777) == (ballast.BYTES, 0o600)
    assert seen.st_blocks * 512 >= ballast.BYTES
    record.close()
    assert not desk.layout.ballast.exists()


def test_a_ballast_left_by_a_killed_run_is_removed_before_the_disk_is_looked_at(desk: Desk) -> None:
    make_folder(desk.layout)
    desk.layout.ballast.write_bytes(b"x")
    preflight(desk.layout)
    assert not desk.layout.ballast.exists()


def test_a_symlink_in_the_ballasts_place_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (precious := tmp_path / "precious").write_text("mine")
    record = desk.open()
    desk.layout.ballast.symlink_to(precious)
    room_of(record, least=0).prepare()
    assert not desk.layout.ballast.is_symlink()
    record.close()
    assert precious.read_text() == "mine"


@pytest.fixture
def full(tmp_path: Path):
    """A job on a small disk, about to be filled."""
    with small_disk(tmp_path / "disk", "size=100m") as disk:
        yield disk, Desk(disk.path / "job", rows=400, part_rows=400).make()


def opened(desk: Desk) -> Record:
    record = desk.open()
    [part] = plan(0, desk.rows, desk.part_rows, next_id=0)
    record.open_part(part, columns(part))
    return record


def long(row: int):
    return ok(row, f"answer {row} " + os.urandom(20_000).hex())


def test_on_a_full_disk_replies_in_hand_are_recorded_in_the_ballasts_room(full: tuple[SmallDisk, Desk]) -> None:
    disk, desk = full
    record = opened(desk)
    room = room_of(record)
    room.prepare()
    disk.fill()
    for row in range(0, 40, 8):
        record.record([long(row + each) for each in range(8)])
    assert not desk.layout.ballast.exists()
    assert "MB are free, 37 MB are needed" in str(room.lacking())
    disk.relieve()
    assert room.lacking() is None
    assert desk.layout.ballast.stat().st_size == ballast.BYTES, "it is taken aboard again once there is room"
    record.close()
    again = desk.open()
    assert (again.rescued, again.tally().ok) == (0, 40)
    again.close()


def test_once_the_ballast_is_spent_room_lacks_until_it_can_be_made_again(full: tuple[SmallDisk, Desk]) -> None:
    disk, desk = full
    record = opened(desk)
    room = room_of(record)
    room.prepare()
    record.ballast.give_up()
    disk.fill(leave=20 * MB)  # above the floor, and less than the ballast
    assert "20 MB are free, 37 MB are needed" in str(room.lacking())
    disk.relieve()
    assert room.lacking() is None
    record.close()


def test_past_the_ballast_replies_are_saved_wherever_there_is_room(
    full: tuple[SmallDisk, Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, desk = full
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    record = opened(desk)
    disk.fill()
    with pytest.raises(StoppedError, match=r"replies saved in .*, which the next run takes in: 8"):
        record.record([long(row) for row in range(8)])
    disk.relieve()
    record.record([long(row) for row in range(8, 16)])  # a full disk breaks nothing
    record.close()
    again = desk.open()
    assert (again.rescued, again.tally().ok) == (8, 16)
    again.close()
