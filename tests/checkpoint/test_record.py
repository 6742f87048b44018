"""What the record tells the engine and jobs, with no crash in sight."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.checkpoint.entries import StoredFile, StoredJob
from pipeline.checkpoint.record import open_record
from pipeline.core.errors import ConfigError, InputChangedError, MismatchError, SourceError
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome, Part
from tests.checkpoint.desk import JOB, Desk, columns, failed, ok

PART = Part(0, 0, 10)


def tally_of(*outcomes: Outcome) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally


def test_what_is_recorded_is_not_missing_now_nor_after_opening_again(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))
    assert record.record([ok(3), ok(4), failed(8)]) is None
    assert record.missing(PART) == [range(0, 3), range(5, 8), range(9, 10)]
    record.close()
    record = desk_of_file.open()
    assert record.missing(PART) == [range(0, 3), range(5, 8), range(9, 10)]
    assert record.tally() == tally_of(ok(3), ok(4), failed(8))
    assert list(record.outcomes(PART)) == [ok(3), ok(4), failed(8)]
    assert record.committed == 3
    record.close()


def test_an_open_part_is_counted_anew_whenever_it_changed_and_only_then(desk_of_file: Desk, monkeypatch) -> None:
    record, reads = desk_of_file.open(), []
    stored = record.book.stored_outcomes
    monkeypatch.setattr(record.book, "stored_outcomes", lambda start, stop: reads.append(start) or stored(start, stop))
    record.open_part(PART, columns(PART))
    for step, (change, wanted) in enumerate(
        [
            (lambda: record.record([ok(3), failed(8)]), tally_of(ok(3), failed(8))),
            (lambda: record.record([ok(4)]), tally_of(ok(3), failed(8), ok(4))),
            (lambda: record.forget([8]), tally_of(ok(3), ok(4))),
            (lambda: record.record([failed(8, "rate_limited")]), tally_of(ok(3), ok(4), failed(8, "rate_limited"))),
        ],
        1,
    ):
        change()
        assert record.tally() == record.parts()[0].tally == wanted
        record.tally().add(ok(5))  # what is given is the caller's own
        assert len(reads) == step
    record.close()


def test_parts_say_where_they_stand(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    desk_of_file.ask(record, upto=10)
    second = Part(1, 10, 20)
    record.open_part(second, columns(second))
    record.record([ok(11)])
    first, other = record.parts()
    assert (first.part, first.sealed, first.published, first.left) == (PART, True, False, 0)
    assert (other.part, other.sealed, other.published, other.left) == (second, False, False, 9)
    assert record.planned == 20
    record.close()


def test_a_row_recorded_twice_keeps_its_first_outcome_and_is_a_bug(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))
    record.record([ok(1, "first")])
    with pytest.raises(RuntimeError, match="twice"):
        record.record([ok(1, "second"), ok(2)])
    assert list(record.outcomes(PART)) == [ok(1, "first"), ok(2)]
    assert record.committed == 2
    record.close()


def test_a_row_of_no_part_is_a_bug_and_breaks_nothing(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    with pytest.raises(ValueError, match="row 0"):
        record.record([ok(0)])
    record.open_part(PART, columns(PART))
    record.record([ok(0)])
    record.close()


def test_parts_come_in_order_without_gaps(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    late = Part(1, 10, 20)
    with pytest.raises(ValueError, match="follow"):
        record.open_part(late, columns(late))
    record.close()


def test_a_part_with_rows_to_ask_is_not_sealed(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))
    with pytest.raises(ValueError, match="still has rows"):
        record.seal(PART)
    record.close()


def test_an_input_that_gives_too_few_rows_stops_before_anything_is_sent(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    with pytest.raises(InputChangedError, match="gave 7 rows"):
        record.open_part(PART, columns(Part(0, 0, 7)))
    assert record.planned == 0
    assert list(desk_of_file.layout.kept.iterdir()) == []
    record.close()


def test_an_input_that_breaks_off_leaves_nothing_of_its_rows_behind(desk_of_file: Desk) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from columns(Part(0, 0, 4))
        raise SourceError("in.parquet: cannot be read")

    record = desk_of_file.open()
    with pytest.raises(SourceError):
        record.open_part(PART, broken())
    assert list(desk_of_file.layout.kept.iterdir()) == []
    record.close()


@pytest.mark.parametrize("harm", ["torn", "flipped", "gone"])
def test_kept_columns_that_were_harmed_are_set_aside_anew(desk_of_file: Desk, harm: str) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))
    record.record([ok(row) for row in range(10)])
    (path,) = desk_of_file.layout.kept.iterdir()
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    {"torn": lambda: path.write_bytes(body[:100]), "flipped": lambda: path.write_bytes(body), "gone": path.unlink}[harm]()
    record.close()
    desk_of_file.run()
    assert desk_of_file.table()["title"].to_pylist() == [f"t{row}" for row in range(23)]
    assert desk_of_file.asked.total() == 13


def test_columns_of_a_part_that_is_well_are_not_read_again(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))

    def unread() -> Iterator[pa.RecordBatch]:
        raise AssertionError("read")
        yield

    record.open_part(PART, unread())
    record.close()


def test_lost_columns_read_as_null_in_an_export(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))
    record.record([ok(0), failed(2)])
    (path,) = desk_of_file.layout.kept.iterdir()
    whole = pa.Table.from_batches(record.batches(PART))
    assert whole["title"].to_pylist() == [f"t{row}" for row in range(10)]
    assert whole["status"].to_pylist() == ["ok", "pending", "failed", *["pending"] * 7]
    path.unlink()
    lost = pa.Table.from_batches(record.batches(PART))
    assert lost["title"].to_pylist() == [None] * 10
    assert lost.drop_columns(["title", "tags"]).equals(whole.drop_columns(["title", "tags"]))
    record.close()


def test_rows_of_no_part_yet_can_be_shown_as_pending(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    shown = pa.Table.from_batches(record.pending(each) for each in columns(Part(0, 5, 9)))
    assert shown["title"].to_pylist() == ["t5", "t6", "t7", "t8"]
    assert set(shown["status"].to_pylist()) == {"pending"}
    assert set(shown["attempts"].to_pylist()) == {None}
    record.close()


def test_a_job_that_keeps_no_columns_needs_no_files_for_them(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.store_job(StoredJob({}, {}, pa.schema([]), "llm_"))
    record.open_part(PART, iter(()))
    record.record([ok(row) for row in range(10)])
    record.seal(PART)
    assert next(iter(record.batches(PART))).schema.names[0] == "llm_completion"
    record.close()


def test_the_job_comes_back_as_it_was_stored(desk_of_file: Desk) -> None:
    desk_of_file.open().close()
    record = desk_of_file.open()
    assert record.job == JOB
    assert record.job is not None
    assert record.job.schema.equals(JOB.schema, check_metadata=True)
    record.close()


def test_keeping_done_rows_may_change_the_facts_but_not_the_columns(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    desk_of_file.ask(record, upto=10)
    record.store_job(replace(JOB, fingerprint={"model": "other"}))
    assert record.job is not None
    assert record.job.fingerprint == {"model": "other"}
    with pytest.raises(MismatchError, match=r"output\.prefix"):
        record.store_job(replace(JOB, prefix="x_"))
    desk_of_file.finish(record)
    record.close()


def test_a_column_clash_is_refused_before_anything_is_sent(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    with pytest.raises(ConfigError, match="completion"):
        record.store_job(replace(JOB, schema=pa.schema([("completion", pa.string())])))
    record.close()


def test_files_join_behind_each_other_and_can_be_completed(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    first = StoredFile(-1, "a.parquet", 5, 100, 1, 2**63 + 5, footer="f")
    assert [each.id for each in record.add_files([first, replace(first, path="b.parquet")])] == [0, 1]
    (third,) = record.add_files([replace(first, path="c.parquet")])
    record.update_file(replace(third, sha256="abc"))
    record.close()
    record = desk_of_file.open()
    assert [(each.id, each.path, each.sha256) for each in record.files()] == [
        (0, "a.parquet", None),
        (1, "b.parquet", None),
        (2, "c.parquet", "abc"),
    ]
    assert record.files()[0].inode == 2**63 + 5
    record.close()


def test_a_run_that_died_bounds_the_rows_that_may_have_been_paid_for_and_counts_once(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    assert record.start_run(started=1.0, concurrency=8).in_flight_of_dead == 0
    assert record.mark()["ended"] is False
    record.close()
    record = desk_of_file.open()
    run = record.start_run(started=2.0, concurrency=4, note={"kept": "done"})
    assert (run.id, run.in_flight_of_dead) == (1, 8)
    record.end_run({"rows": 23}, ended=3.0)
    assert record.mark()["ended"] is True
    record.close()
    record = desk_of_file.open()
    assert record.start_run(started=4.0, concurrency=4).in_flight_of_dead == 0
    dead, done, _ = record.runs()
    assert (dead.died, dead.ended) == (True, None)
    assert (done.died, done.ended, done.summary, done.note) == (False, 3.0, {"rows": 23}, {"kept": "done"})
    record.close()


def test_a_reader_finds_no_record_where_there_is_none(desk_of_file: Desk) -> None:
    with pytest.raises(MismatchError, match="no job on record"):
        open_record(desk_of_file.layout, create=False, read_only=True)
    assert not desk_of_file.layout.folder.exists()


def test_open_bytes_falls_when_parts_are_sealed(desk_of_file: Desk) -> None:
    record = desk_of_file.open()
    record.open_part(PART, columns(PART))
    record.record([ok(row, "x" * 10_000) for row in range(10)])
    before = record.open_bytes()
    record.seal(PART)
    assert record.open_bytes() < before - 80_000
    record.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(23)), cuts=st.lists(st.integers(1, 6), min_size=1, max_size=23), bad=st.sets(st.integers(0, 22))
)
def test_in_whatever_order_rows_end_the_record_counts_each_once(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: list[int], bad: set[int]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("job"))
    record = desk.open()
    parts = [Part(0, 0, 10), Part(1, 10, 20), Part(2, 20, 23)]
    for part in parts:
        record.open_part(part, columns(part))
    ends = [failed(row) if row in bad else ok(row) for row in order]
    while ends:
        size = cuts[len(ends) % len(cuts)]
        record.record(ends[:size])
        ends = ends[size:]
        missing = {row for part in parts for each in record.missing(part) for row in each}
        assert missing == {each.row for each in ends}
        assert record.tally().done + len(missing) == 23
    for part in parts:
        record.seal(part)
    assert record.tally() == tally_of(*(failed(row) if row in bad else ok(row) for row in range(23)))
    record.close()
