import pytest

from pipeline.core.losses import Losses
from pipeline.core.types import Fault, FaultKind, Reply

OK = Reply("hi")
CUT = Fault(FaultKind.TRANSIENT, "connection", "cut short", 200, ambiguous=True, resends=3)
LATE = Fault(FaultKind.TRANSIENT, "timeout", "no reply in time", ambiguous=True, resends=3)
RESET = Fault(FaultKind.TRANSIENT, "connection", "reset", ambiguous=True)
GATEWAY = Fault(FaultKind.TRANSIENT, "timeout", "504", 504, ambiguous=True)


def said(*results: Reply | Fault) -> list[str]:
    losses = Losses()
    lines: list[str] = []
    for result in results:
        if isinstance(result, Reply):
            losses.answered()
        else:
            lines += losses.heard(result)
    return lines


def test_losses_are_named_once_with_their_sum_when_they_pass_5_percent() -> None:
    assert said(*[OK] * 950, *[CUT] * 50) == []
    (line,) = said(*[OK] * 949, *[CUT] * 300)
    assert "5%" in line
    assert "; 51 in this run" in line


def test_the_sum_is_the_run_s_and_not_the_window_s() -> None:
    assert "; 81 in this run" in said(*[*[CUT] * 30, *[OK] * 970], *[OK] * 30, *[CUT] * 51)[0]


def test_time_outs_are_named_once_when_they_pass_1_percent() -> None:
    assert said(*[OK] * 990, *[LATE] * 10) == []
    (line,) = said(*[OK] * 989, *[LATE] * 30)
    assert "endpoint.timeout_s" in line


def test_what_lies_further_back_than_the_window_is_forgotten() -> None:
    assert said(*[*[OK] * 99, LATE] * 50) == []


@pytest.mark.parametrize("other", [RESET, GATEWAY, Fault(FaultKind.REJECTED, "bad_request", "no", 400), OK])
def test_what_was_not_billed_and_lost_does_not_count(other: Reply | Fault) -> None:
    assert said(*[other] * 1000) == []


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.LOCAL])
def test_what_nobody_answered_makes_no_window(kind: FaultKind) -> None:
    nobody = Fault(kind, "connection", "no")
    assert len(said(*[each for _ in range(11) for each in [LATE, *[nobody] * 200]])) == 1
