"""A process that is stopped for a while: simulated by a clock that jumps, and by blocking the real loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from pipeline.core.breaker import Breaker
from pipeline.engine.awake import STOPPED_S, Awake, Patience
from tests.fakes import VirtualLoop, run_virtual


def test_the_clock_goes_with_the_other_one_but_for_stops():
    times = iter([0.0, 1.0, 2.0, 2.0 + STOPPED_S, 100.0, 101.0])
    awake = Awake(lambda: next(times))
    assert [awake.seconds() for _ in range(5)] == [1.0, 2.0, 2.0 + STOPPED_S, 2.0 + STOPPED_S, 3.0 + STOPPED_S]


def test_what_was_missed_is_told_once():
    times = iter([0.0, 1.0, 61.0, 62.0])
    awake = Awake(lambda: next(times))
    assert [awake.missed_now() for _ in range(3)] == [0.0, 60.0, 0.0]


class Wait:
    """A block that ends in a TimeoutError when its time is up."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self.limit = limit

    def time_is_up(self) -> None:
        self.limit.reschedule(asyncio.get_running_loop().time())

    def look(self) -> None:
        pass


@asynccontextmanager
async def waiting(patience: Patience) -> AsyncIterator[None]:
    async with asyncio.timeout(None) as limit:
        patience.begin(wait := Wait(limit))
        try:
            yield
        finally:
            patience.end(wait)


def patience(awake: Awake, seconds: float) -> AbstractAsyncContextManager[None]:
    return waiting(Patience(awake, seconds))


def beating(loop: asyncio.AbstractEventLoop, awake: Awake) -> None:
    awake.seconds()
    loop.call_later(1.0, beating, loop, awake)


@pytest.mark.parametrize("seconds", [0.5, 4.0, 100.0])
def test_patience_ends_when_it_is_due(seconds: float):
    async def main(loop: VirtualLoop) -> float:
        awake = Awake(loop.time)
        beating(loop, awake)
        with pytest.raises(TimeoutError):
            async with patience(awake, seconds):
                await asyncio.sleep(1000)
        return loop.time()

    assert run_virtual(main) == pytest.approx(seconds)


def test_patience_lets_the_block_end_and_other_cancellations_through():
    async def main(loop: VirtualLoop) -> None:
        awake = Awake(loop.time)
        async with patience(awake, 5.0):
            await asyncio.sleep(1)
        with pytest.raises(asyncio.CancelledError):
            async with patience(awake, 5.0):
                raise asyncio.CancelledError
        await asyncio.sleep(100)  # no timer is left that would cancel this

    run_virtual(main)


def test_many_waits_end_each_in_its_time():
    async def main(loop: VirtualLoop) -> list[float]:
        awake, ended = Awake(loop.time), []
        beating(loop, awake)
        patient = Patience(awake, 10.0)

        async def wait(start: float, work: float) -> None:
            await asyncio.sleep(start)
            try:
                async with waiting(patient):
                    await asyncio.sleep(work)
            except TimeoutError:
                ended.append(loop.time())

        async with asyncio.TaskGroup() as group:
            for start, work in ((0.0, 1.0), (1.0, 99.0), (2.5, 99.0), (3.0, 2.0), (50.0, 99.0)):
                group.create_task(wait(start, work))
        return ended

    assert run_virtual(main) == pytest.approx([11.0, 12.5, 60.0])


def test_a_stop_longer_than_the_patience_left_does_not_use_it_up():
    async def main(loop: VirtualLoop) -> float:
        awake = Awake(loop.time)
        beating(loop, awake)
        loop.call_later(1.5, stop_for, loop, 60.0)
        with pytest.raises(TimeoutError):
            async with patience(awake, 4.0):
                await asyncio.sleep(1000)
        return loop.time()

    # All but the second around the stop is counted as before.
    assert 63.5 <= run_virtual(main) <= 65.5


def stop_for(loop: VirtualLoop, seconds: float) -> None:
    loop.selector.elapsed += seconds


def test_a_stop_does_not_count_as_an_endpoints_silence():
    breaker = Breaker(concurrency=8)
    breaker.failed(1, 10.0, sent_at=9.0, left=100, unreachable=True)
    breaker.excuse(60.0, 75.0)
    assert breaker.silent_since == 70.0
    breaker.excuse(60.0, 75.0)
    assert breaker.silent_since == 75.0
