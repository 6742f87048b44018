"""The same failure for every row: seen in the first ones, or worth a line later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.systematic import FIRST_REPLIES, WINDOW_ROWS, Drift, Systematic, signature
from pipeline.core.types import Fault, FaultKind, Reply


def refused(message: str = "no such parameter", kind: str = "bad_request", status: int | None = 400) -> Fault:
    return Fault(FaultKind.REJECTED, kind, message, status)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("row 17 is too short", "row 4211 is too short"),
        ("wanted 1,024 tokens", "wanted 99.5 tokens"),
        ("no column 'a'", "no column 'the title'"),
        ('"x" is no color', '"y" is no color'),
        ("request 123e4567-e89b-12d3-a456-426614174000 failed", "request 00000000-0000-0000-0000-000000000000 failed"),
    ],
)
def test_what_differs_from_row_to_row_does_not_make_a_failure_another(one: str, other: str) -> None:
    assert signature(refused(one)) == signature(refused(other))


def test_the_prompt_quoted_back_neither_tells_failures_apart_nor_shows_in_a_line() -> None:
    one, other = (Fault(FaultKind.REJECTED, "bad_request", f"no: {who}", 400, unquoted="no:") for who in ("Jana", "Petr"))
    assert signature(one) == signature(other)
    drift = Drift()
    lines = [line for _ in range(WINDOW_ROWS) if (line := drift.failed(one))]
    assert "bad_request: no:" in lines[0]
    assert "Jana" not in lines[0]


@pytest.mark.parametrize("other", [refused("another thing"), refused(kind="not_found"), refused(status=422)])
def test_another_kind_status_or_message_does(other: Fault) -> None:
    assert signature(refused()) != signature(other)


def test_the_first_rows_failing_alike_trip_it_and_later_ones_join() -> None:
    rule = Systematic(3, armed=True)
    for row in (4, 0, 7):
        assert not rule.tripped
        rule.failed(row, refused())
    assert rule.tripped
    rule.failed(9, refused("another thing"))
    rule.answered()
    rule.failed(8, refused())
    assert rule.tripped
    assert rule.rows == [4, 0, 7, 8]


def test_one_reply_or_one_other_failure_ends_the_suspicion_for_good() -> None:
    for disarm in (Systematic.answered, lambda rule: rule.failed(2, refused("another thing"))):
        rule = Systematic(3, armed=True)
        rule.failed(0, refused())
        disarm(rule)
        for row in range(10, 20):
            rule.failed(row, refused())
        assert not rule.tripped
        assert not rule.armed


@pytest.mark.parametrize("rule", [Systematic(None, armed=True), Systematic(1, armed=False)])
def test_it_can_be_turned_off(rule: Systematic) -> None:
    rule.failed(0, refused())
    assert not rule.tripped


def test_many_rows_failing_alike_are_named_once() -> None:
    drift = Drift()
    said = []
    for number in range(3 * WINDOW_ROWS):
        said.append(drift.failed(refused(f"row {number}")) if number % 2 else drift.answered(Reply("fine")))
    lines = [line for line in said if line]
    assert len(lines) == 1
    assert "50% of the last 200 rows failed alike (bad_request: row" in lines[0]


def test_rows_failing_differently_are_not() -> None:
    drift = Drift()
    kinds = ("bad_request", "too_large", "timeout")
    assert not any(drift.failed(refused(kind=kinds[number % 3])) for number in range(600))


@given(st.lists(st.lists(st.sampled_from([Reply(""), Reply("fine"), refused()]), min_size=1, max_size=150), max_size=12))
def test_replies_taken_in_at_once_count_like_one_by_one(batches: list[list[Reply | Fault]]) -> None:
    one_by_one, at_once = Drift(), Drift()
    for batch in batches:
        said = [_take(one_by_one, each) for each in batch]
        if refused() not in batch and at_once.passed(len(batch)):
            assert not any(said)
        else:
            assert [_take(at_once, each) for each in batch] == said


def _take(drift: Drift, result: Reply | Fault) -> str | None:
    return drift.answered(result) if isinstance(result, Reply) else drift.failed(result)


@pytest.mark.parametrize(("useless", "named"), [(100, True), (90, True), (89, False)])
@pytest.mark.parametrize("reply", [Reply(""), Reply("cut o", "length")], ids=["empty", "cut off"])
def test_first_replies_that_say_nothing_are_named(useless: int, named: bool, reply: Reply) -> None:
    drift = Drift()
    said = [drift.answered(reply if number < useless else Reply("fine", "stop")) for number in range(2 * FIRST_REPLIES)]
    assert any(said) is named
