"""What opening a record has to see to before anything else: nothing lost, nothing half done, nothing left lying about.

Paid work is never deleted to resolve a doubt: whatever does not fit together is DamagedError, and a person decides.
"""

import re
import secrets
from pathlib import Path

from pipeline.checkpoint import announced, job_file, journal, kept, mark, parquet, rescue, salvage, sealing, wal
from pipeline.checkpoint.book import Book, first_entries
from pipeline.checkpoint.entries import PartEntry
from pipeline.checkpoint.files import Steps
from pipeline.checkpoint.journal import JournalFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.shelf import Notice, shelf_of
from pipeline.core.errors import DamagedError, MismatchError, StoppedError
from pipeline.core.parts import rows_in

PART_NAME = re.compile(r"part-(\d+)\.g(\d+)\.[0-9a-f]+\.parquet")
# A folder with the files that a repair is about to replace; it is renamed once the new ones are in place.
UNDER_REPAIR = "repairing-*"


def open_book(layout: Layout, *, create: bool, step: Steps) -> Book:
    """Open the journal, or make it if `create` and nothing speaks of an older one.

    Raises MismatchError where there is none to open, DamagedError where there was one, or it does not hold all it did.
    """
    if any(layout.folder.glob(UNDER_REPAIR)):
        raise DamagedError(f"{layout.folder}: a repair was broken off")
    if layout.journal.exists() or layout.journal.is_symlink():
        journal.check_file(layout.journal)
        _check_log(layout)
    else:
        _refuse_lost_journal(layout, "is gone")
        if not create:
            raise MismatchError(f"{layout.folder}: there is no job on record here")
        journal.make_file(layout.journal)
        step("create: database")
    file = JournalFile(layout.journal)
    try:
        if not file.version():
            _refuse_lost_journal(layout, "is empty")
            if not create:
                raise MismatchError(f"{layout.folder}: there is no job on record here")
            file.make_tables(first_entries(secrets.token_hex(16)))
            step("create: tables")
        book = Book(file, step)
        _check_mark(book, layout)
    except BaseException:
        file.close()
        raise
    return book


def recover(book: Book, layout: Layout, notice: Notice) -> int:
    """Bring the record into order for a run; give how many rows were taken in from rescue files.

    Finishes a publish that was broken off, proves that sealed parts are whole, removes what a crash left behind.
    """
    rescued = rescue.take_in(book, layout)
    try:
        announced.finish_announced(book, layout, notice)
        for entry in book.parts:
            if entry.state == "sealed":
                sealing.check(book, layout, entry)
        _remove_orphans(book, layout)
        shelf_of(layout).clear(book)
        job_file.remove_leftovers(layout)
    except OSError as error:
        raise StoppedError(
            f"{error.filename or layout.folder}: the record cannot be put in order ({error.strerror or error}); "
            "what is recorded is intact: see to the disk, then run again"
        ) from error
    return rescued


def lost_journal(layout: Layout) -> bool:
    """Whether something says that rows were recorded in a journal that is not there, or is empty."""
    # A log without its database: SQLite would play the old commits into the new file.
    log = salvage.log_of(layout.journal).exists() and not layout.journal.exists()
    return log or mark.highest(layout) > 0 or any(sealing.names(layout)) or any(kept.names(layout))


def _refuse_lost_journal(layout: Layout, how: str) -> None:
    """Never begin anew where a job has been: its rows would be paid for twice."""
    if lost_journal(layout):
        raise DamagedError(f"{layout.journal}: the journal {how}, although the job had recorded rows")


def _check_log(layout: Layout) -> None:
    """See that SQLite will read the write-ahead log to its end: what it does not read it throws away on opening."""
    log = salvage.log_of(layout.journal)
    if not log.exists():
        return
    found = wal.read(log.read_bytes(), salvage.page_size_of(layout.journal))
    # Beside an empty file SQLite takes the log for a stranger's.
    if not found.sound or (found.commits and not layout.journal.stat().st_size):
        raise DamagedError(f"{log}: the journal is damaged: its write-ahead log cannot be read to its end")


def _check_mark(book: Book, layout: Layout) -> None:
    """Compare the journal with the count kept outside it: with its write-ahead log it loses its last commits silently."""
    lost = mark.highest(layout, book.id) - book.committed
    if lost > 0:
        raise DamagedError(f"{layout.journal}: {lost} recorded rows are missing from the journal")


def _remove_orphans(book: Book, layout: Layout) -> None:
    named = {each.file.name for each in book.parts if each.file is not None}
    for path in sorted(sealing.names(layout)):
        if path.name not in named:
            _refuse_unknown_rows(book, path)
            path.unlink()
    named = {each.kept.name for each in book.parts if each.kept is not None}
    for path in sorted(kept.names(layout)):
        if path.name not in named:
            path.unlink()


def is_copy(entry: PartEntry, generation: int, tally: object, *, answered: int, redone: bool) -> bool:
    """Whether a part file that the journal does not name holds no more than the journal does.

    The file says its `generation` and `tally`; the journal holds `answered` outcomes of the part, some asked again if `redone`.
    """
    if generation <= entry.generation:
        return True
    if generation > entry.generation + 1 or redone:
        return False
    return answered == len(entry.part) if entry.tally is None else tally == entry.tally.to_json()


def _refuse_unknown_rows(book: Book, path: Path) -> None:
    """See that a part file the journal does not name is no more than a copy of what the journal holds.

    Else the journal has lost commits, and this file may be all that is left of them.
    """
    name, found = PART_NAME.fullmatch(path.name), parquet.facts(path)
    if name is None or found is None:  # still under its temporary name, or torn: never sealed
        return
    entry = book.parts[int(name[1])] if int(name[1]) < len(book.parts) else None
    if entry is not None:
        redone = bool(book.redo_rows(entry.part.start, entry.part.stop))
        answered = len(entry.part) - rows_in(book.missing(entry.part))
        if is_copy(entry, int(name[2]), found[1].get("tally"), answered=answered, redone=redone):
            return
    raise DamagedError(f"{path}: holds rows that the journal has no record of")
