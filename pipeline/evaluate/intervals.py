"""A score with its 95 % interval, from rows' statistics; likewise the difference of two runs over the same rows.

    proportion                Wilson (1927); between 0 and 1 whatever was seen
    up to MOST_RESAMPLED rows BCa bootstrap (Efron 1987), over sums of the rows' statistics
    difference                Student's interval with the standard error of a paired bootstrap, up to as many rows
    more rows, or under five  the delete-one jackknife's standard error, with Student's t
    clusters                  the same with whole clusters deleted (CV3), for a proportion on the logit scale
    difference of proportions Bonett and Price (2012)

BCa is taken at the level that makes up for few rows (Hesterberg 2015): a bootstrap is else too narrow by sqrt(1 - 1/n), and
knows nothing of Student's t. Of differences it covers less, since most rows differ by nothing and its corrections are made
from the few that do: of 50 rows, 15 of which differ, BCa covers 92 %, percentiles 93 %, Student's interval 94 %.

They cover 93 to 97 % (tests/evaluate/test_coverage.py), but not everywhere. Less: with clusters of 2 to 10 rows much alike
inside (a correlation of 0.6) 91 % for a proportion of 0.98 and 100 clusters; where a tenth are several times as large 92 %
for 0.9 and 40 clusters, 84 % for 0.98 and 100. More: 98 % for a difference of proportions where 3 rows in 100 differ, and
for a proportion where clusters are nearly copies of one row.

Rows in another order, and clusters by another name, give the same Estimate to the last digit: before anything is summed or
drawn, rows are sorted by their statistics.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from pipeline.core.scores import Estimate
from pipeline.evaluate.metric import Floats

LEVEL = 0.95
# The ends of an interval are quantiles, and the chance in them is one twentieth of a standard error with so many resamples.
RESAMPLES = 2_999
# BCa costs rows * (rows + resamples): with so many and the resamples above 0.2 s, for a mean as for BLEU's statistics on two
# sides. A sample whose skewness is 2 moves BCa's ends by 6 % of a standard error here, and less with more rows.
MOST_RESAMPLED = 2_000
# With fewer rows the level that makes up for them leaves less than one resample beyond the ends.
FEWEST_RESAMPLED = 5
# Below so many clusters the standard error is a rough one, and its interval is said to rest on few.
FEW_CLUSTERS = 20

# Row numbers held at once while resampling, a few samples of them: what fits into a processor's cache takes a third of the time.
_DRAWN = 1 << 14
# Rows left out at once by the jackknife.
_LEFT_OUT = 1 << 16
# What is spread less than this beside the score itself, or beside 1, is spread by rounding.
_ROUNDING = 1e-12
_DIGITS = 12

Overall: TypeAlias = Callable[[Floats, Floats], Floats]
Clusters: TypeAlias = npt.NDArray[np.integer[Any]]
Bounds: TypeAlias = tuple[float, float]

UNBOUNDED = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class _Units:
    """What a sample was drawn in: rows, or clusters of rows. Sorted by what they hold.

    `sums`, shape (m, k), are their statistics, column by column in memory; `rows`, shape (m,), how many rows each has.
    """

    sums: Floats
    rows: Floats
    clustered: bool

    @property
    def many(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        return "cluster" if self.clustered else "row"


@dataclass(frozen=True, slots=True)
class _Bootstrap:
    paired: bool
    resamples: int
    seed: int

    @property
    def title(self) -> str:
        kind = "paired" if self.paired else "BCa"
        return f"{kind} bootstrap, {self.resamples:,} resamples, seed {self.seed}"


def estimate(
    statistics: Floats,
    overall: Overall,
    *,
    clusters: Clusters | None = None,
    proportion: bool = False,
    bounds: Bounds = UNBOUNDED,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Give the score of n rows, of statistics of shape (n, k), and its interval.

    `overall` is a metric's own: from sums and numbers of rows to scores. Rows of one cluster, a number of any size, are taken
    to depend on each other. `proportion` says that the one statistic is 0 or 1 and its mean the score. The interval is cut
    off at `bounds`, the least and the greatest score that there can be.
    """
    if not len(statistics):
        return Estimate(None, None, None, "no rows")
    if proportion and clusters is None:
        right = round(float(statistics[:, 0].sum()))
        ends = stats.binomtest(right, len(statistics)).proportion_ci(LEVEL, method="wilson")
        return Estimate(right / len(statistics), float(ends.low), float(ends.high), "Wilson")
    units = _units(statistics, clusters)
    if proportion and units.many > 1:
        return _clustered_proportion(units, overall)
    return _interval(units, overall, "score the same", _Bootstrap(False, resamples, seed), bounds)


