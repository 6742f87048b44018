"""timeline.json: the latest runs, whole or as they were; never in a run's way."""

from pathlib import Path

import pytest

from pipeline.checkpoint.layout import Layout, make_folder
from pipeline.checkpoint.timeline_file import MOST_RUNS, TimelineFile, read
from pipeline.core.timeline import Moment


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)
    make_folder(layout)
    return layout


def moments(run: int) -> list[Moment]:
    return [Moment(1.7e9 + run, run, 0, 3, 0, 50, 2, 8), Moment(1.7e9 + run + 1.5, run + 2, 1, 5, 1, 90, 0, 4, "429")]


def test_what_was_written_last_of_each_run_is_read(layout: Layout) -> None:
    for run in range(3):
        file = TimelineFile(layout, run)
        file.write(moments(run)[:1])
        file.write(moments(run))
    assert read(layout) == {run: moments(run) for run in range(3)}
    assert layout.timeline.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in layout.folder.iterdir() if each.is_file()] == ["timeline.json"]


def test_of_many_runs_the_latest_are_kept(layout: Layout) -> None:
    for run in range(MOST_RUNS + 5):
        TimelineFile(layout, run).write(moments(run))
    assert list(read(layout)) == list(range(5, MOST_RUNS + 5))


def test_runs_of_a_record_that_was_begun_anew_replace_the_old_ones(layout: Layout) -> None:
    for run in (0, 1, 2):
        TimelineFile(layout, run).write(moments(run))
    TimelineFile(layout, 1).write(moments(7))
    assert read(layout) == {0: moments(0), 1: moments(7)}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="gone"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(b'{"runs": [', id="torn"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b'{"runs": [{"run": "x", "moments": []}]}', id="no number"),
        pytest.param(b'{"runs": [{"run": 0, "moments": [[1, 2]]}]}', id="too few"),
        pytest.param(b'{"runs": [{"run": 0, "moments": [[1, 2, 3, 4, 5, 6, 7, "8", null]]}]}', id="text for a number"),
        pytest.param(b'{"runs": [{"run": 0, "moments": [[1, 2, 3, 4, 5, 6, 7, 8, 9]]}]}', id="a number for text"),
        pytest.param(b'{"runs": [{"run": 0, "moments": {"at": 1}}]}', id="an object"),
    ],
)
def test_what_is_not_readable_reads_as_nothing_and_is_replaced(layout: Layout, content: bytes | None) -> None:
    if content is not None:
        layout.timeline.write_bytes(content)
    assert read(layout) == {}
    TimelineFile(layout, 0).write(moments(0))
    assert read(layout) == {0: moments(0)}


def test_a_leftover_of_a_killed_run_is_no_obstacle(layout: Layout) -> None:
    layout.timeline.with_name("timeline.json.tmp").write_bytes(b"torn")
    TimelineFile(layout, 0).write(moments(0))
    assert read(layout) == {0: moments(0)}
