"""One look at every recorded row, in batches: tokens counted, failures with examples, rows marked, a sample thought of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.core.empty import is_empty
from pipeline.core.types import RESULT_COLUMNS
from pipeline.observe.report.bins import Numbers
from pipeline.observe.report.sample import Sample
from pipeline.observe.report.types import Failures

_MOST_EXAMPLES = 5
_READ = ("completion", "finish_reason", "prompt_tokens", "completion_tokens", "status", "error_kind", "error", "extra")


class Scan:
    """Meets a job's rows in their order, batch by batch. What it keeps does not grow with them."""

    def __init__(self, sample: int) -> None:
        self.sample = Sample(sample)
        self.prompt_tokens = Numbers()
        self.completion_tokens = Numbers()
        self._examples: dict[str, dict[str, int]] = {}

    def add(self, first: int, batch: pa.RecordBatch) -> None:
        """Meet a batch whose first row has index `first` and whose last columns are the results."""
        cells = results_of(batch, _READ)
        self.prompt_tokens.add(cells["prompt_tokens"])
        self.completion_tokens.add(cells["completion_tokens"])
        status = cells["status"]
        rows = [row for row, each in enumerate(status, first) if each != "pending"]
        failed = []
        if "failed" in status:
            failed = [(row, cells["error_kind"][row - first] or "unknown") for row in rows if status[row - first] == "failed"]
            for row, kind in failed:
                self._note(row, kind, cells["error"][row - first] or "")
        self.sample.add(rows, failed, _marked(first, cells))

    def failures(self, errors: Mapping[str, int]) -> list[Failures]:
        """Give the kinds that a tally counted, the commonest first, with examples that differ from one another."""
        common = sorted(errors.items(), key=lambda each: (-each[1], each[0]))
        return [
            Failures(kind, number, [(row, text) for text, row in self._examples.get(kind, {}).items()])
            for kind, number in common
            if number > 0
        ]

    def _note(self, row: int, kind: str, message: str) -> None:
        examples = self._examples.setdefault(kind, {})
        if len(examples) < _MOST_EXAMPLES:
            examples.setdefault(message, row)


def results_of(batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, list[Any]]:
    """Give some of a batch's result columns, by their names without prefix, as plain values."""
    first = batch.num_columns - len(RESULT_COLUMNS)
    return {name: batch.column(first + RESULT_COLUMNS.index(name)).to_pylist() for name in names}


def marks_of(text: str | None, finish_reason: str | None, extra: str | None) -> tuple[str, ...]:
    """Say what is the matter with a paid reply."""
    marks = []
    if finish_reason == "length":
        marks.append("truncated")
    if finish_reason == "content_filter":
        marks.append("refused")
    if is_empty(text, extra):
        marks.append("empty")
    return tuple(marks)


def _marked(first: int, cells: Mapping[str, Sequence[Any]]) -> Iterator[tuple[int, str]]:
    named = (cells[name] for name in ("status", "completion", "finish_reason", "extra"))
    for row, (status, text, reason, extra) in enumerate(zip(*named, strict=True), first):
        if status == "ok" and not (text and reason == "stop"):
            for mark in marks_of(text, reason, extra):
                yield row, mark
