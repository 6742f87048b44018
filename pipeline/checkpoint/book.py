"""The journal as a book of typed entries: what is recorded, and the transactions that change it. No files but the journal's own.

Parts and output files are few and held in memory too, changed there only after the commit; outcomes are not.
"""

import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import orjson

from pipeline.checkpoint import batch as batches
from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.batch import Batch
from pipeline.checkpoint.entries import Announced, OutputFile, PartEntry, StoredFile, StoredJob, StoredRun
from pipeline.checkpoint.files import Steps
from pipeline.checkpoint.journal import JournalFile
from pipeline.checkpoint.outcomes import Entry
from pipeline.core.errors import DamagedError
from pipeline.core.parts import gaps
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome, Part, Reply

# The ids in the table `meta`.
RECORD, COMMITTED, JOB, ANNOUNCED = range(4)

# Rows read between two commits while a part is sealed: the lock is held about a millisecond.
CHUNK_ROWS = 500


class Book:
    """`id` names the record for good; `committed` counts every outcome ever recorded and is never lowered.

    `spared` counts the replies, since it was opened, that a retry which failed did not replace.
    """

    def __init__(self, journal: JournalFile, step: Steps) -> None:
        self.journal = journal
        self.step = step
        self.spared = 0
        self._changes = 0  # of what the journal holds of open parts
        self._counted: dict[int, tuple[int, Tally]] = {}  # by part id: as of which change, and what was counted then
        self._memory = threading.Lock()
        self._recording = threading.Lock()  # from counting on the last commit's count until it is the last
        with journal.reading() as db:
            meta = {id_: self._checked(id_, body, crc) for id_, body, crc in db.execute("SELECT id, body, crc FROM meta")}
            parts = [self._checked(*each) for each in db.execute("SELECT id, body, crc FROM parts ORDER BY id")]
            outputs = [self._checked(*each) for each in db.execute("SELECT id, body, crc FROM outputs ORDER BY id")]
            self._redo: int = db.execute("SELECT count(*) FROM redo").fetchone()[0]
        if not {RECORD, COMMITTED} <= meta.keys():
            raise self._damaged("its first entries are gone")
        self.id = meta[RECORD].decode()
        self.committed = int(meta[COMMITTED])
        self.job = StoredJob.from_bytes(meta[JOB]) if JOB in meta else None
        self.announced = Announced.from_bytes(meta[ANNOUNCED]) if ANNOUNCED in meta else None
        self.outputs: Mapping[str, OutputFile] = {
            each.name: each for each in (OutputFile(**orjson.loads(body)) for body in outputs)
        }
        self._parts = [PartEntry.from_bytes(body) for body in parts]
        self._starts = [each.part.start for each in self._parts]
        if self._starts != [0, *(each.part.stop for each in self._parts)][: len(self._starts)]:
            raise self._damaged("its parts do not join")

    # Parts

    @property
    def parts(self) -> Sequence[PartEntry]:
        """All known parts, in order, without gaps."""
        return self._parts

    @property
    def planned(self) -> int:
        """The row where the last known part ends."""
        return self._parts[-1].part.stop if self._parts else 0

    def entry(self, part: Part) -> PartEntry | None:
        """Give the entry of a part, None if it is not known yet."""
        found = self._parts[part.id] if part.id < len(self._parts) else None
        if found is not None and found.part != part:
            raise ValueError(f"{part} is not the part on record, {found.part}")
        return found

    def entry_at(self, row: int) -> PartEntry:
        """Give the entry of the part that holds a row; ValueError if there is none."""
        return self._parts[self._place(row)]

    def put_part(self, entry: PartEntry) -> None:
        """Commit a part's entry; a new one must follow on the last."""
        if entry.part.id > len(self._parts) or (entry.part.id == len(self._parts) and entry.part.start != self.planned):
            raise ValueError(f"{entry.part} does not follow row {self.planned}")
        with self.journal.transaction() as db:
            self._put(db, [entry])
        self._take([entry])

    def put_sealed(self, entry: PartEntry) -> None:
        """Commit that a part lies sealed in its file, and drop what the journal held of it."""
        rows = (entry.part.start, entry.part.stop)
        with self.journal.transaction() as db:
            self._put(db, [entry])
            db.execute("DELETE FROM outcomes WHERE id >= ? AND id < ?", rows)
            dropped = db.execute("DELETE FROM redo WHERE id >= ? AND id < ?", rows).rowcount if self._redo else 0
            self.step("seal: in the transaction")
        self._take([entry], redone=dropped)

    @property
    def blank(self) -> bool:
        """Whether no outcome is on record, and nothing published."""
        return not self.outputs and not any(each.state != "open" or self.holds_outcomes(each.part) for each in self._parts)

    def clear(self) -> None:
        """Forget the job, its input files and its parts; only of a blank book."""
        if not self.blank:
            raise ValueError("rows are on record")
        with self.journal.transaction() as db:
            db.execute("DELETE FROM files")
            db.execute("DELETE FROM parts")
            db.execute("DELETE FROM meta WHERE id = ?", (JOB,))
        with self._memory:
            self._parts, self._starts, self._counted = [], [], {}
        self.job = None

    # Outcomes

    def record(self, outcomes: Sequence[Outcome]) -> Tally | None:
        """Commit outcomes; give the tally of those they replaced, None if they replaced none.

        What is recorded stands: only a row marked for a retry may be recorded again, and a reply is never replaced by a
        failure. An outcome that was passed over for that counts in the tally given, so that the caller's books agree.
        """
        rows = codec.entries(outcomes)
        places = range(self._place(min(rows)[0]), self._place(max(rows)[0]) + 1)
        with self._recording:
            with self.journal.transaction(adds=sum(len(body) for _, body, _ in rows)) as db:
                batch = batches.of_retry(db, outcomes, self.entry_at) if self._redo else Batch(outcomes)
                self._put(db, batch.changed)
                count = batches.insert(db, self._welcome(rows, batch, places))
                committed = self.committed + count
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", stored(COMMITTED, b"%d" % committed))
                self.step("record: before the commit")
            self._take(batch.changed, redone=batch.marked, committed=committed)
        self.step("record: committed")
        self.spared += len(batch.worse)
        if count < len(batch.new):
            raise RuntimeError(f"{len(batch.new) - count} rows were recorded twice; the first outcome of each stands")
        return batch.gone()

    def forget(self, rows: Sequence[int]) -> Tally:
        """Commit that these rows have no outcome any more; give the tally of those they had. Replies stay."""
        gone = Tally()
        with self.journal.transaction() as db:
            for row in rows:
                found = db.execute("SELECT id, body, crc FROM outcomes WHERE id = ?", (row,)).fetchone()
                outcome = codec.decode_checked(*found) if found else None
                if outcome is None or isinstance(outcome.result, Reply) or self.entry_at(row).state != "open":
                    continue
                db.execute("DELETE FROM outcomes WHERE id = ?", (row,))
                gone.add(outcome)
        self._take([])
        return gone

    def stored_outcomes(self, start: int, stop: int) -> list[Entry]:
        """Read the outcomes the journal holds of a few rows, as they lie there, by row; nothing is proven yet."""
        with self.journal.reading() as db:
            return db.execute("SELECT id, body, crc FROM outcomes WHERE id >= ? AND id < ? ORDER BY id", (start, stop)).fetchall()

    def outcomes(self, start: int, stop: int) -> dict[int, Outcome]:
        """Read the outcomes the journal holds of a few rows. Raises DamagedError where one fails its checksum."""
        return {row: codec.decode_checked(row, body, crc) for row, body, crc in self.stored_outcomes(start, stop)}

    def each_outcome(self, part: Part) -> Iterator[Outcome]:
        """Read the outcomes the journal holds of a part, a chunk at a time: commits go on in between."""
        for start in range(part.start, part.stop, CHUNK_ROWS):
            yield from self.outcomes(start, min(start + CHUNK_ROWS, part.stop)).values()

    def tally(self, part: Part) -> Tally:
        """Count the outcomes the journal holds of a part; do not change what is given.

        Counted once for as long as nothing changes: a run looks four times before its first row is sent, and each look at a
        million rows takes more than a second.
        """
        changes, tally = self._counted.get(part.id, (-1, None))
        if tally is None or changes != self._changes:
            changes, tally = self._changes, Tally()
            for start in range(part.start, part.stop, CHUNK_ROWS):
                codec.count(tally, codec.parse(self.stored_outcomes(start, min(start + CHUNK_ROWS, part.stop))))
            self._counted[part.id] = changes, tally
        return tally

    def missing(self, part: Part) -> list[range]:
        """Give the rows of an open part that still have to be asked, as ascending ranges."""
        rows = (part.start, part.stop)
        with self.journal.reading() as db:
            answered = "SELECT id FROM outcomes WHERE id >= ? AND id < ? AND id NOT IN (SELECT id FROM redo) ORDER BY id"
            return gaps(part.start, part.stop, (row for (row,) in db.execute(answered, rows)))

    def left(self, part: Part) -> int:
        """Count the rows of a known part that still have to be asked, those of a retry included."""
        rows = (part.start, part.stop)
        with self.journal.reading() as db:
            if self._parts[part.id].state != "open":
                return int(db.execute("SELECT count(*) FROM redo WHERE id >= ? AND id < ?", rows).fetchone()[0])
            answered = "SELECT count(*) FROM outcomes WHERE id >= ? AND id < ? AND id NOT IN (SELECT id FROM redo)"
            return len(part) - int(db.execute(answered, rows).fetchone()[0])

    def holds_outcomes(self, part: Part) -> bool:
        """Whether the journal holds any outcome of the part."""
        with self.journal.reading() as db:
            found = db.execute("SELECT 1 FROM outcomes WHERE id >= ? AND id < ? LIMIT 1", (part.start, part.stop)).fetchone()
        return found is not None

    # Retries

    def redo_rows(self, start: int, stop: int) -> dict[int, Outcome]:
        """Give those of these rows that are to be asked again, ascending, each with an outline of its old outcome."""
        if not self._redo:
            return {}
        with self.journal.reading() as db:
            found = db.execute("SELECT id, body, crc FROM redo WHERE id >= ? AND id < ? ORDER BY id", (start, stop)).fetchall()
        return {row: codec.decode_checked(row, body, crc) for row, body, crc in found}

    def mark_redo(self, old: Iterable[Outcome]) -> int:
        """Commit that the rows of these outcomes are to be asked again, all or none; give how many were not marked yet."""
        count = 0
        with self.journal.transaction() as db:
            for outcome in old:
                values = stored(outcome.row, codec.encode(codec.outline(outcome)))
                count += db.execute("INSERT INTO redo VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", values).rowcount
        self._take([], redone=-count)
        return count

    # The output

    def announce(self, announced: Announced | None) -> None:
        """Commit what is about to be renamed into the output, or that nothing is any more."""
        with self.journal.transaction() as db:
            self._put_announced(db, announced)
        self.announced = announced

    def put_outputs(self, outputs: Collection[OutputFile], published: Sequence[PartEntry], *, only: bool, finished: bool) -> None:
        """Commit the files of the output, and the parts whose rows they now hold.

        `only`: there are no others. `finished`: nothing is announced any more.
        """
        with self.journal.transaction() as db:
            if only:
                db.execute("DELETE FROM outputs")
            db.executemany(
                "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)",
                [stored(each.part or 0, orjson.dumps(each)) for each in outputs],
            )
            self._put(db, published)
            if finished:
                self._put_announced(db, None)
        self.outputs = ({} if only else dict(self.outputs)) | {each.name: each for each in outputs}
        self._take(published)
        self.announced = None if finished else self.announced

    # Job, input files, runs

    def put_job(self, job: StoredJob) -> None:
        with self.journal.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", stored(JOB, job.to_bytes()))
        self.job = job

    def files(self) -> list[StoredFile]:
        with self.journal.reading() as db:
            found = [self._checked(*each) for each in db.execute("SELECT id, body, crc FROM files ORDER BY id")]
        return [StoredFile(**orjson.loads(body)) for body in found]

    def put_files(self, files: Iterable[StoredFile]) -> None:
        with self.journal.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", [stored(each.id, orjson.dumps(each)) for each in files]
            )

    def runs(self) -> list[StoredRun]:
        with self.journal.reading() as db:
            found = [self._checked(*each) for each in db.execute("SELECT id, body, crc FROM runs ORDER BY id")]
        return [StoredRun(**orjson.loads(body)) for body in found]

    def put_runs(self, runs: Iterable[StoredRun]) -> None:
        with self.journal.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", [stored(each.id, orjson.dumps(each)) for each in runs])

    # Below: what transactions need

    def _place(self, row: int) -> int:
        at = bisect_right(self._starts, row) - 1
        if at < 0 or row >= self.planned:
            raise ValueError(f"row {row} belongs to no open part")
        return at

    def _welcome(self, rows: Sequence[Entry], batch: Batch, places: range) -> Sequence[Entry]:
        """Give the outcomes that the journal may hold: a sealed part's only where a retry replaces an older one."""
        if not batch.marked and all(self._parts[place].state == "open" for place in places):
            return rows
        worse = {each.row for each in batch.worse}
        open_rows = (each for each in rows if each[0] in batch.old or self.entry_at(each[0]).state == "open")
        return [each for each in open_rows if each[0] not in worse]

    @staticmethod
    def _put(db: sqlite3.Connection, entries: Iterable[PartEntry]) -> None:
        values = [stored(each.part.id, each.to_bytes()) for each in entries]
        db.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", values)

    @staticmethod
    def _put_announced(db: sqlite3.Connection, announced: Announced | None) -> None:
        if announced is None:
            db.execute("DELETE FROM meta WHERE id = ?", (ANNOUNCED,))
        else:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", stored(ANNOUNCED, announced.to_bytes()))

    def _take(self, entries: Iterable[PartEntry], *, redone: int = 0, committed: int = 0) -> None:
        with self._memory:  # recording and sealing come from different threads
            self._changes += 1
            self._redo -= redone
            self.committed = max(self.committed, committed)
            for entry in entries:
                if entry.part.id == len(self._parts):
                    self._parts.append(entry)
                    self._starts.append(entry.part.start)
                else:
                    self._parts[entry.part.id] = entry

    def _checked(self, id_: int, body: bytes, crc: int) -> bytes:
        if not isinstance(body, bytes) or codec.checksum(id_, body) != crc:
            raise self._damaged(f"entry {id_} fails its checksum")
        return body

    def _damaged(self, what: str) -> DamagedError:
        return DamagedError(f"{self.journal.path}: the journal is damaged: {what}")


def first_entries(record: str, committed: int = 0) -> list[Entry]:
    """Give the entries that a new book begins with; `record` is its id."""
    return [stored(RECORD, record.encode()), stored(COMMITTED, b"%d" % committed)]


def stored(id_: int, body: bytes) -> Entry:
    """Give a row as every table holds it."""
    return id_, body, codec.checksum(id_, body)
