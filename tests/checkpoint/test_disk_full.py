"""A disk that is full or failing, anywhere but in the journal: nothing is lost or left over, and it may be tried again."""

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import StoppedError
from pipeline.core.types import Outcome
from tests.checkpoint.desk import Desk, ok
from tests.small_disk import small_disk

POINTS = [
    *("keep: written", "keep: synced", "keep: renamed", "seal: writing", "seal: written", "seal: synced", "seal: renamed"),
    *("publish: written", "publish: synced", "publish: announced", "publish: folder synced"),
]


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS], ids=["full", "over quota", "failing", "read-only"]
)
@pytest.mark.parametrize("at", POINTS)
def test_the_run_stops_with_every_row_safe_and_the_same_command_finishes_it(desk: Desk, at: str, code: int) -> None:
    def full(point: str) -> None:
        if point == at:
            raise OSError(code, "no room")

    record = desk.open(full)
    with pytest.raises(StoppedError, match="no room") as caught:
        desk.finish(record)
    assert "\n" not in str(caught.value)
    record.close()
    if at != "seal: renamed" and not at.startswith(("keep: renamed", "publish: announced", "publish: folder")):
        assert list(desk.folder.rglob("*.tmp")) == []
    desk.run()
    assert desk.table().num_rows == 23
    assert set(desk.asked.values()) == {1}


def test_a_run_may_go_on_once_there_is_room_again(desk: Desk) -> None:
    refuse = {"seal: writing": 1, "publish: written": 1}

    def full(point: str) -> None:
        if refuse.get(point):
            refuse[point] -= 1
            raise OSError(errno.ENOSPC, "no room")

    record = desk.open(full)
    for _ in range(2):
        with pytest.raises(StoppedError):
            desk.finish(record)
    desk.finish(record)
    record.close()
    assert desk.table().num_rows == 23
    assert set(desk.asked.values()) == {1}


@pytest.mark.parametrize("at", ["keep: committed", "record: committed", "seal: writing", "publish: carried"])
def test_a_disk_that_is_really_full_from_some_point_on(tmp_path: Path, at: str) -> None:
    """Nothing is simulated but the moment: set-aside, journal, seal and publish meet a disk without a free byte."""
    with small_disk(tmp_path / "disk", "size=8m") as disk:
        desk = Desk(disk.path / "job", rows=60, part_rows=30, answer=long).make()

        def fill(point: str) -> None:
            if point == at:
                disk.fill()

        record = desk.open(fill)
        with pytest.raises(StoppedError) as caught:
            desk.finish(record)
        assert "\n" not in str(caught.value)
        record.close()
        disk.relieve()
        again = desk.open()
        desk.finish(again)
        again.close()
        assert desk.table().num_rows == 60
        assert set(desk.asked.values()) == {1}


def long(row: int) -> Outcome:
    return ok(row, random.Random(row).randbytes(8000).hex())


@pytest.mark.parametrize("name", ["kept-000000", "part-000000"])
def test_a_file_that_cannot_be_removed_stops_the_run_and_goes_with_the_next(
    desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def refuse(path: Path, **how: Any) -> None:
        if name in str(path) and not str(path).endswith(".tmp"):
            raise OSError(errno.EIO, "broken", str(path))
        unlink(path, **how)

    record = desk.open()
    with monkeypatch.context() as broken:
        broken.setattr(os, "unlink", refuse)
        with pytest.raises(StoppedError, match=rf"{name}\S*: cannot be removed \(broken\); what is recorded is intact"):
            desk.finish(record)
    record.close()
    desk.run()
    assert desk.table().num_rows == 23
    assert set(desk.asked.values()) == {1}
