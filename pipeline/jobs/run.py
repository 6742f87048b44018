"""One run of a job, from the lock to the published output. Wiring: what is decided here is only the order."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.entries import StoredJob
from pipeline.checkpoint.layout import Layout, make_folder, preflight
from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.publish import publish, set_aside, verify_output
from pipeline.checkpoint.record import Record, open_record
from pipeline.config import Config
from pipeline.config.facts import redacted
from pipeline.core.errors import ConfigError, MismatchError, RowcallError, SourceError, StoppedError
from pipeline.core.interfaces import Observer
from pipeline.core.keys import changes, digest
from pipeline.core.parts import plan
from pipeline.core.pricing import Pricing
from pipeline.core.tally import Progress, Summary, Traffic, summarize
from pipeline.core.types import ERROR_KINDS, Part
from pipeline.engine.run import Result, Run, Threads, Work
from pipeline.engine.stop import Stop
from pipeline.jobs import inputs, signals
from pipeline.jobs.job import Job
from pipeline.jobs.machine import make_room_for, tell_of_proxies
from pipeline.jobs.place import layout_of
from pipeline.jobs.wiring import Endpoint, build_endpoint, build_renderer, engine_settings
from pipeline.prompts import Renderer
from pipeline.sources.parquet import schema_of
from pipeline.version import __version__

RETRY_KINDS = (*ERROR_KINDS, "length", "empty")


class Unwatched:
    """The observer of a run that nobody watches."""

    def progress(self, now: Progress) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Say nothing."""


