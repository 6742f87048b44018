import errno
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from pipeline.checkpoint import files, journal
from pipeline.checkpoint.journal import JournalFile
from pipeline.core.errors import BusyError, DamagedError, FullError, MismatchError, StoppedError
from tests.small_disk import small_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    journal.make_file(tmp_path / "journal.db")
    file = JournalFile(tmp_path / "journal.db")
    file.make_tables([(0, b"r", 1), (1, b"0", 2)])
    file.close()
    return tmp_path / "journal.db"


def pragma(file: JournalFile, name: str) -> object:
    with file.reading() as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("locking_mode", "exclusive"),
        ("synchronous", 2),
        ("wal_autocheckpoint", 256),
        ("trusted_schema", 0),
    ],
)
def test_the_pragmas_that_durability_rests_on_are_in_force(path: Path, name: str, value: object) -> None:
    file = JournalFile(path)
    assert pragma(file, name) == value
    file.close()


def test_a_closed_journal_is_one_private_file(path: Path) -> None:
    assert [each.name for each in path.parent.iterdir()] == ["journal.db"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_log_beside_an_open_journal_is_private_too(path: Path) -> None:
    file = JournalFile(path)
    with file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (7, x'', 1)")
    assert {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {
        "journal.db": 0o600,
        "journal.db-wal": 0o600,
    }
    file.close()


def test_a_log_whose_name_may_be_lost_is_not_written_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says nothing when the folder's sync fails, and a power cut would then take the log with every commit in it."""

    def failing(folder: Path) -> None:
        assert folder == path.parent
        assert (folder / "journal.db-wal").exists()
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(files, "sync_folder", failing)
    with pytest.raises(StoppedError, match="broken"):
        JournalFile(path)


def test_a_journal_whose_own_name_may_be_lost_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(folder: Path) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(files, "sync_folder", failing)
    with pytest.raises(StoppedError, match="broken"):
        journal.make_file(tmp_path / "journal.db")


def test_nobody_else_can_open_it_meanwhile(path: Path) -> None:
    file = JournalFile(path)
    with pytest.raises(BusyError):
        JournalFile(path)
    file.close()


def test_after_one_error_every_use_is_refused_although_sqlite_would_go_on(path: Path) -> None:
    file = JournalFile(path)
    with pytest.raises(StoppedError, match="disk I/O error"), file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (7, x'', 1)")
        raise sqlite3.OperationalError("disk I/O error")
    with pytest.raises(StoppedError, match="disk I/O error"), file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (8, x'', 1)")
    with pytest.raises(StoppedError), file.reading():
        pass
    file.close()
    after = JournalFile(path)
    with after.reading() as db:
        assert db.execute("SELECT count(*) FROM meta WHERE id IN (7, 8)").fetchone()[0] == 0
    after.close()


def test_a_full_disk_takes_one_transaction_back_and_breaks_nothing(path: Path) -> None:
    file = JournalFile(path)
    with file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (7, x'', 1)")
    with file.reading() as db:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(FullError, match="full"), file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (8, zeroblob(1000000), 1)")
    with file.reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    with file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (9, zeroblob(1000000), 1)")
    file.close()
    assert ids_in(path) == {7, 9}


def ids_in(path: Path) -> set[int]:
    file = JournalFile(path)
    with file.reading() as db:
        found = {id_ for (id_,) in db.execute("SELECT id FROM meta WHERE id >= 7")}
    file.close()
    return found


def test_a_disk_that_runs_full_again_and_again_loses_no_commit(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=8m") as disk:
        path = disk.path / "journal.db"
        journal.make_file(path)
        file = JournalFile(path)
        file.make_tables([(0, b"r", 1), (1, b"0", 2)])
        committed: set[int] = set()
        refused = 0
        for number in range(7, 127):
            if number % 4 == 0:
                disk.fill(leave=16384 * (number % 5))
            try:
                with file.transaction() as db:
                    db.execute("INSERT INTO meta VALUES (?, zeroblob(40000), 1)", (number,))
                committed.add(number)
            except FullError:
                refused += 1
                disk.relieve()
        assert refused >= 8
        disk.relieve()
        shutil.copytree(disk.path, tmp_path / "as after kill -9")
        assert ids_in(tmp_path / "as after kill -9" / "journal.db") == committed
        file.close()
        assert ids_in(path) == committed


def test_an_exception_of_ours_rolls_back_and_breaks_nothing(path: Path) -> None:
    file = JournalFile(path)
    with pytest.raises(KeyError), file.transaction() as db:
        db.execute("INSERT INTO meta VALUES (7, x'', 1)")
        raise KeyError("ours")
    with file.transaction() as db:
        assert db.execute("SELECT count(*) FROM meta WHERE id = 7").fetchone()[0] == 0
    file.close()


def test_threads_take_turns(path: Path) -> None:
    file = JournalFile(path)

    def work(base: int) -> None:
        for number in range(20):
            with file.transaction() as db:
                db.execute("INSERT INTO meta VALUES (?, x'', 1)", (base + number,))

    threads = [threading.Thread(target=work, args=(base,)) for base in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with file.reading() as db:
        assert db.execute("SELECT count(*) FROM meta").fetchone()[0] == 62
    file.close()


def test_a_file_that_is_no_database_is_damaged_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(DamagedError):
        JournalFile(path)
    assert path.read_bytes() == b"not a database, " * 100


def test_a_newer_rowcalls_journal_is_refused_by_name(path: Path) -> None:
    plain = sqlite3.connect(path)
    plain.execute(f"PRAGMA user_version = {journal.VERSION + 1}")
    plain.close()
    file = JournalFile(path)
    with pytest.raises(MismatchError, match="newer rowcall"):
        file.version()
    file.close()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    plain = sqlite3.connect(path)
    plain.execute("PRAGMA user_version = 1")
    plain.close()
    file = JournalFile(path)
    with pytest.raises(DamagedError, match="no rowcall journal"):
        file.version()
    file.close()


def test_a_journal_that_is_a_symlink_is_refused(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(DamagedError):
        journal.check_file(link)


def test_space_freed_by_sealing_does_not_count(path: Path) -> None:
    file = JournalFile(path)
    with file.transaction() as db:
        db.executemany("INSERT INTO outcomes VALUES (?, ?, 0)", [(row, b"x" * 1000) for row in range(1000)])
    full = file.used_bytes
    assert full > 1_000_000
    with file.transaction() as db:
        db.execute("DELETE FROM outcomes")
    assert file.used_bytes < full / 10
    file.close()
