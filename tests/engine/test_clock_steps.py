"""The wall clock may be set at any time; only a deadline, which is a time of day, goes by it."""

from dataclasses import replace

import pytest

from tests.engine.test_run import SETTINGS, Case, Seen, play

HOURS = 3600.0


def faulty(row: int, nth: int, now: float) -> int:
    """Throttles, fails and goes away for a minute."""
    if 30 <= now < 90:
        return 503
    return (429, 500, 200)[min(nth, 3) - 1] if row % 5 == 0 else 200


def with_steps_of(seconds: float) -> Seen:
    steps = lambda now: seconds * (int(now) % 3)  # noqa: E731
    return play(Case(rows=300, script=faulty, clock_error=steps, settings=replace(SETTINGS, requests_per_minute=300)))


@pytest.mark.parametrize("seconds", [-9 * HOURS, -70.0, 70.0, 9 * HOURS])
def test_steps_of_the_clock_change_nothing_that_is_sent(seconds: float):
    stepped, steady = with_steps_of(seconds), with_steps_of(0.0)
    assert stepped.transport.sends == steady.transport.sends
    assert stepped.seconds == steady.seconds
    assert stepped.result.tally.ok == 300


def test_a_deadline_goes_by_the_clock_as_it_is_set():
    settings = replace(SETTINGS, deadline=1_800_000_000.0 + 8 * HOURS)
    seen = play(Case(rows=800, settings=settings, clock_error=lambda now: 9 * HOURS if now > 20 else 0.0))
    assert seen.result.stopped == "the deadline has passed"
    assert seen.seconds < 25
