"""Reading what can be read out of a journal that may be damaged: on a copy, so that nothing is lost by looking.

A row counts if the checksum beside it says that it is what was stored under its number. Where SQLite refuses a range of
numbers it is halved until only what is really unreadable is left.
"""

import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.checkpoint import journal, wal
from pipeline.checkpoint.journal import JournalFile
from pipeline.checkpoint.outcomes import checksum
from pipeline.core.errors import DamagedError

# Numbers that are tried one by one, of all tables: with every inner page of a table gone they could be millions.
MOST_PROBES = 200_000

_PAGE_SIZE = 4096


class Salvage:
    """A copy of the journal in `folder`, open for reading; empty if there was none.

    `faults` says what is wrong with it, in words. `guessed`: how much is lost cannot be counted row by row, because pages
    are unreadable, or the log's newest images of them are. `unproven` outcomes fail their checksum, once they were read.
    """

    def __init__(self, original: Path, folder: Path) -> None:
        self.faults: list[str] = []
        self.guessed = False
        self.unproven = 0
        self._probes = MOST_PROBES
        self._path = folder / "copy.db"
        self._db: sqlite3.Connection | None = None
        if not original.exists():
            self.faults.append("it is gone")
        elif original.is_symlink() or not original.is_file():
            self.faults.append("it is not a regular file")
        elif original.stat().st_size or log_of(original).exists():
            self._take(original)
        else:
            self.faults.append("it is empty")

    @property
    def empty(self) -> bool:
        """Whether nothing can be read of it."""
        return self._db is None

    def rows(self, table: str, stop: int) -> Iterator[tuple[int, bytes]]:
        """Give the proven rows of a table with numbers below `stop`, ascending; what is not proven goes into `faults`."""
        if self._db is None:
            return
        unproven = 0
        for id_, body, crc in self._scan(self._db, table, 0, stop):
            if isinstance(body, bytes) and checksum(id_, body) == crc:
                yield id_, body
            else:
                unproven += 1
        if unproven:
            self.unproven = unproven if table == "outcomes" else self.unproven
            self._add(f"{unproven} rows of its table {table} fail their checksum")

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _take(self, original: Path) -> None:
        shutil.copyfile(original, self._path)
        self._path.chmod(0o600)
        log = log_of(original)
        if log.exists() and log.stat().st_size:
            self._fold(wal.read(log.read_bytes(), page_size_of(original)))
        try:
            file = JournalFile(self._path)
            try:
                if not file.version():
                    self._add("it is empty")
            finally:
                file.close()
        except DamagedError as error:
            self._add(str(error).partition(": ")[2])
            self.guessed = True
        self._db = self._open() or self._with_new_first_page()

    def _fold(self, log: wal.Log) -> None:
        if not log.sound:
            self.guessed = True
            self._add(f"{log.dropped} pages of its write-ahead log are damaged")
        with self._path.open("r+b") as database:
            wal.apply(log, database)

    def _open(self) -> sqlite3.Connection | None:
        db = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)
        db.text_factory = bytes
        with suppress(sqlite3.Error):
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            made = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master")}
            if made >= {each.encode() for each in journal.TABLES}:
                return db
        db.close()
        return None

    def _with_new_first_page(self) -> sqlite3.Connection | None:
        """The first page says where each table begins, and is the same in every journal but for the counts in its head."""
        pages = self._path.stat().st_size // _PAGE_SIZE
        if pages < 2:
            return None
        fresh = self._path.with_name("fresh.db")
        journal.make_file(fresh)
        made = JournalFile(fresh)
        made.make_tables(())
        made.close()
        page = bytearray(fresh.read_bytes()[:_PAGE_SIZE])
        struct.pack_into(">3I", page, 28, pages, 0, 0)  # pages, and no list of free ones
        log_of(self._path).unlink(missing_ok=True)
        with self._path.open("r+b") as database:
            database.write(page)
        return self._open()

    def _scan(self, db: sqlite3.Connection, table: str, start: int, stop: int) -> Iterator[tuple[int, object, object]]:
        at = start
        try:
            for row in db.execute(f"SELECT id, body, crc FROM {table} WHERE id >= ? AND id < ? ORDER BY id", (start, stop)):  # noqa: S608
                yield row
                at = row[0] + 1
            return
        except sqlite3.Error as error:
            self.guessed = True
            self._probes -= 1
            self._add(f"parts of its table {table} cannot be read ({error})")
        if stop - at > 1 and self._probes > 0:
            middle = (at + stop) // 2
            yield from self._scan(db, table, at, middle)
            yield from self._scan(db, table, middle, stop)

    def _add(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)


def page_size_of(path: Path) -> int:
    """Give the page size in a database's head, the usual one where it says nonsense."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:18], "big")
    return size if size >= 512 and size & (size - 1) == 0 else _PAGE_SIZE


def log_of(path: Path) -> Path:
    """Give the place of a database's write-ahead log."""
    return path.with_name(f"{path.name}-wal")
