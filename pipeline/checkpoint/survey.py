"""What of a damaged record is proven, and what would have to be asked again. Looks only; repair.py acts on it.

A row is proven by the checksum beside it in the journal, a part by the sha256 that the journal has of its file, or, where
the journal does not know the file, by its pages' checksums and by saying whose it is and what it counts. Nothing is guessed
but where parts begin that hold nothing: any cut will do there.
"""

import secrets
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from pipeline.checkpoint import job_file, mark, progress_file, proof, sealing
from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.book import ANNOUNCED, COMMITTED, JOB, RECORD
from pipeline.checkpoint.entries import Announced, OutputFile, PartEntry, StoredFile, StoredJob, StoredRun
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.proof import Found
from pipeline.checkpoint.recovery import is_copy, lost_journal
from pipeline.checkpoint.salvage import Salvage, log_of
from pipeline.checkpoint.shelf import changed, shelf_of
from pipeline.checkpoint.tiling import tiled
from pipeline.core.errors import DamagedError
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome, Part, Reply

if TYPE_CHECKING:
    from pipeline.storage import AnyFile

_MOST_ENTRIES = 1_000_000  # of parts, input files, runs
_MOST_ROWS = 10_000_000_000


@dataclass(slots=True)
class Survey:
    """What a repair makes of a record.

    `faults` say what is wrong, none if it is sound. `aside` are the files it replaces. `parts` are the entries of the new
    journal, `reread` outcomes for it that were read back out of a damaged part. Of the old one it takes all proven outcomes
    but the rows in `stale` and the parts in `superseded`, of which a file knows better. `kept` rows have an outcome then;
    `lost` had one, at most so many if `guessed`.
    """

    record: str
    job: StoredJob | None
    committed: int
    files: Sequence[StoredFile] = ()
    runs: Sequence[StoredRun] = ()
    outputs: Sequence[OutputFile] = ()
    announced: Announced | None = None
    parts: list[PartEntry] = field(default_factory=list)
    reread: list[Outcome] = field(default_factory=list)
    stale: set[int] = field(default_factory=set)
    superseded: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    aside: list[Path] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    kept: int = 0
    lost: int = 0
    guessed: bool = False

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.files)

    def part_of(self, row: int) -> PartEntry | None:
        """Give the part that holds a row, None if no part does."""
        at = bisect_right(self.parts, row, key=lambda each: each.part.start) - 1
        return self.parts[at] if at >= 0 and row < self.parts[at].part.stop else None


def survey(layout: Layout, salvage: Salvage) -> Survey:
    """Look at everything. Raises DamagedError if not even what the job is can be told any more."""
    return _Surveyor(layout, salvage).survey()


