"""Intervals against published figures, scipy's own and other formulas; laws; what has no interval."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import special, stats

from pipeline.core.scores import Estimate
from pipeline.evaluate import intervals
from pipeline.evaluate.intervals import Clusters, difference, estimate
from pipeline.evaluate.metric import Floats

REAL_SCORES = st.floats(0, 1, allow_subnormal=False)


def mean(sums: Floats, n: Floats) -> Floats:
    return np.asarray(sums[..., 0] / n)


def ratio(sums: Floats, n: Floats) -> Floats:
    """The score of error rates: errors over words. It does not know the number of rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)[:, np.newaxis]


def right(hits: int, n: int) -> Floats:
    return (np.arange(n) < hits).astype(np.float64)[:, np.newaxis]


def f1_like(rng: np.random.Generator, n: int) -> Floats:
    """Scores as F1 gives them: a fifth 0, a third 1, the rest between."""
    kind = rng.random(n)
    return np.where(kind < 0.2, 0.0, np.where(kind < 0.53, 1.0, rng.beta(2, 2, n)))[:, np.newaxis]


def ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None and found.high is not None, found.method
    return found.low, found.high


def wider(n: int) -> float:
    """The level at which a bootstrap of n rows is as wide as Student's interval (Hesterberg 2015)."""
    return float(1 - 2 * stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)))


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_proportion_has_newcombes_published_wilson_interval(hits: int, n: int, low: float, high: float) -> None:
    found = estimate(right(hits, n), mean, proportion=True)
    assert found.method == "Wilson"
    assert found.value == hits / n
    assert ends(found) == pytest.approx((low, high), abs=5e-5)


def test_a_proportion_that_is_all_right_has_an_interval() -> None:
    assert ends(estimate(right(50, 50), mean, proportion=True)) == pytest.approx((50 / (50 + 1.959964**2), 1.0))


def test_a_mean_has_the_bca_interval_that_scipy_finds_for_its_scores() -> None:
    scores = np.sort(f1_like(np.random.default_rng(5), 150)[:, 0])
    found = estimate(scores[:, np.newaxis], mean, seed=7, resamples=999)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=999, confidence_level=wider(150), method="BCa", rng=np.random.default_rng(7)
    ).confidence_interval
    assert ends(found) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert found.method == "BCa bootstrap, 999 resamples, seed 7"


