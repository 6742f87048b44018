import pytest

from pipeline.core.types import Fault, FaultKind, Reply
from pipeline.core.unison import ROWS, Unison

DOWN, TRANSIENT, FATAL, LOCAL = FaultKind.DOWN, FaultKind.TRANSIENT, FaultKind.FATAL, FaultKind.LOCAL
PAGE = Fault(TRANSIENT, "bad_response", "a page", 200, resends=1, if_all=DOWN)
HEAD = Fault(TRANSIENT, "bad_response", "a large head", resends=2, if_all=FATAL)
RESET = Fault(TRANSIENT, "connection", "reset")


def kinds(*heard: tuple[int, Reply | Fault], any_ok: bool = True) -> list[FaultKind | None]:
    unison = Unison()
    found: list[FaultKind | None] = []
    for row, result in heard:
        if isinstance(result, Reply):
            unison.answered()
            found.append(None)
        else:
            found.append(unison.heard(row, result, any_ok=any_ok).kind)
    return found


def test_the_third_row_in_a_row_speaks_for_all() -> None:
    assert ROWS == 3
    assert kinds((0, PAGE), (1, PAGE), (2, PAGE), (3, PAGE)) == [TRANSIENT, TRANSIENT, DOWN, DOWN]
    assert kinds((0, HEAD), (1, HEAD), (2, HEAD)) == [TRANSIENT, TRANSIENT, FATAL]


def test_one_row_speaks_for_itself_however_often() -> None:
    assert kinds(*[(0, PAGE)] * 5, (1, PAGE)) == [TRANSIENT] * 6


@pytest.mark.parametrize("other", [Reply("hi"), RESET, Fault(FaultKind.THROTTLED, "rate_limited", "slow")])
def test_any_other_answer_between_begins_anew(other: Reply | Fault) -> None:
    assert kinds((0, PAGE), (1, PAGE), (9, other), (2, PAGE), (3, PAGE), (4, PAGE))[3:] == [TRANSIENT, TRANSIENT, DOWN]


def test_a_shortage_here_is_no_answer() -> None:
    assert kinds((0, PAGE), (1, PAGE), (9, Fault(LOCAL, "connection", "EMFILE")), (2, PAGE))[-1] is DOWN


def test_an_endpoint_that_never_answered_is_the_wrong_one() -> None:
    assert kinds((0, PAGE), (1, PAGE), (2, PAGE), any_ok=False)[-1] is FATAL


def test_what_was_said_is_kept() -> None:
    unison = Unison()
    last = [unison.heard(row, PAGE, any_ok=True) for row in range(3)][-1]
    assert (last.message, last.error_kind, last.status) == ("a page", "bad_response", 200)