class _Surveyor:
    def __init__(self, layout: Layout, salvage: Salvage) -> None:
        self._layout = layout
        self._shelf = shelf_of(layout)
        self._salvage = salvage
        self._meta = dict(salvage.rows("meta", ANNOUNCED + 1))
        self._beside = job_file.read(layout)
        self._found = list(proof.part_files(layout))
        self._gain = 0  # rows that files bring back and the journal had lost
        self._standing: set[str] = set()  # output files that were read and are as on record
        self._torn = 0  # rows of damaged parts that are not proven
        # The output is on record in job.json alone: the journal has lost the commits of a publish.
        self._rolled_back = False

    def survey(self) -> Survey:
        self._it = it = self._begin()
        if self._salvage.empty and not lost_journal(self._layout):
            return it
        entries = {id_: PartEntry.from_bytes(body) for id_, body in self._salvage.rows("parts", _MOST_ENTRIES)}
        self._look_at_output()
        parts = self._tile({id_: each.part for id_, each in entries.items()})
        counts = self._count(parts)
        it.parts = [self._decided(each, entries.get(each.id), counts[each.id]) for each in parts]
        self._weigh(entries)
        self._conclude()
        return it

    def _begin(self) -> Survey:
        salvage, beside, meta = self._salvage, self._beside, self._meta
        said: Iterable[object] = (
            *([meta[RECORD].decode()] if RECORD in meta else []),
            (progress_file.read(self._layout) or {}).get("record"),
            *(owner for owner, _ in self._found),
            *([beside.record] if beside is not None else []),  # last: it may have been copied here by itself
        )
        record = next((each for each in said if isinstance(each, str)), secrets.token_hex(16))
        self._found = [each for each in self._found if each[0] == record]
        if beside is None or beside.record != record:
            # The youngest copy that a part carries: files only ever join.
            carried = [each.job for _, each in self._found if each.job is not None and each.job.record == record]
            self._beside = beside = max(carried, key=lambda each: len(each.files), default=None)
        it = Survey(record, None, max(mark.highest(self._layout, record), int(meta.get(COMMITTED, b"0"))))
        it.job = StoredJob.from_bytes(meta[JOB]) if JOB in meta else beside.job if beside else None
        it.announced = Announced.from_bytes(meta[ANNOUNCED]) if ANNOUNCED in meta else None
        if not meta and beside is not None:
            it.announced = beside.announced
        files_ = {each.id: each for each in beside.files} if beside else {}
        files_ |= {id_: StoredFile(**orjson.loads(body)) for id_, body in salvage.rows("files", _MOST_ENTRIES)}
        it.files = [files_[id_] for id_ in sorted(files_)]
        if sorted(files_) != list(range(len(files_))) or self._last_row >= it.rows > 0:
            raise self._hopeless("which input files joined the job")
        it.runs = [
            replace(StoredRun(**orjson.loads(body)), id=number)
            for number, (_, body) in enumerate(salvage.rows("runs", _MOST_ENTRIES))
        ]
        if (it.job is None or not it.files) and (self._found or self._shelf.exists() or self._last_row >= 0):
            raise self._hopeless("what was asked")
        return it

    @cached_property
    def _last_row(self) -> int:
        """The last row that is proven in the old journal, whatever it says of parts and files; -1 if there is none."""
        return max((row for row, _ in self._salvage.rows("outcomes", _MOST_ROWS)), default=-1)

    def _look_at_output(self) -> None:
        it, beside = self._it, self._beside
        stored = [OutputFile(**orjson.loads(body)) for _, body in self._salvage.rows("outputs", _MOST_ENTRIES)]
        it.outputs = stored
        if beside is not None and {each.name for each in beside.outputs} != {each.name for each in stored}:
            # An older job.json, put back from a copy, knows less and not more.
            more = {each.name for each in beside.outputs} > {each.name for each in stored}
            self._rolled_back = more and len(self._shelf.matching(beside.outputs)) == len(beside.outputs)
            if self._rolled_back or self._salvage.faults:
                it.outputs = list({each.name: each for each in [*beside.outputs, *stored]}.values())
        if self._rolled_back:
            it.faults.append(f"{self._layout.journal.name}: it does not know of the published output")

    def _tile(self, known: dict[int, Part]) -> list[Part]:
        it, top = self._it, 0
        for _, found in self._found:
            known.setdefault(found.part.id, found.part)
        published = 0
        for each in sorted(it.outputs, key=lambda each: each.part or 0):
            if each.part is not None:
                known.setdefault(each.part, Part(each.part, published, published + each.rows))
            published += each.rows
        if self._salvage.faults:
            for top, _ in self._salvage.rows("outcomes", it.rows):
                top += 1
        longest = max(map(len, known.values()), default=10_000)
        parts = tiled(known, published=published, upto=top, part_rows=longest)
        if parts is None:
            raise self._hopeless("which rows its parts hold")
        self._published = published
        return parts

    def _count(self, parts: Sequence[Part]) -> Mapping[int, int]:
        """Count the proven outcomes of each part in the journal."""
        counts: dict[int, int] = defaultdict(int)
        at = iter(parts)
        part = next(at, None)
        for row, _ in self._salvage.rows("outcomes", self._it.rows):
            while part is not None and row >= part.stop:
                part = next(at, None)
            if part is not None:
                counts[part.id] += 1
        return counts

    def _decided(self, part: Part, entry: PartEntry | None, count: int) -> PartEntry:
        """Say where the part stands from now on."""
        it = self._it
        newest = max((found for _, found in self._found if found.part == part), key=lambda each: each.generation, default=None)
        inside = part.stop <= self._published
        whole = entry is not None and entry.state == "sealed" and proof.is_whole(self._layout, entry)
        if (entry is None or (self._rolled_back and entry.state != "published" and not whole)) and inside:
            self._gain += len(part) - count
            it.superseded.update([part.id] if entry is not None else ())
            return PartEntry(part, "published", entry.generation if entry else 0)
        if newest is not None and (entry is None or newest.generation > entry.generation):
            if entry is not None and self._is_copy(entry, newest, count):
                return entry
            if entry is not None or not self._salvage.faults:
                it.faults.append(f"{newest.path.name}: the journal does not know it")
            if (tally := self._proven(newest)) is not None:
                self._gain += len(part) - count
                it.superseded.update([part.id] if entry is not None else ())
                return PartEntry(part, "sealed", newest.generation, file=proof.as_sealed(newest.path), tally=tally)
        if entry is not None and entry.state == "sealed" and not whole:
            return self._opened(entry, newest)
        return entry or PartEntry(part)

    def _opened(self, entry: PartEntry, found: Found | None) -> PartEntry:
        """Open a part again whose file is damaged, with what of its outcomes can be read back and adds up."""
        assert entry.file is not None
        it, path = self._it, self._layout.parts / entry.file.name
        it.faults.append(f"{path.name}: {'it is damaged' if path.exists() else 'it is gone'}")
        if found is not None and found.path == path and it.job is not None:
            results = pa.schema(list(it.job.output_schema)[len(it.job.schema) :])
            outcomes = list(proof.read_back(path, 0, entry.part, results))
            if len(outcomes) == len(entry.part) and proof.adds_up(proof.tally_of(outcomes), found.tally):
                it.reread += outcomes
        return PartEntry(entry.part, "open", entry.generation)

    def _proven(self, found: Found) -> Tally | None:
        """Read all of a file that the journal does not know; give what it counts, None if it is not whole."""
        if self._it.job is None:
            return None
        tally = proof.tally_of(proof.read_back(found.path, 0, found.part, self._it.job.output_schema))
        return tally if tally.done == len(found.part) and proof.adds_up(tally, found.tally) else None

    def _is_copy(self, entry: PartEntry, found: Found, answered: int) -> bool:
        part = entry.part
        redone = any(part.start <= row < part.stop for row, _ in self._salvage.rows("redo", part.stop))
        return is_copy(entry, found.generation, found.tally, answered=answered, redone=redone)

    def _weigh(self, entries: Mapping[int, PartEntry]) -> None:
        """Count what is kept, and leave out of the old journal what files know better."""
        it = self._it
        reread: dict[int, dict[int, Outcome]] = defaultdict(dict)
        for outcome in it.reread:
            if (entry := it.part_of(outcome.row)) is not None:
                reread[entry.part.id][outcome.row] = outcome
        for number, (entry, mine) in enumerate(zip(list(it.parts), self._newer(), strict=True)):
            if number in it.superseded:
                mine = {}
            if entry.state == "open":
                mine = reread[number] | mine
                self._torn += 0 if number not in entries or entries[number].state == "open" else len(entry.part) - len(mine)
                it.kept += len(mine)
                it.tally.merge(proof.tally_of(mine.values()))
                continue
            it.kept += len(entry.part)
            if number not in entries or number in it.superseded or (self._salvage.guessed and mine):
                it.parts[number] = replace(entry, tally=self._retallied(entry, mine))
            it.tally.merge(it.parts[number].tally or Tally())

    def _newer(self) -> Iterator[dict[int, Outcome]]:
        """Give, for each part in order, the proven outcomes of it in the old journal."""
        stored = self._salvage.rows("outcomes", self._it.rows)
        row, body = next(stored, (-1, b""))
        for entry in self._it.parts:
            mine: dict[int, Outcome] = {}
            while entry.part.start <= row < entry.part.stop:
                mine[row] = codec.decode(row, body)
                row, body = next(stored, (-1, b""))
            yield mine

    def _retallied(self, entry: PartEntry, newer: Mapping[int, Outcome]) -> Tally:
        """Count a part from its file and what the journal lays over it; an old failure is not laid over a reply."""
        it, tally = self._it, Tally()
        assert it.job is not None
        results = pa.schema(list(it.job.output_schema)[len(it.job.schema) :])
        for old in proof.read_back(*self._place_of(entry), entry.part, results):
            new = newer.get(old.row, old)
            if isinstance(old.result, Reply) and not isinstance(new.result, Reply):
                it.stale.add(old.row)
                new = old
            tally.add(new)
        return tally

    def _place_of(self, entry: PartEntry) -> tuple["AnyFile", int]:
        """Give the file that holds a part, and the part's first row in it. Raises MismatchError if the output was changed."""
        if entry.file is not None:
            return self._layout.parts / entry.file.name, 0
        for file in self._it.outputs:
            if file.part is None or file.part == entry.part.id:
                if file.name not in self._standing:
                    self._standing |= self._shelf.matching([file])
                if file.name not in self._standing:
                    raise changed(self._shelf.place(file.name))
                return self._shelf.readable(file), entry.part.start if file.part is None else 0
        raise self._hopeless(f"where part {entry.part.id} was published")

    def _conclude(self) -> None:
        it, salvage = self._it, self._salvage
        counter = self._meta.get(COMMITTED)
        fallen_behind = it.committed - int(counter or b"0")
        if fallen_behind and counter is not None:
            it.faults.append(f"{self._layout.journal.name}: {fallen_behind} recorded rows are missing from it")
        it.faults[:0] = [f"{self._layout.journal.name}: {each}" for each in salvage.faults]
        it.guessed = salvage.guessed or counter is None
        if it.guessed:
            most = it.committed or (it.parts[-1].part.stop if it.parts else 0)
            it.lost = most - it.kept
        else:
            it.lost = self._torn + salvage.unproven + fallen_behind - self._gain
        it.lost = max(0, min(it.lost, it.rows - it.kept))
        if it.faults:
            named = {each.file.name for each in it.parts if each.file is not None}
            journals = [self._layout.journal, log_of(self._layout.journal)]
            it.aside = [each for each in journals if each.exists()]
            it.aside += [each for each in sorted(sealing.names(self._layout)) if each.name not in named]

    def _hopeless(self, what: str) -> DamagedError:
        return DamagedError(
            f"{self._layout.folder}: neither the journal nor {job_file.NAME} says {what}, so nothing here can be proven; "
            "put the record folder back from a copy, or start over with --fresh, which keeps this one under a dated name"
        )
