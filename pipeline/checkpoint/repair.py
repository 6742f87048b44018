"""run --repair: a new journal of all that is proven takes the old one's place; what it replaces is set aside, not deleted.

The damaged files move into a folder of their own, whose name keeps every run away until the new journal is in place; what
a crash left in between, the next repair undoes or brings to its end. Hold the lock meanwhile.
"""

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.checkpoint import files, journal, progress_file
from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.book import ANNOUNCED, JOB, first_entries, stored
from pipeline.checkpoint.files import Steps, no_steps
from pipeline.checkpoint.journal import JournalFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.outcomes import Entry
from pipeline.checkpoint.recovery import PART_NAME, UNDER_REPAIR
from pipeline.checkpoint.salvage import Salvage, log_of
from pipeline.checkpoint.survey import Survey, survey
from pipeline.core.errors import DamagedError, RowcallError, StoppedError

_SCRATCH = "salvage-*"
_ASIDE = "damaged-*"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did: what was wrong, where the damaged files lie now (None: there were none left), rows kept, and at most
    so many to be asked again."""

    faults: tuple[str, ...]
    aside: Path | None
    kept: int
    lost: int


def repair(layout: Layout, *, now: float | None = None, step: Steps = no_steps) -> Repaired | None:
    """Mend the record, or give None if it is sound. Raises DamagedError where nothing can be proven, StoppedError if the
    disk refuses; then everything is as it was, or the next repair makes it so."""
    try:
        _end_broken_off(layout)
        with _surveyed(layout) as (found, salvage, scratch):
            if not found.faults:
                return None
            _write(scratch / "new.db", found, salvage)
            stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
            step("repair: written")
            aside = _exchange(layout, found, scratch / "new.db", stamp, step)
            return Repaired(tuple(found.faults), aside, found.kept, found.lost)
    except OSError as error:
        raise StoppedError(
            f"{error.filename or layout.folder}: the record cannot be repaired ({error.strerror or error}); nothing is lost: "
            "see that the disk is sound and has room, then run --repair again"
        ) from error


@contextmanager
def way_on(layout: Layout) -> Iterator[None]:
    """Let an error that says what is damaged also say what can be kept, what would be asked again, and how to go on."""
    try:
        yield
    except DamagedError as error:
        raise DamagedError(f"{error}; {_outlook(layout)}") from error


def _outlook(layout: Layout) -> str:
    how = "`rowcall run --repair` sets the damaged files aside under a dated name, keeps what is proven and asks the rest again"
    if any(layout.folder.glob(UNDER_REPAIR)):
        return how
    try:
        with _surveyed(layout) as (found, _, _):
            pass
    except DamagedError as error:
        return str(error)
    except (RowcallError, OSError) as error:
        return f"{how} (how much that is cannot be told: {error})"
    if not found.faults:
        return "nothing that is recorded is lost: run again"
    most = "at most " if found.guessed and found.lost else ""
    return f"{found.kept} recorded rows can be kept, {most}{found.lost} would be asked again{_cost(layout, found)}; {how}"


def _cost(layout: Layout, found: Survey) -> str:
    """Say what asking again would cost, by what the rows on record did."""
    spent, done = found.tally.cost, found.tally.done
    if not done:
        last = progress_file.read(layout) or {}
        spent, done = (float(str(last.get(name) or 0)) for name in ("cost", "ok"))  # type: ignore[assignment]
    return f" at a cost of about {spent / done * found.lost:.4g}" if spent and done and found.lost else ""


@contextmanager
def _surveyed(layout: Layout) -> Iterator[tuple[Survey, Salvage, Path]]:
    for left in layout.folder.glob(_SCRATCH):  # of a look that was killed
        shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(dir=layout.folder, prefix=_SCRATCH.rstrip("*")) as name,
        closing(Salvage(layout.journal, Path(name))) as salvage,
    ):
        yield survey(layout, salvage), salvage, Path(name)


def _write(path: Path, found: Survey, salvage: Salvage) -> None:
    """Write the new journal, whole and on disk."""
    journal.make_file(path)
    file = JournalFile(path)
    try:
        file.make_tables(_meta(found))
        with file.transaction() as db:
            for table, entries in (
                ("parts", [stored(each.part.id, each.to_bytes()) for each in found.parts]),
                ("files", [stored(each.id, orjson.dumps(each)) for each in found.files]),
                ("runs", [stored(each.id, orjson.dumps(each)) for each in found.runs]),
                ("outputs", [stored(each.part or 0, orjson.dumps(each)) for each in found.outputs]),
                ("outcomes", _outcomes(found, salvage)),
            ):
                db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", entries)  # noqa: S608
            for row, body in salvage.rows("redo", found.rows):
                part = found.part_of(row)
                asked = db.execute("SELECT 1 FROM outcomes WHERE id = ?", (row,)).fetchone()
                if part is not None and part.part.id not in found.superseded and (asked or part.state != "open"):
                    db.execute("INSERT INTO redo VALUES (?, ?, ?)", stored(row, body))
    finally:
        file.close()
    if log_of(path).exists():
        raise StoppedError(
            f"{path}: the new journal could not be finished; see that the disk is sound and has room, then run again"
        )


def _meta(found: Survey) -> list[Entry]:
    entries = first_entries(found.record, found.committed)
    entries += [] if found.job is None else [stored(JOB, found.job.to_bytes())]
    return entries + ([] if found.announced is None else [stored(ANNOUNCED, found.announced.to_bytes())])


def _outcomes(found: Survey, salvage: Salvage) -> Iterator[Entry]:
    for row, body in salvage.rows("outcomes", found.rows):
        part = found.part_of(row)
        if part is not None and part.part.id not in found.superseded and row not in found.stale:
            yield stored(row, body)
    # Behind the journal's own, which are newer: of two the first is taken.
    yield from (stored(each.row, codec.encode(each)) for each in found.reread)


def _exchange(layout: Layout, found: Survey, new: Path, stamp: str, step: Steps) -> Path | None:
    """Move the damaged files away and the new journal to its place; give the folder where the former lie, if any."""
    if not found.aside:
        new.rename(layout.journal)
        files.sync_folder(layout.folder)
        return None
    names = (stamp if again == 1 else f"{stamp}-{again}" for again in itertools.count(1))
    name = next(each for each in names if not os.path.lexists(layout.folder / _ASIDE.replace("*", each)))
    under, aside = (layout.folder / each.replace("*", name) for each in (UNDER_REPAIR, _ASIDE))
    under.mkdir(mode=0o700)
    files.sync_folder(layout.folder)
    step("repair: begun")
    for path in found.aside:
        path.rename(under / path.name)
        step("repair: moved")
    files.sync_folder(under)
    files.sync_folder(layout.parts)
    new.rename(layout.journal)
    files.sync_folder(layout.folder)
    step("repair: in place")
    under.rename(aside)
    files.sync_folder(layout.folder)
    return aside


def _end_broken_off(layout: Layout) -> None:
    """End a repair that was broken off: with the new journal in place it was done, else everything goes back."""
    for under in layout.folder.glob(UNDER_REPAIR):
        moved = sorted(under.iterdir())
        if moved and layout.journal.exists():
            under.rename(under.with_name(_ASIDE.replace("*", under.name.partition("-")[2])))
        else:
            for path in moved:
                path.rename((layout.parts if PART_NAME.fullmatch(path.name) else layout.folder) / path.name)
            files.sync_folder(layout.parts)
            under.rmdir()
        files.sync_folder(layout.folder)
