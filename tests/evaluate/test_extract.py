"""Finding the answer in a completion."""

import pytest

from pipeline.core.errors import ConfigError
from pipeline.evaluate.extract import extractor


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        (r"Answer: (\w+)", "Answer: no. Answer: yes", "yes"),
        (r"Answer: \w+", "Answer: yes", "Answer: yes"),
        (r"(so|thus) (?<answer>\w+)", "thus it", "it"),
        (r"(a)|b", "b", None),
        (r"Answer:(.*)", "Answer:   ", None),
        (r"x", "y", None),
        (r"(?i)ANSWER (\d)", "answer 4", "4"),
        ("number", "3 and 4", "4"),
        ("choice", "the answer is C", "C"),
        ("json", 'so {"a": 1}', '{"a": 1}'),
        ("json:a.b", '{"a": {"b": "x"}}', "x"),
        ("json:a", "none", None),
    ],
)
def test_the_answer_is_found(spec: str, text: str, expected: str | None) -> None:
    assert extractor(spec).find(text) == expected


def test_a_wrong_expression_is_an_error_that_shows_it() -> None:
    with pytest.raises(ConfigError, match=r"--extract '\('"):
        extractor("(")


@pytest.mark.parametrize("spec", ["", " ", "json:"])
def test_nothing_to_look_for_is_an_error(spec: str) -> None:
    with pytest.raises(ConfigError, match="give number, choice"):
        extractor(spec)


def test_an_expression_that_never_ends_is_given_up_and_at_last_an_error() -> None:
    # No sleep and no clock of ours: the library gives up by itself.
    find = extractor(r"(a+)+(b+)+c", seconds=0.01).find
    hostile = "a" * 2000 + "b" * 2000
    with pytest.raises(ConfigError, match=r"takes more than 0\.01 s for a text, 20 times"):
        for _ in range(20):
            assert find(hostile) is None
