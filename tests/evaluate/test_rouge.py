import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from rouge_score.rouge_scorer import RougeScorer

from pipeline.evaluate.rouge import Rouge, rouge1, rouge2, rouge_l
from tests.evaluate.texts import ODD, rows

Make = Callable[[], Rouge]
METRICS = [pytest.param(each, id=each().about.name) for each in (rouge1, rouge2, rouge_l)]


@pytest.mark.parametrize("ours", METRICS)
@given(made=rows(4))
def test_every_row_scores_as_in_rouge_score(ours: Make, made: list[tuple[str, list[str]]]) -> None:
    metric = ours()
    name = metric.about.name
    library = RougeScorer([name], use_stemmer=False)
    scored = metric.score([answer for answer, _ in made], [texts for _, texts in made])
    expected = [library.score_multi(texts, answer)[name].fmeasure for answer, texts in made]
    assert scored.rows == pytest.approx(expected, abs=1e-12)
    assert metric.overall(scored.statistics.sum(axis=0), np.array(len(made))) == pytest.approx(np.mean(expected), abs=1e-12)


@pytest.mark.parametrize("ours", METRICS)
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_score_as_in_rouge_score(ours: Make, text: str) -> None:
    metric = ours()
    name = metric.about.name
    library = RougeScorer([name], use_stemmer=False)
    pairs = [(text, ODD["caption"]), (ODD["caption"], text), (text, text)]
    scored = metric.score([answer for answer, _ in pairs], [[reference] for _, reference in pairs])
    assert scored.rows.tolist() == [library.score(reference, answer)[name].fmeasure for answer, reference in pairs]


@pytest.mark.parametrize("ours", METRICS)
def test_rows_whose_references_have_no_latin_letter_are_counted_as_blind(ours: Make) -> None:
    metric = ours()
    rows = metric.score(["一只猫", "", "a cat", "a cat"], [["一只猫"], ["?", "狗"], ["狗", "a cat"], ["a cat"]]).rows
    assert rows.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert metric.blind == 2


@pytest.mark.parametrize("ours", METRICS)
def test_an_empty_answer_scores_0_and_no_rows_are_no_error(ours: Make) -> None:
    assert ours().score([""], [["a cat sits"]]).rows.tolist() == [0.0]
    assert ours().score([], []).statistics.shape == (0, 1)


@pytest.mark.parametrize("ours", METRICS)
def test_texts_of_200_kb_are_scored(ours: Make) -> None:
    scored = ours().score(["a b c d " * 25_000], [["b c d a " * 25_000]])
    assert scored.rows[0] > 0.99


def test_nltk_is_not_imported() -> None:
    code = "import sys, pipeline.evaluate.rouge; assert 'rouge_score.tokenize' in sys.modules and 'nltk' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
