"""A crash at every step of a job whose output lies in an object store: the next run finishes it and asks nothing again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkpoint.desk import Crash, Desk, crash_at
from tests.checkpoint.remote import RemoteDesk
from tests.checkpoint.test_crash_points import STORIES, first_or_last, plain
from tests.storage.server import S3Server

pytestmark = pytest.mark.network


@pytest.fixture(params=[False, True], ids=["file", "folder"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server, bucket: str) -> RemoteDesk:
    (tmp_path / "job").mkdir()
    return RemoteDesk(tmp_path / "job", request.param, s3=s3, bucket=bucket)


FIRST, *LATER = STORIES


@pytest.mark.parametrize("last", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["for the first time", "for the last"])
@pytest.mark.parametrize(
    ("prepare", "act"),
    [pytest.param(*STORIES[FIRST], id=FIRST), *(pytest.param(*STORIES[each], id=each, marks=pytest.mark.slow) for each in LATER)],
)
def test_after_a_crash_at_any_step_of_publishing_the_same_command_finishes_it_and_asks_nothing(
    desk: RemoteDesk,
    tmp_path: Path,
    prepare: Callable[[Desk], None],
    act: Callable[[Desk, Callable[[str], None]], None],
    last: bool,
) -> None:
    prepare(desk)
    undisturbed = desk.moved_to(tmp_path / "undisturbed")
    steps, points = crash_at(0)
    before = desk.asked.total()
    act(undisturbed, steps)
    expected, once = undisturbed.table(), undisturbed.asked.total() - before
    assert {"publish: written", "publish: announced", "publish: put", "publish: marked", "publish: outbox cleared"} <= {*points}
    assert ("publish: manifest" in points) is desk.is_directory
    chosen = [each for each in first_or_last(points, last=last) if each[1].startswith(("publish", "seal: committed"))]
    assert chosen or last, "more rows for a folder come in one part, and each step but once"
    for number, kind in chosen:
        before = desk.asked.total()
        broken = desk.moved_to(tmp_path / f"run{number}")
        with pytest.raises(Crash):
            act(broken, crash_at(number)[0])
        after = broken.moved_to(tmp_path / f"after{number}")
        act(after, lambda point: None)
        assert after.table().equals(expected), f"differs after a crash at step {number}, {kind}"
        assert desk.asked.total() - before == once, f"asked again after step {number}, {kind}"


def test_a_second_crash_during_recovery_changes_nothing(desk: RemoteDesk, tmp_path: Path) -> None:
    steps, seen = crash_at(0)
    full = desk.moved_to(tmp_path / "full")
    plain(full, steps)
    with pytest.raises(Crash):
        plain(desk, crash_at(seen.index("publish: put") + 1)[0])
    steps, points = crash_at(0)
    desk.moved_to(tmp_path / "recovered").open(steps).close()
    assert "publish: marked" in points
    for number, kind in enumerate(points, 1):
        again = desk.moved_to(tmp_path / f"again{number}")
        with pytest.raises(Crash):
            again.open(crash_at(number)[0])
        last = again.moved_to(tmp_path / f"last{number}")
        plain(last, lambda point: None)
        assert last.table().equals(full.table()), f"differs after {kind}"


def test_publishing_keeps_to_the_order_that_makes_it_safe(desk: RemoteDesk) -> None:
    seen: list[str] = []
    plain(desk, seen.append)
    assert list(dict.fromkeys(each for each in seen if each.startswith("publish"))) == [
        *([] if desk.is_directory else ["publish: carried"]),
        *("publish: written", "publish: synced", "publish: announced", "publish: put"),
        *(["publish: manifest"] if desk.is_directory else []),
        *("publish: marked", "publish: part removed", "publish: outbox cleared"),
    ]
