"""An evaluation's figures and facts in words, the same on a terminal and on a page."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pipeline.core.redact import harmless
from pipeline.core.scores import MISSING, About, Compared, ComparedGroup, Comparison, Estimate, Evaluation, Gate, Group, Rule
from pipeline.observe.report.sections import Fact
from pipeline.observe.wording import count

AnyGroup = TypeVar("AnyGroup", bound=Group | ComparedGroup)
NOTHING = "–"
REASONS = {"failed": "failed", "pending": "still to do", "refused": "refused", "length": "cut off", "empty": "empty"}
# What is left of a group's value, a column's name, a file's name: they stand beside figures.
MOST_CHARS = 60
# Up to this scale three decimals say as much as two on one of a hundred.
_SMALL_SCALE = 10
_UNWIELDY = 1e7
_LEAST_P = 0.001
_MOST_NAMED = 5


def figure(number: float | None, about: About) -> str:
    """Give a score in its metric's decimals, a dash where there is none."""
    return _decimal(number, about, "")


def change(number: float | None, about: About) -> str:
    """Give a difference of two scores, with its sign."""
    return _decimal(number, about, "+")


def span(estimate: Estimate, about: About) -> str:
    return _span(estimate, about, "")


def span_of_change(estimate: Estimate, about: About) -> str:
    return _span(estimate, about, "+")


def chance(p_value: float | None) -> str:
    if p_value is None or not math.isfinite(p_value):
        return NOTHING
    return f"<{_LEAST_P}" if p_value < _LEAST_P else f"{p_value:.3f}"


def percent(part: int, whole: int) -> str:
    """Give a share; what is not none of them is not 0.0 %, and what is not all not 100.0 %."""
    if not whole:
        return NOTHING
    share = 100 * part / whole
    return f"{share:.0f} %" if part in (0, whole) else f"{min(max(share, 0.1), 99.9):.1f} %"


def plain(text: str) -> str:
    """Give foreign text as a name of one line."""
    return harmless(text, MOST_CHARS)


def about_of(metrics: Sequence[About], name: str) -> About:
    return next((each for each in metrics if each.name == name), About(name, name, ""))


def name_of(group: Group | ComparedGroup) -> str:
    """Give `category = animal`, or say that it is all rows."""
    if group.column is None:
        return "all rows"
    return f"{plain(group.column)} = {value_of(group)}"


def value_of(group: Group | ComparedGroup) -> str:
    if group.value is None:
        return "(null)"
    return plain(group.value) if group.value.strip() else f"({'blank' if group.value else 'empty'})"


def unscored_said(group: Group | ComparedGroup) -> str:
    """Give `, 12 still to do, 4 without a reference and in no score` of rows that are in none, or nothing."""
    said = [f"{count(group.pending)} still to do"] if group.pending else []
    said += [f"{count(group.unreferenced)} without a reference"] if group.unreferenced else []
    return f", {', '.join(said)} and in no score" if said else ""


def reasons(missing: Mapping[str, int]) -> list[tuple[str, int]]:
    """Give why answers are missing, in the product's order, those that are nought left out."""
    return [
        (REASONS.get(each, plain(each)), missing[each])
        for each in (*MISSING, *(set(missing) - set(MISSING)))
        if missing.get(each)
    ]


def reasons_said(missing: Mapping[str, int]) -> str:
    """Give `12 missing: 8 failed, 4 empty`, or `none missing`."""
    found = reasons(missing)
    return f"{count(sum(number for _, number in found))} missing: {_listed(found)}" if found else "none missing"


def reasons_in_both(group: ComparedGroup) -> str:
    """Give `missing in a: 8 failed; in b: none`, or `none missing`."""
    in_a, in_b = (reasons(each) for each in missing_in(group))
    return f"missing in a: {_listed(in_a)}; in b: {_listed(in_b)}" if in_a or in_b else "none missing"