def test_a_ratio_of_sums_has_the_bca_interval_that_scipy_finds_for_paired_samples() -> None:
    rng = np.random.default_rng(6)
    words = rng.integers(1, 40, 120).astype(np.float64)
    rows = np.column_stack([rng.binomial(words.astype(int), 0.1).astype(np.float64), words])
    errors, words = rows[np.lexsort(rows.T)].T

    def rate(errors: Floats, words: Floats, axis: int = -1) -> Floats:
        return np.asarray(errors.sum(axis) / words.sum(axis))

    theirs = stats.bootstrap(
        (errors, words),
        rate,
        n_resamples=999,
        confidence_level=wider(120),
        paired=True,
        vectorized=True,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = estimate(rows, ratio, resamples=999)
    assert found.value == errors.sum() / words.sum()
    assert ends(found) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_a_difference_has_students_interval_with_the_error_that_scipy_finds_by_bootstrap() -> None:
    rng = np.random.default_rng(17)
    pairs = np.column_stack([f1_like(rng, 80), f1_like(rng, 80)])
    a, b = pairs[np.lexsort(pairs.T)].T
    theirs = stats.bootstrap((b - a,), np.mean, n_resamples=999, method="percentile", rng=np.random.default_rng(0))
    reach = stats.t.ppf(0.975, 79) * math.sqrt(80 / 79) * theirs.standard_error
    found = difference(pairs[:, [0]], pairs[:, [1]], mean, resamples=999)
    assert found.method == "paired bootstrap, 999 resamples, seed 0"
    assert ends(found) == pytest.approx(((b - a).mean() - reach, (b - a).mean() + reach), abs=1e-11)


def test_above_so_many_rows_a_mean_has_students_interval() -> None:
    scores = f1_like(np.random.default_rng(8), intervals.MOST_RESAMPLED + 1)
    found = estimate(scores, mean)
    theirs = stats.ttest_1samp(scores[:, 0], 0).confidence_interval()
    assert found.method == "jackknife, t(2,000)"
    assert ends(found) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_four_rows_have_students_interval() -> None:
    scores = np.array([0.1, 0.5, 0.2, 0.9])
    theirs = stats.ttest_1samp(scores, 0).confidence_interval()
    found = estimate(scores[:, np.newaxis], mean)
    assert (found.method, ends(found)) == ("jackknife, t(3)", pytest.approx((theirs.low, theirs.high)))


def test_bca_and_the_jackknife_differ_by_a_fiftieth_of_the_width_where_one_takes_over_from_the_other() -> None:
    scores = np.random.default_rng(9).exponential(size=(intervals.MOST_RESAMPLED + 1, 1))
    students, bca = estimate(scores, mean), estimate(scores[:-1], mean, resamples=9_999)
    assert (students.method[:9], bca.method[:3]) == ("jackknife", "BCa")
    assert ends(bca) == pytest.approx(ends(students), abs=0.02 * (ends(bca)[1] - ends(bca)[0]))


def test_a_clustered_mean_has_the_standard_error_of_the_textbook() -> None:
    # Linearised: the sum of each cluster's residuals (Cochran 1977, 6.3). With clusters of one size it is the jackknife's.
    rng = np.random.default_rng(10)
    clusters = np.repeat(np.arange(30), 4)
    scores = rng.normal(size=30).repeat(4) + rng.normal(size=120)
    residuals = (scores - scores.mean()).reshape(30, 4).sum(axis=1)
    error = math.sqrt(30 / 29 * (residuals**2).sum()) / 120
    reach = stats.t.ppf(0.975, 29) * error
    found = estimate(scores[:, np.newaxis], mean, clusters=clusters)
    assert found.method == "clustered jackknife, 30 clusters"
    assert ends(found) == pytest.approx((scores.mean() - reach, scores.mean() + reach), rel=1e-9)


def test_clusters_of_unlike_size_have_the_cv3_error_of_a_regression_on_a_constant() -> None:
    # CV3 as MacKinnon, Nielsen and Webb (2023) write it: each cluster's residuals made up by the inverse of I - H_gg.
    rng = np.random.default_rng(11)
    sizes = rng.integers(1, 9, 25)
    clusters = np.repeat(np.arange(25), sizes)
    scores = rng.normal(size=25).repeat(sizes) + rng.normal(size=sizes.sum())
    n, meat = sizes.sum(), 0.0
    for cluster, size in enumerate(sizes):
        residuals = np.linalg.solve(np.eye(size) - np.full((size, size), 1 / n), scores[clusters == cluster] - scores.mean())
        meat += residuals.sum() ** 2
    # As many clusters of one size as tell as much.
    reach = stats.t.ppf(0.975, n**2 / (sizes**2).sum() - 1) * math.sqrt(24 / 25 * meat) / n
    low, high = ends(estimate(scores[:, np.newaxis], mean, clusters=clusters))
    assert (high - low) / 2 == pytest.approx(reach, rel=1e-9)


def test_a_clustered_proportion_has_the_interval_of_its_log_odds() -> None:
    rng = np.random.default_rng(15)
    hits = (rng.random(200) < rng.beta(8, 2, 40).repeat(5)).astype(np.float64)
    shares = hits.reshape(40, 5).mean(axis=1)
    share, error = shares.mean(), shares.std(ddof=1) / math.sqrt(40)
    # The error of log(p / (1 - p)) is that of p over p (1 - p).
    reach = stats.t.ppf(0.975, 39) * error / (share * (1 - share))
    found = estimate(hits[:, np.newaxis], mean, clusters=np.arange(200) // 5, proportion=True)
    assert found.method == "clustered logit, 40 clusters"
    assert ends(found) == pytest.approx(tuple(special.expit(special.logit(share) + reach * np.array([-1, 1]))))


def test_one_large_cluster_among_small_ones_leaves_little_to_be_sure_of() -> None:
    rng = np.random.default_rng(16)
    sizes = np.array([300, *[2] * 30])
    scores, clusters = rng.random((sizes.sum(), 1)), np.repeat(np.arange(31), sizes)
    even = ends(estimate(scores, mean, clusters=np.arange(len(scores)) % 31))
    uneven = ends(estimate(scores, mean, clusters=clusters))
    assert uneven[1] - uneven[0] > 3 * (even[1] - even[0])


def test_copies_of_a_row_in_one_cluster_tell_no_more_than_the_row() -> None:
    scores = f1_like(np.random.default_rng(12), 60)
    once = estimate(scores, mean, clusters=np.arange(60))
    assert ends(estimate(scores.repeat(7, axis=0), mean, clusters=np.arange(60).repeat(7))) == pytest.approx(ends(once))
    hits = right(50, 60)
    once = estimate(hits, mean, clusters=np.arange(60), proportion=True)
    copied = estimate(hits.repeat(7, axis=0), mean, clusters=np.arange(60).repeat(7), proportion=True)
    assert ends(copied) == pytest.approx(ends(once))


def test_a_clustered_proportion_that_is_all_right_counts_each_cluster_as_one_row() -> None:
    found = estimate(right(400, 400), mean, clusters=np.arange(400) // 10, proportion=True)
    t = stats.t.ppf(0.975, 39)
    assert found.method == "clustered Wilson, 40 clusters"
    assert ends(found) == pytest.approx((40 / (40 + t**2), 1.0))


def test_clusters_that_all_score_the_same_half_have_wilsons_interval_of_their_rows() -> None:
    found = estimate(column(0, 1)[np.arange(80) % 2], mean, clusters=np.arange(80) // 2, proportion=True)
    t = stats.t.ppf(0.975, 39)
    assert ends(found) == pytest.approx((0.5 - 0.5 * t / math.sqrt(80 + t**2), 0.5 + 0.5 * t / math.sqrt(80 + t**2)))


@pytest.mark.parametrize("proportion", [False, True])
def test_an_interval_from_few_clusters_says_so(proportion: bool) -> None:
    found = estimate(right(13, 40), mean, clusters=np.arange(40) % 12, proportion=proportion)
    assert found.method.endswith(", few clusters: 12")
    assert ends(found)[0] < 13 / 40 < ends(found)[1]


NONE = np.empty((0, 1))


@pytest.mark.parametrize("proportion", [False, True])
@pytest.mark.parametrize("clusters", [None, np.empty(0, dtype=np.intp)])
def test_no_rows_have_no_score(proportion: bool, clusters: Clusters | None) -> None:
    found = estimate(NONE, mean, clusters=clusters, proportion=proportion)
    assert found == Estimate(None, None, None, "no rows")
    assert difference(NONE, NONE, mean, clusters=clusters) == found


@pytest.mark.parametrize(
    ("found", "method"),
    [
        (estimate(column(0.5), mean), "only one row"),
        (estimate(column(0.2, 0.8), mean, clusters=np.array([3, 3])), "only one cluster"),
        (estimate(right(1, 2), mean, clusters=np.array([3, 3]), proportion=True), "only one cluster"),
        (estimate(column(*[0.1 + 0.2] * 7, *[0.3] * 4)[:, [0]] + 0.2, mean), "all rows score the same"),
        (estimate(np.full((5_000, 1), 0.1) + 0.4, mean), "all rows score the same"),
        (estimate(column(0.4, 0.6, 0.3, 0.7), mean, clusters=np.array([1, 1, 2, 2])), "all clusters score the same"),
        (
            difference(column(0.1, 0.4, 0.9), column(0.1, 0.4, 0.9) + 0.3, lambda s, n: s[..., 0] / n + 0.2),
            "all rows differ by the same",
        ),
    ],
)
def test_a_score_without_an_interval_says_why(found: Estimate, method: str) -> None:
    assert (found.low, found.high, found.method) == (None, None, method)
    assert found.value is not None


def test_a_score_that_is_no_number_is_none() -> None:
    assert estimate(np.zeros((30, 2)), ratio) == Estimate(None, None, None, "no score from these rows")


def test_a_score_that_hangs_on_a_single_row_has_no_interval() -> None:
    rows = np.zeros((30, 2))
    rows[4] = 1, 3
    assert estimate(rows, ratio) == Estimate(1 / 3, None, None, "no score without one of the rows")


def test_where_some_resamples_have_no_score_the_jackknife_gives_the_interval() -> None:
    rows = np.zeros((30, 2))
    rows[4], rows[9] = (1, 3), (2, 3)
    found = estimate(rows, ratio)
    reach = stats.t.ppf(0.975, 29) * math.sqrt(29 / 30 * 2) / 6
    assert found.method == "jackknife, t(29)"
    assert ends(found) == pytest.approx((0.5 - reach, 0.5 + reach))


def test_samples_that_score_like_all_rows_are_not_parted_from_them_by_rounding() -> None:
    hits = column(0, 1, 1, 1, 1, 1)
    for least, most in ((0, 0.71851661), (2.0, 2.71851661), (0.1, 0.3)):
        low, high = ends(estimate(least + (most - least) * hits, mean))
        assert ((low - least) / (most - least), (high - least) / (most - least)) == pytest.approx(ends(estimate(hits, mean)))


def test_nothing_is_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate(right(1, 40), mean)
        estimate(column(0.0, 1.0), mean)
        estimate(right(40, 40), mean, proportion=True)
        difference(right(40, 40), right(39, 40), mean)


def test_an_interval_ends_where_scores_end() -> None:
    scores, clusters = column(*[1.0] * 30, 0.1), np.arange(31) // 2
    assert ends(estimate(scores, mean, clusters=clusters))[1] > 1
    assert ends(estimate(scores, mean, clusters=clusters, bounds=(0, 1)))[1] == 1
    assert ends(estimate(1 - scores, mean, clusters=clusters, bounds=(0, np.inf)))[0] == 0


def test_a_difference_of_proportions_has_the_published_interval_of_bonett_and_price() -> None:
    # The example of ci.prop.ps in Bonett's R package statpsych: 48 pairs, 26 one way and 4 the other.
    a, b = right(4, 48), np.roll(right(26, 48), 4, axis=0)
    found = difference(a, b, mean, proportion=True)
    assert (found.value, found.method) == (22 / 48, "Bonett-Price")
    assert ends(found) == pytest.approx((0.2548067, 0.6251933), abs=5e-8)


def test_runs_that_answer_alike_may_still_differ_a_little() -> None:
    found = difference(right(70, 100), right(70, 100), mean, proportion=True)
    assert found.value == 0
    assert ends(found) == pytest.approx((-1.959964 * math.sqrt(2) / 102, 1.959964 * math.sqrt(2) / 102))


def test_a_difference_of_pairs_is_that_of_the_means_and_as_sure_as_the_mean_difference() -> None:
    rng = np.random.default_rng(13)
    a = f1_like(rng, 200)
    b = np.clip(a + rng.normal(0.02, 0.1, a.shape), 0, 1)
    found, alone = difference(a, b, mean, seed=3), estimate(b - a, mean, seed=3)
    assert found.value == pytest.approx(float(b.mean() - a.mean()))
    width = ends(alone)[1] - ends(alone)[0]
    assert ends(found) == pytest.approx(ends(alone), abs=0.1 * width)
    assert width < 0.5 * (ends(estimate(a, mean))[1] - ends(estimate(a, mean))[0])


@settings(max_examples=30)
@given(
    scores=arrays.arrays(np.float64, st.tuples(st.integers(2, 60), st.just(2)), elements=REAL_SCORES),
    codes=st.lists(st.integers(-3, 5), min_size=60, max_size=60),
    random=st.randoms(use_true_random=False),
)
def test_rows_in_another_order_and_clusters_by_another_name_give_the_same_to_the_last_digit(
    scores: Floats, codes: list[int], random: object
) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    order = rng.permutation(len(scores))
    clusters = np.array(codes[: len(scores)])
    renamed = rng.permutation(9)[clusters + 3] * 1000 - 17
    a, b = scores[:, [0]], scores[:, [1]]
    for proportion in (False, True):
        shown = np.round(a) if proportion else a
        for here, there in ((None, None), (clusters, renamed[order])):
            assert estimate(shown, mean, clusters=here, proportion=proportion, resamples=99) == estimate(
                shown[order], mean, clusters=there, proportion=proportion, resamples=99
            )
    for here, there in ((None, None), (clusters, renamed[order])):
        assert difference(a, b, mean, clusters=here, resamples=99) == difference(
            a[order], b[order], mean, clusters=there, resamples=99
        )


def test_many_rows_in_another_order_give_the_same_to_the_last_digit() -> None:
    rng = np.random.default_rng(14)
    scores, clusters = rng.random((70_000, 3)), rng.integers(0, 9_000, 70_000)
    order = rng.permutation(70_000)
    assert estimate(scores, mean) == estimate(scores[order], mean)
    assert estimate(scores, mean, clusters=clusters) == estimate(scores[order], mean, clusters=8_999 - clusters[order])


@given(
    hits=arrays.arrays(np.float64, st.integers(1, 80), elements=st.sampled_from([0.0, 1.0])),
    size=st.integers(1, 30),
)
def test_a_proportions_interval_is_within_0_and_1_and_mirrors_that_of_the_rest(hits: Floats, size: int) -> None:
    for clusters in (None, np.arange(len(hits)) // size):
        of_right = estimate(hits[:, np.newaxis], mean, clusters=clusters, proportion=True)
        of_wrong = estimate(1 - hits[:, np.newaxis], mean, clusters=clusters, proportion=True)
        if of_right.low is None or of_right.high is None or of_right.value is None:
            assert of_right.method == "only one cluster"
            continue
        assert 0 <= of_right.low <= of_right.value <= of_right.high <= 1
        assert ends(of_wrong) == pytest.approx((1 - of_right.high, 1 - of_right.low), abs=1e-12)


@given(
    rows=arrays.arrays(np.int64, st.tuples(st.integers(2, 40), st.just(1)), elements=st.integers(0, 64)),
    by=st.integers(-3, 3),
    seed=st.integers(0, 2**32),
)
def test_an_interval_holds_its_score_and_moves_with_it(rows: npt.NDArray[np.int64], by: int, seed: int) -> None:
    found = estimate(rows / 64, mean, seed=seed, resamples=99)
    moved = estimate(rows / 64 + by, mean, seed=seed, resamples=99)
    if np.ptp(rows) == 0:
        assert found.method == moved.method == "all rows score the same"
        return
    assert found.value is not None
    assert ends(found)[0] <= found.value <= ends(found)[1]
    assert ends(moved) == pytest.approx((ends(found)[0] + by, ends(found)[1] + by))


@given(
    rows=arrays.arrays(np.float64, st.tuples(st.integers(2, 40), st.just(2)), elements=REAL_SCORES),
)
def test_a_difference_of_a_run_from_itself_is_none(rows: Floats) -> None:
    assert difference(rows, rows, mean) == Estimate(0.0, None, None, "all rows differ by the same")
