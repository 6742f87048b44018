"""How often an interval of 95 % holds the truth: 93 to 97 times in 100, over many samples of populations that are known.

2,000 samples tell the coverage to within half a percent (one standard error).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from pipeline.core.scores import Estimate
from pipeline.evaluate.intervals import MOST_RESAMPLED, difference, estimate
from pipeline.evaluate.metric import Floats

SAMPLES = 2_000
# Fewer resamples than a user gets, for the time it takes: the chance in the ends costs half a percent of coverage.
RESAMPLES = 399


def mean(sums: Floats, n: Floats) -> Floats:
    return np.asarray(sums[..., 0] / n)


def ratio(sums: Floats, n: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def coverage(sample: Callable[[np.random.Generator], Estimate], truth: float, samples: int = SAMPLES) -> float:
    """Give how many of 100 intervals hold the truth. One that is missing holds nothing."""
    rng = np.random.default_rng(2026)
    found = [sample(rng) for _ in range(samples)]
    return (
        100 * sum(each.low is not None and each.high is not None and each.low <= truth <= each.high for each in found) / samples
    )


def seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def f1_like(rng: np.random.Generator, n: int, *, none: float = 0.2, full: float = 0.33) -> Floats:
    """Scores as F1 gives them: some 0, some 1, the rest between, with 0.5 as their mean."""
    kind = rng.random(n)
    return np.where(kind < none, 0.0, np.where(kind < none + full, 1.0, rng.beta(2, 2, n)))[:, np.newaxis]


def wer_like(rng: np.random.Generator, n: int) -> Floats:
    """Errors and words: most texts nearly right, some hopeless, one word in ten wrong."""
    words = rng.poisson(10, n) + 1
    return np.column_stack([rng.binomial(words, rng.beta(0.3, 2.7, n)), words]).astype(np.float64)


def sizes_of(rng: np.random.Generator, many: int) -> npt.NDArray[np.int64]:
    return rng.integers(2, 11, many)


@pytest.mark.parametrize(("share", "n"), [(0.05, 200), (0.5, 200), (0.9, 200), (0.98, 300), (0.5, 30)])
def test_wilson_s_interval_of_a_proportion(share: float, n: int) -> None:
    # No chance here: every number of hits counts by its probability.
    found = [estimate((np.arange(n) < hits).astype(float)[:, np.newaxis], mean, proportion=True) for hits in range(n + 1)]
    held = np.array([each.low is not None and each.high is not None and each.low <= share <= each.high for each in found])
    assert 93 < 100 * stats.binom.pmf(np.arange(n + 1), n, share)[held].sum() < 97


@pytest.mark.parametrize(("wins", "losses", "n"), [(0.15, 0.1, 200), (0.15, 0.15, 50), (0.3, 0.1, 100), (0.04, 0.02, 400)])
def test_the_interval_of_a_difference_of_paired_proportions(wins: float, losses: float, n: int) -> None:
    def sample(rng: np.random.Generator) -> Estimate:
        kind, hit = rng.random((n, 1)), rng.random((n, 1)) < 0.6
        won, lost = kind < wins, kind > 1 - losses
        return difference(1.0 * (hit & ~won | lost), 1.0 * (hit & ~lost | won), mean, proportion=True)

    assert 93 < coverage(sample, wins - losses) < 97


@pytest.mark.parametrize(
    ("share", "alike", "many"),
    [
        (0.5, 0.2, 20),
        pytest.param(0.5, 0.6, 40, marks=pytest.mark.slow),
        pytest.param(0.7, 0.0, 40, marks=pytest.mark.slow),
        (0.9, 0.3, 40),
        pytest.param(0.9, 0.9, 60, marks=pytest.mark.slow),
    ],
)
def test_the_interval_of_a_proportion_with_clusters(share: float, alike: float, many: int) -> None:
    def sample(rng: np.random.Generator) -> Estimate:
        sizes = sizes_of(rng, many)
        shares = rng.beta(share * (1 - alike) / alike, (1 - share) * (1 - alike) / alike, many) if alike else np.full(many, share)
        hits = (rng.random(sizes.sum()) < shares.repeat(sizes)).astype(np.float64)
        return estimate(hits[:, np.newaxis], mean, clusters=np.arange(many).repeat(sizes), proportion=True)

    assert 93 < coverage(sample, share) < 97


@pytest.mark.parametrize(
    ("alike", "many", "large"),
    [
        pytest.param(0.3, 40, 1, marks=pytest.mark.slow),
        (0.8, 20, 1),
        pytest.param(0.0, 40, 1, marks=pytest.mark.slow),
        pytest.param(0.3, 40, 8, marks=pytest.mark.slow),
    ],
)
def test_the_interval_of_a_mean_with_clusters(alike: float, many: int, large: int) -> None:
    def sample(rng: np.random.Generator) -> Estimate:
        # A tenth of them may be several times as large.
        sizes = sizes_of(rng, many) * np.where(rng.random(many) < 0.1, large, 1)
        effects = rng.normal(0, np.sqrt(alike), many).repeat(sizes)
        scores = effects + rng.normal(0, np.sqrt(1 - alike), len(effects))
        return estimate(scores[:, np.newaxis], mean, clusters=np.arange(many).repeat(sizes))

    assert 93 < coverage(sample, 0.0) < 97


def test_the_interval_of_a_paired_difference_with_clusters() -> None:
    def sample(rng: np.random.Generator) -> Estimate:
        sizes = sizes_of(rng, 40)
        image = rng.normal(0, 1, 40).repeat(sizes)
        a = image + rng.normal(0, 0.5, len(image))
        b = image + rng.normal(0.1, 0.3, 40).repeat(sizes) + rng.normal(0, 0.5, len(image))
        return difference(a[:, np.newaxis], b[:, np.newaxis], mean, clusters=np.arange(40).repeat(sizes))

    assert 93 < coverage(sample, 0.1) < 97


@pytest.mark.slow
def test_students_interval_of_a_skew_mean_of_many_rows() -> None:
    assert 93 < coverage(lambda rng: estimate(rng.exponential(size=(MOST_RESAMPLED + 1, 1)) ** 1.5, mean), 1.3293404) < 97


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 100, 300])
def test_bca_s_interval_of_a_mean(n: int) -> None:
    truth = 0.33 + 0.47 / 2
    assert 93 < coverage(lambda rng: estimate(f1_like(rng, n), mean, seed=seed(rng), resamples=RESAMPLES), truth) < 97


@pytest.mark.slow
def test_bca_s_interval_of_a_mean_near_the_best_score() -> None:
    def sample(rng: np.random.Generator) -> Estimate:
        return estimate(f1_like(rng, 50, none=0.03, full=0.8), mean, seed=seed(rng), resamples=RESAMPLES)

    assert 93 < coverage(sample, 0.8 + 0.17 / 2) < 97


@pytest.mark.slow
def test_bca_s_interval_of_an_error_rate() -> None:
    assert 93 < coverage(lambda rng: estimate(wer_like(rng, 100), ratio, seed=seed(rng), resamples=RESAMPLES), 0.1) < 97


def paired(rng: np.random.Generator, n: int) -> Estimate:
    """Compare runs that answer seven rows of ten alike."""
    a = f1_like(rng, n)
    b = np.where(rng.random((n, 1)) < 0.3, f1_like(rng, n, none=0.15, full=0.4), a)
    return difference(a, b, mean, seed=seed(rng), resamples=RESAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 100])
def test_the_bootstrap_s_interval_of_a_paired_difference(n: int) -> None:
    assert 93 < coverage(lambda rng: paired(rng, n), 0.3 * (0.4 + 0.45 / 2 - 0.33 - 0.47 / 2)) < 97
