"""What a metric is to the rest of an evaluation: rows to scores, and sums over rows to one score of them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.core.scores import About

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a metric makes of n rows.

    `rows`, shape (n,), is each row's own score, as it stands beside the row. `statistics`, shape (n, k), is what the score
    of many is made from, summed over them. `unanswered`, shape (n,), marks rows with a text in which the metric found no
    answer; None if it looks for none.
    """

    rows: Floats
    statistics: Floats
    unanswered: Flags | None = None


class Metric(Protocol):
    """One way to score. An empty answer gets the worst score: 0, or all of the reference's words wrong."""

    @property
    def about(self) -> About: ...

    @property
    def learns(self) -> bool:
        """Whether `learn` must see every row's references before any row is scored."""
        ...

    def learn(self, references: Sequence[Sequence[str]]) -> None:
        """Meet the references of further rows."""
        ...

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        """Score n rows. Each has an answer, perhaps "", and one reference at least, none of them blank.

        Raises ConfigError for references that this metric cannot take: it names the first such text.
        """
        ...

    def overall(self, sums: Floats, n: Floats) -> Floats:
        """Give the score of many rows from the sums of their statistics, shape (..., k), and their number, shape (...).

        It must take many at once (bootstrap), and be the library's own corpus score where the metric is a library's.
        """
        ...


class Mean:
    """What metrics share whose overall score is the mean of their rows' scores."""

    learns = False

    def learn(self, references: Sequence[Sequence[str]]) -> None:
        """Meet references; there is nothing to learn."""

    def overall(self, sums: Floats, n: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums[..., 0] / n)


def mean_scored(rows: Floats, unanswered: Flags | None = None) -> Scored:
    """Give what a metric makes of rows whose mean is its overall score."""
    return Scored(rows, rows[:, np.newaxis], unanswered)
