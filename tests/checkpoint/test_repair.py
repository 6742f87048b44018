"""Repair: what is proven is kept, what is damaged is set aside, and no more is asked again than was said."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import orjson
import pyarrow.parquet as pq
import pytest

from pipeline.checkpoint import job_file, progress_file, wal
from pipeline.checkpoint.entries import StoredFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.record import Record
from pipeline.checkpoint.repair import repair, way_on
from pipeline.checkpoint.tiling import tiled
from pipeline.core.errors import DamagedError, MismatchError
from pipeline.core.types import Part
from tests.checkpoint.desk import Crash, Desk, columns, crash_at, failed, ok


def log_of(layout: Layout) -> Path:
    return layout.folder / "journal.db-wal"


def started(desk: Desk) -> Record:
    """Open a record as a run does before its first row is sent."""
    record = desk.open()
    record.add_files([StoredFile(0, "in.parquet", desk.rows, 1000, 1, 1)])
    record.start_run(started=1.0, concurrency=4)
    return record


def begun(desk: Desk, into: Path) -> Desk:
    """Give a job as kill -9 left it: two sealed parts, an open one with two rows, and commits in the log."""
    record = started(desk)
    desk.ask(record, upto=20)
    part = Part(2, 20, 23)
    record.open_part(part, columns(part))
    record.record([ok(20)])
    record.record([ok(22)])
    desk.asked.update([20, 22])
    progress_file.write(desk.layout, record.mark())
    killed = desk.moved_to(into)
    record.close()
    return killed


@pytest.fixture
def killed(desk_of_file: Desk, tmp_path: Path) -> Desk:
    return begun(desk_of_file, tmp_path / "killed")


def said_of(desk: Desk) -> tuple[int, int]:
    """Give how many rows the refusal says can be kept and would be asked again; everything has to stay in its place."""
    before = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file() and path.suffix == ".parquet"}
    with pytest.raises(DamagedError, match="rowcall run --repair") as refused, way_on(desk.layout):
        desk.open().close()
    assert all(path.read_bytes() == body for path, body in before.items())
    found = re.search(r"(\d+) recorded rows can be kept, (?:at most )?(\d+) would be asked again", str(refused.value))
    assert found is not None, refused.value
    return int(found[1]), int(found[2])


def finish_repaired(desk: Desk, *, kept: int | None = None) -> None:
    """See that a plain run refuses, that a repair keeps so many rows, and that only the others are asked then."""
    said, lost = said_of(desk)
    assert kept is None or said == kept
    done = repair(desk.layout)
    assert done is not None
    assert (done.kept, done.lost) == (said, lost)
    assert done.aside is None or any(done.aside.iterdir())
    before = desk.asked.total()
    desk.run()
    assert desk.asked.total() - before == desk.rows - said
    assert desk.rows - said - 1 <= lost  # one row was never asked
    table = desk.table()
    assert table["title"].to_pylist() == [f"t{row}" for row in range(23)]
    assert table["completion"].to_pylist() == [f"answer {row}" for row in range(23)]
    assert repair(desk.layout) is None


def test_a_sound_record_is_left_alone(killed: Desk) -> None:
    before = {path: path.read_bytes() for path in killed.folder.rglob("*") if path.is_file()}
    assert repair(killed.layout) is None
    assert {path: path.read_bytes() for path in killed.folder.rglob("*") if path.is_file()} == before
    killed.run()
    assert killed.asked.total() == 23


def folded(desk: Desk) -> Path:
    """Let the journal be one file."""
    desk.open().close()
    return desk.layout.journal


def flip(path: Path, at: int, bit: int = 2) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 1 << bit
    path.write_bytes(body)


def lose_journal(desk: Desk) -> None:
    folded(desk).unlink()


def garble_journal(desk: Desk) -> None:
    folded(desk).write_bytes(b"\0garbage" * 1000)


def empty_journal(desk: Desk) -> None:
    folded(desk).write_bytes(b"")


def cut_journal(desk: Desk) -> None:
    body = folded(desk).read_bytes()
    desk.layout.journal.write_bytes(body[:4096])


@pytest.mark.parametrize("harm", [lose_journal, garble_journal, empty_journal, cut_journal], ids=lambda each: each.__name__)
def test_without_a_journal_the_parts_prove_themselves(killed: Desk, harm: Callable[[Desk], None]) -> None:
    harm(killed)
    finish_repaired(killed, kept=20)


def test_a_journal_whose_first_page_is_lost_gives_up_its_rows_all_the_same(killed: Desk) -> None:
    body = folded(killed).read_bytes()
    killed.layout.journal.write_bytes(bytes(4096) + body[4096:])
    finish_repaired(killed, kept=22)


def test_a_row_that_fails_its_checksum_is_asked_again_alone(killed: Desk) -> None:
    body = folded(killed).read_bytes()
    flip(killed.layout.journal, body.index(b"answer 20"))
    with pytest.raises(DamagedError, match=r"1 would be asked again at a cost of about 0\.5; .*--repair"), way_on(killed.layout):
        killed.run()
    done = repair(killed.layout)
    assert done is not None
    assert (done.kept, done.lost) == (21, 1)
    killed.run()
    assert killed.asked[20] == 2
    assert killed.asked.total() == 24


def test_a_lost_log_costs_what_was_committed_last(killed: Desk) -> None:
    log_of(killed.layout).unlink()
    finish_repaired(killed)


def test_of_a_log_damaged_in_its_middle_the_commits_behind_are_kept(killed: Desk) -> None:
    log = wal.read(log_of(killed.layout).read_bytes(), 4096)
    assert log.sound
    commits = [number for number, frame in enumerate(log.frames) if frame.commit]
    flip(log_of(killed.layout), 32 + commits[-2] * (24 + 4096) + 24 + 2000)
    finish_repaired(killed, kept=22)


@pytest.mark.parametrize("at", [0, 17, 25], ids=["magic", "salt", "checksum"])
def test_a_log_with_a_damaged_head_is_not_thrown_away(killed: Desk, at: int) -> None:
    flip(log_of(killed.layout), at)
    finish_repaired(killed, kept=22)


def test_a_torn_last_transaction_is_no_damage(killed: Desk) -> None:
    log = log_of(killed.layout)
    log.write_bytes(log.read_bytes()[:-1000])
    (killed.layout.folder / "mark").unlink()
    killed.layout.progress.unlink()
    killed.run()
    assert killed.table().num_rows == 23
    assert killed.asked.total() == 24


def a_part(desk: Desk) -> Path:
    return min(desk.layout.parts.iterdir())


def test_a_lost_part_is_asked_again(killed: Desk) -> None:
    a_part(killed).unlink()
    finish_repaired(killed, kept=12)


def test_a_torn_part_is_set_aside_and_asked_again(killed: Desk) -> None:
    torn = a_part(killed).read_bytes()[:-100]
    a_part(killed).write_bytes(torn)
    name = a_part(killed).name
    finish_repaired(killed, kept=12)
    (aside,) = killed.layout.folder.glob("damaged-*")
    assert (aside / name).read_bytes() == torn


def test_of_a_part_whose_kept_columns_are_damaged_the_answers_are_kept(killed: Desk) -> None:
    column = pq.ParquetFile(a_part(killed)).metadata.row_group(0).column(0)
    flip(a_part(killed), column.data_page_offset + column.total_compressed_size // 2)
    finish_repaired(killed, kept=22)


def test_of_a_part_whose_answers_are_damaged_none_is_kept(killed: Desk) -> None:
    group = pq.ParquetFile(a_part(killed)).metadata.row_group(0)
    columns_ = [group.column(each) for each in range(group.num_columns)]
    column = next(each for each in columns_ if each.path_in_schema == "completion")
    flip(a_part(killed), column.dictionary_page_offset + 40)
    finish_repaired(killed, kept=12)


def test_a_sealed_file_that_the_journal_lost_the_commit_of_is_taken_in(desk_of_file: Desk, tmp_path: Path) -> None:
    record = started(desk_of_file)
    part = Part(0, 0, 10)
    record.open_part(part, columns(part))
    before = desk_of_file.moved_to(tmp_path / "before")
    desk_of_file.ask(record, upto=10)
    record.close()
    (sealed,) = desk_of_file.layout.parts.iterdir()
    shutil.copy(sealed, before.layout.parts)
    assert said_of(before) == (10, 0)
    assert repair(before.layout) is not None
    before.run()
    assert before.asked.total() == 23


def test_a_lost_journal_of_a_finished_job_costs_nothing(desk: Desk) -> None:
    record = started(desk)
    desk.finish(record)
    progress_file.write(desk.layout, record.mark())
    record.close()
    whole = desk.table()
    desk.layout.journal.unlink()
    assert said_of(desk) == (23, 0)
    assert repair(desk.layout) is not None
    desk.run()
    assert desk.asked.total() == 23
    assert desk.table().equals(whole)


def test_a_lost_journal_beside_a_changed_output_is_refused(desk_of_file: Desk) -> None:
    record = started(desk_of_file)
    desk_of_file.finish(record)
    record.close()
    desk_of_file.layout.journal.unlink()
    flip(desk_of_file.layout.output, 100)
    with pytest.raises(MismatchError, match="was changed"):
        repair(desk_of_file.layout)


def test_an_output_whose_publishing_the_journal_has_lost_is_taken_back(desk: Desk, tmp_path: Path) -> None:
    record = started(desk)
    desk.ask(record)
    record.close()
    record = desk.open()
    desk.finish(record)
    killed = desk.moved_to(tmp_path / "killed")
    record.close()
    log_of(killed.layout).unlink()
    assert said_of(killed) == (23, 0)
    assert repair(killed.layout) is not None
    killed.run()
    assert killed.asked.total() == 23
    assert killed.table().equals(desk.table())


def test_a_journal_that_is_a_link_is_set_aside_as_it_is(killed: Desk, tmp_path: Path) -> None:
    elsewhere = folded(killed).rename(tmp_path / "elsewhere.db")
    killed.layout.journal.symlink_to(elsewhere)
    finish_repaired(killed, kept=20)
    assert elsewhere.exists()


def test_marks_of_a_retry_outlive_a_repair(desk_of_file: Desk) -> None:
    desk_of_file.answer = failed
    record = started(desk_of_file)
    desk_of_file.ask(record)
    assert record.redo(None) == 23
    record.close()
    a_part(desk_of_file).unlink()
    assert said_of(desk_of_file) == (13, 10)
    assert repair(desk_of_file.layout) is not None
    desk_of_file.answer = ok
    desk_of_file.run()
    assert desk_of_file.asked.total() == 46
    assert desk_of_file.table()["status"].to_pylist() == ["ok"] * 23


def test_parts_alone_are_enough(killed: Desk) -> None:
    for path in killed.layout.folder.iterdir():
        if path.is_file():
            path.unlink()
    with pytest.raises(DamagedError, match="20 recorded rows can be kept"), way_on(killed.layout):
        killed.open()
    assert repair(killed.layout) is not None
    killed.run()
    assert killed.asked.total() == 25
    assert killed.table().num_rows == 23


def test_with_the_job_itself_forgotten_nothing_is_guessed(killed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_journal(killed)
    flip(killed.layout.folder / job_file.NAME, 100)
    monkeypatch.setattr(job_file, "parse", lambda found: None)
    with pytest.raises(DamagedError, match=r"from a copy, or start over with --fresh"), way_on(killed.layout):
        killed.open()
    with pytest.raises(DamagedError, match="neither the journal nor"):
        repair(killed.layout)
    assert len(list(killed.layout.parts.iterdir())) == 2


@pytest.mark.parametrize("table", ["files", "meta"])
def test_replies_whose_job_or_files_nothing_names_are_not_bought_again(desk_of_file: Desk, tmp_path: Path, table: str) -> None:
    """Found in review: only open parts, no job.json; a repair dropped every row and said that nothing was lost."""
    record, part = started(desk_of_file), Part(0, 0, 10)
    record.open_part(part, columns(part))
    record.record([ok(row) for row in range(5)])
    desk = desk_of_file.moved_to(tmp_path / "killed")
    record.close()
    (desk.layout.folder / job_file.NAME).unlink()
    folded(desk)
    with sqlite3.connect(desk.layout.journal) as db:
        db.execute(f"UPDATE {table} SET crc = crc + 1" + (" WHERE id = 2" if table == "meta" else ""))
    db.close()
    with pytest.raises(DamagedError, match="neither the journal nor"):
        repair(desk.layout)
    with sqlite3.connect(desk.layout.journal) as db:
        assert db.execute("SELECT count(*) FROM outcomes").fetchone() == (5,)
    db.close()


def test_an_older_file_of_the_job_takes_nothing_back(tmp_path: Path) -> None:
    """Found in review: put back from a copy, it made a repair throw away what a retry had brought since."""
    desk = Desk(tmp_path / "job", is_directory=True, answer=failed).make()
    record = started(desk)
    desk.finish(record)
    record.close()
    record = desk.open()
    assert record.redo(None) == desk.rows
    desk.answer = ok
    desk.ask(record)
    record.close()
    path = desk.layout.folder / job_file.NAME
    body = orjson.loads(path.read_bytes().partition(b"\n")[2])
    body["outputs"] = body["outputs"][:1]
    older = orjson.dumps(body)
    path.write_bytes(b"%08x\n" % crc32(older) + older)
    assert job_file.read(desk.layout) is not None
    assert repair(desk.layout) is None


@pytest.mark.parametrize("harm", ["part", "journal", "both"])
def test_a_repair_may_be_broken_off_anywhere(killed: Desk, tmp_path: Path, harm: str) -> None:
    if harm != "journal":
        torn = a_part(killed)
        torn.write_bytes(torn.read_bytes()[:-100])
    if harm != "part":
        killed.layout.journal.unlink()
    for number in range(1, 20):
        crashed = killed.moved_to(tmp_path / f"crash-{number}")
        step, seen = crash_at(number)
        try:
            repair(crashed.layout, step=step)
        except Crash:
            if seen[-1] != "repair: written":
                with pytest.raises(DamagedError, match=r"broken off.*--repair"), way_on(crashed.layout):
                    crashed.open()
            repair(crashed.layout)
        ended = len(seen) < number
        before = crashed.asked.total()
        crashed.run()
        assert crashed.asked.total() - before == {"part": 11, "journal": 3, "both": 13}[harm], seen
        assert crashed.table()["completion"].to_pylist() == [f"answer {row}" for row in range(23)]
        if ended:
            return
    raise AssertionError("it never ended")


def test_holes_between_known_parts_are_cut_to_fit_their_numbers() -> None:
    known = {0: Part(0, 0, 10), 3: Part(3, 25, 30)}
    assert tiled(known, published=0, upto=41, part_rows=10) == [
        *(Part(0, 0, 10), Part(1, 10, 17), Part(2, 17, 25), Part(3, 25, 30)),
        *(Part(4, 30, 40), Part(5, 40, 41)),
    ]
    cut = tiled(known, published=12, upto=0, part_rows=10)
    assert cut == [Part(0, 0, 10), Part(1, 10, 12), Part(2, 12, 25), Part(3, 25, 30)]
    assert tiled({0: Part(0, 0, 10), 1: Part(1, 11, 12)}, published=0, upto=0, part_rows=10) is None
    assert tiled({0: Part(0, 0, 10), 3: Part(3, 11, 12)}, published=0, upto=0, part_rows=10) is None