def treatment(rule: Rule, *, both: bool = False) -> str:
    """Name a treatment of rows whose answer is missing; `both`: rows of two runs."""
    if rule == "zero":
        return "missing as wrong"
    return "answered in both" if both else "answered only"


def treatment_said(result: Evaluation | Comparison) -> str:
    """Say in a sentence what was done with rows whose answer is missing."""
    if result.rule == "zero":
        return "Rows whose answer is missing count as wrong (--missing zero)."
    which = "on either side " if isinstance(result, Comparison) else ""
    return f"Rows whose answer is missing {which}are left out (--missing drop)."


def other(rule: Rule) -> Rule:
    return "drop" if rule == "zero" else "zero"


def none_left_out(result: Evaluation | Comparison) -> bool:
    """Tell whether every row with a reference has its answer, so that both treatments are one."""
    return not any(sum(each.values()) for group in result.groups for each in missing_in(group))


def missing_in(group: Group | ComparedGroup) -> tuple[Mapping[str, int], ...]:
    return (group.missing,) if isinstance(group, Group) else (group.missing_a, group.missing_b)


def direction(about: About) -> str:
    return "" if about.higher else "lower is better"


def verdict(compared: Compared, about: About) -> str:
    """Say whether b is better, as far as the interval of the difference tells."""
    low, high = compared.difference.low, compared.difference.high
    if low is None or high is None:
        return "too few rows to tell" if compared.difference.value is None else "no interval"
    if low <= 0 <= high:
        return "no clear difference"
    return "b is better" if (low > 0) == about.higher else "b is worse"


def methods_said(comparison: Comparison) -> list[str]:
    """Say how the differences of all rows got their intervals."""
    metrics: dict[str, list[str]] = {}
    for each in (one for group in comparison.groups[:1] for one in group.differences):
        compared = each.zero if comparison.rule == "zero" else each.drop
        metrics.setdefault(plain(compared.difference.method), []).append(plain(each.metric))
    return [f"Interval of {', '.join(names)} by {method}" for method, names in metrics.items()]


def rows(number: int) -> str:
    return "1 row" if number == 1 else f"{count(number)} rows"


def notices_of(result: Evaluation | Comparison) -> list[Fact]:
    """Say what is not as one would wish: gates that do not hold, and what was noticed while scoring."""
    notices = [Fact("", each, tone="due") for each in result.notices]
    if broken := [each for each in result.gates if not each.holds]:
        said = [f"{plain(each.text)}, seen {seen(each)}" for each in broken[:_MOST_NAMED]]
        said += [f"{count(len(broken) - _MOST_NAMED)} more"] if len(broken) > _MOST_NAMED else []
        of = f"{count(len(broken))} of {count(len(result.gates))} gates do not hold."
        notices.insert(0, Fact("A gate does not hold." if len(broken) == 1 else of, f"{'; '.join(said)}.", tone="bad"))
    return notices


def seen(gate: Gate) -> str:
    return "no score" if gate.seen is None or not math.isfinite(gate.seen) else f"{gate.seen:.4g}"


def largest(groups: Sequence[AnyGroup], most: int) -> tuple[list[AnyGroup], int]:
    """Give the groups with most rows, in their own order, and how many are left out."""
    kept = set(sorted(range(len(groups)), key=lambda each: (-groups[each].rows, each))[:most])
    return [each for at, each in enumerate(groups) if at in kept], len(groups) - len(kept)


def _listed(found: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{count(number)} {why}" for why, number in found) or "none"


def _span(estimate: Estimate, about: About, sign: str) -> str:
    if estimate.low is None or estimate.high is None:
        return NOTHING
    return f"{_decimal(estimate.low, about, sign)} to {_decimal(estimate.high, about, sign)}"


def _decimal(number: float | None, about: About, sign: str) -> str:
    if number is None or not math.isfinite(number):
        return NOTHING
    if abs(number) >= _UNWIELDY:
        return f"{number:{sign}.3g}"
    return f"{number:{sign}z.{3 if about.scale <= _SMALL_SCALE else 2}f}"
