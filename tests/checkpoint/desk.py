"""A small job run straight against the record: no engine, no network. Crashes are exceptions at named steps."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.checkpoint.entries import StoredJob
from pipeline.checkpoint.files import Steps, no_steps
from pipeline.checkpoint.layout import Layout, make_folder
from pipeline.checkpoint.publish import publish
from pipeline.checkpoint.record import Record, open_record
from pipeline.core.parts import plan
from pipeline.core.types import Fault, FaultKind, Outcome, Part, Reply, Usage

KEPT = pa.schema([pa.field("title", pa.string()), pa.field("tags", pa.list_(pa.dictionary(pa.int8(), pa.string())))])
JOB = StoredJob({"model": "m"}, {"endpoint": {"model": "m"}}, KEPT)


class Crash(BaseException):
    """The process ends here."""


def crash_at(number: int) -> tuple[Steps, list[str]]:
    """Give steps that crash at the `number`th point, and the list of points seen so far."""
    seen: list[str] = []

    def step(point: str) -> None:
        seen.append(point)
        if len(seen) == number:
            raise Crash(point)

    return step, seen


def columns(part: Part) -> Iterator[pa.RecordBatch]:
    for start in range(part.start, part.stop, 7):
        rows = range(start, min(start + 7, part.stop))
        cells = {"title": [f"t{row}" for row in rows], "tags": [[f"g{row % 3}"] for row in rows]}
        yield pa.RecordBatch.from_pydict(cells, schema=KEPT)


def ok(row: int, text: str | None = None, finish_reason: str = "stop") -> Outcome:
    said = f"answer {row}" if text is None else text
    return Outcome(row, 1, 0.25, Reply(said, finish_reason, Usage(10, 5, 15), "m", f"id-{row}"), cost=0.5)


def failed(row: int, kind: str = "timeout", attempts: int = 3) -> Outcome:
    return Outcome(row, attempts, 1.5, Fault(FaultKind.REJECTED, kind, f"no answer {row}", 504))


@dataclass
class Desk:
    """A job in a folder: `rows` rows in parts of `part_rows`. `answer` says how a row asked now would end."""

    folder: Path
    is_directory: bool = False
    rows: int = 23
    part_rows: int = 10
    batch: int = 4
    answer: Callable[[int], Outcome] = ok
    asked: Counter[int] = field(default_factory=Counter)
    record: Path | None = None

    @property
    def layout(self) -> Layout:
        output = self.folder / ("out" if self.is_directory else "out.parquet")
        return Layout.of(output, is_directory=self.is_directory, folder=self.record)

    def make(self) -> "Desk":
        """Make the folder."""
        self.folder.mkdir()
        return self

    def open(self, steps: Steps = no_steps) -> Record:
        make_folder(self.layout)
        record = open_record(self.layout, create=True, steps=steps)
        if record.job is None:
            record.store_job(JOB)
        return record

    def ask(self, record: Record, upto: int | None = None) -> None:
        """Ask every row below `upto` that is still to do, in small batches; seal what is complete."""
        total = self.rows if upto is None else upto
        known = [state.part for state in record.parts()]
        for part in [*known, *plan(record.planned, total, self.part_rows, next_id=len(known))]:
            record.open_part(part, columns(part))
            old = record.attempts(part)
            todo = [row for each in record.missing(part) for row in each]
            for at in range(0, len(todo), self.batch):
                some = todo[at : at + self.batch]
                self.asked.update(some)
                outcomes = [self.answer(row) for row in some]
                record.record([Outcome(o.row, o.attempts + old.get(o.row, 0), o.elapsed, o.result, o.cost) for o in outcomes])
            record.seal(part)

    def finish(self, record: Record) -> None:
        self.ask(record)
        publish(record, metadata={"job": "test"})

    def run(self) -> None:
        """Run the whole job, as one undisturbed process would."""
        record = self.open()
        self.finish(record)
        record.close()

    def moved_to(self, folder: Path) -> "Desk":
        """Copy everything as it lies on disk, as after kill -9; what is asked still counts in one place."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Desk(folder, self.is_directory, self.rows, self.part_rows, self.batch, self.answer, self.asked)

    def table(self) -> pa.Table:
        """Read the output, proving that nothing lies in it or beside it that should not."""
        beside = {each.name for each in self.folder.iterdir()}
        assert beside == {self.layout.output.name, self.layout.folder.name}
        assert [*self.layout.parts.iterdir(), *self.layout.kept.iterdir()] == []
        if self.is_directory:
            names = sorted(each.name for each in self.layout.output.iterdir())
            assert names[0] == "_manifest.json"
            return pa.concat_tables([pq.read_table(self.layout.output / name) for name in names[1:]])
        return pq.read_table(self.layout.output)
