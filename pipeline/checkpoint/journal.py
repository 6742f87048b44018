"""The SQLite file: one connection, used by one thread at a time, broken for good by its first error but a full disk.

What the tables mean is book.py's. Why FULL: with NORMAL a power cut loses whole seconds of commits. Why EXCLUSIVE before
WAL: then no shared-memory file is needed, and nobody else can write. Why broken for good: after a failed fsync the
kernel may have dropped the very pages, and SQLite's next commit on the same connection would claim success. A write
that finds no room is refused before any fsync, and SQLite takes the transaction back by itself: it may be tried again.
"""

import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.checkpoint import files
from pipeline.core.errors import BusyError, DamagedError, FullError, MismatchError, StoppedError

APPLICATION_ID = 0x726F7763  # "rowc"
VERSION = 1
_IMPLAUSIBLE = 1000  # no version of ours, but a flipped bit
# Commits of outcomes until it is looked up again how much is used: that takes three calls of SQLite's, a commit five.
MOST_COUNTED = 16

# All of one shape: a number, a body of JSON, and a checksum over both. No index but the rowid, so that nothing can
# disagree with the rows. One statement each: executescript() would commit in between.
TABLES = tuple(
    f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL)"
    for name in ("meta", "parts", "outcomes", "redo", "files", "runs", "outputs")
)

