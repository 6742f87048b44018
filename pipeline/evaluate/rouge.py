"""ROUGE-1, ROUGE-2 and ROUGE-L, F-measure, equal to rouge-score's own scorer without stemming.

The tokenizer and the F-measure are that library's. Its scorer itself is not used: it imports nltk, which takes two seconds,
makes tokens of an answer once for each reference, and holds a table of longest common subsequences that has a cell for each
pair of words, 40 bytes for each of a billion where two texts of 200 kB meet.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Any, cast

import numpy as np
from rapidfuzz.distance import LCSseq
from rouge_score.scoring import fmeasure
from rouge_score.tokenize import tokenize

from pipeline.core.scores import About
from pipeline.evaluate.metric import Mean, Scored, mean_scored


def rouge1() -> "Rouge":
    """Words in common."""
    return Rouge("rouge1", "ROUGE-1", list, _shared)


def rouge2() -> "Rouge":
    """Pairs of neighbouring words in common."""
    return Rouge("rouge2", "ROUGE-2", _pairs, _shared)


def rouge_l() -> "Rouge":
    """Words that come in the same order in both."""
    return Rouge("rougeL", "ROUGE-L", list, LCSseq.similarity)


class Rouge(Mean):
    """One kind of ROUGE: `units` are what texts have in common, `common` counts it. Of several references the best one counts.

    `blind` counts the rows scored of whose references no word is left, as the tokenizer knows no letters but a to z: such a
    row scores 0 whatever is said.
    """

    def __init__(
        self,
        name: str,
        title: str,
        units: Callable[[list[str]], list[Any]],
        common: Callable[[list[Any], list[Any]], int],
    ) -> None:
        self._name = name
        self._title = title
        self._units = units
        self._common = common
        self.blind = 0

    @property
    def about(self) -> About:
        signature = f"measure:f|stem:no|refs:best|rouge-score:{version('rouge-score')}"
        return About(self._name, self._title, signature)

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        """Score n rows."""
        rows = [self._row(answer, texts) for answer, texts in zip(answers, references, strict=True)]
        return mean_scored(np.array(rows, dtype=np.float64))

    def _row(self, answer: str, texts: Sequence[str]) -> float:
        words = [tokenize(text, None) for text in texts]
        self.blind += not any(words)
        said = self._units(tokenize(answer, None))
        return max(self._f(said, self._units(each)) for each in words)

    def _f(self, said: list[Any], meant: list[Any]) -> float:
        if not said or not meant:
            return 0.0
        common = self._common(said, meant)
        return cast("float", fmeasure(common / len(said), common / len(meant)))


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))


def _shared(said: list[Any], meant: list[Any]) -> int:
    """Count what both have, each as often as the one that has it less often."""
    left = Counter(meant)
    return sum(min(count, left[each]) for each, count in Counter(said).items() if each in left)