def run_job(job: Job, observer: Observer | None = None) -> Summary:
    """Run the job, or resume it; with nothing to do it is a no-op that says where the job stands.

    Blocks until the run ends. `observer` is told of progress about once a second. An early end that the same call
    resumes (an interrupt, an outage, a deadline) is no exception: see the summary's `stopped` and `exit_code`. Raises
    RowcallError where nothing was sent, or where a person has to see to the record or the disk first.
    """
    with signals.heeded() as interrupts:
        return _Execution(job, observer or Unwatched(), interrupts).run()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What this run is to do. `limit` None: the whole job; `idle`: nothing is to be sent or published."""

    parts: Sequence[Part]
    rows: int
    again: int
    idle: bool


class _Execution:
    def __init__(self, job: Job, observer: Observer, interrupts: signals.Interrupts) -> None:
        self._job = job
        self._config = job.config
        self._observer = observer
        self._interrupts = interrupts
        self._layout = layout_of(job.config)
        self._started = time.time()

    def run(self) -> Summary:
        job, config = self._job, self._config
        _check_kinds(job.retry_failed)
        # A wrong key or address is found before a folder is made.
        endpoint = build_endpoint(config, warn=self._observer.notice)
        make_room_for(config.limits.concurrency, embedded=config.endpoint.provider == "simulated")
        found = inputs.find_files(config)
        if not found and not self._layout.has_record:
            raise SourceError(f"input.path: {', '.join(config.input.path)} matches no file")
        if job.fresh:
            self._start_over()
        make_folder(self._layout)
        with hold(self._layout), ExitStack() as stack:
            preflight(self._layout, allow_network_disk=config.checkpoint.allow_network_disk)
            record = open_record(self._layout, create=True)
            stack.callback(record.close)
            if record.rescued:
                self._observer.notice(f"{record.rescued} replies that an earlier run could not record were taken in")
            return self._with_record(record, endpoint, found)

    def _start_over(self) -> None:
        if not self._layout.has_record and not self._layout.output.exists():
            return
        make_folder(self._layout)
        with hold(self._layout):
            for old, new in set_aside(self._layout):
                self._observer.notice(f"{old} was set aside as {new.name}")

    # -- with the record open

    def _with_record(self, record: Record, endpoint: Endpoint, found: Sequence[Any]) -> Summary:
        verify_output(record)
        self._check_same(record, endpoint)
        if self._job.retry_failed is not None:
            # Before the files are joined: rows to be asked again need their input once more.
            number = record.redo(self._job.retry_failed or None) if record.job else 0
            self._observer.notice(f"{number} rows are to be asked again")
        files = inputs.join_files(record, self._layout, self._config, found, notice=self._observer.notice)
        schema = self._input_schema(record, files)
        renderer, kept = self._columns(record, schema)
        self._store(record, endpoint, kept)
        todo = self._plan(record, files)
        if todo.idle:
            return self._finish(record, None, todo, Traffic(), 0.0)
        if todo.parts:
            inputs.check_vanished(record, files, todo.rows)
        source = inputs.JoinedSource(files, prompt_columns=renderer.columns, kept_columns=kept.names)
        return self._send(record, endpoint, renderer, source, files, todo)

    def _check_same(self, record: Record, endpoint: Endpoint) -> None:
        """Refuse to go on with a job that is another one by now, unless told to."""
        if record.job is None:
            return
        changed = changes(record.job.fingerprint, endpoint.facts)
        if not changed:
            return
        named = "; ".join(map(str, changed))
        if not self._job.keep_done:
            raise MismatchError(
                f"{self._layout.output}: this is another job than the one on record: {endpoint.redactor.text(named, 1500)}."
                " --keep-done keeps the recorded rows and goes on under the new config, --fresh sets them aside and starts"
                " over, another output.path begins another job"
            )
        frozen = [each.name for each in changed if each.name in ("output.columns", "output.prefix", "input.csv")]
        if frozen:
            raise MismatchError(
                f"{', '.join(frozen)} cannot change under --keep-done, for the recorded rows have the old shape;"
                " change it back, start over with --fresh, or give another output.path"
            )
        self._observer.notice(f"recorded rows are kept; new ones go out with {endpoint.redactor.text(named, 1500)}")

    def _input_schema(self, record: Record, files: Sequence[inputs.JoinedFile]) -> pa.Schema | None:
        """Give the input's columns, or None when no file needs to be read any more."""
        readable = [each.path for each in files if each.path is not None]
        if readable:
            return schema_of(readable)
        if record.job is not None:
            return None
        raise SourceError("the input has no readable file")

    def _columns(self, record: Record, schema: pa.Schema | None) -> tuple[Renderer, pa.Schema]:
        """Give the renderer and the kept columns. Templates are checked although nothing may be left to ask."""
        if schema is None:
            assert record.job is not None
            known = record.job.schema
            return _NoRows(), known
        return build_renderer(self._config, schema.names), kept_schema(self._config, schema)

    def _store(self, record: Record, endpoint: Endpoint, kept: pa.Schema) -> None:
        job = StoredJob(endpoint.facts, redacted(self._config), kept, self._config.output.prefix)
        if record.job is None or record.job.to_bytes() != job.to_bytes():
            record.store_job(job)

    def _plan(self, record: Record, files: Sequence[inputs.JoinedFile]) -> _Plan:
        total = files[-1].stop if files else 0
        limit = self._job.limit
        scope = total if limit is None else min(limit, total)
        states = record.parts()
        again = sum(each.left - (len(each.part) - each.tally.done) for each in states)
        if scope < record.planned:
            self._observer.notice(
                f"--limit {limit} is less than the {record.planned} rows that earlier runs took up: nothing is sent or published"
            )
            return _Plan([], record.planned, again, idle=True)
        parts = [each.part for each in states if not each.sealed]
        parts += plan(record.planned, scope, self._config.checkpoint.part_rows, next_id=len(states))
        published = record.published_rows == scope and all(each.published for each in states)
        return _Plan(parts, scope, again, idle=not parts and published)

    def _send(
        self,
        record: Record,
        endpoint: Endpoint,
        renderer: Renderer,
        source: inputs.JoinedSource,
        files: Sequence[inputs.JoinedFile],
        todo: _Plan,
    ) -> Summary:
        config = self._config
        started = record.start_run(
            started=self._started,
            concurrency=config.limits.concurrency,
            note={"version": __version__, "limit": self._job.limit, "keep_done": self._job.keep_done},
        )
        if todo.parts and config.endpoint.provider != "simulated":
            tell_of_proxies(config.endpoint.proxy, os.environ, self._observer.notice)
        result: Result | None = None
        progress = ProgressFile(self._layout, record, self._job.limit, Pricing(**config.pricing.model_dump()).known)
        try:
            if todo.parts:
                engine = _Engine(self._job, endpoint, renderer, source, record, files, progress, self._observer, self._interrupts)
                result = engine.run(todo)
            traffic = result.traffic if result else Traffic()
            traffic.ambiguous += min(started.in_flight_of_dead, todo.rows)
            stopped = result is not None and result.stopped is not None
            if not stopped:
                self._publish(record, endpoint)
            summary = self._finish(record, result, todo, traffic, result.seconds if result else 0.0)
        except RowcallError as error:
            stopped_by = replace(_nothing_sent(result, record, todo), stopped=str(error), stop_code=error.exit_code)
            summary = self._finish(record, stopped_by, todo, stopped_by.traffic, stopped_by.seconds)
            progress.end(summary)
            raise
        progress.end(summary)
        return summary

    def _publish(self, record: Record, endpoint: Endpoint) -> None:
        """Make the output; what an interrupt breaks off here, the next run finishes without asking anything."""
        unsealed = [each.part for each in record.parts() if not each.sealed]
        if unsealed:
            raise StoppedError(f"{len(unsealed)} parts could not be sealed; the same command goes on")
        publish(
            record,
            metadata={
                "version": __version__,
                "job": digest(endpoint.facts),
                "config": redacted(self._config),
                "inputs": [
                    {"path": each.path, "rows": each.rows, "size": each.size, "sha256": each.sha256, "footer": each.footer}
                    for each in record.files()
                ],
                "limit": self._job.limit,
                "kept_under_changed_config": [each.id for each in record.runs() if each.note.get("keep_done")],
            },
        )

    def _finish(self, record: Record, result: Result | None, todo: _Plan, traffic: Traffic, seconds: float) -> Summary:
        tally = record.tally()
        summary = summarize(
            tally,
            traffic,
            rows=todo.rows,
            resumed=result.resumed if result else tally.done - todo.again,
            seconds=seconds,
            priced=Pricing(**self._config.pricing.model_dump()).known,
            limit=self._job.limit,
            stopped=result.stopped if result else None,
            stop_code=result.stop_code if result else 0,
            output=str(self._layout.output) if record.published_rows is not None else None,
        )
        if not todo.idle:
            record.end_run(summary.to_json(), ended=time.time())
            progress_file.write_summary(self._layout, summary.to_json())
        return summary


