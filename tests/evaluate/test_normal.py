"""SQuAD's normalisation, held against its evaluation script as published, and what is different with numbers."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.normal import normalised


def squad(text: str) -> str:
    """normalize_answer of SQuAD's evaluate-v1.1.py."""
    text = "".join(each for each in text.lower() if each not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(st.text(alphabet=st.characters(exclude_categories=["Nd", "Cs"], exclude_characters="\u2212")))
def test_texts_without_digits_are_normalised_as_by_squad(text: str) -> None:
    assert normalised(text) == (squad(text) or normalised(text))


@pytest.mark.parametrize(("text", "expected"), [("+", "+"), (" ?! ", "?!"), ("A.", "a"), ("The", "the"), (" ", ""), ("a b", "b")])
def test_a_text_of_marks_or_articles_only_is_not_the_same_as_every_other(text: str, expected: str) -> None:
    assert normalised(text) == expected


@given(st.text(alphabet="abthe.,!-' 12"))
def test_normalising_twice_changes_no_token_that_is_a_word(text: str) -> None:
    assert [each for each in normalised(text).split() if each.isalpha()] == [
        each for each in normalised(normalised(text)).split() if each.isalpha()
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.5", "3.5"),
        ("3.5.", "3.5"),
        ("-5", "-5"),
        ("\u22125", "-5"),
        ("-.5", "-.5"),
        ("1,250", "1250"),
        ("$1,250.00!", "1250.00"),
        ("the 12th", "12th"),
        ("10-20", "1020"),
        ("item-5", "item5"),
        ("well-known", "wellknown"),
        ("see p. 5.", "see p 5"),
    ],
)
def test_numbers_keep_their_sign_and_point_and_lose_the_rest(text: str, expected: str) -> None:
    assert normalised(text) == expected
