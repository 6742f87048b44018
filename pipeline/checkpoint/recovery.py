"""What opening a record has to see to before anything else: nothing lost, nothing half done, nothing left lying about.

Paid work is never deleted to resolve a doubt: whatever does not fit together is DamagedError, and a person decides.
"""

import re
import secrets
from pathlib import Path

from pipeline.checkpoint import announced, journal, kept, parquet, progress_file, rescue, sealing
from pipeline.checkpoint.book import Book, first_entries
from pipeline.checkpoint.files import Steps
from pipeline.checkpoint.journal import JournalFile
from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import DamagedError, MismatchError, StoppedError

_PART_NAME = re.compile(r"part-(\d+)\.g(\d+)\.[0-9a-f]+\.parquet")


def open_book(layout: Layout, *, create: bool, step: Steps) -> Book:
    """Open the journal, or make it if `create` and nothing speaks of an older one.

    Raises MismatchError where there is none to open, DamagedError where there was one, or it does not hold all it did.
    """
    if layout.journal.exists() or layout.journal.is_symlink():
        journal.check_file(layout.journal)
    elif not create:
        raise MismatchError(f"{layout.folder}: there is no job on record here")
    else:
        _refuse_lost_journal(layout, "is gone")
        journal.make_file(layout.journal)
        step("create: database")
    file = _open_file(layout)
    try:
        if not file.version():
            if not create:
                raise MismatchError(f"{layout.folder}: there is no job on record here")
            _refuse_lost_journal(layout, "is empty")
            file.make_tables(first_entries(secrets.token_hex(16)))
            step("create: tables")
        book = Book(file, step)
        _check_mark(book, layout)
    except BaseException:
        file.close()
        raise
    return book


def recover(book: Book, layout: Layout) -> int:
    """Bring the record into order for a run; give how many rows were taken in from rescue files.

    Finishes a publish that was broken off, proves that sealed parts are whole, removes what a crash left behind.
    """
    rescued = rescue.take_in(book, layout)
    try:
        announced.finish_announced(book, layout)
        for entry in book.parts:
            if entry.state == "sealed":
                sealing.check(book, layout, entry)
        _remove_orphans(book, layout)
        announced.remove_leftovers(book, layout)
    except OSError as error:
        raise StoppedError(
            f"{error.filename or layout.folder}: the record cannot be put in order ({error.strerror or error}); "
            "what is recorded is intact: see to the disk, then run again"
        ) from error
    return rescued


def salvageable(layout: Layout) -> tuple[int, int]:
    """Count the sealed parts whose footers can be read, and the rows in them: what a lost journal leaves behind."""
    newest: dict[str, int] = {}
    for path in sorted(sealing.names(layout)):
        found = parquet.facts(path) if _PART_NAME.fullmatch(path.name) else None
        if found is not None:
            newest[path.name.split(".")[0]] = found[0]
    return len(newest), sum(newest.values())


def _open_file(layout: Layout) -> JournalFile:
    try:
        return JournalFile(layout.journal)
    except DamagedError as error:
        raise DamagedError(f"{error}; {_what_is_left(layout)}") from error


def _refuse_lost_journal(layout: Layout, how: str) -> None:
    """Never begin anew where a job has been: its rows would be paid for twice."""
    committed = (progress_file.read(layout) or {}).get("committed")
    # A log without its database: SQLite would play the old commits into the new file.
    log = layout.journal.with_name(f"{layout.journal.name}-wal").exists() and not layout.journal.exists()
    if log or (isinstance(committed, int) and committed > 0) or any(sealing.names(layout)) or any(kept.names(layout)):
        raise DamagedError(f"{layout.journal}: the journal {how}, although the job had recorded rows; {_what_is_left(layout)}")


def _what_is_left(layout: Layout) -> str:
    parts, rows = salvageable(layout)
    return (
        f"{parts} sealed parts with {rows} rows can still be read in {layout.parts}; put the whole record folder back "
        "from a copy, or pay for every row again with --fresh, which keeps this folder under a dated name"
    )


def _check_mark(book: Book, layout: Layout) -> None:
    """Compare the journal with the count kept outside it: a damaged write-ahead log loses its last commits silently."""
    mark = progress_file.read(layout) or {}
    committed = mark.get("committed")
    if mark.get("record") == book.id and isinstance(committed, int) and committed > book.committed:
        lost = committed - book.committed
        raise DamagedError(
            f"{layout.journal}: {lost} recorded rows are missing from the journal, and would be asked and paid for again; "
            f"put the record folder back from a copy, or remove {layout.progress} to accept that"
        )


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


def _refuse_unknown_rows(book: Book, path: Path) -> None:
    """See that a part file the journal does not name is no more than a copy of what the journal holds.

    Else the journal has lost commits, and this file may be all that is left of them.
    """
    name, found = _PART_NAME.fullmatch(path.name), parquet.facts(path)
    if name is None or found is None:  # still under its temporary name, or torn: never sealed
        return
    id_, generation = int(name[1]), int(name[2])
    entry = book.parts[id_] if id_ < len(book.parts) else None
    if entry is not None and generation <= entry.generation:
        return
    if entry is not None and generation == entry.generation + 1 and not book.redo_rows(entry.part.start, entry.part.stop):
        if entry.tally is None:
            copied = len(book.answered(entry.part)) == len(entry.part)
        else:
            copied = found[1].get("tally") == entry.tally.to_json()
        if copied:
            return
    raise DamagedError(
        f"{path}: holds rows that the journal has no record of; put the record folder back from a copy, "
        "or move this file away to have its rows asked and paid for again"
    )