def _nothing_sent(result: Result | None, record: Record, todo: _Plan) -> Result:
    if result is not None:
        return result
    tally = record.tally()
    return Result(tally, Traffic(), tally.done - todo.again, 0.0, None, 0)


class _NoRows(Renderer):
    """Stands for a renderer when every file of the job is gone and every row on record."""

    def __init__(self) -> None:
        self.columns = ()
        self.blocking = False


class ProgressFile:
    """An observer that keeps progress.json up to date, for `status` and for other hosts."""

    def __init__(self, layout: Layout, record: Record, limit: int | None, priced: bool) -> None:
        self._layout = layout
        self._record = record
        self._limit = limit
        self._priced = priced

    def progress(self, now: Progress) -> None:
        summary = summarize(
            now.tally,
            now.traffic,
            rows=now.rows,
            resumed=now.resumed,
            seconds=now.seconds,
            priced=self._priced,
            limit=self._limit,
            stopped=now.stopping,
        )
        live: dict[str, object] = {
            **{"in_flight": now.in_flight, "waiting": now.waiting, "per_minute": now.per_minute, "eta_s": now.eta_s},
            **{"held_until": now.held_until, "held_by": now.held_by, "rate": now.rows_per_second},
        }
        self._write(summary, live)

    def notice(self, text: str) -> None:
        """Say nothing."""

    def end(self, summary: Summary) -> None:
        """Note that the run is over."""
        self._write(summary, {})

    def _write(self, summary: Summary, live: dict[str, object]) -> None:
        content = {**summary.to_json(), "live": live, "written": time.time(), **self._record.mark()}
        try:
            progress_file.write(self._layout, content)
        except OSError:
            # The journal decides whether the disk is fit to go on; this file only speaks of it.
            return


