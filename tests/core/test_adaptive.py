"""How many may be in flight: the start, one cut an episode, growth only where the limit is used."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.adaptive import AdaptiveLimit


def opened(most: int = 64) -> AdaptiveLimit:
    """Give a limit whose start is over."""
    limit = AdaptiveLimit(most)
    for now in (1.0, 2.0):
        limit.answered(now, ok=True, sent_at=now - 1, in_flight=1)
    assert limit.limit == most
    return limit


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_the_start_is_one_then_all_once_there_is_a_reply(concurrency):
    limit = AdaptiveLimit(concurrency)
    limit.answered(1.0, ok=True, sent_at=0.0, in_flight=1)
    assert limit.limit == concurrency


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_the_start_is_one_then_four_then_all_where_the_first_answer_is_no_reply(concurrency):
    limit = AdaptiveLimit(concurrency)
    seen = [limit.limit]
    for now, ok in enumerate((False, False, True, True)):
        limit.answered(now, ok=ok, sent_at=now, in_flight=1)
        seen.append(limit.limit)
    assert seen == [1, min(4, concurrency), min(4, concurrency), concurrency, concurrency]


def test_four_ask_where_the_first_answer_is_long_in_coming_and_all_at_the_first_reply():
    limit = AdaptiveLimit(64)
    seen = [limit.waited(now, in_flight=1) for now in (0.0, 1.0, 4.9, 5.0, 6.0)]
    assert seen == [False, False, False, True, False]
    assert limit.limit == 4
    limit.answered(7.0, ok=True, sent_at=5.0, in_flight=5)
    assert limit.limit == 64


def test_nobody_is_impatient_after_an_outage_or_a_first_answer():
    after_outage, answered = AdaptiveLimit(64), AdaptiveLimit(64)
    after_outage.again(0.0)
    answered.answered(0.0, ok=False, sent_at=0.0, in_flight=1)
    for now in range(60):
        assert not after_outage.waited(float(now), in_flight=1)
        assert not answered.waited(float(now), in_flight=1)


@pytest.mark.parametrize("pause", [0.5, 10.0])
def test_who_asks_alone_after_a_pause_is_not_taken_for_long_in_coming(pause: float):
    limit = AdaptiveLimit(64)
    assert not limit.waited(0.0, in_flight=1)
    limit.throttled(4.5, sent_at=0.0, in_flight=1, ask_one=True)
    for tick in range(5, int(4.5 + pause) + 1):
        limit.waited(float(tick), in_flight=0)
    asked = math.ceil(4.5 + pause)
    assert [limit.waited(asked + after, in_flight=1) for after in (0.0, 1.0, 4.0, 5.0)] == [False, False, False, True]


def test_all_429s_of_one_episode_cut_it_once():
    limit = opened()
    for now in (10.0, 10.1, 10.2):
        limit.throttled(now, sent_at=9.5, in_flight=64, ask_one=False)
    assert limit.limit == 44
    limit.throttled(20.0, sent_at=15.0, in_flight=44, ask_one=False)
    assert limit.limit == 30


def test_a_limit_that_was_not_used_is_not_to_blame():
    limit = opened()
    limit.throttled(10.0, sent_at=9.5, in_flight=20, ask_one=False)
    assert limit.limit == 64


def test_replies_to_what_was_sent_before_the_cut_do_not_count():
    limit = opened()
    limit.throttled(10.0, sent_at=9.5, in_flight=64, ask_one=True)
    assert not limit.answered(11.0, ok=True, sent_at=9.9, in_flight=64)
    assert limit.limit == 1
    limit.answered(12.0, ok=True, sent_at=11.0, in_flight=1)
    assert limit.limit == 44


def test_it_grows_by_a_tenth_a_round_and_only_while_it_is_used():
    limit = opened()
    limit.throttled(10.0, sent_at=9.5, in_flight=64, ask_one=False)
    for _ in range(44):
        limit.answered(12.0, ok=True, sent_at=11.0, in_flight=20)
    assert limit.limit == 44
    for _ in range(44):
        limit.answered(12.0, ok=True, sent_at=11.0, in_flight=limit.limit)
    assert limit.limit == 49


def test_it_never_stays_at_one_while_replies_come():
    limit = opened(8)
    for now in range(10, 40):
        limit.throttled(now, sent_at=now - 0.5, in_flight=limit.limit, ask_one=True)
        limit.answered(now + 0.6, ok=True, sent_at=now + 0.5, in_flight=1)
    assert limit.limit <= 2
    for now in range(40, 80):
        limit.answered(now + 0.6, ok=True, sent_at=now + 0.5, in_flight=limit.limit)
    assert limit.limit == 8


def test_after_an_outage_it_doubles_in_the_time_of_a_reply():
    limit = opened()
    limit.again(10.0)
    seen = []
    for now in range(11, 17):
        seen.append(limit.limit)
        for _ in range(limit.limit):
            limit.answered(now, ok=True, sent_at=now - 0.5, in_flight=limit.limit)
    assert seen == [1, 4, 8, 16, 32, 64]


def test_without_adaptive_being_throttled_changes_nothing():
    limit = AdaptiveLimit(64, adaptive=False)
    for now in (1.0, 2.0):
        limit.answered(now, ok=True, sent_at=now - 1, in_flight=1)
    limit.throttled(10.0, sent_at=9.5, in_flight=64, ask_one=True)
    assert limit.limit == 64


def test_the_history_says_what_happened_and_why():
    limit = opened()
    limit.throttled(10.0, sent_at=9.5, in_flight=64, ask_one=False)
    assert [(each.at, each.limit, each.reason) for each in limit.history] == [
        (1.0, 64, "answered"),
        (10.0, 44, "throttled"),
    ]


@given(
    most=st.integers(1, 300),
    events=st.lists(
        st.tuples(st.sampled_from(["ok", "bad", "429", "one", "outage", "halve"]), st.integers(1, 300)), max_size=200
    ),
)
def test_it_stays_between_one_and_what_is_configured(most, events):
    limit = AdaptiveLimit(most)
    for now, (event, in_flight) in enumerate(events):
        match event:
            case "ok" | "bad":
                limit.answered(now, ok=event == "ok", sent_at=now - 0.5, in_flight=in_flight)
            case "429" | "one":
                limit.throttled(now, sent_at=now - 0.5, in_flight=in_flight, ask_one=event == "one")
            case "outage":
                limit.again(now)
            case "halve":
                limit.halve(now)
        assert 1 <= limit.limit <= most
