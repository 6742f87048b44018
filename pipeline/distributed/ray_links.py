"""Workers as Ray actors. Ray places them, tells when one is gone, and carries messages; what is tried again is the fleet's.

Actors and their calls are never tried again by Ray itself (max_restarts, max_task_retries): it does not know what was paid for.
Checked with Ray 2.60; see https://docs.ray.io/en/latest/ray-core/actors/async_api.html.
"""

import asyncio
import io
import logging
import math
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, TextIO, cast

from pipeline.core.errors import ConfigError, RowcallError
from pipeline.distributed.desk import Desk
from pipeline.distributed.fleet import Link, LostError, Open, WorkerError
from pipeline.distributed.messages import Failed, Flat, Notice, Orders
from pipeline.version import __version__

# Opens a worker's inside, of what the driver gave it; takes what says a line to people, who are where the driver is.
OpenDesk = Callable[[Callable[[str], None]], AbstractAsyncContextManager[Desk]]
# Orders and the wait for reports run beside one another, as many as there are.
_CALLS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Secrets:
    """Environment variables that hold keys. They go to a worker as an argument of a call, which is shown and logged nowhere.

    Not in its runtime environment: Ray's agent for these writes every value into its log (seen with 2.60).
    """

    variables: Mapping[str, str] = field(repr=False)


class Worker:
    """A worker's process: a desk behind calls that Ray carries."""

    def __init__(self, open_desk: OpenDesk) -> None:
        self._open_desk = open_desk
        self._desk: Desk | None = None
        self._over = asyncio.Event()
        self._early: list[str] = []

    async def start(self, secrets: Secrets, version: str) -> tuple[str, Failed | None]:
        """Get ready to ask; give this machine's name, and where that is so why no worker could."""
        place = socket.gethostname()
        if version != __version__:
            return place, Failed(None, f"rowcall {__version__} is installed, and not {version} as where the run was started", 2)
        os.environ.update(secrets.variables)
        ready: asyncio.Future[Failed | None] = asyncio.get_running_loop().create_future()
        # One task opens and closes: what is opened may hold groups of tasks.
        self._task = asyncio.get_running_loop().create_task(self._work(ready))
        return place, await ready

    async def take(self, orders: Orders) -> None:
        assert self._desk is not None
        self._desk.take(orders)

    async def hear(self, gather: float) -> Flat:
        assert self._desk is not None
        return await self._desk.reports(gather)

    async def close(self) -> None:
        self._over.set()
        await self._task

    async def _work(self, ready: "asyncio.Future[Failed | None]") -> None:
        try:
            async with self._open_desk(self._notice) as self._desk:
                for each in self._early:
                    self._notice(each)
                ready.set_result(None)
                await self._over.wait()
        except Exception as error:
            if ready.done():  # close() meets it
                raise
            if isinstance(error, RowcallError):
                ready.set_result(Failed(None, str(error), error.exit_code))
            else:
                ready.set_exception(error)

    def _notice(self, text: str) -> None:
        if self._desk is None:
            self._early.append(text)
        else:
            self._desk.report(Notice(text))


class _ActorLink:
    """Implements fleet.Link."""

    def __init__(self, actor: Any, place: str, ray: Any) -> None:
        self.place = place
        self._actor = actor
        self._ray = ray

    def tell(self, orders: Orders) -> None:
        self._actor.take.remote(orders)

    async def hear(self, gather: float) -> Flat:
        try:
            reports: Flat = await self._actor.hear.remote(gather)
        except self._ray.exceptions.RayError as error:
            raise LostError(_said(error)) from error
        return reports

    async def close(self) -> None:
        self._ray.kill(self._actor, no_restart=True)


@asynccontextmanager
async def ray_links(
    open_desk: OpenDesk,
    *,
    address: str,
    seats: int,
    cpus: float,
    secrets: Secrets,
    only_here: str | None,
    notice: Callable[[str], None],
) -> AsyncIterator[Open]:
    """Reach a cluster, or start one of this machine's own; give what makes a worker in it.

    `only_here` is why workers could not be on other machines, None if they could. Raises ConfigError where there is no
    cluster, or one of those.
    """
    import ray

    made = not ray.is_initialized()
    if made:
        # In another thread, for it takes ten seconds, and in the main one Ray sets a handler that exits at SIGTERM.
        logging.getLogger("ray").setLevel(logging.ERROR)  # it would say so
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            loop.call_soon_threadsafe(notice, text)

        await asyncio.to_thread(_connect, ray, address, seats * cpus, say)
    if only_here is not None and _spans_machines(ray):
        raise ConfigError(only_here)
    actor: Any = ray.remote(Worker)

    async def open_(seat: int) -> Link:
        handle = actor.options(
            num_cpus=cpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_CALLS_AT_ONCE,
            scheduling_strategy="SPREAD",
        ).remote(open_desk)
        try:
            place, failed = await handle.start.remote(secrets, __version__)
        except ray.exceptions.RayError as error:
            raise LostError(_said(error)) from error
        if failed is not None:
            ray.kill(handle, no_restart=True)
            raise WorkerError(failed, place)
        return _ActorLink(handle, place, ray)

    with redirect_stdout(cast(TextIO, _WithoutRay(sys.stdout))):
        try:
            yield open_
        finally:
            if made:
                with redirect_stdout(io.StringIO()):  # it held lines back that were much alike
                    ray.shutdown()


def _spans_machines(ray: Any) -> bool:
    here = socket.gethostname()
    return any(each["Alive"] and each["NodeManagerHostname"] != here for each in ray.nodes())


def _connect(ray: Any, address: str, cpus: float, notice: Callable[[str], None]) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    said = io.StringIO()  # what Ray says on the standard output, which is for the run's summary
    try:
        with redirect_stdout(said):
            try:
                ray.init(address=address, **quiet)
            except ConnectionError:
                if address != "auto":
                    raise
                notice("no Ray cluster runs on this machine: one is started for this run")
                ray.init(address="local", num_cpus=max(1, math.ceil(cpus)), include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"engine.address: no Ray cluster is reached at {address}: {_said(error)}") from error


class _WithoutRay:
    """The standard output without what Ray's thread writes there of lost workers: the fleet says so itself, in a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        return len(text) if threading.current_thread().name.startswith("ray_") else self._out.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


def _said(error: BaseException) -> str:
    cause = getattr(error, "cause", None)  # of what a worker raised; Ray's own text begins with where that was
    if isinstance(cause, BaseException):
        return f"{type(cause).__name__}: {cause}"
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
