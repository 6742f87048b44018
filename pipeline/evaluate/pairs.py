"""One metric over the rows of one run, and of two runs side by side: score, difference, wins and losses."""

import numpy as np
from scipy import stats

from pipeline.core.scores import About, Compared, Counted
from pipeline.evaluate.intervals import Bounds, Clusters, Overall, difference, estimate
from pipeline.evaluate.metric import Floats

# Rows of two runs score the same if less than this part of the scale lies between them: sums of floats end differently.
TIE = 1e-12


def counted(statistics: Floats, about: About, overall: Overall, clusters: Clusters | None = None, seed: int = 0) -> Counted:
    """Give the score of n rows from their statistics, shape (n, k). `clusters`, shape (n,), numbers what rows share."""
    found = estimate(statistics, overall, clusters=clusters, proportion=about.proportion, bounds=_bounds(about), seed=seed)
    return Counted(len(statistics), found)


def compare(
    rows_a: Floats,
    rows_b: Floats,
    stats_a: Floats,
    stats_b: Floats,
    about: About,
    overall: Overall,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> Compared:
    """Compare two runs over the same n rows, in the same order on both sides.

    `rows_a` and `rows_b`, shape (n,), are the rows' own scores; `stats_a` and `stats_b`, shape (n, k), their statistics.
    """
    better = (rows_b - rows_a) * (1 if about.higher else -1)
    wins = int(np.count_nonzero(better > TIE * about.scale))
    losses = int(np.count_nonzero(better < -TIE * about.scale))
    least, most = _bounds(about)
    apart = difference(
        stats_a,
        stats_b,
        overall,
        clusters=clusters,
        proportion=about.proportion,
        bounds=(least - most, most - least),
        seed=seed,
    )
    return Compared(
        n=len(rows_a),
        a=counted(stats_a, about, overall, clusters, seed).estimate,
        b=counted(stats_b, about, overall, clusters, seed).estimate,
        difference=apart,
        wins=wins,
        ties=len(rows_a) - wins - losses,
        losses=losses,
        p_value=mcnemar(wins, losses) if about.proportion and clusters is None else None,
    )


def mcnemar(wins: int, losses: int) -> float:
    """Give the two-sided p-value of so many wins among the rows that differ, if either side were as likely to win each."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def _bounds(about: About) -> Bounds:
    """Give the least and the greatest score there can be. Error rates have no greatest."""
    return (0.0, about.scale) if about.higher else (0.0, np.inf)
