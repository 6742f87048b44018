"""One run of a job, from the lock to the published output. Wiring: what is decided here is only the order."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import pyarrow as pa

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.entries import PICTURES, StoredJob
from pipeline.checkpoint.layout import make_folder, preflight
from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.publish import manifest_stands, publish, set_aside, verify_output
from pipeline.checkpoint.record import Record, open_record
from pipeline.checkpoint.repair import Repaired, repair, way_on
from pipeline.checkpoint.schema import output_schema
from pipeline.checkpoint.shelf import shelf_of
from pipeline.config.facts import redacted
from pipeline.core.errors import ConfigError, MismatchError, RowcallError, SourceError, StoppedError, UnfinishedError
from pipeline.core.interfaces import Observer
from pipeline.core.keys import Change, changes, digest
from pipeline.core.parts import plan
from pipeline.core.pricing import Pricing
from pipeline.core.tally import Summary, Traffic, summarize
from pipeline.engine.work import Result
from pipeline.jobs import captions, inputs, signals
from pipeline.jobs.albums import suited
from pipeline.jobs.columns import input_schema, kept_schema, tell_of_unsent
from pipeline.jobs.engine import Engine, Todo
from pipeline.jobs.job import Job
from pipeline.jobs.machine import check_ray, make_room_for, tell_of_memory, tell_of_proxies
from pipeline.jobs.pictures import check_pillow
from pipeline.jobs.place import layout_of
from pipeline.jobs.results import or_nothing_sent, said_of, told_apart
from pipeline.jobs.watch import Both, OverTime, ProgressFile, Unwatched
from pipeline.jobs.wiring import Endpoint, build_endpoint, build_renderer, most_held, most_picture_bytes, room_of
from pipeline.prompts import Renderer, SliceReader
from pipeline.sources import Found
from pipeline.version import __version__


def run_job(job: Job, observer: Observer | None = None) -> Summary:
    """Run the job, or resume it; with nothing to do it is a no-op that says where the job stands.

    Blocks until the run ends. `observer` is told of progress about once a second. An early end that the same call
    resumes (an interrupt, an outage, a deadline) is no exception: see the summary's `stopped` and `exit_code`. Raises
    RowcallError where nothing was sent, or where a person has to see to the record or the disk first.
    """
    with signals.heeded() as interrupts:
        return _Execution(job, observer or Unwatched(), interrupts).run()


class _Execution:
    def __init__(self, job: Job, observer: Observer, interrupts: signals.Interrupts) -> None:
        self._job = job
        self._config = self._stated = job.config
        self._observer = observer
        self._interrupts = interrupts
        self._layout = layout_of(job.config)
        self._started = time.time()
        self._repaired: Repaired | None = None
        self._read = SliceReader(most_picture_bytes=most_picture_bytes(job.config))

    def run(self) -> Summary:
        job, config = self._job, self._config
        job.check_kinds()
        # A wrong key or address is found before a folder is made.
        endpoint = build_endpoint(config, warn=self._observer.notice)
        check_pillow(config)
        check_ray(config)
        make_room_for(config.limits.concurrency, embedded=config.endpoint.provider == "simulated")
        found = inputs.find_files(config)
        for each in found.notices:
            self._observer.notice(each)
        if not found and not self._layout.has_record:
            raise SourceError(f"input.path: {', '.join(config.input.path)} matches no file")
        if job.repair and not self._layout.folder.exists():
            raise MismatchError(f"{self._layout.folder}: there is no record to repair; are output.path and checkpoint.dir right?")
        if job.fresh:
            self._start_over(found)
        make_folder(self._layout)
        with hold(self._layout):
            preflight(self._layout, allow_network_disk=config.checkpoint.allow_network_disk)
            shelf_of(self._layout).prove_writable()
            if job.repair:
                self._repair()
            return self._with_lock(endpoint, found)

    def _with_lock(self, endpoint: Endpoint, found: Found) -> Summary:
        with way_on(self._layout), self._read, ExitStack() as stack:
            record = open_record(self._layout, create=True, notice=self._observer.notice)
            stack.callback(record.close)
            if record.rescued:
                self._observer.notice(f"{record.rescued} replies that an earlier run could not record were taken in")
            return self._with_record(record, endpoint, found)

    def _repair(self) -> None:
        self._repaired = repair(self._layout)
        if self._repaired is None:
            self._observer.notice("the record is sound: there is nothing to repair")
            return
        done = self._repaired
        for each in done.faults:
            self._observer.notice(each)
        aside = f"; what was damaged was set aside in {done.aside}" if done.aside else ""
        self._observer.notice(
            f"the record was repaired: {done.kept} recorded rows are kept, at most {done.lost} are to be asked again{aside}"
        )

    def _start_over(self, found: Found) -> None:
        if not self._layout.has_record and not shelf_of(self._layout).exists():
            return
        # What would end the new job at once is found before the old one is taken from its place.
        if not found:
            raise SourceError(f"input.path: {', '.join(self._config.input.path)} matches no file")
        schema = inputs.first_rows(found, self._config, 1).schema
        config = suited(self._config, pictures=bool(found.pictures))
        build_renderer(config, schema, self._read)
        output_schema(kept_schema(config, schema), config.output.prefix)
        make_folder(self._layout)
        with hold(self._layout):
            for old, new in set_aside(self._layout):
                self._observer.notice(f"{old} was set aside as {new.name}")

    # -- with the record open

    def _with_record(self, record: Record, endpoint: Endpoint, found: Found) -> Summary:
        verify_output(record)
        self._suit(record, found)
        if record.blank and (self._changes(record, endpoint) or inputs.have_changed(record, self._layout, found)):
            # Somebody who mends config or input after a first try that came to nothing is not asked about it.
            record.clear()
        self._check_same(record, endpoint)
        if self._job.retry_failed is not None and not self._limit_is_too_small(record):
            # Before the files are joined: rows to be asked again need their input once more.
            number = record.redo(self._job.retry_failed or None) if record.job else 0
            self._observer.notice(f"{number} rows are to be asked again")
        files = inputs.join_files(record, self._layout, self._config, found, notice=self._observer.notice)
        schema = input_schema(record.job, files)
        if schema is not None:
            tell_of_unsent(self._config, schema, self._observer.notice)
        renderer, kept = self._columns(record, schema)
        self._store(record, endpoint, kept)
        # Not before: a new file that does not fit has to be mended, and may change until it has joined.
        record.add_files([each.stored for each in files[len(record.files()) :]])
        todo = self._plan(record, files)
        if todo.idle:
            return self._finish(record, None, todo, Traffic(), captions.on_record(record))
        if todo.parts:
            inputs.check_vanished(record, files, todo.rows)
        source = inputs.JoinedSource(
            files, prompt_columns=renderer.columns, kept_columns=kept.names, schema=schema, read=self._read
        )
        return self._send(record, endpoint, renderer, source, files, todo)

    def _suit(self, record: Record, found: Found) -> None:
        """Take the config as it is meant where the input is pictures. What makes the job this job is as it was written."""
        pictures = bool(found.pictures) or any(each.kind == PICTURES for each in record.files())
        self._config = suited(self._config, pictures=pictures)
        self._job = replace(self._job, config=self._config)

    def _check_same(self, record: Record, endpoint: Endpoint) -> None:
        """Refuse to go on with a job that is another one by now, unless told to."""
        changed = self._changes(record, endpoint)
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

    @staticmethod
    def _changes(record: Record, endpoint: Endpoint) -> Sequence[Change]:
        return changes(record.job.fingerprint, endpoint.facts) if record.job is not None else ()

    def _columns(self, record: Record, schema: pa.Schema | None) -> tuple[Renderer, pa.Schema]:
        """Give the renderer and the kept columns. Templates are checked although nothing may be left to ask."""
        if schema is None:
            assert record.job is not None
            known = record.job.schema
            return _NoRows(), known
        return build_renderer(self._config, schema, self._read), kept_schema(self._config, schema, record.job)

    def _store(self, record: Record, endpoint: Endpoint, kept: pa.Schema) -> None:
        job = StoredJob(endpoint.facts, redacted(self._stated), kept, self._config.output.prefix)
        if record.job is None or record.job.to_bytes() != job.to_bytes():
            record.store_job(job)

    def _plan(self, record: Record, files: Sequence[inputs.JoinedFile]) -> Todo:
        total = files[-1].stop if files else 0
        limit = self._job.limit
        scope = total if limit is None else min(limit, total)
        states = record.parts()
        again = sum(each.left - (len(each.part) - each.tally.done) for each in states)
        if self._limit_is_too_small(record):
            self._observer.notice(
                f"--limit {limit} is less than the {record.planned} rows that earlier runs took up: nothing is sent or published"
            )
            return Todo([], record.planned, again, asks=False, idle=True)
        parts = [each.part for each in states if not each.sealed]
        parts += plan(record.planned, scope, self._config.checkpoint.part_rows, next_id=len(states))
        published = record.published_rows == scope and all(each.published for each in states) and manifest_stands(record)
        asks = scope > record.planned or any(each.left for each in states)
        return Todo(parts, scope, again, asks, idle=not parts and published)

    def _limit_is_too_small(self, record: Record) -> bool:
        return self._job.limit is not None and self._job.limit < record.planned

    def _send(
        self,
        record: Record,
        endpoint: Endpoint,
        renderer: Renderer,
        source: inputs.JoinedSource,
        files: Sequence[inputs.JoinedFile],
        todo: Todo,
    ) -> Summary:
        config = self._config
        started = record.start_run(
            started=self._started,
            concurrency=config.limits.concurrency,
            note={"version": __version__, "limit": self._job.limit, "keep_done": self._job.keep_done, **self._repair_note()},
        )
        if todo.parts and config.endpoint.provider != "simulated":
            tell_of_proxies(config.endpoint.proxy, os.environ, self._observer.notice)
            tell_of_memory(config.limits.concurrency, most_held(config), self._observer.notice)
        result: Result | None = None
        checked: Mapping[str, object] | None = None
        progress = ProgressFile(self._layout, record, self._job.limit, Pricing(**config.pricing.model_dump()).known)
        timeline = OverTime(self._layout, started.id)
        try:
            if todo.parts:
                room = room_of(config, record)
                if todo.asks:  # what is recorded already may find the room it needs in less
                    room.prepare()
                watched = (Both(progress, timeline), self._observer)
                engine = Engine(self._job, endpoint, renderer, source, record, files, room, *watched, self._interrupts)
                result = told_apart(engine.run(todo))
                source.close()
                # Publishing takes memory of its own.
                pa.default_memory_pool().release_unused()
                if record.spared:
                    self._observer.notice(f"{record.spared} rows keep their reply: the retry that was to replace it failed")
            traffic = result.traffic if result else Traffic()
            traffic.ambiguous += min(started.in_flight_of_dead, todo.rows)
            stopped = result is not None and result.stopped is not None
            if not stopped:
                self._publish(record, endpoint)
                if config.prompt.images:
                    checked = captions.look_through(record, self._observer.notice)
            summary = self._finish(record, result, todo, traffic, checked)
        except RowcallError as error:
            stopped_by = replace(or_nothing_sent(result, record, todo), stopped=str(error), stop_code=error.exit_code)
            stopped_by = told_apart(stopped_by)
            summary = self._finish(record, stopped_by, todo, stopped_by.traffic)
            progress.end(summary)
            if error.exit_code == ConfigError.exit_code and stopped_by.traffic.requests:
                unfinished = UnfinishedError(str(error))
                unfinished.summary = summary
                raise unfinished from error
            error.summary = summary
            raise
        finally:
            timeline.end()
        progress.end(summary)
        return summary

    def _repair_note(self) -> dict[str, object]:
        done = self._repaired
        return {} if done is None else {"repaired": {"faults": done.faults, "kept": done.kept, "lost": done.lost}}

    def _publish(self, record: Record, endpoint: Endpoint) -> None:
        """Make the output; what an interrupt breaks off here, the next run finishes without asking anything."""
        self._interrupts.check()
        unsealed = [each.part for each in record.parts() if not each.sealed]
        if unsealed:
            raise StoppedError(f"{len(unsealed)} parts could not be sealed; the same command goes on")
        publish(
            record,
            metadata={
                "version": __version__,
                "job": digest(endpoint.facts),
                "config": redacted(self._stated),
                "inputs": [said_of(each) for each in record.files()],
                "limit": self._job.limit,
                "kept_under_changed_config": [each.id for each in record.runs() if each.note.get("keep_done")],
            },
            notice=self._observer.notice,
        )

    def _finish(
        self, record: Record, result: Result | None, todo: Todo, traffic: Traffic, checked: Mapping[str, object] | None = None
    ) -> Summary:
        tally = result.tally if result else record.tally()
        summary = summarize(
            tally,
            traffic,
            rows=todo.rows,
            resumed=result.resumed if result else tally.done - todo.again,
            seconds=result.seconds if result else 0.0,
            priced=Pricing(**self._config.pricing.model_dump()).known,
            limit=self._job.limit,
            stopped=result.stopped if result else None,
            stop_code=result.stop_code if result else 0,
            output=str(self._layout.output) if record.published_rows is not None else None,
            captions=checked,
        )
        if not todo.idle:
            try:
                record.end_run(summary.to_json(), ended=time.time())
            except StoppedError:
                if summary.stopped is None:
                    raise
                # The disk is what stopped it, and why says more than a second complaint would.
            with suppress(OSError):  # the journal has it all
                progress_file.write_summary(self._layout, summary.to_json())
        return summary


class _NoRows(Renderer):
    """Stands for a renderer when every file of the job is gone and every row on record."""

    def __init__(self) -> None:
        self.columns = ()
        self.blocking = False
