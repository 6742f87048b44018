"""The rows that a person checks, as the page's script reads them: JSON, a row a line."""

import math
from collections.abc import Iterator, Mapping, Sequence

from pipeline.core.scores import About, Comparison, Evaluation, Flip, ScoredRow
from pipeline.observe.evaluation.words import REASONS, plain
from pipeline.observe.report.foreign import cell, json_in_html, shown

MOST_ROWS = 2000
_MOST_CHARS = 4000
_MOST_REFERENCES = 20
_MOST_CELLS = 20


def rows_in_pieces(result: Evaluation | Comparison) -> Iterator[str]:
    """Give the JSON piece by piece: `metrics` in their order, and `rows`, whose scores stand in that order."""
    head = {
        "compares": isinstance(result, Comparison),
        "metrics": [{"title": plain(each.title), "scale": each.scale, "higher": each.higher} for each in result.metrics],
    }
    yield json_in_html(head)[:-1] + ',"rows":['
    records: Iterator[dict[str, object]]
    if isinstance(result, Comparison):
        records = (_flip(each, result.metrics) for each in result.flips[:MOST_ROWS])
    else:
        records = (_row(each, result.metrics) for each in result.rows[:MOST_ROWS])
    for number, record in enumerate(records):
        kept = {key: each for key, each in record.items() if each is not None and each != []}
        yield (",\n" if number else "\n") + json_in_html(kept)
    yield "\n]}"


def _row(row: ScoredRow, metrics: Sequence[About]) -> dict[str, object]:
    sides = [_side(row.completion, row.missing, row.scores, metrics, row.answer)]
    return {"name": row.index, "sides": sides, "references": _references(row.references), "cells": _cells(row.cells)}


def _flip(flip: Flip, metrics: Sequence[About]) -> dict[str, object]:
    sides = [
        _side(flip.completion_a, flip.missing_a, flip.scores_a, metrics),
        _side(flip.completion_b, flip.missing_b, flip.scores_b, metrics),
    ]
    return {"name": plain(flip.key), "sides": sides, "references": _references(flip.references), "cells": _cells(flip.cells)}


def _side(
    completion: str | None,
    missing: str | None,
    scores: Mapping[str, float | None],
    metrics: Sequence[About],
    answer: str | None = None,
) -> dict[str, object]:
    side = {
        "completion": _text(completion),
        "answer": _text(answer),
        "missing": None if missing is None else REASONS.get(missing, plain(missing)),
    }
    numbers = [_finite(scores.get(each.name)) for each in metrics]
    return {**{key: each for key, each in side.items() if each is not None}, "scores": numbers}


def _references(references: Sequence[str]) -> list[str]:
    return [cell(shown(each, _MOST_CHARS)) for each in references[:_MOST_REFERENCES]]


def _cells(cells: Mapping[str, str]) -> list[list[str]]:
    return [[plain(name), cell(shown(each, _MOST_CHARS))] for name, each in list(cells.items())[:_MOST_CELLS]]


def _text(text: str | None) -> str | None:
    return None if text is None else cell(shown(text, _MOST_CHARS))


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
