"""A stop ends the preparing of pictures at once, however long it would have waited. In virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.core.errors import StoppedError
from pipeline.core.interfaces import Prepare
from pipeline.core.parts import plan
from pipeline.core.retry import RetryPolicy
from pipeline.core.tally import Tally
from pipeline.core.types import Prompt
from pipeline.engine.hands import Here
from pipeline.engine.run import Run
from pipeline.engine.send import Builder
from pipeline.engine.settings import Settings
from pipeline.engine.stop import Stop
from pipeline.engine.threads import Threads
from pipeline.engine.work import Result, Work
from tests.fakes import (
    FakeJournal,
    FakeProvider,
    FakeSource,
    ScriptedTransport,
    VirtualLoop,
    Watcher,
    render,
    run_virtual,
    virtual_clock,
)

SETTINGS = Settings(concurrency=8, policy=RetryPolicy(max_attempts=8), grace=120.0)


def play(
    prepare: Prepare, *, settings: Settings = SETTINGS, at: Callable[[Stop], None] | None = None
) -> tuple[Result, int, float]:
    """Run 100 rows; `at` is done after 60 s. Gives the result, the rows recorded and the seconds it took."""

    async def main(loop: VirtualLoop) -> tuple[Result, int, float]:
        clock = virtual_clock(loop)
        stop, journal, threads = Stop(), FakeJournal(), Threads.start(render=0)
        if at is not None:
            loop.call_later(60.0, at, stop)
        try:
            transport = ScriptedTransport(lambda row, nth, now: 200, clock.now)
            hands = Here(Builder(render, FakeProvider(), threads.render, prepare), FakeProvider(), transport, now=clock.now)
            run = Run(
                Work(plan(0, 100, 40, next_id=0), 100, Tally()),
                settings,
                source=FakeSource(100),
                journal=journal,
                hands=hands,
                observer=Watcher(),
                stop=stop,
                threads=threads,
                clock=clock,
            )
            return await run.go(), len(journal.done), loop.time()
        finally:
            threads.close()

    seen: tuple[Result, int, float] = run_virtual(main)
    return seen


async def waits_an_hour_from_row_10_on(prompt: Prompt) -> Prompt:
    if prompt.row >= 10:
        await asyncio.sleep(3600.0)
    return prompt


def test_an_interrupt_does_not_wait_for_pictures() -> None:
    result, recorded, seconds = play(waits_an_hour_from_row_10_on, at=lambda stop: stop.request("interrupted", 3))
    assert (result.stopped, result.stop_code, recorded) == ("interrupted", 3, 10)
    assert 60.0 <= seconds < 61.0


def test_nor_does_a_deadline() -> None:
    result, recorded, seconds = play(waits_an_hour_from_row_10_on, settings=replace(SETTINGS, deadline=1_800_000_060.0))
    assert (result.stopped, recorded) == ("the deadline has passed", 10)
    assert seconds < 63.0


@pytest.mark.parametrize("from_row", [0, 50])
def test_pictures_that_nobody_can_have_stop_the_run_with_their_rows_to_do(from_row: int) -> None:
    async def prepare(prompt: Prompt) -> Prompt:
        if prompt.row >= from_row:
            await asyncio.sleep(100.0)
            raise StoppedError("pictures cannot be fetched from any host")
        return prompt

    result, recorded, _ = play(prepare)
    assert (result.stopped, result.stop_code, recorded) == ("pictures cannot be fetched from any host", 3, from_row)
