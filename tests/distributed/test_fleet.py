"""A run whose rows are asked by workers elsewhere: the engine's own promises hold, and a lost worker costs its rows in flight."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, repeat

import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.parts import plan
from pipeline.core.pricing import Pricing
from pipeline.core.retry import RetryPolicy
from pipeline.core.tally import Tally
from pipeline.core.types import Fault, FaultKind, Reply, Response
from pipeline.distributed.fleet import LostError, fleet
from pipeline.distributed.seats import InTurns
from pipeline.engine.run import Run
from pipeline.engine.settings import Settings
from pipeline.engine.stop import Stop
from pipeline.engine.threads import Threads
from pipeline.engine.work import Result, Work
from tests.distributed.fakes import FakeCluster
from tests.fakes import FakeJournal, FakeSource, ScriptedTransport, VirtualLoop, Watcher, run_virtual, virtual_clock

SETTINGS = Settings(concurrency=16, policy=RetryPolicy(max_attempts=8), grace=120.0, adaptive=False)


@dataclass
class Played:
    result: Result
    journal: FakeJournal
    transport: ScriptedTransport
    cluster: FakeCluster
    notices: list[str]
    seconds: float


@dataclass
class Case:
    rows: int = 200
    seats: int = 4
    settings: Settings = SETTINGS
    script: Callable[[int, int, float], object] = lambda row, nth, now: 200
    latency: float = 1.0
    weigh: bool = False
    spoils: int | None = None
    kills: int | None = None
    blind: Fault | None = None
    longest: float = 600.0
    opening: Callable[[int, int], float] = lambda seat, times: 0.0
    at: list[tuple[float, Callable[[FakeCluster, Stop], None]]] = field(default_factory=list)


def play(case: Case) -> Played:
    async def main(loop: VirtualLoop) -> Played:
        clock = virtual_clock(loop)
        transport = ScriptedTransport(case.script, clock.now, case.latency)  # type: ignore[arg-type]
        cluster = FakeCluster(transport, case.rows, case.spoils, case.kills, case.blind, case.opening)
        journal, watcher, stop = FakeJournal(), Watcher(), Stop()
        for seconds, action in case.at:
            loop.call_later(seconds, action, cluster, stop)
        threads = Threads.start(render=0)
        try:
            async with fleet(
                case.seats,
                cluster.open,
                at_once=case.settings.concurrency,
                weigh=case.weigh,
                longest=case.longest,
                now=clock.now,
                notice=watcher.notice,
            ) as hands:
                run = Run(
                    Work(list(plan(0, case.rows, 40, next_id=0)), case.rows, Tally()),
                    case.settings,
                    source=InTurns(FakeSource(case.rows), case.seats),
                    journal=journal,
                    hands=hands,
                    observer=watcher,
                    stop=stop,
                    threads=threads,
                    clock=clock,
                )
                result = await run.go()
            return Played(result, journal, transport, cluster, watcher.notices, loop.time())
        finally:
            threads.close()

    played: Played = run_virtual(main)
    assert not played.journal.twice, "an outcome was recorded twice"
    assert played.transport.peak <= case.settings.concurrency, "more were in flight than all workers together may have"
    for row, outcome in played.journal.done.items():
        if isinstance(outcome.result, Reply):
            assert outcome.result.text == f"row {row}"
    return played


@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize("seats", [1, 3, 8])
def test_every_row_is_asked_once_by_some_worker(seats: int, weigh: bool) -> None:
    played = play(Case(seats=seats, weigh=weigh))
    assert sorted(played.journal.done) == list(range(200))
    assert all(times == 1 for times in played.transport.per_row.values())
    assert sorted(played.cluster.opened) == list(range(seats))
    assert all(link.closed for link in played.cluster.links.values())


def test_a_lost_worker_costs_its_rows_in_flight_and_no_more() -> None:
    played = play(Case(at=[(2.5, lambda cluster, stop: cluster.links[1].cut())]))
    twice = [row for row, times in played.transport.per_row.items() if times > 1]
    assert sorted(played.journal.done) == list(range(200))
    assert 0 < len(twice) <= SETTINGS.concurrency / 4, "that is its share"
    assert max(played.transport.per_row.values()) == 2
    assert played.result.traffic.ambiguous == len(twice)
    assert played.result.traffic.requests == len(played.transport.sends) == 200 + len(twice)
    assert f"worker 2 was lost; {len(twice)} rows that it had in flight go to others" in played.notices
    assert played.cluster.opened.count(1) == 2, "its seat was not taken again"


def test_rows_of_an_empty_seat_go_to_others_and_come_back_to_it() -> None:
    played = play(Case(opening=lambda seat, times: 5.0 if seat == 2 else 0.0))
    assert sorted(played.journal.done) == list(range(200))
    assert sorted(played.cluster.opened) == [0, 1, 2, 3]


def test_a_429_anywhere_holds_every_worker() -> None:
    def script(row: int, nth: int, now: float) -> object:
        return Response(429, {"retry-after": "30"}, b"") if 3.0 <= now < 5.0 else 200

    played = play(Case(script=script))
    held = [at for at, _ in played.transport.sends if 5.0 < at < 30.0]
    assert sorted(played.journal.done) == list(range(200))
    assert held == []


def test_workers_together_keep_one_pace() -> None:
    played = play(Case(rows=300, settings=replace(SETTINGS, requests_per_minute=60.0)))
    starts = sorted(at for at, _ in played.transport.sends)
    busiest = max(sum(1 for each in starts if at <= each < at + 60.0) for at in starts)
    assert busiest <= 61


def test_a_wrong_key_stops_all_within_a_few_requests() -> None:
    played = play(Case(script=lambda row, nth, now: 401))
    assert played.result.stop_code == 5
    assert len(played.transport.sends) <= 5
    assert played.journal.done == {}


def test_an_interrupt_records_what_is_in_flight_everywhere() -> None:
    played = play(Case(at=[(2.5, lambda cluster, stop: stop.request("interrupted", 3))]))
    assert played.result.stop_code == 3
    assert len(played.journal.done) == len(played.transport.sends)


def test_a_worker_lost_while_the_run_ends_leaves_its_rows_to_do() -> None:
    def end(cluster: FakeCluster, stop: Stop) -> None:
        for link in cluster.links.values():
            link.cut()

    played = play(Case(at=[(2.5, lambda cluster, stop: stop.request("interrupted", 3)), (2.6, end)]))
    lost = len(played.transport.sends) - len(played.journal.done)
    assert 0 < lost <= SETTINGS.concurrency
    assert played.result.traffic.ambiguous == lost
    assert max(played.transport.per_row.values()) == 1


def test_without_any_worker_the_run_stops_with_its_rows_to_do() -> None:
    def never(seat: int, times: int) -> float:
        raise LostError("no room")

    played = play(Case(opening=never, longest=300.0))
    assert (played.result.stop_code, played.journal.done) == (3, {})
    assert played.result.stopped == "no worker has been there for 5 minutes; the same command goes on"
    assert 300.0 <= played.seconds < 400.0


def cut_all(cluster: FakeCluster, stop: Stop) -> None:
    for link in list(cluster.links.values()):
        link.cut()


def test_what_was_sent_by_lost_workers_is_counted_also_if_none_comes_again() -> None:
    def opening(seat: int, times: int) -> float:
        if times:
            raise LostError("no room")
        return 0.0

    played = play(Case(at=[(2.5, cut_all)], opening=opening, longest=300.0))
    assert played.result.traffic.requests == len(played.transport.sends)
    assert played.result.traffic.ambiguous == len(played.transport.sends) - len(played.journal.done) > 0


def test_a_worker_that_joins_late_and_cannot_work_is_told_of_and_no_more() -> None:
    errors: Iterator[Exception] = chain([LostError("no room")], repeat(ConfigError("images.root: no such folder")))

    def opening(seat: int, times: int) -> float:
        if seat == 2:
            raise next(errors)
        return 0.0

    played = play(Case(rows=1000, opening=opening))
    assert (played.result.stop_code, len(played.journal.done)) == (0, 1000)
    assert "worker 3 did not start (images.root: no such folder); it is tried again in 2 s" in played.notices
    assert "3 of 4 workers are there; the others may come at any time" in played.notices


@pytest.mark.parametrize("kind", [FaultKind.DOWN, FaultKind.TRANSIENT])
def test_a_machine_from_which_nobody_gets_through_fails_no_row(kind: FaultKind) -> None:
    played = play(Case(rows=2000, blind=Fault(kind, "connection", "no route to host")))
    assert sorted(played.journal.done) == list(range(2000))
    assert not any(isinstance(outcome.result, Fault) for outcome in played.journal.done.values())
    assert played.seconds < 300, "a whole fleet takes 125 s"


def test_what_lost_workers_may_have_cost_is_in_the_budget() -> None:
    settings = replace(SETTINGS, pricing=Pricing(per_request=1.0), max_cost=100.0, most_completion=0)
    cuts = [(1.5 + turn, lambda cluster, stop, turn=turn: cluster.links[turn % 4].cut()) for turn in range(6)]
    played = play(Case(rows=400, settings=settings, weigh=True, at=cuts))
    assert played.result.stop_code == 5
    # What is sent again for a lost worker at the very end was set aside for nobody.
    assert 90 <= len(played.transport.sends) <= 100 + SETTINGS.concurrency / 4 + 1


def test_the_loss_of_all_workers_twice_does_not_make_the_rest_wait_in_line() -> None:
    settings = replace(SETTINGS, concurrency=64)
    played = play(Case(rows=640, settings=settings, latency=10.0, at=[(25.0, cut_all), (30.0, cut_all)]))
    assert sorted(played.journal.done) == list(range(640))
    assert played.seconds < 300, "in line 670 s, undisturbed 110"


def test_what_no_worker_could_do_stops_the_run_with_its_own_exit_code() -> None:
    def refuse(seat: int, times: int) -> float:
        raise ConfigError("images.root: photos: No such file or directory")

    played = play(Case(opening=refuse))
    assert (played.result.stopped, played.result.stop_code) == ("images.root: photos: No such file or directory", 2)


def test_a_bug_in_a_worker_ends_the_run_and_nothing_waits_for_it() -> None:
    played = play(Case(script=lambda row, nth, now: "no answer" if row == 50 else 200))
    assert played.result.stop_code == 70
    assert "a worker met a bug in rowcall: AttributeError" in str(played.result.stopped)
    assert len(played.journal.done) == len(played.transport.sends) - 1


def test_faulty_rows_are_asked_again_and_their_attempts_counted() -> None:
    played = play(Case(script=lambda row, nth, now: 500 if row % 5 == 0 and nth == 1 else 200))
    assert sorted(played.journal.done) == list(range(200))
    again = {row for row, outcome in played.journal.done.items() if outcome.attempts == 2}
    assert again == set(range(0, 200, 5))


def test_all_workers_lost_at_once_are_waited_for() -> None:
    played = play(Case(at=[(2.5, cut_all)], opening=lambda seat, times: 20.0 if times else 0.0))
    assert sorted(played.journal.done) == list(range(200))
    assert max(played.transport.per_row.values()) == 2


def test_a_row_over_which_workers_are_lost_when_it_is_made_ready_ends_as_bad() -> None:
    played = play(Case(weigh=True, spoils=50))
    assert sorted(played.journal.done) == list(range(200))
    failed = {row: outcome.result for row, outcome in played.journal.done.items() if isinstance(outcome.result, Fault)}
    assert {row: (fault.error_kind, fault.message) for row, fault in failed.items()} == {
        50: ("bad_row", "5 workers were lost while they made its request ready")
    }


@pytest.mark.parametrize("harm", [{"kills": 50}, {"spoils": 50}])
def test_a_row_over_which_workers_are_lost_when_it_is_sent_fails_alone(harm: dict[str, int]) -> None:
    settings = replace(SETTINGS, policy=RetryPolicy(max_attempts=3))
    played = play(Case(settings=settings, **harm))  # type: ignore[arg-type]
    assert sorted(played.journal.done) == list(range(200))
    failed = {row: outcome for row, outcome in played.journal.done.items() if isinstance(outcome.result, Fault)}
    assert list(failed) == [50]
    assert (failed[50].result.error_kind, failed[50].attempts) == ("connection", 5)  # type: ignore[union-attr]
    assert "the worker that sent it was lost" in str(failed[50].result)
