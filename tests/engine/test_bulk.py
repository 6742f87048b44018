"""The bound on what is held at once, in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from pipeline.core.types import Fault, Prompt, Reply, Request, Response
from pipeline.engine.bulk import Bulk, Load
from tests.engine.test_run import SETTINGS, Case, play
from tests.fakes import FakeProvider, VirtualLoop, run_virtual

MB = 10**6


@dataclass
class Heavy(FakeProvider):
    """Bodies that grow large; notes the most bytes of bodies that were alive at once."""

    size: Callable[[int], int] = lambda row: MB
    built: list[int] = field(default_factory=list)

    def encode(self, prompt: Prompt) -> Request:
        self.built.append(prompt.row)
        request = super().encode(prompt)
        return replace(request, body=request.body.ljust(self.size(prompt.row)))

    def decode(self, response: Response, request: Request) -> Reply | Fault:
        return super().decode(replace(response, body=response.body.rstrip()), request)


def peak_in_flight(most_held: int, size: Callable[[int], int], **more: int) -> int:
    settings = replace(SETTINGS, concurrency=16, most_held_bytes=most_held, builders=2, **more)
    return play(Case(rows=120, settings=settings, provider=Heavy(size))).transport.peak


def test_bodies_in_flight_are_bounded_by_bytes():
    assert peak_in_flight(5 * MB, lambda row: MB) in (5, 6)


def test_small_bodies_use_the_whole_concurrency():
    assert peak_in_flight(5 * MB, lambda row: MB // 10) == 16


def test_a_body_beyond_the_bound_goes_alone():
    assert peak_in_flight(5 * MB, lambda row: 7 * MB) in (1, 2)


def test_rows_made_ready_ahead_do_not_raise_what_is_in_flight():
    assert peak_in_flight(500 * MB, lambda row: MB, ahead=4) == 16


def test_a_stop_sends_home_whoever_waits_for_room():
    provider = Heavy()
    settings = replace(SETTINGS, concurrency=16, most_held_bytes=2 * MB, builders=1)
    seen = play(Case(rows=400, settings=settings, provider=provider, at=[(20.0, lambda stop: stop.request("interrupted", 3))]))
    assert seen.result.stop_code == 3
    assert 0 < len(seen.journal.done) < 400


def turns(bulk: Bulk, bodies: int) -> list[int]:
    """Let so many workers in, each holding 1 MB for a second; give how much was held whenever somebody had built."""
    held: list[int] = []

    async def work() -> None:
        load = await bulk.enter()
        bulk.built(load, MB)
        held.append(bulk.held)
        await asyncio.sleep(1)
        bulk.leave(load)

    async def main(loop: VirtualLoop) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(bodies):
                group.create_task(work())

    run_virtual(main)
    return held


@pytest.mark.parametrize("builders", [1, 3, 50])
def test_the_bound_is_met_to_within_what_is_being_built(builders: int):
    bulk = Bulk(10 * MB, builders=builders)
    held = turns(bulk, 45)
    assert len(held) == 45
    assert 10 * MB <= max(held) <= (10 + builders - 1) * MB
    assert bulk.held == 0


def test_a_worker_cancelled_as_it_is_let_in_keeps_nothing_from_the_others():
    async def main(loop: VirtualLoop) -> Load:
        bulk = Bulk(MB, builders=1)
        first = await bulk.enter()
        second = loop.create_task(bulk.enter())
        await asyncio.sleep(1)
        bulk.leave(first)  # the second is let in, and cancelled in the same turn
        second.cancel()
        await asyncio.wait([second])
        return await bulk.enter()

    assert run_virtual(main).building
