"""Exact match, token F1, and whether an answer contains the reference: SQuAD's measures, with numbers kept whole."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.core.scores import About
from pipeline.evaluate.metric import Mean, Scored, mean_scored
from pipeline.evaluate.normal import NORM, normalised
from pipeline.version import __version__

Compare = Callable[[str, str], float]
_SIGNATURE = f"norm:{NORM}|refs:best|rowcall:{__version__}"


def exact_match(answer: str, reference: str) -> float:
    """Compare two normalised texts."""
    return float(answer == reference)


def token_f1(answer: str, reference: str) -> float:
    """Give the harmonic mean of how many of the answer's tokens the reference has, and the other way round."""
    if answer == reference:
        return 1.0
    said, expected = answer.split(), reference.split()
    left = Counter(expected)
    common = 0
    for token in said:
        if left[token] > 0:
            left[token] -= 1
            common += 1
    return 2 * common / (len(said) + len(expected))


def contained(answer: str, reference: str) -> float:
    """Tell whether the reference stands in the answer, from the beginning of a token to the end of one."""
    return float(f" {reference} " in f" {answer} ")


class Match(Mean):
    """Scores by comparing normalised texts; of several references the one that fits best counts."""

    def __init__(self, about: About, compare: Compare) -> None:
        self.about = about
        self._compare = compare

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        return mean_scored(np.fromiter(map(self._best, answers, references), np.float64, len(answers)))

    def _best(self, answer: str, references: Sequence[str]) -> float:
        if not answer:
            return 0.0
        said, compare = normalised(answer), self._compare
        if len(references) == 1:
            return compare(said, normalised(references[0]))
        return max(compare(said, normalised(each)) for each in references)


def exact() -> Match:
    return Match(About("exact", "Exact match", _SIGNATURE, proportion=True), exact_match)


def f1() -> Match:
    return Match(About("f1", "F1", _SIGNATURE), token_f1)


def contains() -> Match:
    return Match(About("contains", "Contains", _SIGNATURE, proportion=True), contained)
