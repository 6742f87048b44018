import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from pipeline.core.errors import ConfigError
from pipeline.evaluate.catalogue import TOKENIZERS, metrics_named
from pipeline.evaluate.translation import LONGEST_SHIFTED, Translation, bleu, chrf, ter
from tests.evaluate.texts import ODD, rows, streams

# Ours; sacrebleu's for many rows; sacrebleu's for one.
LIBRARY = [
    pytest.param(bleu, BLEU, lambda: BLEU(effective_order=True), id="bleu"),
    pytest.param(chrf, CHRF, CHRF, id="chrf"),
    pytest.param(ter, TER, TER, id="ter"),
]
METRICS = [pytest.param(each, id=each.__name__) for each in (bleu, chrf, ter)]

Make = Callable[[], Translation]
Made = list[tuple[str, list[str]]]


def split(made: Made) -> tuple[list[str], list[list[str]]]:
    return [answer for answer, _ in made], [texts for _, texts in made]


def assert_equals_the_library(ours: Make, many: Callable, one: Callable, made: Made) -> None:
    answers, references = split(made)
    metric, library = ours(), many()
    scored = metric.score(answers, references)
    expected = library.corpus_score(answers, streams(references))
    assert metric.overall(scored.statistics.sum(axis=0), np.array(len(made))) == pytest.approx(expected.score, abs=1e-9)
    assert scored.rows == pytest.approx([one().sentence_score(answer, texts).score for answer, texts in made], abs=1e-9)
    assert metric.about.signature.startswith(str(library.get_signature()))


@pytest.mark.parametrize(("ours", "many", "one"), LIBRARY)
@given(made=rows(3))
def test_every_row_and_all_of_them_score_as_in_sacrebleu(ours: Make, many: Callable, one: Callable, made: Made) -> None:
    assert_equals_the_library(ours, many, one, made)


@pytest.mark.parametrize(("ours", "many", "one"), LIBRARY)
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_score_as_in_sacrebleu(ours: Make, many: Callable, one: Callable, text: str) -> None:
    references = [text] if text.strip() else []
    assert_equals_the_library(ours, many, one, [(text, [ODD["caption"], *references]), (ODD["caption"], references or ["cat"])])


@pytest.mark.parametrize("ours", METRICS)
def test_a_stack_of_sums_gives_a_stack_of_scores(ours: Make) -> None:
    metric = ours()
    statistics = metric.score(
        ["a cat sits on the mat", "dog", "", "a mat"], [["a cat sat on the mat"], ["a dog"], ["x"], ["a"]]
    ).statistics
    sums = statistics[np.array([[[0, 1], [1, 2], [3, 3]], [[2, 2], [0, 0], [0, 3]]])].sum(axis=2)
    scores = metric.overall(sums, np.full((2, 3), 2.0))
    assert scores.shape == (2, 3)
    for at in np.ndindex(2, 3):
        assert scores[at] == metric.overall(sums[at], np.array(2.0))


@pytest.mark.parametrize("ours", METRICS)
def test_an_empty_answer_gets_the_worst_score(ours: Make) -> None:
    metric = ours()
    assert metric.score([""], [["a cat"]]).rows.tolist() == [0.0 if metric.about.higher else 100.0]


@pytest.mark.parametrize("ours", METRICS)
def test_no_rows_are_no_error(ours: Make) -> None:
    metric = ours()
    scored = metric.score([], [])
    assert scored.rows.shape == (0,)
    assert metric.overall(scored.statistics.sum(axis=0), np.array(0.0)) == 0
    assert "nrefs:0" in metric.about.signature


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        pytest.param([[["a"], ["b"]], [["c"]]], "nrefs:1", id="one"),
        pytest.param([[["a", "b"], ["b", "c"]]], "nrefs:2", id="two"),
        pytest.param([[["a", "b"], ["b"]]], "nrefs:var", id="varies-within-a-batch"),
        pytest.param([[["a"]], [["b", "c"]]], "nrefs:var", id="varies-between-batches"),
    ],
)
def test_the_signature_says_how_many_references_rows_had(batches: list[list[list[str]]], said: str) -> None:
    metric = bleu()
    for references in batches:
        metric.score(["a"] * len(references), references)
    assert said in metric.about.signature.split("|")


def test_shifts_are_sought_in_short_texts_and_the_signature_says_when_not_in_long_ones() -> None:
    words = [f"w{at}" for at in range(LONGEST_SHIFTED)]
    shifted = [*words[5:20], *words[:5], *words[20:]]
    metric = ter()
    assert metric.score([" ".join(shifted)], [[" ".join(words)]]).statistics[0, 0] == 1
    assert "shifts" not in metric.about.signature
    longer = metric.score([" ".join([*shifted, "end"])], [[" ".join([*words, "end"])]])
    assert longer.statistics.tolist() == [[10, LONGEST_SHIFTED + 1]]
    assert metric.about.signature.endswith(f"|shifts:to-{LONGEST_SHIFTED}-words")


@pytest.mark.parametrize("ours", METRICS)
def test_texts_of_200_kb_hold_nobody_up_and_are_not_kept(ours: Make) -> None:
    answer, reference = "a bc, d " * 25_000, "bc d, a " * 25_000
    # What takes the square of their length, or rounds upon rounds, meets the suite's timeout.
    assert math.isfinite(ours().score([answer], [[reference]]).rows[0])
    assert Tokenizer13a.__call__.cache_info().currsize == 0


@pytest.mark.parametrize("tokenize", TOKENIZERS)
def test_bleu_splits_texts_as_told(tokenize: str) -> None:
    (metric,) = metrics_named(["bleu"], tokenize=tokenize)
    answers, references = ["猫坐在垫子上看着窗外", "a cat, on a mat"], [["猫坐在垫子上看着窗户"], ["a cat on the mat"]]
    library = BLEU(tokenize=tokenize, force=True)
    expected = library.corpus_score(answers, [[each[0] for each in references]])
    scored = metric.score(answers, references)
    assert metric.overall(scored.statistics.sum(axis=0), np.array(2)) == pytest.approx(expected.score, abs=1e-9)
    assert f"tok:{tokenize}" in metric.about.signature


def test_a_tokenizer_that_nothing_uses_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--tokenize: only bleu"):
        metrics_named(["chrf"], tokenize="zh")
