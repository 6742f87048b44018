"""Pauses for want of room on the disk, in virtual time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.core.errors import FullError, StoppedError
from pipeline.core.types import Part
from tests.engine.test_run import Case, Seen, play
from tests.fakes import FakeJournal, ScriptedTransport

WHY = "/data: 1 MB are free, 512 MB are needed"


def with_a_disk(case: Case, short: Callable[[float], bool]) -> Seen:
    """Play the case on a disk that is short of room at the times that `short` says."""
    transports: list[ScriptedTransport] = []
    case.lacking = lambda: WHY if short(transports[0].now()) else None
    return play(case, transports)


def test_nothing_is_sent_while_room_is_short_and_the_run_goes_on_by_itself():
    seen = with_a_disk(Case(rows=800, latency=1.5), lambda now: 10 <= now < 40)
    assert not [at for at, _ in seen.transport.sends if 11.0 < at < 40]
    assert seen.result.stopped is None
    assert (seen.result.tally.ok, set(seen.transport.per_row.values())) == (800, {1})
    assert len(seen.watcher.notices) == 2
    assert WHY in seen.watcher.notices[0]
    assert "room again, after 30 s" in seen.watcher.notices[1]


def test_what_is_in_flight_when_room_runs_short_is_recorded():
    seen = with_a_disk(Case(rows=100, latency=30.0), lambda now: now >= 31)
    sent = {row for _, row in seen.transport.sends}
    assert set(seen.journal.done) == sent
    assert max(seen.watcher.pictures, key=lambda each: each.in_flight).in_flight > 1


def test_a_minute_without_room_ends_the_run_and_says_which_disk():
    seen = with_a_disk(Case(rows=800), lambda now: now >= 10)
    assert (seen.result.stopped, seen.result.stop_code) == (WHY, 3)
    assert 69 <= seen.seconds <= 75
    assert 0 < seen.result.tally.ok == len(seen.transport.sends) < 800


def test_each_pause_has_its_own_minute():
    seen = with_a_disk(Case(rows=800), lambda now: now % 100 > 60)
    assert seen.result.stopped is None


def test_a_pause_is_shown_as_what_holds_the_run():
    seen = with_a_disk(Case(rows=800), lambda now: 10 <= now < 40)
    assert {each.held_by for each in seen.watcher.pictures} == {None, "full disk"}


def test_a_stop_asked_for_during_a_pause_ends_it_at_once():
    case = Case(rows=800, at=[(20.0, lambda stop: stop.request("interrupted", 3))])
    seen = with_a_disk(case, lambda now: now >= 10)
    assert seen.result.stopped == "interrupted"
    assert seen.seconds < 25


@dataclass
class FullJournal(FakeJournal):
    """Has no room for a seal, or a new part, the first `refusals` times."""

    refusals: dict[str, int] = field(default_factory=dict)
    error: type[StoppedError] = FullError

    def _refuse(self, what: str) -> None:
        if self.refusals.get(what, 0) > 0:
            self.refusals[what] -= 1
            raise self.error(f"no room to {what}")

    def open_part(self, part: Part, columns: Iterator[Any]) -> None:
        self._refuse("open")
        super().open_part(part, columns)

    def seal(self, part: Part) -> None:
        self._refuse("seal")
        super().seal(part)


@pytest.mark.parametrize("what", ["open", "seal"])
def test_a_part_that_found_the_disk_full_is_tried_again(what: str):
    seen = play(Case(rows=800, journal=FullJournal(refusals={what: 3})))
    assert seen.result.stopped is None
    assert len(seen.watcher.notices) == 2
    assert seen.seconds >= 15


@pytest.mark.parametrize("what", ["open", "seal"])
def test_after_a_minute_of_trying_the_run_ends(what: str):
    seen = play(Case(rows=800, journal=FullJournal(refusals={what: 1000})))
    assert (seen.result.stopped, seen.result.stop_code) == (f"no room to {what}", 3)
    assert 60 <= seen.seconds <= 75


@pytest.mark.parametrize("what", ["open", "seal"])
def test_a_disk_that_fails_otherwise_is_not_tried_again(what: str):
    journal = FullJournal(refusals={what: 1000}, error=StoppedError)
    seen = play(Case(rows=800, journal=journal))
    assert (seen.result.stop_code, journal.refusals[what]) == (3, 999)
