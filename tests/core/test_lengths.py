"""Lengths in words: counted cheaply as they are counted dearly, and drawn in few bars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.lengths import Lengths
from pipeline.core.words import number_of_words, words_of


@given(st.text() | st.text(st.sampled_from("ab \t\n’。、猫カแมว ")))
def test_the_cheap_count_of_words_is_the_dear_one(text):
    assert number_of_words(text) == len(words_of(text)[1])


@given(st.lists(st.integers(1, 10**7), min_size=1))
def test_every_text_stands_in_one_bar_and_the_bars_are_few(lengths):
    counted = Lengths()
    for start in range(0, len(lengths), 7):
        counted.add(lengths[start : start + 7])
    found = counted.to_json()
    assert sum(count for _, _, count in found["bins"]) == len(lengths)
    assert len(found["bins"]) <= 31
    assert found["bins"][-1][1] > max(lengths) == found["words"]["longest"]


def test_of_no_text_there_is_nothing_to_draw():
    assert Lengths().to_json() == {"words": {"p5": 0, "p50": 0, "p95": 0, "longest": 0}, "bins": []}


@pytest.mark.parametrize(("share", "length"), [("p5", 5), ("p50", 50), ("p95", 95)])
def test_quantiles_are_lengths_that_so_many_do_not_pass(share, length):
    counted = Lengths()
    counted.add(range(1, 101))
    assert counted.to_json()["words"][share] == length
