"""Tallies merge, can be taken back, survive JSON; summaries add up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.tally import MOST_REASONS, OTHER_REASONS, Tally, Traffic, summarize
from pipeline.core.types import Fault, FaultKind, Outcome, Reply, Usage

replies = st.builds(
    Reply,
    text=st.none() | st.just("") | st.text(max_size=5),
    finish_reason=st.sampled_from([None, "stop", "length"]),
    usage=st.builds(Usage, prompt=st.none() | st.integers(0, 9), completion=st.none() | st.integers(0, 9)),
    extra=st.none() | st.just("{}"),
)
faults = st.builds(
    Fault, kind=st.just(FaultKind.REJECTED), error_kind=st.sampled_from(["bad_row", "timeout"]), message=st.just("m")
)
outcomes = st.lists(
    st.builds(
        Outcome,
        row=st.integers(0, 9),
        attempts=st.integers(0, 5),
        elapsed=st.none() | st.floats(0, 1000),
        result=st.one_of(replies, faults),
        cost=st.none() | st.sampled_from([0.25, 0.5]),
    ),
    max_size=30,
)


def tally_of(some: list[Outcome]) -> Tally:
    tally = Tally()
    for outcome in some:
        tally.add(outcome)
    return tally


@given(outcomes, outcomes)
def test_merging_equals_counting_together_and_can_be_taken_back(first, second):
    merged = tally_of(first)
    merged.merge(tally_of(second))
    assert merged.to_json() == tally_of(first + second).to_json()
    merged.merge(tally_of(second), -1)
    assert merged.to_json() == tally_of(first).to_json()


@given(outcomes)
def test_counting_many_at_once_equals_adding_each(some):
    tally = Tally()
    tally.add_all(some)
    assert tally == tally_of(some)


def test_an_endpoint_that_names_a_new_finish_reason_every_time_fills_no_memory():
    some = [Outcome(row, 1, 0.1, Reply("x", f"reason {row}")) for row in range(5 * MOST_REASONS)]
    tally, merged = Tally(), Tally()
    tally.add_all(some)
    for outcome in some:
        merged.merge(tally_of([outcome]))
    for each in (tally, tally_of(some), merged):
        assert len(each.finish_reasons) <= MOST_REASONS + 1
        assert sum(each.finish_reasons.values()) == each.ok == len(some)
        assert each.finish_reasons["reason 0"] == 1
        assert each.finish_reasons[OTHER_REASONS] >= 4 * MOST_REASONS - 1
    for outcome in some:
        tally.add(outcome, -1)
    assert not any(tally.finish_reasons.values())


@given(outcomes)
def test_a_tally_survives_json(some):
    tally = tally_of(some)
    assert Tally.from_json(json.loads(json.dumps(tally.to_json()))).to_json() == tally.to_json()


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_percentile_is_right_to_three_percent(share):
    values = [0.01 * n for n in range(1, 1001)]
    tally = tally_of([Outcome(i, 1, value, Reply("x")) for i, value in enumerate(values)])
    assert tally.latency(share) == pytest.approx(values[int(share * 1000) - 1], rel=0.03)


@pytest.mark.parametrize(
    ("ok", "failed", "rows", "stop_code", "wanted"),
    [(5, 0, 5, 0, 0), (4, 1, 5, 0, 1), (3, 1, 5, 3, 3), (3, 0, 5, 5, 5), (3, 0, 5, 0, 3), (0, 0, 0, 0, 0)],
)
def test_the_exit_code_says_whether_running_again_helps(ok, failed, rows, stop_code, wanted):
    summary = summarize(
        Tally(ok=ok, failed=failed), Traffic(), rows=rows, resumed=0, seconds=1.0, priced=False, stop_code=stop_code
    )
    assert summary.exit_code == wanted
    assert summary.rows == summary.ok + summary.failed + summary.pending