def difference(
    a: Floats,
    b: Floats,
    overall: Overall,
    *,
    clusters: Clusters | None = None,
    proportion: bool = False,
    bounds: Bounds = UNBOUNDED,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Give by how much the score of `b` is above that of `a`, and its interval.

    Both are statistics, shape (n, k), of the same n rows in the same order, which are drawn or left out on both sides at once.
    The rest is as for `estimate`.
    """
    if not len(a):
        return Estimate(None, None, None, "no rows")
    if proportion and clusters is None:
        return _paired_proportions(a[:, 0], b[:, 0])
    k = a.shape[1]

    def apart(sums: Floats, n: Floats) -> Floats:
        return np.asarray(overall(sums[..., k:], n) - overall(sums[..., :k], n))

    return _interval(_units(np.hstack([a, b]), clusters), apart, "differ by the same", _Bootstrap(True, resamples, seed), bounds)


def _units(statistics: Floats, clusters: Clusters | None) -> _Units:
    if clusters is None:
        return _Units(_taken(statistics, np.lexsort(statistics.T)), np.ones(len(statistics)), clustered=False)
    order = np.lexsort((*statistics.T, clusters))
    codes = clusters[order]
    number = np.cumsum(np.concatenate([[False], codes[1:] != codes[:-1]])[: len(codes)])
    rows = np.bincount(number).astype(np.float64)
    # bincount adds one after the other: what else is in the table does not touch a cluster's sum.
    sums: Floats = np.column_stack([np.bincount(number, column[order]).astype(np.float64) for column in statistics.T])
    order = np.lexsort((*sums.T, rows))
    return _Units(_taken(sums, order), rows[order], clustered=True)


def _taken(sums: Floats, order: npt.NDArray[np.intp]) -> Floats:
    """Give rows in this order, each column in one piece: then numpy adds it pairwise, with an error that does not grow with n."""
    taken = np.empty(sums.shape, order="F")
    for column, source in zip(taken.T, sums.T, strict=True):
        np.take(source, order, out=column)
    return taken


def _total(units: _Units) -> tuple[Floats, Floats]:
    return np.array([column.sum() for column in units.sums.T]), np.asarray(units.rows.sum())


def _interval(units: _Units, overall: Overall, alike: str, bootstrap: _Bootstrap, bounds: Bounds) -> Estimate:
    value = float(overall(*_total(units)))
    if not np.isfinite(value):
        return Estimate(None, None, None, "no score from these rows")
    if units.many == 1:
        return Estimate(value, None, None, f"only one {units.name}")
    deleted = _deleted(units, overall)
    if not np.isfinite(deleted).all():
        return Estimate(value, None, None, f"no score without one of the {units.name}s")
    error = _standard_error(deleted, value)
    if error <= _ROUNDING * max(1.0, float(np.abs(deleted).max())):
        return Estimate(value, None, None, f"all {units.name}s {alike}")
    if not units.clustered and FEWEST_RESAMPLED <= units.many <= MOST_RESAMPLED:
        low, high = _resampled(units, overall, value, bootstrap)
        if np.isfinite(low) and np.isfinite(high):
            return _within(bounds, value, low, high, bootstrap.title)
    reach = _quantile(units) * error
    method = f"clustered jackknife, {_counted(units)}" if units.clustered else f"jackknife, t({units.many - 1:,})"
    return _within(bounds, value, value - reach, value + reach, method)


def _within(bounds: Bounds, value: float, low: float, high: float, method: str) -> Estimate:
    """Cut an interval off at the bounds. It holds the value, which BCa's does not where resampling is far off on average."""
    return Estimate(value, min(max(low, bounds[0]), value), max(min(high, bounds[1]), value), method)


def _counted(units: _Units) -> str:
    return f"few clusters: {units.many}" if units.many < FEW_CLUSTERS else f"{units.many:,} clusters"


def _independent(units: _Units) -> float:
    """Give as how many units of one size these count: Kish's effective number (1965). It is the number of rows without clusters.

    One cluster of a thousand rows and twenty of one tell little more than the one does.
    """
    return float(units.rows.sum() ** 2 / np.square(units.rows).sum())


def _quantile(units: _Units) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, max(_independent(units) - 1, 1)))


