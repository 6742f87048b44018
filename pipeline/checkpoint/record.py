"""The record of a job: what the engine writes to, and what jobs, status and export ask. Wiring; the work is done next door.

    open_record -> recovery        record, missing -> book (SQLite)        open_part -> kept        seal -> sealing
    redo -> redo                   batches, outcomes -> rows               publish   -> publish     a broken journal -> rescue

Hold the lock (lock.hold) for as long as a record is open. Safe to use from several threads.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.checkpoint import files, job_file, kept, lock, parquet, recovery, rescue, rows, schema, sealing
from pipeline.checkpoint import redo as retries
from pipeline.checkpoint.ballast import Ballast
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import OutputFile, PartEntry, PartState, StartedRun, StoredFile, StoredJob, StoredRun
from pipeline.checkpoint.files import Steps, no_steps
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.mark import Mark
from pipeline.checkpoint.shelf import Notice, unheard
from pipeline.core.errors import ConfigError, DamagedError, FullError, MismatchError, StoppedError
from pipeline.core.parts import runs
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome, Part

if TYPE_CHECKING:
    from pipeline.core.interfaces import Journal

# File names hold six digits, and their order has to be that of the rows.
MOST_PARTS = 999_999


def open_record(
    layout: Layout, *, create: bool, read_only: bool = False, steps: Steps = no_steps, notice: Notice = unheard
) -> "Record":
    """Open the record in `layout.folder`, which exists, and bring it into order; with `create` make it if there is none.

    `read_only` is for readers: nothing is written but what SQLite's own recovery needs. Raises MismatchError where there
    is no record, DamagedError if it lost something, StoppedError if the disk is full, MismatchError or OutputError if a
    publish that was broken off meets an output that somebody changed.
    """
    book = recovery.open_book(layout, create=create, step=steps)
    try:
        rescued = 0 if read_only else recovery.recover(book, layout, notice)
    except BaseException:
        book.journal.close()
        raise
    return Record(book, layout, read_only=read_only, rescued=rescued)


class Record:
    """A job's record, open. Implements core.interfaces.Journal.

    `rescued` rows were taken in from rescue files when it was opened: replies an earlier run had to leave beside the journal.
    """

    def __init__(self, book: Book, layout: Layout, *, read_only: bool, rescued: int) -> None:
        self.book = book
        self.layout = layout
        self.read_only = read_only
        self.rescued = rescued
        self.ballast = Ballast(layout.ballast)
        self._run: StoredRun | None = None
        self._mark = Mark(layout, book.id)

    # What the engine needs

    def record(self, batch: Sequence[Outcome]) -> Tally | None:
        """Commit these outcomes in one durable transaction; give the tally of those a retry replaced, None if none.

        On a full disk the ballast makes room for it. Where nothing helps, and from then on if the journal is broken,
        every call saves its batch to a rescue file as well as it can and raises StoppedError.
        """
        try:
            replaced = self._record(batch)
        except StoppedError as error:
            path = rescue.spill(self.layout, self.book.id, batch)
            fate = f"replies saved in {path}, which the next run takes in" if path else "replies lost, for no folder took them"
            raise StoppedError(f"{error} ({fate}: {len(batch)})") from error
        self._mark.write(self.committed)
        return replaced

    def _record(self, batch: Sequence[Outcome]) -> Tally | None:
        try:
            return self.book.record(batch)
        except FullError:
            if not self.ballast.give_up():
                raise
            return self.book.record(batch)

    def forget(self, rows: Sequence[int]) -> Tally:
        """Take the failures of these rows off the record, as long as their parts are open; give the tally of them."""
        return self.book.forget(rows)

    def missing(self, part: Part) -> list[range]:
        """Give the rows of the part that still have to be asked, as ascending ranges; all of them if it is not known yet."""
        entry = self.book.entry(part)
        if entry is None:
            return [range(part.start, part.stop)]
        if entry.state == "open":
            return self.book.missing(part)
        return runs(self.book.redo_rows(part.start, part.stop))

    def attempts(self, part: Part) -> dict[int, int]:
        """Give, for rows of the part that a retry asks again, the attempts their old outcome had."""
        return {row: old.attempts for row, old in self.book.redo_rows(part.start, part.stop).items()}

    def open_part(self, part: Part, columns: Iterator[pa.RecordBatch]) -> None:
        """Make the part known and set its kept columns aside, durably. Do so before its first row is sent.

        A known part is left as it is, `columns` unread, unless its kept columns are torn or missing: then they are set
        aside anew. So call it also before sealing a part that an earlier run left open. New parts come in order.
        """
        if part.id > MOST_PARTS:
            raise ConfigError(f"checkpoint.part_rows: more than {MOST_PARTS + 1} parts; raise it")
        entry = self.book.entry(part)
        needs = bool(self._job.schema.names)
        if entry is not None and (entry.state != "open" or not needs or rows.kept_intact(self.layout, entry)):
            return
        try:
            aside = kept.write(self.layout, part, self._job.schema, columns, self.book.step) if needs else None
        except OSError as error:
            raise files.stopped(
                error,
                f"{self.layout.kept}: input columns cannot be set aside ({error.strerror or error}); what is recorded is intact: "
                "see that the disk is sound and has room, then run again",
            ) from error
        self.book.put_part(replace(entry or PartEntry(part), kept=aside))
        self.book.step("keep: committed")
        if entry is not None:
            kept.remove(self.layout, entry.kept)

    def seal(self, part: Part) -> None:
        """Join the part's outcomes with its kept columns into one durable file, then drop them from the journal.

        No row of it may be missing. A part that is sealed already, with nothing newer in the journal, is left alone.
        Raises FullError if the disk is full, StoppedError if it fails: the rows stay in the journal.
        """
        entry = self.book.entry(part)
        if entry is None or self.book.left(part):
            raise ValueError(f"{part} still has rows to ask")
        if entry.state == "open" or self.book.holds_outcomes(part):
            sealing.seal(self.book, self.layout, entry)

    def open_bytes(self) -> int:
        """Give the bytes that unsealed rows occupy in the journal and their kept columns beside it. Waits for nothing."""
        return self.book.journal.used_bytes + sum(each.kept.size for each in self.book.parts if each.kept is not None)

    # Where the job stands

    @property
    def committed(self) -> int:
        """How many outcomes were ever recorded; never lowered, by nothing."""
        return self.book.committed

    @property
    def spared(self) -> int:
        """How many replies, since this was opened, stay because the retry that was to replace them failed."""
        return self.book.spared

    @property
    def planned(self) -> int:
        """The row where the last known part ends, 0 if there is none."""
        return self.book.planned

    @property
    def published_rows(self) -> int | None:
        """The rows of the output as it was last published, None if it never was."""
        return sum(each.rows for each in self.book.outputs.values()) if self.book.outputs else None

    @property
    def outputs(self) -> Sequence[OutputFile]:
        """The published files, in row order."""
        return sorted(self.book.outputs.values(), key=lambda each: each.name)

    def parts(self) -> list[PartState]:
        """Give where every known part stands, in order. Reads the outcomes of open parts, so not for every second."""
        return [self._state(each) for each in self.book.parts]

    def tally(self) -> Tally:
        """Count the recorded outcomes of the whole job, also those a retry is to replace."""
        total = Tally()
        for each in self.book.parts:
            total.merge(self._tally(each))
        return total

    def mark(self) -> dict[str, object]:
        """Give what progress.json has to carry besides what people read: the high-water mark and this run's heartbeat.

        Write it about once a second, and once more after end_run(): until it says `ended`, another host has to
        wait a minute to be sure that this run is dead.
        """
        us = lock.this_process("run")
        run = self._run
        ended = run is None or run.ended is not None
        return {
            **{"record": self.book.id, "committed": self.committed, "run": run and run.id},
            **{"pid": us.pid, "host": us.host, "boot_id": us.boot_id, "ended": ended},
        }

    def outcomes(self, part: Part) -> Iterator[Outcome]:
        """Read a known part's recorded outcomes in row order, wherever they lie, the newest of each row."""
        return rows.part_outcomes(self.book, self.layout, self._known(part))

    def batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Read a known part as the output shows it, rows still to do with status `pending`; kept columns that are lost
        read as null."""
        return rows.part_batches(self.book, self.layout, self._known(part), pending=True)

    def columns(self, part: Part, kept: Collection[str]) -> Iterator[pa.RecordBatch]:
        """Read a known part as `batches` does, but of the kept columns only these, in the input's order; then the results."""
        return rows.part_columns(self.book, self.layout, self._known(part), kept)

    def pending(self, columns: pa.RecordBatch) -> pa.RecordBatch:
        """Give rows of no known part as the output shows them: their kept input columns, status `pending`."""
        return schema.joined(self._job.output_schema, columns.columns, schema.result_arrays([None] * columns.num_rows))

    # Retries

    def redo(self, kinds: Collection[str] | None) -> int:
        """Mark recorded rows to be asked again: of these error kinds (None: all failed), `length` and `empty` for ok rows.

        Gives how many were not marked before. Their outcome stays until a new one is recorded; the mark stays over runs.
        Verify the output first (publish.verify_output): rows are read back from it.
        """
        return retries.mark(self.book, self.layout, kinds)

    # Job, files, runs

    @property
    def job(self) -> StoredJob | None:
        """What the job is, None until store_job()."""
        return self.book.job

    @property
    def blank(self) -> bool:
        """Whether no outcome is on record, and nothing published."""
        return self.book.blank

    def clear(self) -> None:
        """Forget job, input files and parts of a blank record: what a first try planned binds nobody."""
        aside = [each.kept for each in self.book.parts]
        self.book.clear()
        for each in aside:
            kept.remove(self.layout, each)

    def store_job(self, job: StoredJob) -> None:
        """Store what the job is. With rows on record only fingerprint and config may differ from before (--keep-done).

        Raises ConfigError if a kept column has a result column's name, or a type that no Parquet file holds.
        """
        if (
            self.job is not None
            and self.book.parts
            and not job.output_schema.equals(self.job.output_schema, check_metadata=False)
        ):
            raise MismatchError(
                "new rows would not fit under the recorded ones, for output.columns, output.prefix or the input changed: "
                f"{schema.difference(self.job.output_schema, job.output_schema)};"
                " change it back, start over with --fresh, or give another output.path"
            )
        for field in job.output_schema:
            if not parquet.can_hold(field):
                raise ConfigError(
                    f"output.columns: column {field.name} has the type {field.type}, which Parquet cannot hold; leave it out"
                )
        self.book.put_job(job)

    def files(self) -> list[StoredFile]:
        """Give the input files in the order of joining."""
        return self.book.files()

    def add_files(self, files: Sequence[StoredFile]) -> list[StoredFile]:
        """Let files join the job behind those it has, in one commit; give them with the ids they got (theirs are ignored)."""
        numbered = [replace(each, id=id_) for id_, each in enumerate(files, len(self.files()))]
        self.book.put_files(numbered)
        return numbered

    def update_file(self, file: StoredFile) -> None:
        """Replace what is known of a file that joined before, by its id. Safe while rows are recorded."""
        self.book.put_files([file])

    def start_run(self, *, started: float, concurrency: int, note: Mapping[str, object] | None = None) -> StartedRun:
        """Note that a run begins, `started` in wall-clock seconds; runs that never ended are noted as dead."""
        dead = [replace(each, died=True) for each in self.runs() if each.ended is None and not each.died]
        us = lock.this_process("run")
        self._run = StoredRun(len(self.runs()), started, us.host, us.pid, concurrency, note or {})
        self.book.put_runs([*dead, self._run])
        job_file.keep(self.book, self.layout)
        return StartedRun(self._run.id, sum(each.concurrency for each in dead))

    def end_run(self, summary: Mapping[str, object], *, ended: float) -> None:
        """Note how this run ended, `ended` in wall-clock seconds."""
        assert self._run is not None
        self._run = replace(self._run, ended=ended, summary=dict(summary))
        self.book.put_runs([self._run])
        job_file.keep(self.book, self.layout)

    def runs(self) -> list[StoredRun]:
        """Give all runs, in order, this one included."""
        return self.book.runs()

    def verify(self) -> int:
        """Prove every sealed part and recorded outcome byte by byte; give the rows proven. Raises DamagedError.

        The published output is verify_output(deep=True)'s.
        """
        proven = 0
        for entry in self.book.parts:
            if entry.state == "sealed":
                sealing.check(self.book, self.layout, entry, deep=True)
            counted = sum(1 for _ in self.outcomes(entry.part))
            if entry.state != "open" and counted != len(entry.part):
                raise DamagedError(f"{self.layout.folder}: part {entry.part.id} holds {counted} of {len(entry.part)} rows")
            proven += counted
        return proven

    def close(self) -> None:
        """Close the journal: afterwards it is one file."""
        if not self.read_only:
            self.ballast.put_down()
        self.book.journal.close()
        self._mark.close()

    @property
    def _job(self) -> StoredJob:
        return rows.job_of(self.book)

    def _known(self, part: Part) -> PartEntry:
        entry = self.book.entry(part)
        if entry is None:
            raise ValueError(f"{part} is not on record")
        return entry

    def _state(self, entry: PartEntry) -> PartState:
        left = self.book.left(entry.part)
        sealed = entry.state != "open" and not left and not self.book.holds_outcomes(entry.part)
        return PartState(entry.part, sealed, entry.state == "published", left, self._tally(entry))

    def _tally(self, entry: PartEntry) -> Tally:
        tally = Tally()
        tally.merge(self.book.tally(entry.part) if entry.tally is None else entry.tally)
        return tally


if TYPE_CHECKING:
    _: type[Journal] = Record
