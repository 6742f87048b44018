"""A batch of outcomes as it meets the record: which of them count, and what they replace where a retry was asked for."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.entries import PartEntry
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome, Reply

# Rows that one statement inserts. Each step of SQLite's gives up the interpreter, and a busy event loop may then keep it for
# a while: beside a thread that never pauses a commit of 64 rows took 89 ms with a step a row, and 15 so.
_INSERTS = {
    rows: f"INSERT INTO outcomes VALUES {', '.join(['(?, ?, ?)'] * rows)} ON CONFLICT (id) DO NOTHING"  # noqa: S608 no input in it
    for rows in (128, 64, 32, 16, 8, 4, 2, 1)
}


@dataclass(frozen=True, slots=True)
class Batch:
    """`new` outcomes are to be recorded. The rest is for rows that were marked for a retry, of which it holds `marked`.

    `old` are outlines of what is replaced, by row; `worse` those passed over, for a reply is never replaced by a failure;
    `changed` the sealed parts with tallies that count the new outcomes in place of the old.
    """

    new: Sequence[Outcome]
    marked: int = 0
    old: Mapping[int, Outcome] = field(default_factory=dict)
    worse: Sequence[Outcome] = ()
    changed: Sequence[PartEntry] = ()

    def gone(self) -> Tally | None:
        """Count what was replaced or passed over, None if no row was marked."""
        if not self.marked:
            return None
        gone = Tally()
        for outcome in (*self.old.values(), *self.worse):
            gone.add(outcome)
        return gone


def of_retry(db: sqlite3.Connection, outcomes: Sequence[Outcome], entry_at: Callable[[int], PartEntry]) -> Batch:
    """Take the marks off these rows, and out of the journal what it holds of those that get a new outcome."""
    rows = [each.row for each in outcomes]
    found = (each for row in rows for each in db.execute("SELECT id, body, crc FROM redo WHERE id = ?", (row,)))
    marked = {row: codec.decode_checked(row, body, crc) for row, body, crc in found}
    db.executemany("DELETE FROM redo WHERE id = ?", [(row,) for row in marked])
    worse = [each for each in outcomes if _is_worse(each, marked.get(each.row))]
    spared = {each.row for each in worse}
    old = {row: each for row, each in marked.items() if row not in spared}
    db.executemany("DELETE FROM outcomes WHERE id = ?", [(row,) for row in old])
    new = [each for each in outcomes if not _is_worse(each, marked.get(each.row))]
    return Batch(new, len(marked), old, worse, _retallied(new, old, entry_at))


def insert(db: sqlite3.Connection, rows: Sequence[codec.Entry]) -> int:
    """Insert outcomes as they are stored; give how many were not there yet. Those that were stand."""
    before, at = db.total_changes, 0
    for size, statement in _INSERTS.items():
        while at + size <= len(rows):
            # A bytearray is bound as it is; for bytes sqlite3 looks for an adapter first, each time: 0.5 us a row.
            db.execute(statement, [value for id_, body, crc in rows[at : at + size] for value in (id_, bytearray(body), crc)])
            at += size
    return db.total_changes - before


def _is_worse(new: Outcome, old: Outcome | None) -> bool:
    """Whether a retry of a paid reply came to nothing."""
    return old is not None and isinstance(old.result, Reply) and not isinstance(new.result, Reply)


def _retallied(outcomes: Iterable[Outcome], old: Mapping[int, Outcome], entry_at: Callable[[int], PartEntry]) -> list[PartEntry]:
    tallies: dict[int, Tally] = defaultdict(Tally)
    entries: dict[int, PartEntry] = {}
    for outcome in outcomes:
        entry = entry_at(outcome.row)
        if outcome.row in old and entry.tally is not None:
            if entry.part.id not in tallies:
                entries[entry.part.id] = entry
                tallies[entry.part.id].merge(entry.tally)
            tallies[entry.part.id].add(old[outcome.row], -1)
            tallies[entry.part.id].add(outcome)
    return [replace(entries[id_], tally=tally) for id_, tally in tallies.items()]
