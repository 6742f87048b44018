"""Two runs side by side: published McNemar figures, wins and losses, and that the order of pairs tells nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.scores import About
from pipeline.evaluate.metric import Floats
from pipeline.evaluate.pairs import compare, counted, mcnemar

EXACT = About("exact", "Exact match", "exact", proportion=True)
F1 = About("f1", "F1", "f1")
CHRF = About("chrf", "chrF", "chrf", scale=100.0)
WER = About("wer", "WER", "wer", higher=False)


def mean(sums: Floats, n: Floats) -> Floats:
    return np.asarray(sums[..., 0] / n)


def ratio(sums: Floats, n: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def test_mcnemar_s_p_is_the_published_one() -> None:
    # Bentur et al. (2009) in Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013), table 1.
    assert mcnemar(1, 7) == pytest.approx(0.070, abs=5e-4)


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 2 / 32), (1, 9, 22 / 1024), (6, 0, 2 / 64)])
def test_mcnemar_s_p_is_that_of_tossing_a_coin(wins: int, losses: int, p: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p)
    assert mcnemar(losses, wins) == pytest.approx(p)


def test_rows_that_became_right_are_wins_and_the_p_value_is_mcnemar_s() -> None:
    a, b = np.array([0, 0, 0, 1, 1, 0, 1, 1.0]), np.array([1, 1, 1, 0, 1, 0, 1, 1.0])
    found = compare(a, b, a[:, np.newaxis], b[:, np.newaxis], EXACT, mean)
    assert (found.n, found.wins, found.ties, found.losses) == (8, 3, 4, 1)
    assert (found.a.value, found.b.value, found.difference.value) == (0.5, 0.75, 0.25)
    assert (found.a.method, found.difference.method) == ("Wilson", "Bonett-Price")
    assert found.p_value == mcnemar(3, 1) == 0.625


def test_other_scores_are_compared_by_bootstrap_and_have_no_p_value() -> None:
    a, b = np.array([0, 0.5, 0.25, 1, 0]), np.array([1, 0.75, 0.25, 0.5, 0])
    found = compare(a, b, a[:, np.newaxis], b[:, np.newaxis], F1, mean, seed=4)
    assert found.a.method == "BCa bootstrap, 2,999 resamples, seed 4"
    assert found.difference.method == "paired bootstrap, 2,999 resamples, seed 4"
    assert found.p_value is None


def test_fewer_errors_win_and_the_difference_is_below_nought() -> None:
    a, b = np.array([[2, 10], [1, 4], [0, 5.0]]), np.array([[1, 10], [2, 4], [0, 5.0]])
    b[0, 0] = 0
    found = compare(ratio(a, np.ones(3)), ratio(b, np.ones(3)), a, b, WER, ratio)
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.difference.value == pytest.approx(-1 / 19)
    assert found.p_value is None


def test_scores_that_differ_by_rounding_are_ties() -> None:
    a = np.array([30.0, 60.0, 10.0])
    b = a + np.array([4e-15, -1e-14, 1e-9])
    assert compare(a, b, a[:, np.newaxis], b[:, np.newaxis], CHRF, mean).ties == 2


def test_where_rows_come_in_clusters_there_is_no_p_value() -> None:
    a, b = np.array([0, 0, 1, 1.0]), np.array([1, 1, 1, 0.0])
    assert compare(a, b, a[:, np.newaxis], b[:, np.newaxis], EXACT, mean, clusters=np.array([1, 1, 2, 3])).p_value is None


def test_two_runs_of_no_rows_differ_in_nothing() -> None:
    found = compare(np.empty(0), np.empty(0), np.empty((0, 1)), np.empty((0, 1)), EXACT, mean)
    assert (found.n, found.wins, found.ties, found.losses, found.p_value) == (0, 0, 0, 0, 1.0)
    assert found.a.method == found.b.method == found.difference.method == "no rows"


def test_a_score_s_interval_ends_where_its_scale_ends_and_an_error_rate_s_does_not() -> None:
    rows = np.array([[100.0]] * 30 + [[20.0]])
    clusters = np.arange(31) // 3
    assert counted(rows, CHRF, mean, clusters).estimate.high == 100.0
    high = counted(rows / 50, WER, mean, clusters).estimate.high
    assert high is not None and high > 2


@settings(max_examples=15)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=50),
    random=st.randoms(use_true_random=False),
)
def test_pairs_in_another_order_compare_the_same_and_runs_the_other_way_round_the_other_way(
    pairs: list[tuple[int, int, int]], random: object
) -> None:
    table = np.array(pairs, dtype=np.float64)
    order = np.random.default_rng(random.getrandbits(32)).permutation(len(table))  # type: ignore[attr-defined]
    for clusters in (None, table[:, 2].astype(int)):
        a, b = table[:, [0]] / 4, table[:, [1]] / 4
        found = compare(a[:, 0], b[:, 0], a, b, F1, mean, clusters)
        shuffled = None if clusters is None else clusters[order]
        assert found == compare(a[order, 0], b[order, 0], a[order], b[order], F1, mean, shuffled)
        turned = compare(b[:, 0], a[:, 0], b, a, F1, mean, clusters)
        assert (turned.wins, turned.losses, turned.a, turned.b) == (found.losses, found.wins, found.b, found.a)
        assert found.wins + found.ties + found.losses == found.n == len(pairs)
        assert found.difference.value == pytest.approx(-turned.difference.value)  # type: ignore[operator]
