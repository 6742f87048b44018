"""Metrics that look for something in an answer, and score 1 where it is what the reference says."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from pipeline.core.scores import About
from pipeline.evaluate.metric import Mean, Scored, mean_scored

T = TypeVar("T")


class Found(Mean, Generic[T]):
    """`find` gives what an answer says, None if nothing of the kind is in it; `expect` what a reference says.

    `expect` raises ConfigError for a reference that says nothing of the kind.
    """

    def __init__(self, about: About, find: Callable[[str], T | None], expect: Callable[[str], T]) -> None:
        self.about = about
        self._find, self._expect = find, expect

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        rows = np.zeros(len(answers))
        unanswered = np.zeros(len(answers), dtype=np.bool_)
        for row, (answer, each) in enumerate(zip(answers, references, strict=True)):
            expected = [self._expect(text) for text in each]
            found = self._find(answer) if answer else None
            unanswered[row] = found is None and bool(answer)
            rows[row] = found is not None and found in expected
        return mean_scored(rows, unanswered)
