"""Laws and tables of the decisions without I/O: retry, pacing, fatal, parts, pricing."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.fatal import FatalRule, Verdict
from pipeline.core.pacing import Pacer
from pipeline.core.parts import gaps, plan, rows_in, runs
from pipeline.core.pricing import Pricing
from pipeline.core.retry import Abort, Fail, Retry, RetryPolicy, decide
from pipeline.core.types import Fault, FaultKind, Usage

POLICY = RetryPolicy()


def fault(kind: FaultKind = FaultKind.TRANSIENT, **changes: object) -> Fault:
    return Fault(kind, str(changes.pop("error_kind", "server_error")), "as scripted", **changes)  # type: ignore[arg-type]


@given(failures=st.integers(0, 10_000), draw=st.floats(0, 1, exclude_max=True), asked=st.none() | st.floats(0, 50))
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_the_cap_without_asking(failures, draw, asked):
    decision = decide(fault(FaultKind.THROTTLED, retry_after=asked), failures=failures, most=8, lost={}, draw=draw, policy=POLICY)
    assert isinstance(decision, Retry)
    assert (asked or 0.0) <= decision.after <= max(POLICY.max_delay, asked or 0.0)


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.LOCAL])
@given(failures=st.integers(0, 1000))
def test_what_is_not_the_rows_fault_never_fails_the_row(kind, failures):
    assert isinstance(decide(fault(kind), failures=failures, most=8, lost={}, draw=0.5, policy=POLICY), Retry)


@pytest.mark.parametrize(
    ("given_fault", "failures", "lost", "wanted"),
    [
        pytest.param(fault(FaultKind.FATAL), 0, {}, Abort(), id="fatal"),
        pytest.param(fault(FaultKind.REJECTED), 0, {}, Fail(), id="rejected"),
        pytest.param(fault(), 8, {}, Fail(), id="last attempt"),
        pytest.param(fault(resends=1), 1, {"server_error": 2}, Fail(resend=False), id="sent again once already"),
        pytest.param(fault(resends=3), 4, {"server_error": 2, "timeout": 2}, Fail(resend=False), id="four lost in all"),
    ],
)
def test_a_row_ends(given_fault, failures, lost, wanted):
    assert decide(given_fault, failures=failures, most=8, lost=lost, draw=0.5, policy=POLICY) == wanted


@pytest.mark.parametrize(
    ("given_fault", "failures", "lost"),
    [
        pytest.param(fault(), 7, {}, id="one attempt left"),
        pytest.param(fault(resends=1), 1, {"server_error": 1}, id="first malformed reply"),
        pytest.param(fault(resends=3), 3, {"server_error": 3}, id="third lost reply"),
    ],
)
def test_a_row_goes_on(given_fault, failures, lost):
    assert isinstance(decide(given_fault, failures=failures, most=8, lost=lost, draw=0.5, policy=POLICY), Retry)


def test_a_hint_beyond_belief_counts_as_the_longest_delay():
    assert decide(fault(FaultKind.THROTTLED, retry_after=1e6), failures=1, most=8, lost={}, draw=0.0, policy=POLICY) == Retry(
        POLICY.max_delay
    )


@given(
    per_minute=st.floats(1, 60_000),
    steps=st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), min_size=1, max_size=200),
)
def test_starts_are_never_above_the_rate(per_minute, steps):
    pacer, now, booked = Pacer(per_minute), 0.0, []
    for pause, cost in steps:
        now += pause
        booked.append((now + pacer.reserve(now, cost), cost))
    assert [start for start, _ in booked] == sorted(start for start, _ in booked)
    for (start, cost), (following, _) in itertools.pairwise(booked):
        assert following - start >= min(cost, per_minute) * 60 / per_minute - 1e-6


def test_after_a_hold_starts_are_spaced_anew():
    pacer = Pacer(60)
    for _ in range(10):
        pacer.reserve(0.0)
    pacer.hold(100.0)
    assert [pacer.reserve(100.0), pacer.reserve(100.0)] == [0.0, 1.0]


def test_a_request_dearer_than_a_minute_is_paced_as_a_whole_minute():
    pacer = Pacer(1000)
    assert [pacer.reserve(0.0, 5000), pacer.reserve(0.0, 1)] == [0.0, 60.0]


def test_with_no_ok_row_the_first_fatal_answer_stops():
    assert FatalRule().refused(1, "unauthorized", any_ok=False, alone=False) is Verdict.STOP


def test_the_same_answer_to_another_row_stops_and_a_success_clears():
    rule = FatalRule()
    assert rule.refused(1, "unauthorized", any_ok=True, alone=False) is Verdict.SUSPECT
    assert rule.refused(2, "unauthorized", any_ok=True, alone=False) is Verdict.JOIN
    rule.cleared()
    assert rule.refused(3, "unauthorized", any_ok=True, alone=False) is Verdict.SUSPECT
    assert rule.refused(4, "unauthorized", any_ok=True, alone=True) is Verdict.STOP


def test_another_fatal_answer_is_a_new_suspicion():
    rule = FatalRule()
    rule.refused(1, "unauthorized", any_ok=True, alone=False)
    assert rule.refused(2, "not_found", any_ok=True, alone=True) is Verdict.SUSPECT


def test_a_row_refused_three_times_is_given_up():
    rule = FatalRule()
    for _ in range(2):
        assert rule.refused(1, "forbidden", any_ok=True, alone=False) is Verdict.SUSPECT
        rule.cleared()
    assert rule.refused(1, "forbidden", any_ok=True, alone=False) is Verdict.GIVE_UP


@given(planned=st.integers(0, 50), more=st.integers(0, 200), size=st.integers(1, 40))
def test_parts_cover_every_new_row_once(planned, more, size):
    parts = list(plan(planned, planned + more, size, next_id=3))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(planned, planned + more))
    assert [part.id for part in parts] == list(range(3, 3 + len(parts)))
    assert all(0 < len(part) <= size for part in parts)


@given(st.sets(st.integers(0, 60)))
def test_gaps_and_what_is_present_make_the_whole(present):
    holes = gaps(0, 61, sorted(present))
    assert sorted([i for hole in holes for i in hole] + list(present)) == list(range(61))
    assert rows_in(holes) == 61 - len(present)
    assert runs(sorted(set(range(61)) - present)) == holes


@pytest.mark.parametrize(
    ("pricing", "usage", "cost"),
    [
        pytest.param(Pricing(), Usage(1, 1, 2), None, id="no prices"),
        pytest.param(Pricing(1.0, 2.0), Usage(1_000_000, 500_000, None), 2.0, id="per token"),
        pytest.param(Pricing(per_request=0.01), Usage(), 0.01, id="per request, no usage"),
        pytest.param(Pricing(prompt_per_million=1.0), Usage(None, 5, None), None, id="count missing"),
    ],
)
def test_costs(pricing, usage, cost):
    assert pricing.cost(usage) == cost


def test_counters_of_lost_answers_accept_a_counter():
    assert isinstance(decide(fault(resends=1), failures=1, most=8, lost=Counter(), draw=0.1, policy=POLICY), Retry)
