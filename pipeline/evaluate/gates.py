"""Bounds that somebody sets for scores, `exact.low>=0.78`, and whether they hold: what cron and CI ask of an evaluation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from pipeline.core.errors import ConfigError
from pipeline.core.scores import About, Comparison, Estimate, Evaluation, Gate

_GATE = re.compile(r"\s*([A-Za-z0-9_.]+)\s*(>=|<=|>|<)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*")
Result = TypeVar("Result", Evaluation, Comparison)


def judged(result: Result, gates: tuple[str, ...]) -> Result:
    """Give the result with its gates judged. A figure that is not known holds nothing.

    Raises ConfigError for a gate that cannot be read, or names nothing of this result.
    """
    figures = _figures_of(result)
    return replace(result, gates=[_judge(each, figures) for each in gates])


def check_gates(gates: tuple[str, ...], metrics: Sequence[About]) -> None:
    """See that gates can be read, and speak of metrics that are asked for and of numbers these can come to, before anything is
    scored. Raises ConfigError."""
    scales = {each.name: each.scale if each.higher else float("inf") for each in metrics} | {"missing": 1.0, "rows": float("inf")}
    for each in gates:
        figure, _, bound = _read(each)
        name = figure.partition(".")[0]
        if name not in scales:
            raise ConfigError(f"--gate {each!r}: {name} is not scored; name it with --metric too")
        if bound > scales[name]:
            raise ConfigError(f"--gate {each!r}: {figure} is {scales[name]:g} at most; 80 % is written as {0.8 * scales[name]:g}")


def _read(text: str) -> tuple[str, str, float]:
    match = _GATE.fullmatch(text)
    try:
        if match is not None:
            return match.group(1), match.group(2), float(match.group(3))
    except ValueError:
        pass
    raise ConfigError(f"--gate {text!r}: write it as NAME>=NUMBER, such as exact>=0.80 or exact.low>=0.78 (also > < <=)")


def _judge(text: str, figures: Mapping[str, float | None]) -> Gate:
    name, sign, bound = _read(text)
    if name not in figures:
        raise ConfigError(f"--gate {text!r}: there is no figure {name}; there are {', '.join(figures)}")
    seen = figures[name]
    holds = seen is not None and {">=": seen >= bound, "<=": seen <= bound, ">": seen > bound, "<": seen < bound}[sign]
    return Gate(text.strip(), seen, holds)


def _figures_of(result: Evaluation | Comparison) -> dict[str, float | None]:
    """Give by name what may be bounded: figures over all rows, by the rule for missing rows that was chosen."""
    figures: dict[str, float | None] = {}
    if isinstance(result, Evaluation):
        everything = result.groups[0]
        for score in everything.scores:
            figures |= _bounds(score.metric, (score.zero if result.rule == "zero" else score.drop).estimate)
            if score.no_answer is not None:
                answered = score.drop.n
                figures[f"{score.metric}.no_answer"] = score.no_answer / answered if answered else None
        scored = everything.rows - everything.unreferenced - everything.pending
        figures["missing"] = sum(everything.missing.values()) / scored if scored else None
        figures["rows"] = float(scored)
        return figures
    whole = result.groups[0]
    for each in whole.differences:
        compared = each.zero if result.rule == "zero" else each.drop
        figures |= _bounds(f"{each.metric}.difference", compared.difference)
        figures |= _bounds(f"{each.metric}.a", compared.a) | _bounds(f"{each.metric}.b", compared.b)
        if compared.p_value is not None:
            figures[f"{each.metric}.p"] = compared.p_value
    scored = whole.rows - whole.unreferenced - whole.pending
    figures["missing.a"] = sum(whole.missing_a.values()) / scored if scored else None
    figures["missing.b"] = sum(whole.missing_b.values()) / scored if scored else None
    figures["rows"] = float(scored)
    return figures


def _bounds(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