def _deleted(units: _Units, overall: Overall) -> Floats:
    """Give the score without each unit in turn. It takes no second pass over the others: their sums are all less this one's."""
    sums, rows = _total(units)
    deleted = np.empty(units.many)
    for start in range(0, units.many, _LEFT_OUT):
        part = slice(start, start + _LEFT_OUT)
        deleted[part] = overall(sums - units.sums[part], rows - units.rows[part])
    return deleted


def _standard_error(deleted: Floats, value: float) -> float:
    """Give the jackknife's standard error, about the score itself: CV3 of MacKinnon, Nielsen and Webb (2023) for clusters."""
    return float(np.sqrt((1 - 1 / len(deleted)) * np.square(deleted - value).sum()))


def _resampled(units: _Units, overall: Overall, value: float, bootstrap: _Bootstrap) -> Bounds:
    """Give the ends of an interval from scipy's bootstrap, not finite where it finds none."""
    n = units.many
    t = math.sqrt(n / (n - 1)) * _quantile(units)

    def score(drawn: npt.NDArray[Any], axis: int = -1) -> Floats:
        """Score samples of row numbers, shape (..., m) with m = n or n - 1. How often each row was drawn is enough to sum up.

        Counts times statistics is a product of matrices: for BLEU's ten statistics ten times as fast as collecting rows.
        """
        samples = drawn.reshape(-1, drawn.shape[axis]).astype(np.intp, copy=False)
        places = samples + n * np.arange(len(samples))[:, np.newaxis]
        counts = np.bincount(places.ravel(), minlength=n * len(samples)).reshape(len(samples), n)
        scores = overall(counts.astype(np.float64) @ units.sums, np.full(len(samples), float(samples.shape[1])))
        # BCa counts the samples that score below the score itself. One that scores just that must not be below it by rounding.
        return np.round(scores, _DIGITS).reshape(drawn.shape[:-1])

    with warnings.catch_warnings():
        # No interval is said by its ends, which are then no numbers.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.arange(n),),
            score,
            n_resamples=bootstrap.resamples,
            batch=max(1, _DRAWN // n),
            vectorized=True,
            confidence_level=2 * float(stats.norm.cdf(t)) - 1,
            method="percentile" if bootstrap.paired else "BCa",
            rng=np.random.default_rng(bootstrap.seed),
        )
    if bootstrap.paired:
        return value - t * float(found.standard_error), value + t * float(found.standard_error)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _clustered_proportion(units: _Units, overall: Overall) -> Estimate:
    """Give an interval on the scale of log odds, as surveys do: it ends within 0 and 1, and near them it is no symmetric one.

    Where all rows score the same nothing tells how clusters differ: each counts as one row, as if its rows were copies.
    Where all clusters do, though rows differ, their rows count as independent. Both get Wilson's interval.
    """
    value = float(overall(*_total(units)))
    variance = value * (1 - value)
    error = _standard_error(_deleted(units, overall), value)
    t = _quantile(units)
    if variance == 0 or error <= _ROUNDING:
        low, high = _wilson(value, float(units.rows.sum()) if variance else _independent(units), t)
        return _within((0.0, 1.0), value, low, high, f"clustered Wilson, {_counted(units)}")
    odds, reach = special.logit(value), t * error / variance
    low, high = float(special.expit(odds - reach)), float(special.expit(odds + reach))
    return _within((0.0, 1.0), value, low, high, f"clustered logit, {_counted(units)}")


def _wilson(value: float, n: float, t: float) -> Bounds:
    """Give Wilson's interval for `n` rows, which need be no whole number, with this quantile."""
    middle = (value + t**2 / (2 * n)) / (1 + t**2 / n)
    reach = t / (1 + t**2 / n) * math.sqrt(value * (1 - value) / n + (t / (2 * n)) ** 2)
    return middle - reach, middle + reach


def _paired_proportions(a: Floats, b: Floats) -> Estimate:
    """Give Wald's interval after one more row is counted that b wins, and one that it loses.

    It covers where few rows differ, which BCa does not: with 100 rows, of which 7 differ, it covers 91 %, this interval 97 %.
    Where no rows differ it still says how much they may have. Fagerland, Lydersen and Laake (2014) recommend it.
    """
    n, wins, losses = len(a), np.count_nonzero(b > a), np.count_nonzero(b < a)
    middle = (wins - losses) / (n + 2)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt(((wins + losses + 2) / (n + 2) - middle**2) / (n + 2))
    return _within((-1.0, 1.0), (wins - losses) / n, middle - reach, middle + reach, "Bonett-Price")
