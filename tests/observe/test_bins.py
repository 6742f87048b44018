"""Bars of a histogram: no value lost, few bars, round steps."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.tally import Tally
from pipeline.observe.report.bins import Numbers, even_bins, latency_bins


def is_a_row_of_bars(bins) -> bool:
    return all(low.high == high.low for low, high in itertools.pairwise(bins)) and all(each.low < each.high for each in bins)


@given(st.lists(st.integers(0, 200) | st.integers(0, 2**63 - 1), max_size=60))
def test_every_number_is_counted_once_in_few_bars(values):
    numbers = Numbers()
    numbers.add(values)
    bins = numbers.bins()
    assert sum(each.count for each in bins) == len(values)
    assert len(bins) <= 40
    assert is_a_row_of_bars(bins)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60))
def test_a_number_lies_in_the_bar_that_counts_it(values):
    bins = even_bins(Counter(values))
    assert [each.count for each in bins] == [sum(each.low <= value < each.high for value in values) for each in bins]


def test_a_few_values_far_out_do_not_flatten_the_others():
    bins = even_bins({**dict.fromkeys(range(100, 200), 100), 1_000_000: 1})
    assert len(bins) > 20
    assert (bins[-1].count, bins[-1].high) == (1, 1_000_001)


def test_nothing_and_nonsense_are_no_numbers():
    numbers = Numbers()
    numbers.add([None, -5, None])
    assert numbers.bins() == []
    assert latency_bins({}) == []


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=60))
def test_a_latency_lies_in_the_bar_that_counts_it(seconds):
    tally = Tally()
    tally.add_sends(seconds, [])
    bins = latency_bins(tally.latencies)
    assert sum(each.count for each in bins) == len(seconds)
    assert len(bins) <= 36
    assert is_a_row_of_bars(bins)
    assert bins[0].low <= min(seconds) * 1.0001
    assert max(seconds) <= bins[-1].high * 1.0001


@pytest.mark.parametrize("values", [{0: 3}, {7: 1}, {0: 1, 1: 1}], ids=str)
def test_small_numbers_have_a_bar_each(values):
    assert [(each.low, each.high) for each in even_bins(values)] == [(value, value + 1) for value in values]
