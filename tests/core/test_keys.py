"""A job is known by its facts, and a change is shown at the place where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.keys import Change, changes, digest

FACTS = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=6)


@given(FACTS, FACTS)
def test_the_digest_is_equal_exactly_where_nothing_changed(old, new):
    assert (digest(old) == digest(new)) is (changes(old, new) == []) is (old == new)


@given(FACTS)
def test_the_order_of_the_facts_makes_no_difference(facts):
    assert digest(dict(reversed(facts.items()))) == digest(facts)


def test_a_change_names_what_was_and_what_is():
    old, new = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"}
    assert changes(old, new) == [Change("b", "2", "x"), Change("c", "3", None), Change("d", None, "4")]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("endpoint.model", '"a"', '"b"'), 'endpoint.model: was "a", is now "b"'),
        (Change("prompt.system", None, '"b"'), 'prompt.system: was not set, is now "b"'),
    ],
)
def test_a_short_change_is_shown_whole(change, text):
    assert str(change) == text


def test_of_a_long_prompt_the_place_of_the_change_is_shown():
    head, tail = "Describe it. " * 40, " Be brief." * 40
    text = str(Change("prompt.user", f"{head}In English.{tail}", f"{head}In French.{tail}"))
    assert "English" in text
    assert "French" in text
    assert len(text) < 300


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_change_of_any_length_is_shown_shortly_and_differently(old, new):
    text = str(Change("x", old, new))
    assert len(text) < 300
    if old != new:
        was, _, now = text.partition(", is now ") if ", is now " not in old + new else ("a", "", "b")
        assert was.removeprefix("x: was ") != now
