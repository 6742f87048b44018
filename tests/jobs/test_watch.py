"""The files a run keeps beside its record while it goes: when they are written, and that they stop nothing."""

from pathlib import Path

import pytest

from pipeline.checkpoint.layout import Layout, make_folder
from pipeline.checkpoint.timeline_file import read
from pipeline.core.tally import Progress, Tally, Traffic
from pipeline.jobs.watch import OverTime


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)
    make_folder(layout)
    return layout


def picture(second: int, *, finished: bool = False) -> Progress:
    return Progress(Tally(), Traffic(), rows=100, resumed=0, ok=second, failed=0, left=100 - second, finished=finished)


def last_done(layout: Layout) -> int:
    return read(layout)[0][-1].done


def test_the_timeline_is_written_at_once_every_ten_seconds_and_at_the_end(layout: Layout) -> None:
    walls = iter([0.0, 1.0, 9.0, 10.0, 11.0, 12.0])
    observer = OverTime(layout, 0, wall=lambda: next(walls))
    seen = []
    for second in range(5):
        observer.progress(picture(second))
        seen.append(last_done(layout))
    assert seen == [0, 0, 0, 3, 3]
    observer.progress(picture(5, finished=True))
    assert last_done(layout) == 5


def test_a_run_that_dies_of_an_error_leaves_its_last_picture(layout: Layout) -> None:
    walls = iter([0.0, 1.0])
    observer = OverTime(layout, 0, wall=lambda: next(walls))
    observer.progress(picture(0))
    observer.progress(picture(1))
    observer.end()
    assert last_done(layout) == 1


def test_a_clock_set_back_does_not_keep_the_timeline_from_being_written(layout: Layout) -> None:
    walls = iter([1e9, 1e9 - 3600.0])
    observer = OverTime(layout, 0, wall=lambda: next(walls))
    observer.progress(picture(0))
    observer.progress(picture(1))
    assert last_done(layout) == 1


def test_a_run_without_a_picture_leaves_the_file_as_it_was(layout: Layout) -> None:
    OverTime(layout, 0).end()
    assert not layout.timeline.exists()


def test_a_disk_that_takes_no_timeline_stops_nothing(layout: Layout) -> None:
    (layout.folder / "timeline.json.tmp").mkdir()  # unlink and create both fail on it
    observer = OverTime(layout, 0, wall=lambda: 0.0)
    observer.progress(picture(0, finished=True))
    observer.end()
    assert read(layout) == {}
