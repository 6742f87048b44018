from collections.abc import Callable
from importlib.metadata import version

import jiwer
import numpy as np
import pytest
from hypothesis import given

from pipeline.evaluate.error_rates import ErrorRate, cer, wer
from tests.evaluate.texts import ODD, rows

LIBRARY = [pytest.param(wer, jiwer.wer, id="wer"), pytest.param(cer, jiwer.cer, id="cer")]

Make = Callable[[], ErrorRate]


@pytest.mark.parametrize(("ours", "library"), LIBRARY)
@given(made=rows(1))
def test_every_row_and_all_of_them_score_as_in_jiwer(ours: Make, library: Callable, made: list[tuple[str, list[str]]]) -> None:
    metric = ours()
    answers, references = [answer for answer, _ in made], [texts for _, texts in made]
    scored = metric.score(answers, references)
    expected = library([text for texts in references for text in texts], answers)
    assert metric.overall(scored.statistics.sum(axis=0), np.array(len(made))) == pytest.approx(expected, abs=1e-12)
    assert scored.rows == pytest.approx([library(texts, [answer]) for answer, texts in made], abs=1e-12)


@pytest.mark.parametrize(("ours", "library"), LIBRARY)
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_score_as_in_jiwer(ours: Make, library: Callable, text: str) -> None:
    scored = ours().score([text, ODD["caption"]], [[ODD["caption"]], [text]])
    assert scored.rows.tolist() == [library(ODD["caption"], text), library(text, ODD["caption"])]


@pytest.mark.parametrize(("ours", "library"), LIBRARY)
@given(made=rows(4))
def test_of_several_references_the_closest_counts(ours: Make, library: Callable, made: list[tuple[str, list[str]]]) -> None:
    scored = ours().score([answer for answer, _ in made], [texts for _, texts in made])
    assert scored.rows == pytest.approx([min(library(text, answer) for text in texts) for answer, texts in made], abs=1e-12)


def test_of_references_equally_close_the_first_counts() -> None:
    assert wer().score(["a b x x"], [["a b", "a b c d e f", "a b c d"]]).statistics.tolist() == [[2, 4]]
    assert wer().score(["a"], [["b", "b c", "c d e"]]).statistics.tolist() == [[1, 1]]
    assert wer().score(["a"], [["b c", "b", "c d e"]]).statistics.tolist() == [[2, 2]]


@pytest.mark.parametrize("ours", [wer, cer])
def test_a_stack_of_sums_gives_a_stack_of_scores(ours: Make) -> None:
    sums = np.array([[[1.0, 4.0], [0.0, 2.0]], [[6.0, 3.0], [2.0, 0.0]]])
    assert ours().overall(sums, np.ones((2, 2))).tolist() == [[0.25, 0.0], [2.0, 2.0]]


@pytest.mark.parametrize("ours", [wer, cer])
def test_in_an_empty_answer_all_of_the_reference_is_missing(ours: Make) -> None:
    scored = ours().score(["", " \n"], [["a cat"], ["a cat", "cat"]])
    assert scored.rows.tolist() == [1.0, 1.0]
    assert not ours().about.higher


@pytest.mark.parametrize("ours", [wer, cer])
def test_no_rows_are_no_error(ours: Make) -> None:
    assert ours().score([], []).statistics.shape == (0, 2)


def test_the_signature_names_the_libraries() -> None:
    assert wer().about.signature.split("|")[-2:] == [f"jiwer:{version('jiwer')}", f"rapidfuzz:{version('rapidfuzz')}"]