# SQLITE_ERROR: what a head with a flipped bit is taken for, a format of the future.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class JournalFile:
    """The open database. Every use is inside transaction() or reading(); both may be called from any thread.

    `broken` says what error ended it, None while it is sound. `used_bytes` hold data: pages that sealing freed are used
    again and do not count. Both may be read at any time, without waiting for a commit.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which exists, and recover it. Raises DamagedError, BusyError or StoppedError."""
        self.path = path
        self.broken: str | None = None
        self._counted = 0
        self._lock = threading.RLock()  # reentrant: what a transaction writes may be read from the same file on the way
        with _opening(path):
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=0
            )
            try:
                self._configure()
            except BaseException:
                self._db.close()
                raise

    def _configure(self) -> None:
        run = self._db.execute
        run("PRAGMA busy_timeout = 0")
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA locking_mode = EXCLUSIVE")
        mode = run("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoppedError(
                f"{self.path}: this disk cannot hold a write-ahead log (journal mode {mode}); set checkpoint.dir to another"
            )
        run("PRAGMA synchronous = FULL")
        run("PRAGMA wal_autocheckpoint = 256")  # a damaged log can lose 1 MB at most
        run("PRAGMA journal_size_limit = 67108864")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA cell_size_check = ON")
        if sys.platform == "darwin":
            run("PRAGMA fullfsync = 1")
            run("PRAGMA checkpoint_fullfsync = 1")
        found = run("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise DamagedError(f"{self.path}: the journal is damaged ({' '.join(str(found).split())})")
        # The log exists by now. SQLite syncs its name too, but passes over an error: a power cut could then take every commit.
        files.sync_folder(self.path.parent)
        self.used_bytes = self._used()

    def version(self) -> int:
        """Give the version of the tables, 0 if they were never made. Raises if they are not ours or newer than we are."""
        with self.reading() as db:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            application: int = db.execute("PRAGMA application_id").fetchone()[0]
            made = [sql for (sql,) in db.execute("SELECT CAST(sql AS BLOB) FROM sqlite_master ORDER BY rowid")]
        if VERSION < version < _IMPLAUSIBLE:
            raise MismatchError(f"{self.path}: was written by a newer rowcall; upgrade rowcall to go on with this job")
        if not 0 <= version < _IMPLAUSIBLE or (version and application != APPLICATION_ID):
            raise DamagedError(f"{self.path}: is no rowcall journal")
        if (version or made) and made != [each.encode() for each in TABLES]:
            raise DamagedError(f"{self.path}: the journal is damaged (its tables are not as they were made)")
        return version

    def make_tables(self, meta: Iterable[tuple[int, bytes, int]]) -> None:
        """Make the tables with their first entries, all or none of it."""
        with self.transaction() as db:
            for statement in TABLES:
                db.execute(statement)
            db.executemany("INSERT INTO meta VALUES (?, ?, ?)", meta)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def transaction(self, *, adds: int | None = None) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction; it is on disk when the block has ended.

        `adds`: about so many bytes, and it is one of many: what is used is then counted on, and looked up now and then.
        Raises FullError where the disk has no room, StoppedError on any other error of SQLite's, now and at every later use.
        """
        with self._lock:
            self._check()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
                self._count_used(adds)
            except sqlite3.Error as error:
                raise self._full(error) or self._break(error) from error
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for short reads; commits wait meanwhile."""
        with self._lock:
            self._check()
            try:
                yield self._db
            except sqlite3.Error as error:
                raise self._break(error) from error

    def close(self) -> None:
        """Fold the log into the file and close: a stopped job's journal is one file. A broken one gets no more commands.

        SQLite's own close then still copies from the log what earlier commits had synced there; nothing of the failed one.
        """
        with self._lock:
            if self.broken is None:
                with suppress(sqlite3.Error):  # every commit is durable in the log already
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.Error):
                self._db.close()
            self.broken = self.broken or "closed"

    def _count_used(self, adds: int | None) -> None:
        self._counted = 0 if adds is None else (self._counted + 1) % MOST_COUNTED
        self.used_bytes = self.used_bytes + (adds or 0) if self._counted else self._used()

    def _used(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _check(self) -> None:
        if self.broken is not None:
            raise self._stopped()

    def _full(self, error: sqlite3.Error) -> FullError | None:
        """Give the error to raise if a full disk was all, and SQLite has taken the transaction back; else None.

        An fsync that finds no room is no such case: SQLite reports it as an I/O error.
        """
        if _primary(error) != sqlite3.SQLITE_FULL or self._db.in_transaction:
            return None
        return FullError(f"{self.path}: the disk is full; what was recorded before is intact: make room, then run again")

    def _break(self, error: sqlite3.Error) -> StoppedError:
        self.broken = str(error)
        self._roll_back()
        return self._stopped()

    def _stopped(self) -> StoppedError:
        return StoppedError(
            f"{self.path}: the journal cannot be written any more ({self.broken}); what was recorded before is intact: "
            "see that the disk is sound and has room, then run again"
        )

    def _roll_back(self) -> None:
        # After SQLITE_FULL and the like SQLite has rolled back by itself, and a second time would be an error.
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.broken = self.broken or str(error)


def make_file(path: Path) -> None:
    """Make an empty database file, mode 0600, which SQLite's own files beside it inherit. Raises StoppedError."""
    with _opening(path):
        files.create(path, private=True).close()
        files.sync_folder(path.parent)


def check_file(path: Path) -> None:
    """Refuse a journal that is a symlink or not ours, or has a second name: under that one its log would be missed."""
    seen = path.lstat()
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid():
        raise DamagedError(f"{path}: is not a regular file of this user; put the real journal back")
    if seen.st_nlink > 1:
        raise DamagedError(
            f"{path}: has {seen.st_nlink} names (hard links), and writing would change what lies under all of them; "
            "copy the record folder (cp -r), and give the copy its place"
        )


def _primary(error: sqlite3.Error | OSError) -> int:
    """Give SQLite's own code without what extends it, 0 where the error is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path}: the journal is damaged (its tables cannot be read)") from error
    except (sqlite3.Error, OSError) as error:
        code = _primary(error)
        # A file that we may write and SQLite will not has a head that says so.
        if code in _DAMAGE or (code == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK)):
            raise DamagedError(f"{path}: the journal is damaged ({error})") from error
        if code in _LOCKED:
            raise BusyError(f"{path}: another program has the journal open; close it and run again") from error
        raise StoppedError(
            f"{path}: the journal cannot be opened ({error}); it is intact as far as can be seen: "
            "see that the disk is sound and has room, then run again"
        ) from error
