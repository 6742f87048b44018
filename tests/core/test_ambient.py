"""How many failures a row is allowed, by how faulty the endpoint is."""

import random

import pytest

from pipeline.core.ambient import FEWEST, MOST, WINDOW_SENDS, Ambient


def after(share: float, sends: int = 2000) -> Ambient:
    """An endpoint that fails this share of the sends, evenly."""
    it = Ambient()
    for number in range(sends):
        it.note(number, failed=int(number * share) != int((number + 1) * share))
    return it


@pytest.mark.parametrize(("share", "attempts"), [(0.0, 3), (0.01, 4), (0.05, 5), (0.3, 12), (0.4, 16), (0.9, 20)])
def test_the_limit_follows_the_fault_rate(share: float, attempts: int) -> None:
    assert after(share).attempts(row=-1) == attempts


def test_while_little_is_known_a_row_gets_more() -> None:
    assert Ambient().attempts(0) == MOST
    assert after(0.0, sends=20).attempts(-1) > after(0.0).attempts(-1)


def test_a_row_s_own_failures_earn_it_nothing() -> None:
    it = after(0.0)
    for _ in range(100):
        it.note(5, failed=True)
    assert it.attempts(5) == FEWEST
    assert it.attempts(6) > FEWEST


def test_old_sends_are_forgotten_and_nothing_piles_up() -> None:
    it = after(0.5)
    for row in range(WINDOW_SENDS):
        it.note(row, failed=False)
    assert it.attempts(-1) == FEWEST
    assert len(it._window) == WINDOW_SENDS


def test_at_40_percent_hardly_a_good_row_in_a_hundred_thousand_is_burned() -> None:
    chance, it, burned = random.Random(1), Ambient(), 0
    for row in range(100_000):
        failures = 0
        while chance.random() < 0.4:
            failures += 1
            it.note(row, failed=True)
            if failures >= it.attempts(row):
                burned += 1
                break
        else:
            it.note(row, failed=False)
    assert burned <= 3
