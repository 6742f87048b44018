"""When an endpoint is taken to be down, and when to be back."""

import pytest

from pipeline.core.breaker import Breaker, State


def failing(breaker: Breaker, rows: range, *, now: float = 0.0, left: int = 1000, unreachable: bool = False) -> bool:
    suspect = [breaker.failed(row, now, sent_at=now, left=left, unreachable=unreachable) for row in rows]
    return any(suspect)


@pytest.mark.parametrize(("concurrency", "rows"), [(1, 8), (8, 8), (64, 16), (1000, 250)])
def test_so_many_different_rows_in_a_row_make_it_suspect(concurrency: int, rows: int) -> None:
    breaker = Breaker(concurrency=concurrency)
    assert not failing(breaker, range(rows - 1))
    assert not failing(breaker, range(rows - 1)), "the same rows again are no further rows"
    assert failing(breaker, range(rows, rows + 1))
    assert breaker.state is State.SUSPECT


def test_an_answer_between_begins_the_count_anew() -> None:
    breaker = Breaker(concurrency=8)
    failing(breaker, range(7))
    breaker.answered(99, sent_at=1e9, probe=False)
    assert not failing(breaker, range(7, 14))
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize(("left", "rows"), [(1, 1), (3, 3), (100, 8)])
def test_towards_the_end_all_rows_left_are_enough_where_the_row_cannot_be_to_blame(left: int, rows: int) -> None:
    breaker = Breaker(concurrency=8)
    assert not failing(breaker, range(rows - 1), left=left, unreachable=True)
    assert failing(breaker, range(rows), left=left, unreachable=True)
    assert not failing(Breaker(concurrency=8), range(left), left=left) or left >= 8


def test_any_answer_clears_a_suspicion_but_only_the_probe_ends_an_outage() -> None:
    breaker = Breaker(concurrency=8)
    failing(breaker, range(8))
    assert breaker.answered(50, sent_at=1e9, probe=False)
    assert breaker.state is State.CLOSED
    failing(breaker, range(8))
    breaker.open()
    assert not breaker.answered(50, sent_at=1e9, probe=False)
    assert breaker.state is State.OPEN
    assert breaker.answered(51, sent_at=1e9, probe=True)
    assert breaker.state is State.CLOSED


def test_probes_come_after_5_10_20_and_then_30_seconds_with_jitter_and_begin_anew_each_time() -> None:
    breaker = Breaker(concurrency=8)
    for _ in range(2):
        failing(breaker, range(8))
        breaker.open()
        assert [breaker.probe_after(1.0) for _ in range(5)] == [5, 10, 20, 30, 30]
        assert breaker.probe_after(0.0) == 15
        breaker.answered(1, sent_at=1e9, probe=True)


@pytest.mark.parametrize(("answers_every", "suspect_at"), [(100, 12), (9, None)])
def test_a_trickle_of_answers_is_an_outage_once_it_has_stopped_for_ten_seconds(
    answers_every: int, suspect_at: int | None
) -> None:
    breaker = Breaker(concurrency=8)
    failing(breaker, range(7))
    breaker.answered(99, sent_at=1e9, probe=False)
    suspected = None
    for second in range(1, 60):
        if second % answers_every == 0:
            breaker.answered(99, sent_at=1e9, probe=False)
        elif breaker.failed(8 + second % 3, float(second), sent_at=float(second), left=1000, unreachable=False):
            suspected = suspected or second
    assert suspected == suspect_at


def test_silence_counts_from_the_first_failure_after_an_answer_or_a_sign_of_life() -> None:
    breaker = Breaker(concurrency=8)
    assert breaker.silent_since is None
    failing(breaker, range(3), now=10.0)
    failing(breaker, range(3), now=20.0)
    assert breaker.silent_since == 10.0
    breaker.alive()
    failing(breaker, range(3), now=30.0)
    assert breaker.silent_since == 30.0
    breaker.answered(1, sent_at=1e9, probe=False)
    assert breaker.silent_since is None


def test_an_answer_to_an_older_request_takes_half_of_the_failures_off_and_ends_no_suspicion():
    breaker = Breaker(concurrency=8)
    for row in range(6):
        breaker.failed(row, 10.0, sent_at=9.9, left=1000, unreachable=True)
    breaker.answered(99, sent_at=9.0, probe=False)
    seen = [breaker.failed(row, 10.1, sent_at=10.0, left=1000, unreachable=True) for row in range(10, 15)]
    assert seen == [False] * 4 + [True]
    assert not breaker.answered(98, sent_at=9.0, probe=False)
    assert breaker.state is State.SUSPECT
    assert breaker.answered(97, sent_at=10.0, probe=False)
