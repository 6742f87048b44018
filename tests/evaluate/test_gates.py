"""Bounds on scores."""

import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.scores import (
    About,
    Compared,
    ComparedGroup,
    Comparison,
    Counted,
    Difference,
    Estimate,
    Evaluation,
    Group,
    Score,
    Table,
)
from pipeline.evaluate.gates import check_gates, judged

EXACT = About("exact", "Exact", "")


def evaluation(rule: str = "zero") -> Evaluation:
    zero = Counted(10, Estimate(0.5, 0.4, 0.6, ""))
    drop = Counted(8, Estimate(0.625, None, None, "one row"))
    group = Group(None, None, 12, 1, {"length": 2}, [Score("exact", zero, drop, no_answer=2)], pending=1)
    return Evaluation("0", 0.0, Table("t", 12), ["r"], rule, None, None, [EXACT], [group], [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gate", "holds"),
    [
        ("exact>=0.5", True),
        ("exact > 0.5", False),
        ("exact.low>=0.4", True),
        ("exact.low>=0.41", False),
        ("exact.high<=6e-1", True),
        ("exact<0.5", False),
        ("exact.no_answer<=0.25", True),
        ("missing<=0.2", True),
        ("missing<0.2", False),
        ("rows>=10", True),
    ],
)
def test_a_gate_holds_or_not(gate: str, holds: bool) -> None:
    assert [each.holds for each in judged(evaluation(), (gate,)).gates] == [holds]


def test_gates_speak_of_the_rule_that_was_chosen() -> None:
    (gate,) = judged(evaluation("drop"), ("exact>=0.6",)).gates
    assert (gate.seen, gate.holds) == (0.625, True)


@pytest.mark.parametrize("gate", ["exact.low>=0", "exact.low<=1"])
def test_what_is_not_known_holds_nothing(gate: str) -> None:
    (judged_gate,) = judged(evaluation("drop"), (gate,)).gates
    assert (judged_gate.seen, judged_gate.holds) == (None, False)


@pytest.mark.parametrize("gate", ["exact", "exact=0.5", "exact>=x", ">=1", "exact>=1.2.3", "exact>=0.5 "[:-1] + "%"])
def test_a_gate_that_cannot_be_read_is_an_error(gate: str) -> None:
    with pytest.raises(ConfigError, match="write it as NAME>=NUMBER"):
        check_gates((gate,), [EXACT])


def test_a_gate_on_what_is_not_scored_is_an_error_before_anything_is() -> None:
    with pytest.raises(ConfigError, match="bleu is not scored"):
        check_gates(("bleu>=30",), [EXACT])
    with pytest.raises(ConfigError, match=r"there is no figure exact\.mean; there are exact, exact\.low"):
        judged(evaluation(), ("exact.mean>=0.5",))


def test_gates_of_a_comparison_speak_of_the_difference_and_of_both_sides() -> None:
    estimate = Estimate(0.1, -0.02, 0.22, "")
    compared = Compared(10, Estimate(0.5, 0.4, 0.6, ""), Estimate(0.6, 0.5, 0.7, ""), estimate, 2, 7, 1, p_value=1.0)
    group = ComparedGroup(None, None, 10, 0, {}, {"failed": 1}, [Difference("exact", compared, compared)])
    comparison = Comparison(
        "0", 0.0, Table("a", 10), Table("b", 10), ["id"], ["r"], "zero", None, None, [EXACT], [group], 10, 0, 0
    )
    gates = ("exact.difference.low>=-0.05", "exact.difference>0.1", "exact.b>=0.6", "exact.p<0.05", "missing.b<=0.1")
    assert [each.holds for each in judged(comparison, gates).gates] == [True, False, True, False, True]


def test_a_bound_that_no_score_can_reach_is_an_error_that_says_how_it_is_written() -> None:
    metrics = [EXACT, About("bleu", "BLEU", "", scale=100.0), About("wer", "WER", "", higher=False)]
    with pytest.raises(ConfigError, match=r"exact\.low is 1 at most; 80 % is written as 0\.8"):
        check_gates(("exact.low>=80",), metrics)
    check_gates(("bleu>=30", "wer<=1.5", "rows>=100"), metrics)
