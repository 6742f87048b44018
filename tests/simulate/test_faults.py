"""The script of what to answer: chance, latency and rate, as laws."""

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError
from pipeline.simulate.catalogue import FAULTS
from pipeline.simulate.faults import MISHAPS, Latency, RateWindow, draws, plan
from pipeline.simulate.settings import SimulatorSettings

AT_ONCE = Latency()


@given(serial=st.integers(0, 10**9), seed=st.integers(), faults=st.floats(0, 1))
def test_a_plan_depends_on_seed_and_serial_only(serial, seed, faults):
    first = plan(serial, seed=seed, faults=faults, latency=Latency(0.2, 0.8))
    assert first == plan(serial, seed=seed, faults=faults, latency=Latency(0.2, 0.8))
    assert 0.0 < first.latency < math.inf
    assert 0.0 < first.draw < 1.0


@given(st.text())
def test_draws_lie_strictly_between_0_and_1(text):
    assert all(0.0 < draw < 1.0 for draw in draws(text))


def test_no_faults_means_none_and_1_means_always():
    assert all(plan(n, seed=1, faults=0.0, latency=AT_ONCE).fault is None for n in range(500))
    assert all(plan(n, seed=1, faults=1.0, latency=AT_ONCE).fault is not None for n in range(500))


def test_mishaps_come_as_often_as_asked_and_in_equal_shares():
    seen = Counter(plan(n, seed=7, faults=0.3, latency=AT_ONCE).fault for n in range(20_000))
    share = 1 - seen[None] / 20_000
    assert abs(share - 0.3) < 0.015  # four standard deviations
    assert all(abs(seen[each] - 1000) < 4 * math.sqrt(1000) for each in MISHAPS)


def test_a_request_sent_again_meets_a_fate_of_its_own():
    fates = [plan(n, seed=3, faults=0.5, latency=AT_ONCE).fault is not None for n in range(4000)]
    after_a_fault = [later for earlier, later in pairwise(fates) if earlier]
    assert abs(sum(after_a_fault) / len(after_a_fault) - 0.5) < 0.05


def test_faults_of_chance_pass_unless_others_are_named():
    assert MISHAPS == ("429", "500", "502", "503", "reset", "cut")
    assert set(MISHAPS) <= {"429", "500", "502", "503", *FAULTS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0.2", Latency(0.2), id="constant"),
        pytest.param("0", Latency(0), id="none"),
        pytest.param(".5:1", Latency(0.5, 1.0), id="spread"),
        pytest.param(" 1.5:0.25 ", Latency(1.5, 0.25), id="blanks"),
    ],
)
def test_latency_is_read(text, expected):
    assert Latency.parse(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "-1", "0.2:", "0.2:0.1:3", "nan", "inf", "1e3", "0.2:9", "1,5"])
def test_a_latency_that_makes_no_sense_is_refused_in_one_line(text):
    with pytest.raises(ConfigError, match="latency") as refused:
        Latency.parse(text)
    assert "\n" not in str(refused.value)


def test_half_the_latencies_lie_below_the_median():
    latency = Latency(0.2, 0.8)
    seconds = sorted(plan(n, seed=5, faults=0, latency=latency).latency for n in range(5000))
    assert abs(seconds[2500] / 0.2 - 1) < 0.06
    assert abs(math.log(seconds[4207] / 0.2) - 0.8) < 0.1  # the 84th percentile lies one spread above


@given(gaps=st.lists(st.floats(0, 3), max_size=300), limit=st.integers(1, 20), seconds=st.floats(0.5, 5))
def test_no_window_ever_admits_more_than_its_limit(gaps, limit, seconds):
    window, now, admitted = RateWindow(limit, seconds), 100.0, []
    for gap in gaps:
        now += gap
        if window.admit(now):
            admitted.append(now)
            assert 0 <= window.remaining() < limit
    # Any stretch shorter than a window touches at most two of them.
    for at in admitted:
        assert sum(at <= other < at + seconds for other in admitted) <= 2 * limit


@given(limit=st.integers(1, 5), seconds=st.floats(0.5, 60), late=st.floats(0, 200))
def test_who_waits_for_the_reset_is_admitted(limit, seconds, late):
    window, now = RateWindow(limit, seconds), 1000.0 + late
    while window.admit(now):
        now += random.Random(limit).random() * 0.01
    wait = window.resets_in(now)
    assert 0 <= wait <= seconds
    assert window.admit(now + wait + 1e-6)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"faults": 1.5}, "faults", id="faults above 1"),
        pytest.param({"faults": -0.1}, "faults", id="faults below 0"),
        pytest.param({"faults": float("nan")}, "faults", id="faults nan"),
        pytest.param({"wrong": 2}, "wrong", id="wrong above 1"),
        pytest.param({"requests_per_minute": 0}, "requests_per_minute", id="no requests"),
        pytest.param({"window": 0}, "window", id="no window"),
        pytest.param({"require_key": ""}, "require_key", id="empty key"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings, named):
    with pytest.raises(ConfigError, match=named):
        SimulatorSettings(**settings)


def test_the_required_key_is_not_in_the_settings_repr():
    assert "canary" not in repr(SimulatorSettings(require_key="canary"))


@pytest.mark.parametrize(("rpm", "window", "limit"), [(600, 60, 600), (600, 1, 10), (10, 1, 1), (90, 2, 3)])
def test_a_shorter_window_lets_in_its_share_of_a_minute(rpm, window, limit):
    assert SimulatorSettings(requests_per_minute=rpm, window=window).requests_per_window == limit
