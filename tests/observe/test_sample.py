"""Which rows a report shows: the same every time, every kind among them, never more than asked for."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.observe.report.sample import Sample, Thinned


@given(sizes=st.lists(st.integers(0, 40), max_size=12), room=st.integers(1, 9))
def test_what_stays_of_many_rows_is_evenly_spaced_and_bounded(sizes, room):
    thinned, met = Thinned(room), 0
    for size in sizes:
        thinned.add(range(met, met + size))
        met += size
    stayed = thinned.spread(10_000)
    assert thinned.count == met
    assert min(met, room) <= len(stayed) <= 2 * room
    assert len({after - before for before, after in itertools.pairwise(stayed)}) <= 1
    assert stayed[:1] == [0][:met]


def chosen(rows: int, most: int, *, failed=(), marked=(), done=None):
    sample = Sample(most)
    met = range(rows if done is None else done)
    for start in range(0, len(met), 100):
        batch = met[start : start + 100]
        within = [[(row, name) for row, name in each if row in batch] for each in (failed, marked)]
        sample.add(batch, *within)
    return sample.choose(rows)


@given(
    rows=st.integers(0, 600),
    most=st.integers(0, 50),
    share=st.floats(0, 1),
    failed=st.lists(st.integers(0, 599), unique=True, max_size=200),
    marked=st.lists(st.integers(0, 599), unique=True, max_size=200),
)
def test_a_sample_ascends_holds_as_many_rows_as_it_may_and_no_row_that_was_not_met(rows, most, share, failed, marked):
    done = int(rows * share)
    failed = sorted((row, f"kind{row % 3}") for row in failed if row < done)
    marked = sorted((row, f"mark{row % 2}") for row in marked if row < done)
    choice = chosen(rows, most, failed=failed, marked=marked, done=done)
    assert list(choice.rows) == sorted(set(choice.rows))
    if rows <= most:
        assert (list(choice.rows), choice.said) == (list(range(rows)), None)
    else:
        assert choice.said is not None
        assert len(choice.rows) == min(most, done)
        assert all(0 <= row < done for row in choice.rows)


def test_few_failures_are_all_there_and_every_kind_of_many_is():
    few = chosen(10_000, 100, failed=[(row, "timeout") for row in (5, 77, 9_999)])
    assert {5, 77, 9_999} <= set(few.rows)
    assert few.said == "100 of 10,000 recorded rows: all 3 that failed and 97 at even steps over all."
    many = [(row, "rare" if row in (4_000, 8_000) else "common") for row in range(0, 10_000, 2)]
    choice = chosen(10_000, 100, failed=many, marked=[(row, "empty") for row in range(1, 10_000, 2)])
    assert {4_000, 8_000} <= set(choice.rows)
    assert choice.said == (
        "100 of 10,000 recorded rows: 40 of 5,000 that failed, 20 that were marked (empty) and 40 at even steps over all."
    )


def test_rows_still_to_do_are_said_and_not_chosen():
    assert chosen(900, 100, done=50).said == "All 50 recorded rows; 850 more are still to do."
    assert chosen(900, 100, done=500).said == "100 of 500 recorded rows: at even steps over all; 400 more are still to do."


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_tiny_sample_is_a_sample(most):
    assert len(chosen(50, most, failed=[(7, "timeout")], marked=[(8, "empty")]).rows) == most