class _Both:
    """Tells the user's observer and the progress file."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def progress(self, now: Progress) -> None:
        for each in self._observers:
            each.progress(now)

    def notice(self, text: str) -> None:
        for each in self._observers:
            each.notice(text)


@dataclass(frozen=True, slots=True)
class _Engine:
    """The asynchronous part of a run."""

    job: Job
    endpoint: Endpoint
    renderer: Renderer
    source: inputs.JoinedSource
    record: Record
    files: Sequence[inputs.JoinedFile]
    progress: ProgressFile
    observer: Observer
    interrupts: signals.Interrupts

    def run(self, todo: _Plan) -> Result:
        with ExitStack() as stack:
            endpoint = self.endpoint
            if self.job.config.endpoint.provider == "simulated":
                endpoint = self._simulated(stack)
            fingerprints = inputs.Fingerprints(self.record, self.files)
            hashing = threading.Thread(target=fingerprints.work, name="rowcall-sha256", daemon=True)
            hashing.start()
            stack.callback(hashing.join)
            stack.callback(fingerprints.stop)
            return _in_a_loop(lambda: self._main(endpoint, todo))

    def _simulated(self, stack: ExitStack) -> Endpoint:
        from pipeline.simulate import SimulatorSettings, serve

        simulator = stack.enter_context(serve(SimulatorSettings()))
        self.observer.notice(f"no model is asked: a simulated endpoint listens on {simulator.base_url}")
        return build_endpoint(self.job.config, warn=self.observer.notice, base_url=simulator.base_url)

    async def _main(self, endpoint: Endpoint, todo: _Plan) -> Result:
        # Here and not above: an HTTP client takes a tenth of a second to import, and most of the time there is nothing to send.
        from pipeline.engine.transport import HttpTransport

        loop = asyncio.get_running_loop()
        stop = Stop()
        if todo.again == 0 and self.record.committed == 0:
            await _check_host(endpoint)

        def ask(name: str) -> None:
            loop.call_soon_threadsafe(stop.request, f"interrupted by {name}", 3)

        self.interrupts.ask = ask
        threads = Threads.start(render=self.renderer.blocking)
        try:
            async with HttpTransport(endpoint.transport, scrub=endpoint.redactor.scrub) as transport:
                run = Run(
                    Work(todo.parts, todo.rows, self.record.tally(), todo.again),
                    engine_settings(self.job.config, deadline=self.job.deadline),
                    source=self.source,
                    journal=self.record,
                    render=inputs.heed_gone(self.renderer),
                    provider=endpoint.provider,
                    transport=transport,
                    observer=_Both(self.progress, self.observer),
                    stop=stop,
                    threads=threads,
                )
                return await run.go()
        except* RowcallError as errors:
            raise _first(errors) from None
        finally:
            self.interrupts.ask = None
            threads.close()


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


def _in_a_loop(main: Callable[[], Any]) -> Result:
    """Run a coroutine function to its end, also where a loop runs already, as in a notebook."""

    import uvloop

    def go() -> Result:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result: Result = runner.run(main())
            return result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return go()
    done: list[Result | BaseException] = []

    def in_thread() -> None:
        try:
            done.append(go())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=in_thread, name="rowcall-run")
    thread.start()
    thread.join()
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]


def kept_schema(config: Config, schema: pa.Schema) -> pa.Schema:
    """Give the input columns that the output keeps: the named ones, or all but image bytes."""
    if config.output.columns is not None:
        for name in config.output.columns:
            if name not in schema.names:
                raise ConfigError(f"output.columns: the input has no column {name} (columns: {', '.join(schema.names[:20])})")
        return pa.schema([schema.field(name) for name in config.output.columns])
    return pa.schema([each for each in schema if not (each.name in config.prompt.images and _holds_bytes(each.type))])


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return True
    if pa.types.is_binary_view(type_):
        return True
    return any(_holds_bytes(type_.field(number).type) for number in range(type_.num_fields))


def _check_kinds(kinds: Sequence[str] | None) -> None:
    for kind in kinds or ():
        if kind not in RETRY_KINDS:
            raise ConfigError(f"--retry-failed={kind}: no such kind; allowed: {', '.join(RETRY_KINDS)}")
