"""A host that is down, a picture that cannot be had, a network that is unplugged: told apart in plain numbers."""

import pytest

from pipeline.core.host_health import (
    ANYBODY,
    MOST_HOSTS,
    MOST_PROBE_S,
    MOST_PROBES,
    MOST_ROUNDS,
    MOST_WITNESS_CHARS,
    HostHealth,
    Verdict,
)

ALONE, WAIT, NOBODY, GIVE_UP = Verdict.ALONE, Verdict.WAIT, Verdict.NOBODY, Verdict.GIVE_UP


class Told:
    """A HostHealth at a time that the test sets."""

    def __init__(self, longest: float = 3600.0) -> None:
        self.health = HostHealth(longest=longest)
        self.now = 100.0

    def answered(self, *hosts: str) -> list[str]:
        return [each.scope for host in hosts for each in self.health.answered(host, f"https://{host}/x", self.now)]

    def failed(
        self, host: str, picture: str = "p", *, ago: float = 0.1, unreachable: bool = False, rounds: int = 0, probe: bool = False
    ) -> Verdict:
        asked_at = self.now - ago
        return self.health.failed(
            host, picture, self.now, asked_at=asked_at, unreachable=unreachable, certain=unreachable, rounds=rounds, probe=probe
        )


def test_a_picture_is_alone_to_blame_while_its_host_answers_others() -> None:
    told = Told()
    told.answered("a")
    told.now = 105.0
    assert told.failed("a", ago=6.0) is ALONE
    assert told.health.down("a") is None


def test_a_host_that_answered_before_and_does_not_now_is_in_doubt_and_down_after_two_pictures() -> None:
    told = Told()
    told.answered("a")
    told.now = 110.0
    assert told.failed("a", "one") is WAIT
    assert told.health.down("a") is None
    assert told.failed("a", "two") is WAIT
    assert told.health.down("a") == "a"
    assert told.health.down("b") is None
    assert told.answered("b") == []
    assert told.answered("a") == ["a"]
    assert told.health.down("a") is None


def test_nobody_there_is_no_single_pictures_doing() -> None:
    told = Told()
    told.answered("a")
    told.now = 110.0
    assert told.failed("a", unreachable=True) is WAIT
    assert told.health.down("a") == "a"


def test_the_same_picture_failing_again_is_no_second_one_and_is_given_up_after_a_few_questions() -> None:
    told = Told()
    told.answered("a")
    told.now = 110.0
    assert told.failed("a", "one") is WAIT
    verdicts = [told.failed("a", "one", probe=True) for _ in range(MOST_PROBES)]
    assert verdicts == [WAIT] * (MOST_PROBES - 1) + [NOBODY]
    assert told.health.down("a") is None


def test_a_host_that_never_answered_is_not_waited_for_because_of_an_error_of_its_own() -> None:
    assert Told().failed("a") is ALONE


def test_three_hosts_out_of_reach_and_nobody_answering_is_a_network_that_is_unplugged() -> None:
    told = Told()
    assert [told.failed(host, unreachable=True) for host in ("a", "b", "b")] == [WAIT] * 3
    assert told.health.down("z") is None
    assert told.failed("c", unreachable=True) is WAIT
    assert told.health.down("z") == ANYBODY
    assert told.answered("z") == [ANYBODY]
    assert told.health.down("z") is None


def test_it_is_so_too_when_others_had_answered_long_before() -> None:
    told = Told()
    told.answered("known")
    told.now = 200.0
    assert [told.failed(host, unreachable=True) for host in ("a", "b", "c")] == [WAIT] * 3
    assert told.health.down("known") == ANYBODY


def test_one_host_that_is_gone_is_no_network_that_is_unplugged() -> None:
    told = Told()
    assert told.failed("a", unreachable=True) is WAIT
    verdicts = [told.failed("a", unreachable=True, probe=True) for _ in range(MOST_PROBES)]
    assert verdicts[-1] is NOBODY
    told.answered("b")
    assert told.failed("a", unreachable=True, ago=1.0) is ALONE


def test_the_wait_ends_after_the_longest_outage_by_the_word_of_who_asked() -> None:
    told = Told(longest=60.0)
    told.answered("a")
    told.now = 110.0
    assert told.failed("a", unreachable=True) is WAIT
    told.now = 169.0
    assert told.failed("a", unreachable=True, probe=True) is WAIT
    told.now = 171.0
    assert told.failed("a", unreachable=True) is WAIT
    assert told.failed("a", unreachable=True, probe=True) is GIVE_UP


def test_who_was_told_too_often_that_its_host_is_back_is_given_up() -> None:
    told = Told()
    told.answered("a")
    told.now = 110.0
    assert told.failed("a", rounds=MOST_ROUNDS - 1) is WAIT
    assert told.failed("a", rounds=MOST_ROUNDS) is ALONE


def test_questions_come_ever_more_seldom_up_to_half_a_minute() -> None:
    told = Told()
    told.failed("a", unreachable=True)
    assert [told.health.probe_after(ANYBODY, 1.0) for _ in range(5)] == pytest.approx([5.0, 10.0, 20.0, 30.0, 30.0])
    assert told.health.probe_after(ANYBODY, 0.0) == MOST_PROBE_S / 2


def test_hosts_beyond_count_are_not_remembered() -> None:
    told = Told()
    for number in range(MOST_HOSTS + 1):
        told.answered(f"host-{number}")
    assert told.health.scope("host-0") == ANYBODY
    assert told.health.scope("host-1") == "host-1"


def test_the_witness_is_what_was_answered_last_by_the_host_or_by_anybody() -> None:
    told = Told()
    assert told.health.witness(ANYBODY) is None
    told.answered("a", "b")
    assert (told.health.witness("a"), told.health.witness(ANYBODY)) == ("https://a/x", "https://b/x")
    told.health.answered("a", "https://a/" + "x" * MOST_WITNESS_CHARS, told.now)
    assert told.health.witness("a") is None
