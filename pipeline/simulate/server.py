"""Where the simulated endpoint listens: in a thread of its own beside a run, or in the foreground until a signal.

Loopback unless told otherwise. Whoever can reach it can use it, but there is nothing to be had: no model, no files.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import IO

import uvloop
from aiohttp import web

from pipeline.core.errors import ConfigError
from pipeline.simulate.door import Door
from pipeline.simulate.endpoint import Endpoint
from pipeline.simulate.settings import SimulatorSettings

LOOPBACK = "127.0.0.1"
# Who stops the simulator does not want to wait for the latency it plays.
_LAST_REPLIES_S = 0.2


class Simulator:
    """A simulator that listens. `url` is its root, `base_url` what a config calls so: /v1 below it."""

    def __init__(self, endpoint: Endpoint, host: str, port: int) -> None:
        self._endpoint = endpoint
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.base_url = f"{self.url}/v1"
        self.port = port

    def stats(self, *, each_digest: bool = False) -> dict[str, object]:
        """Give the same as GET /stats; also after it has stopped."""
        return self._endpoint.counts.picture(each_digest=each_digest)


@contextlib.contextmanager
def serve(settings: SimulatorSettings, *, host: str = LOOPBACK, port: int = 0) -> Iterator[Simulator]:
    """Run a simulator in a thread while the block lasts; port 0 takes a free one. ConfigError if it cannot listen there."""
    ready: Future[tuple[Simulator, Callable[[], object]]] = Future()
    thread = threading.Thread(target=_run_in_thread, args=(settings, host, port, ready), name="rowcall-simulator", daemon=True)
    thread.start()
    simulator, stop = ready.result()
    try:
        yield simulator
    finally:
        stop()
        thread.join()


def run_forever(
    settings: SimulatorSettings, *, host: str = LOOPBACK, port: int = 0, started: Callable[[Simulator], None] = lambda _: None
) -> dict[str, object]:
    """Run a simulator in the foreground until SIGINT or SIGTERM; gives its last statistics. Only for a process's main thread.

    `started` is called once it listens. ConfigError if it cannot.
    """

    async def main() -> dict[str, object]:
        stop = asyncio.Event()
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        async with _listening(settings, host, port) as simulator:
            started(simulator)
            await stop.wait()
        return simulator.stats()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _run_in_thread(
    settings: SimulatorSettings, host: str, port: int, ready: Future[tuple[Simulator, Callable[[], object]]]
) -> None:
    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with _listening(settings, host, port) as simulator:
            ready.set_result((simulator, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(main())
        except ConfigError as error:
            ready.set_exception(error)
        finally:
            ready.cancel()  # whoever waits is told, whatever happened; no effect once there is a result


@contextlib.asynccontextmanager
async def _listening(settings: SimulatorSettings, host: str, port: int) -> AsyncIterator[Simulator]:
    with _opened(settings) as log:
        endpoint = Endpoint(settings, log, shut=lambda seconds: door.shut(seconds))
        runner = web.AppRunner(endpoint.application(), access_log=None, shutdown_timeout=_LAST_REPLIES_S)
        await runner.setup()
        door = Door(runner, host, port)
        try:
            async with door.listening():
                yield Simulator(endpoint, host, door.port)
        finally:
            await runner.cleanup()


def _opened(settings: SimulatorSettings) -> contextlib.AbstractContextManager[IO[str] | None]:
    """Open the log by line, so that a reader sees each reply as soon as it was served."""
    if settings.log is None:
        return contextlib.nullcontext()
    try:
        return settings.log.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"the simulator cannot write its log {settings.log}: {error.strerror}") from error
