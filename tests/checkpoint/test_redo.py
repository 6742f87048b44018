"""Asking recorded rows again: which, from where, and what stands meanwhile."""

from collections.abc import Collection

import pytest

from pipeline.checkpoint.publish import verify_output
from pipeline.checkpoint.redo import wanted
from pipeline.core.types import Outcome, Part, Reply
from tests.checkpoint.desk import Desk, columns, failed, ok

CUT = ok(1, "half an ans", finish_reason="length")
EMPTY = ok(1, "")
TOOLS = Outcome(1, 1, 0.1, Reply(None, "tool_calls", extra='{"tool_calls": [{}]}'))


@pytest.mark.parametrize(
    ("outcome", "kinds", "again"),
    [
        (failed(1), None, True),
        (failed(1), ["timeout"], True),
        (failed(1), ["connection"], False),
        (ok(1), None, False),
        (CUT, None, False),
        (CUT, ["length"], True),
        (CUT, ["empty", "timeout"], False),
        (EMPTY, None, False),
        (EMPTY, ["empty"], True),
        (TOOLS, ["empty", "length"], False),
    ],
)
def test_a_row_is_asked_again_only_for_a_kind_that_was_named(
    outcome: Outcome, kinds: Collection[str] | None, again: bool
) -> None:
    assert wanted(outcome, kinds) is again


def mixed(row: int) -> Outcome:
    return [ok(row), failed(row, "timeout"), failed(row, "bad_request"), ok(row, "cut", "length"), ok(row, "")][row % 5]


def rows_left(desk: Desk, kinds: Collection[str] | None, state: str) -> set[int]:
    """Mark rows of a job in that state and give what is then to do."""
    desk.answer = mixed
    record = desk.open()
    if state == "open":
        part = Part(0, 0, 23)
        desk.part_rows = 24
        record.open_part(part, columns(part))
        record.record([mixed(row) for row in range(20)])
    elif state == "sealed":
        desk.ask(record)
    else:
        desk.finish(record)
        verify_output(record)
    marked = record.redo(kinds)
    found = {row for each in record.parts() for some in record.missing(each.part) for row in some}
    assert marked == len(found - ({20, 21, 22} if state == "open" else set()))
    assert record.redo(kinds) == 0
    assert record.tally().done == (20 if state == "open" else 23)
    record.close()
    return found


@pytest.mark.parametrize(
    ("kinds", "places"),
    [
        (None, {1, 2}),
        (["timeout"], {1}),
        (["length"], {3}),
        (["empty"], {4}),
        (["length", "bad_request"], {2, 3}),
        (["connection"], set()),
    ],
    ids=str,
)
@pytest.mark.parametrize("state", ["open", "sealed", "published"])
def test_rows_are_found_wherever_their_outcome_lies(desk: Desk, kinds: list[str] | None, places: set[int], state: str) -> None:
    total = 20 if state == "open" else 23
    expected = {row for row in range(total) if row % 5 in places} | set(range(total, 23))
    assert rows_left(desk, kinds, state) == expected


def test_a_row_cut_off_is_found_also_among_reasons_too_many_to_count(tmp_path) -> None:
    def answer(row: int) -> Outcome:
        return ok(row, finish_reason="length" if row == 250 else f"reason {row}")

    desk = Desk(tmp_path / "job", rows=300, part_rows=300, batch=100, answer=answer).make()
    record = desk.open()
    desk.ask(record)
    assert record.tally().finish_reasons["length"] == 0  # counted with others
    assert record.redo(["length"]) == 1
    record.close()


def test_a_retry_keeps_ok_rows_adds_attempts_and_counts_each_row_once(desk: Desk) -> None:
    desk.answer = mixed
    desk.run()
    before = desk.table()
    desk.answer = lambda row: failed(row, "server_error", attempts=2) if row == 6 else ok(row, f"second {row}")
    record = desk.open()
    verify_output(record)
    assert record.redo(None) == 10
    assert record.attempts(Part(0, 0, 10)) == dict.fromkeys((1, 2, 6, 7), 3)
    desk.finish(record)
    tally = record.tally()
    record.close()
    table = desk.table()
    for row in range(23):
        if row % 5 in (1, 2):
            assert table["completion"][row].as_py() == (None if row == 6 else f"second {row}")
            assert table["attempts"][row].as_py() == (5 if row == 6 else 4)
        else:
            assert table.slice(row, 1).equals(before.slice(row, 1))
    assert (tally.ok, tally.failed) == (22, 1)
    assert {kind: count for kind, count in tally.errors.items() if count} == {"server_error": 1}


def test_recording_a_retry_gives_back_what_it_replaced(desk: Desk) -> None:
    desk.answer = mixed
    desk.run()
    record = desk.open()
    record.redo(["timeout"])
    replaced = record.record([ok(1), ok(6)])
    assert replaced is not None
    assert (replaced.failed, dict(replaced.errors)) == (2, {"timeout": 2})
    assert record.tally().errors["timeout"] == 3
    record.close()


def test_a_retry_that_was_broken_off_is_finished_by_a_plain_run_and_the_old_outcome_stands_meanwhile(desk: Desk) -> None:
    desk.answer = mixed
    desk.run()
    record = desk.open()
    record.redo(["bad_request"])
    record.record([ok(2, "second")])
    record.close()
    record = desk.open()
    assert [each.left for each in record.parts()] == [1, 2, 1]
    assert list(record.outcomes(Part(0, 0, 10)))[7] == failed(7, "bad_request")
    assert list(record.outcomes(Part(0, 0, 10)))[2] == ok(2, "second")
    desk.answer = lambda row: ok(row, "second")
    desk.finish(record)
    record.close()
    assert [row for row in range(23) if desk.asked[row] == 2] == [7, 12, 17, 22]
    assert desk.table()["completion"].to_pylist()[2::5] == ["second"] * 5


def test_a_row_can_be_retried_again_before_its_part_is_sealed(desk: Desk) -> None:
    desk.answer = mixed
    desk.run()
    record = desk.open()
    record.redo(["timeout"])
    record.record([failed(1, "connection", attempts=4)])
    assert record.redo(["connection"]) == 1
    assert record.attempts(Part(0, 0, 10)) == {1: 4, 6: 3}
    record.record([ok(1, "third")])
    desk.answer = ok
    desk.finish(record)
    assert record.tally().errors["connection"] == 0
    record.close()
    assert desk.table()["completion"][1].as_py() == "third"


@pytest.mark.parametrize("state", ["open", "published"])
def test_a_reply_is_never_replaced_by_a_failure(desk: Desk, state: str) -> None:
    desk.answer = mixed
    if state == "published":
        desk.run()
    record = desk.open()
    if state == "open":
        record.open_part(Part(0, 0, 10), columns(Part(0, 0, 10)))
        record.record([mixed(row) for row in range(10)])
    else:
        verify_output(record)
    before = record.tally()
    assert record.redo(["length"]) == (2 if state == "open" else 4)
    gone = record.record([failed(3, "bad_row"), ok(8, "whole")])
    assert gone is not None
    assert (gone.ok, gone.failed) == (1, 1)
    assert record.spared == 1
    after = record.tally()
    assert (after.ok, after.failed) == (before.ok, before.failed)
    assert after.finish_reasons["length"] == before.finish_reasons["length"] - 1
    outcomes = list(record.outcomes(Part(0, 0, 10)))
    assert (outcomes[3], outcomes[8]) == (mixed(3), ok(8, "whole"))
    desk.answer = ok
    desk.finish(record)
    record.close()
    assert desk.table()["completion"][3].as_py() == "cut"
