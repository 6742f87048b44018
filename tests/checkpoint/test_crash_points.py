"""A crash at every step that changes what is on disk: recovery finishes the job, and asks nothing that was recorded."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.checkpoint.publish import publish, verify_output
from tests.checkpoint.desk import Crash, Desk, crash_at, failed, ok


def fails_at_first(row: int) -> object:
    return failed(row) if row % 4 == 1 else ok(row)


def prepare_nothing(desk: Desk) -> None:
    pass


def prepare_published(desk: Desk) -> None:
    desk.run()


def prepare_published_with_failures(desk: Desk) -> None:
    desk.answer = fails_at_first
    desk.run()
    desk.answer = ok


def prepare_sealed_with_failures(desk: Desk) -> None:
    desk.answer = fails_at_first
    record = desk.open()
    desk.ask(record)
    record.close()
    desk.answer = ok


def plain(desk: Desk, steps: Callable[[str], None]) -> None:
    record = desk.open(steps)
    desk.finish(record)
    record.close()


def retry(desk: Desk, steps: Callable[[str], None]) -> None:
    record = desk.open(steps)
    if record.published_rows is not None:
        verify_output(record)
    record.redo(None)
    desk.finish(record)
    record.close()


def wider(desk: Desk, steps: Callable[[str], None]) -> None:
    desk.rows = 31
    record = desk.open(steps)
    desk.finish(record)
    record.close()


STORIES = {
    "a first run": (prepare_nothing, plain),
    "a retry of failed rows of a published job": (prepare_published_with_failures, retry),
    "a retry of failed rows of sealed parts": (prepare_sealed_with_failures, retry),
    "more rows for a published job": (prepare_published, wider),
}


def first_or_last(points: list[str], *, last: bool) -> list[tuple[int, str]]:
    """Number the points at which a kind of step comes for the first time, or, where it comes again, for the last.

    Those between are the first one's repetition for another part or batch: what lies on disk before and after them is of the same
    form, done and to do. The first meets a record that has nothing of it yet, the last one to which nothing is to be added.
    """
    numbered = list(enumerate(points, 1))
    first = {kind: number for number, kind in reversed(numbered)}
    chosen = {kind: number for number, kind in numbered if number != first[kind]} if last else first
    return [(number, kind) for kind, number in chosen.items()]


@pytest.mark.parametrize("last", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["for the first time", "for the last"])
@pytest.mark.parametrize(("prepare", "act"), STORIES.values(), ids=STORIES)
def test_after_a_crash_at_any_step_the_same_command_finishes_the_job_and_asks_at_most_one_batch_twice(
    desk: Desk, tmp_path: Path, prepare: Callable[[Desk], None], act: Callable[[Desk, Callable[[str], None]], None], last: bool
) -> None:
    prepare(desk)
    undisturbed = desk.moved_to(tmp_path / "undisturbed")
    steps, points = crash_at(0)
    before = desk.asked.total()
    act(undisturbed, steps)
    expected, once = undisturbed.table(), undisturbed.asked.total() - before
    assert {"seal: renamed", "seal: committed", "publish: announced", "publish: renamed", "publish: marked"} <= {*points}
    for number, kind in first_or_last(points, last=last):
        point = f"step {number}, {kind}"
        before = desk.asked.total()
        broken = desk.moved_to(tmp_path / f"run{number}")
        with pytest.raises(Crash):
            act(broken, crash_at(number)[0])
        after = broken.moved_to(tmp_path / f"after{number}")
        act(after, lambda point: None)
        assert after.table().equals(expected), f"differs after a crash at {point}"
        twice = desk.asked.total() - before - once
        assert twice <= (desk.batch if kind == "record: before the commit" else 0), f"asked again after {point}"


def test_a_second_crash_during_recovery_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    steps, seen = crash_at(0)
    full = Desk(tmp_path / "full", desk.is_directory)
    full.folder.mkdir()
    plain(full, steps)
    first = seen.index("publish: renamed") + 1
    steps, _ = crash_at(first)
    with pytest.raises(Crash):
        plain(desk, steps)
    for number in count(1):
        again = desk.moved_to(tmp_path / f"again{number}")
        steps, _ = crash_at(number)
        try:
            again.open(steps).close()
            break
        except Crash:
            last = again.moved_to(tmp_path / f"last{number}")
            plain(last, lambda point: None)
            assert last.table().equals(full.table())
    assert number > 1


def test_sealing_keeps_to_the_order_that_makes_it_safe(desk_of_file: Desk) -> None:
    seen: list[str] = []
    record = desk_of_file.open(seen.append)
    desk_of_file.ask(record, upto=10)
    keep = ["keep: written", "keep: synced", "keep: renamed", "keep: folder synced", "keep: committed"]
    seal = ["seal: written", "seal: synced", "seal: renamed", "seal: folder synced", "seal: in the transaction"]
    assert [each for each in seen if each.startswith("keep")] == keep
    assert seen.index("keep: committed") < seen.index("record: before the commit")
    assert [each for each in seen if each in seal] == seal
    assert seen[-2:] == ["seal: committed", "seal: older removed"]
    record.close()


def test_publishing_keeps_to_the_order_that_makes_it_safe(desk: Desk) -> None:
    seen: list[str] = []
    record = desk.open(seen.append)
    desk.ask(record)
    seen.clear()
    publish(record, metadata={})
    assert list(dict.fromkeys(each for each in seen if each.startswith("publish"))) == [
        *([] if desk.is_directory else ["publish: carried"]),
        *("publish: written", "publish: synced", "publish: announced", "publish: renamed", "publish: folder synced"),
        *("publish: marked", "publish: part removed"),
    ]
    record.close()


def test_the_output_has_every_row_once_in_order_with_its_own_answer(desk: Desk) -> None:
    desk.run()
    table = desk.table()
    assert table["title"].to_pylist() == [f"t{row}" for row in range(23)]
    assert table["tags"].to_pylist() == [[f"g{row % 3}"] for row in range(23)]
    assert table["completion"].to_pylist() == [f"answer {row}" for row in range(23)]
    assert table.schema.field("tags").type == pa.list_(pa.dictionary(pa.int8(), pa.string()))
