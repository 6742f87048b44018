"""The asynchronous part of a run: the event loop, and everything wired up that lives in it."""

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.checkpoint.record import Record
from pipeline.checkpoint.room import Room
from pipeline.core.errors import ConfigError, RowcallError
from pipeline.core.interfaces import Observer, Source
from pipeline.core.types import Part
from pipeline.distributed.seats import InTurns
from pipeline.engine.hands import Hands
from pipeline.engine.run import Run
from pipeline.engine.stop import Stop
from pipeline.engine.threads import Threads
from pipeline.engine.work import Result, Work
from pipeline.jobs import inputs, signals
from pipeline.jobs.crew import here, in_cluster
from pipeline.jobs.fingerprints import Fingerprints
from pipeline.jobs.job import Job
from pipeline.jobs.loop import in_a_loop
from pipeline.jobs.watch import Both
from pipeline.jobs.wiring import Endpoint, build_endpoint, engine_settings, render_threads
from pipeline.prompts import Renderer

# Allocations between two looks for cycles of garbage. Rows make next to none, and Python's own 700 are over after three rows.
GARBAGE_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Todo:
    """What this run is to do: `asks` whether any row is left to send; `idle`: nothing is to be sent or published."""

    parts: Sequence[Part]
    rows: int
    again: int
    asks: bool
    idle: bool


@dataclass(frozen=True, slots=True)
class Engine:
    """The asynchronous part of a run."""

    job: Job
    endpoint: Endpoint
    renderer: Renderer
    source: inputs.JoinedSource
    record: Record
    files: Sequence[inputs.JoinedFile]
    room: Room
    progress: Observer
    observer: Observer
    interrupts: signals.Interrupts

    def run(self, todo: Todo) -> Result:
        with ExitStack() as stack:
            endpoint, base_url = self.endpoint, None
            if self.job.config.endpoint.provider == "simulated":
                endpoint, base_url = self._simulated(stack)
            fingerprints = Fingerprints(self.record, self.files)
            hashing = threading.Thread(target=fingerprints.work, name="rowcall-sha256", daemon=True)
            hashing.start()
            stack.callback(hashing.join)
            stack.callback(fingerprints.stop)
            return in_a_loop(lambda: self._main(endpoint, todo, base_url))

    def _simulated(self, stack: ExitStack) -> tuple[Endpoint, str]:
        from pipeline.simulate import SimulatorSettings, serve

        simulator = stack.enter_context(serve(SimulatorSettings()))
        self.observer.notice(f"no model is asked: a simulated endpoint listens on {simulator.base_url}")
        endpoint = build_endpoint(self.job.config, warn=self.observer.notice, base_url=simulator.base_url)
        return endpoint, simulator.base_url

    async def _main(self, endpoint: Endpoint, todo: Todo, base_url: str | None) -> Result:
        loop = asyncio.get_running_loop()
        stop = Stop()
        if todo.again == 0 and self.record.committed == 0:
            await _check_host(endpoint)

        def ask(name: str) -> None:
            loop.call_soon_threadsafe(stop.request, f"interrupted by {name}", 3)

        self.interrupts.check()
        self.interrupts.ask = ask
        threads = Threads.start(render=render_threads(self.job.config) if self.renderer.blocking else 0)
        try:
            async with self._asking(endpoint, threads, base_url, todo) as (hands, source):
                run = Run(
                    Work(todo.parts, todo.rows, self.record.tally(), todo.again),
                    engine_settings(self.job.config, deadline=self.job.deadline),
                    source=source,
                    journal=self.record,
                    hands=hands,
                    observer=Both(self.progress, self.observer),
                    stop=stop,
                    threads=threads,
                    lacking=self.room.lacking,
                    rekeyed=endpoint.rekeyed,
                )
                with _rarely_collecting():
                    return await run.go()
        except* RowcallError as errors:
            raise _first(errors) from None
        finally:
            self.interrupts.ask = None
            threads.close()

    @asynccontextmanager
    async def _asking(
        self, endpoint: Endpoint, threads: Threads, base_url: str | None, todo: Todo
    ) -> AsyncIterator[tuple[Hands, Source]]:
        """Open what asks rows, here or in a cluster, and what tells it which."""
        config, notice = self.job.config, self.observer.notice
        # Where all that is left is to seal, or all input is gone, nobody has anything to ask.
        if config.engine.kind == "local" or not todo.asks or self.source.schema is None:
            async with here(config, endpoint, self.renderer, self.files, threads, notice) as hands:
                yield hands, self.source
            return
        async with in_cluster(config, self.source, base_url, notice) as hands:
            yield hands, InTurns(self.source, config.engine.workers)


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Keep Python from looking through everything that was imported, again and again: 30 of 160 us a row."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.set_threshold(max(GARBAGE_EVERY, before[0]) if before[0] else 0, *before[1:])  # 0: whoever calls us wants none
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:  # what a program that calls us has frozen stays so
            gc.unfreeze()
        gc.set_threshold(*before)


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _check_host(endpoint: Endpoint) -> None:
    """Find a mistyped host before the first row is sent. A name server that is away is the run's to wait for."""
    from yarl import URL

    if endpoint.transport.proxy is not None:
        return
    url = URL(endpoint.provider.url)
    try:
        await asyncio.get_running_loop().getaddrinfo(url.host or "", url.port)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            raise ConfigError(f"endpoint: the host {url.host} does not exist; see base_url or url") from None
    except (OSError, UnicodeError, ValueError):
        return
