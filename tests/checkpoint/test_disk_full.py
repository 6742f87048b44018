"""A disk that is full or failing, anywhere but in the journal: nothing is lost or left over, and it may be tried again."""

import errno

import pytest

from pipeline.core.errors import StoppedError
from tests.checkpoint.desk import Desk

POINTS = [
    *("keep: written", "keep: synced", "keep: renamed", "seal: writing", "seal: written", "seal: synced", "seal: renamed"),
    *("publish: written", "publish: synced", "publish: announced", "publish: folder synced"),
]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "failing"])
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
