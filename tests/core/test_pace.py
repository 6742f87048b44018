"""Pace: configured, told by answers, or learned by being throttled."""

import pytest

from pipeline.core.learned import Learned
from pipeline.core.pace import Pace
from pipeline.core.quota import Quota, Quotas


def told(pace: Pace, *, remaining: float, resets_in: float, limit: float | None = 600) -> float | None:
    pace.answered(1.0, sent_at=0.5, quotas=Quotas(Quota(remaining, resets_in, limit)))
    return pace.requests_per_minute


def test_nothing_is_paced_before_anything_is_known():
    pace = Pace(learn=True)
    assert [pace.reserve(0.0, 100) for _ in range(5)] == [0.0] * 5
    assert pace.requests_per_minute is None


def test_what_is_left_is_spread_over_the_time_until_the_limit_is_whole_again():
    pace = Pace(learn=True)
    assert told(pace, remaining=300, resets_in=30.0) == pytest.approx(600)
    assert [pace.reserve(2.0, 0), pace.reserve(2.0, 0)] == pytest.approx([0.0, 0.1])


def test_at_the_turn_of_a_window_it_is_no_faster_than_twice_the_limit():
    pace = Pace(learn=True)
    told(pace, remaining=599, resets_in=60.0)
    assert told(pace, remaining=5, resets_in=0.01) == pytest.approx(1200)


def test_with_nothing_left_requests_still_start_now_and_then():
    assert told(Pace(learn=True), remaining=0, resets_in=60.0) == pytest.approx(30)
    assert told(Pace(learn=True), remaining=0, resets_in=60.0, limit=5) == pytest.approx(5)


def test_a_configured_rate_is_kept_whatever_answers_say():
    pace = Pace(600, learn=True)
    assert told(pace, remaining=1, resets_in=60.0) == 600
    pace.started(2.0)
    for row in (1, 2, 3):
        pace.refused(3.0, None)
        pace.throttled(3.0, row=row, pause=1.0)
    assert pace.requests_per_minute == 600


def test_without_learning_nothing_is_paced():
    pace = Pace(learn=False)
    assert told(pace, remaining=1, resets_in=60.0) is None


def test_tokens_are_paced_by_what_is_left_of_them():
    pace = Pace(learn=True)
    pace.answered(1.0, sent_at=0.5, quotas=Quotas(tokens=Quota(30_000, 30.0, 60_000)))
    assert [pace.reserve(2.0, 500), pace.reserve(2.0, 500)] == pytest.approx([0.0, 0.5])


def test_one_row_that_is_throttled_by_itself_teaches_nothing():
    pace = Pace(learn=True)
    for now in range(10):
        pace.started(float(now))
        pace.refused(3.0, None)
        assert pace.throttled(float(now), row=7, pause=1.0) is False
    assert pace.requests_per_minute is None
    pace.started(20.0)
    pace.refused(3.0, None)
    assert pace.throttled(20.0, row=8, pause=1.0) is True
    assert pace.requests_per_minute is not None


def test_a_burst_into_a_fixed_minute_teaches_that_minutes_rate():
    learned = Learned()
    for number in range(604):
        learned.started(number * 0.01)
    for _ in range(4):
        learned.refused()
        learned.throttled(6.1, pause=54.0)
    learned.started(60.2)
    learned.answered(60.5, sent_at=60.2)
    assert learned.per_second == pytest.approx(10.0, rel=0.03)


def test_while_the_rate_is_used_it_is_raised_faster_and_faster_and_an_unused_one_is_not():
    learned, unused = Learned(), Learned()
    for each in (learned, unused):
        each.started(0.0)
        each.refused()
        each.throttled(0.1, pause=1.0)
    now, before = 1.0, learned.per_second or 0.0
    while now < 120.0:
        now += 1.0 / (learned.per_second or 1.0)
        learned.started(now)
        learned.answered(now, sent_at=now)
        unused.answered(now, sent_at=now)
    assert learned.per_second is not None
    assert learned.per_second > 8 * before
    assert unused.per_second is not None
    assert unused.per_second <= before
