"""Word and character error rates as jiwer counts them: edits over the reference's length, without any normalisation."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import islice

import jiwer
import numpy as np
from rapidfuzz.distance import Levenshtein

from pipeline.core.scores import About
from pipeline.evaluate.metric import Floats, Scored


def wer() -> "ErrorRate":
    """Word error rate: case and punctuation count; words stand between blanks."""
    return ErrorRate("wer", "Word error rate", jiwer.wer_default)


def cer() -> "ErrorRate":
    """Character error rate: blanks within a text count."""
    # jiwer then makes a list of each text's characters; a string is as good.
    return ErrorRate("cer", "Character error rate", jiwer.Strip())


class ErrorRate:
    """Substitutions, deletions and insertions over the reference's length, in pieces as `split` makes them.

    Of several references a row is held against the one with the lowest rate, the first of equals. jiwer also lists the edits;
    their number is taken straight from the library that it counts them with, in a tenth of the time.
    """

    learns = False

    def __init__(self, name: str, title: str, split: Callable[[list[str]], Sequence[Sequence[str]]]) -> None:
        self._name = name
        self._title = title
        self._split = split

    @property
    def about(self) -> About:
        made_by = f"jiwer:{version('jiwer')}|rapidfuzz:{version('rapidfuzz')}"
        return About(self._name, self._title, f"case:mixed|norm:no|refs:closest|{made_by}", higher=False)

    def learn(self, references: Sequence[Sequence[str]]) -> None:
        """Meet references; there is nothing to learn."""

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        """Score n rows."""
        statistics = np.empty((len(answers), 2))
        said = self._split(list(answers))
        meant = iter(self._split([text for texts in references for text in texts]))
        for row, texts in enumerate(references):
            counted = ((Levenshtein.distance(each, said[row]), len(each)) for each in islice(meant, len(texts)))
            statistics[row] = min(counted, key=_rate)
        return Scored(_rates(statistics), statistics)

    def overall(self, sums: Floats, n: Floats) -> Floats:
        return _rates(sums)


def _rate(counted: tuple[int, int]) -> float:
    edits, length = counted
    return edits / max(length, 1)


def _rates(sums: Floats) -> Floats:
    """Give edits over length; where references hold nothing jiwer gives the number of edits."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))
