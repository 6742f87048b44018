"""Answers that speak against the endpoint and not the row, and keys that change: what the whole engine makes of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.core.types import Fault, FaultKind
from tests.engine.test_run import AUTO, SETTINGS, Case, play
from tests.fakes import Answer

PAGE = Fault(FaultKind.TRANSIENT, "bad_response", "a web page", 200, ambiguous=True, resends=1, if_all=FaultKind.DOWN)
LARGE_HEAD = Fault(FaultKind.TRANSIENT, "bad_response", "a large head", ambiguous=True, resends=2, if_all=FaultKind.FATAL)
NO_TLS = Fault(FaultKind.DOWN, "connection", "no TLS here", if_all=FaultKind.DOWN)
CUT = Fault(FaultKind.TRANSIENT, "connection", "cut short", 200, ambiguous=True, resends=3)


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_a_captive_portal_is_waited_out_and_costs_no_row(concurrency: int) -> None:
    def script(row: int, nth: int, now: float) -> Answer:
        return PAGE if 30 <= now < 900 else 200

    seen = play(Case(rows=200 * concurrency, script=script, settings=replace(AUTO, concurrency=concurrency), fault_latency=0.02))
    assert (seen.result.stopped, seen.failed) == (None, {})
    assert sum(30 <= at < 900 for at, _ in seen.transport.sends) <= 3 * concurrency + 50


@pytest.mark.parametrize("answer", [PAGE, LARGE_HEAD, NO_TLS], ids=["page", "head", "tls"])
def test_an_endpoint_that_never_gave_an_answer_stops_the_run_within_five_requests(answer: Fault) -> None:
    seen = play(Case(rows=5000, script=lambda row, nth, now: answer, fault_latency=0.01))
    assert seen.result.stop_code == 5
    assert answer.message in (seen.result.stopped or "")
    assert seen.journal.done == {}
    assert len(seen.transport.sends) <= 5


def test_heads_too_large_from_some_moment_on_stop_the_run_with_every_row_still_to_do() -> None:
    seen = play(Case(rows=500, script=lambda row, nth, now: 200 if now < 10 else LARGE_HEAD))
    assert (seen.result.stop_code, seen.failed) == (5, {})
    assert sum(at >= 10 for at, _ in seen.transport.sends) <= 8 + 8


@pytest.mark.parametrize(("answer", "sends"), [(PAGE, 2), (LARGE_HEAD, 3)], ids=["page", "head"])
def test_a_single_row_that_always_gets_it_fails_alone(answer: Fault, sends: int) -> None:
    seen = play(Case(rows=200, script=lambda row, nth, now: answer if row == 50 else 200))
    assert (seen.result.stopped, seen.failed) == (None, {50: "bad_response"})
    assert seen.transport.per_row[50] == sends


def test_replies_lost_now_and_then_are_named_once() -> None:
    seen = play(Case(rows=3000, script=lambda row, nth, now: CUT if row % 10 == 0 and nth == 1 else 200))
    assert (seen.result.stopped, seen.failed) == (None, {})
    assert sum("billed and lost" in line for line in seen.watcher.notices) == 1


# -- keys


class Keys:
    """The endpoint takes the key of now, and the run the one that it read last."""

    def __init__(self, changes_at: float, *, written_after: float = 0.0) -> None:
        self.changes_at = changes_at
        self.written_at = changes_at + written_after
        self.now: Callable[[], float] = lambda: 0.0
        self.reads = 0
        self.used_since: float | None = None

    def reread(self) -> bool:
        self.reads += 1
        if self.now() < self.written_at or self.used_since is not None:
            return False
        self.used_since = self.now()
        return True

    def script(self, row: int, nth: int, now: float) -> Answer:
        self.now = lambda: now + 1.0  # when the answer comes
        right = now < self.changes_at if self.used_since is None else now >= self.used_since
        return 200 if right else 401


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_a_key_that_was_changed_in_its_file_is_taken_up_without_a_pause(concurrency: int) -> None:
    keys = Keys(20.5)
    paced = replace(SETTINGS, concurrency=concurrency)
    seen = play(Case(rows=60 * concurrency, script=keys.script, rekeyed=keys.reread, settings=paced))
    assert (seen.result.stopped, seen.failed) == (None, {})
    assert keys.reads == 1
    assert len(seen.transport.sends) <= 60 * concurrency + 2 * concurrency
    assert sum("another one now" in line for line in seen.watcher.notices) == 1
    assert not any("was refused (" in line for line in seen.watcher.notices)


def test_a_key_that_comes_a_little_later_still_ends_the_suspicion() -> None:
    keys = Keys(20.5, written_after=4.0)
    seen = play(Case(rows=500, script=keys.script, rekeyed=keys.reread))
    assert (seen.result.stopped, seen.failed) == (None, {})


def test_a_first_key_that_was_replaced_while_the_run_began_is_no_reason_to_stop() -> None:
    keys = Keys(0.0)
    seen = play(Case(rows=50, script=keys.script, rekeyed=keys.reread))
    assert (seen.result.stopped, seen.result.tally.ok) == (None, 50)


def test_a_key_that_stays_wrong_stops_the_run_as_before() -> None:
    keys = Keys(20.5, written_after=1e9)
    seen = play(Case(rows=500, script=keys.script, rekeyed=keys.reread))
    assert (seen.result.stop_code, seen.failed) == (5, {})
    assert sum(at >= 20.5 for at, _ in seen.transport.sends) <= 8 + 1


def test_a_new_key_that_is_refused_too_stops_the_run() -> None:
    read = iter([True])
    seen = play(Case(rows=500, script=lambda row, nth, now: 200 if now < 20 else 401, rekeyed=lambda: next(read, False)))
    assert (seen.result.stop_code, seen.failed) == (5, {})
    assert sum(at >= 20 for at, _ in seen.transport.sends) <= 8 + 8 + 1
