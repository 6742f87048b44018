"""A run's moments: few however long it runs, and the ones that matter among them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.tally import Progress, Tally, Traffic
from pipeline.core.timeline import Moment, Timeline


def picture(second: int, *, held_by: str | None = None, before: int = 0) -> Progress:
    return Progress(
        Tally(),
        Traffic(),
        rows=10**6 + before,
        resumed=before,
        ok=before + 2 * second,
        failed=before,
        left=10**6 - 2 * second,
        in_flight=3,
        limit=8,
        requests=3 * second,
        throttled=second,
        tokens=before + 10 * second,
        held_by=held_by,
    )


def test_a_moment_counts_from_the_runs_start():
    timeline = Timeline()
    timeline.add(picture(0, before=70), 1000.0)
    timeline.add(picture(5, before=70), 1005.04)
    assert timeline.moments == [Moment(1000.0, 0, 0, 0, 0, 0, 3, 8), Moment(1005.0, 10, 0, 15, 5, 50, 3, 8)]


def test_a_short_run_keeps_every_second():
    timeline = Timeline()
    for second in range(300):
        timeline.add(picture(second), second + 0.01 * (second % 3))
    assert [each.done for each in timeline.moments] == [2 * second for second in range(300)]


@pytest.mark.parametrize("seconds", [401, 5_000, 90_000])
def test_a_long_run_keeps_a_bounded_number_evenly_with_its_first_and_last(seconds):
    timeline = Timeline()
    for second in range(seconds):
        timeline.add(picture(second), second * 1.003)
        assert timeline.moments[-1].done == 2 * second
    ats = [each.at for each in timeline.moments]
    assert ats[0] == 0.0
    assert 150 <= len(ats) <= 401
    steps = [later - sooner for sooner, later in pairwise(ats[:-1])]
    assert max(steps) <= 2.2 * min(steps)


def test_when_a_hold_began_and_ended_is_kept_to_the_second():
    timeline = Timeline()
    for second in range(20_000):
        timeline.add(picture(second, held_by="429" if 7001 <= second < 7006 else None), float(second))
    held = [each for each in timeline.moments if each.held_by]
    after = timeline.moments[timeline.moments.index(held[-1]) + 1]
    assert (held[0].at, after.at) == (7001.0, 7006.0)


@given(st.lists(st.tuples(st.floats(-50, 50), st.sampled_from([None, "429", "outage"])), max_size=200))
def test_whatever_the_clock_and_the_holds_do_memory_is_bounded_and_the_last_moment_there(seen):
    timeline = Timeline(most=20)
    assert timeline.moments == []
    wall = 1e9
    for second, (step, held_by) in enumerate(seen):
        wall += step
        timeline.add(picture(second, held_by=held_by), wall)
        assert len(timeline.moments) <= 21
        assert timeline.moments[0].done == 0
        assert timeline.moments[-1].done == 2 * second
