"""One look at every recorded row, in batches: tokens counted, failures with examples, rows marked, a sample thought of."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import Any

import pyarrow as pa

from pipeline.core.captions import CaptionChecks, marks
from pipeline.core.lengths import Lengths
from pipeline.core.types import RESULT_COLUMNS
from pipeline.core.words import number_of_words
from pipeline.observe.report.bins import Numbers
from pipeline.observe.report.foreign import cut
from pipeline.observe.report.sample import Sample
from pipeline.observe.report.types import Failures

_MOST_EXAMPLES = 5
# Of more rows than this, so many at even steps are looked at for what takes a look at every word; all for what does not.
_LOOKED_AT = 20_000
_ODD_REASONS = ("length", "content_filter")
DUPLICATE = "duplicate"
MOST_NAME_CHARS = 500
_READ = ("completion", "finish_reason", "prompt_tokens", "completion_tokens", "status", "error_kind", "error", "extra")


class Scan:
    """Meets a job's rows in their order, batch by batch, of which `done` have ended. What it keeps does not grow with them.

    `checks` meets every reply, which takes several times as long as all else. `duplicates` are rows that say what one before
    them said, and `lengths` those of replies in words, as far as these were looked at.
    """

    def __init__(self, sample: int, done: int, checks: CaptionChecks | None) -> None:
        self.sample = Sample(sample)
        self.lengths = Lengths()
        self.duplicates: set[int] = set()
        self._checks = checks
        self._step = max(1, -(-done // _LOOKED_AT))
        self._said: set[int] = set()
        self.prompt_tokens = Numbers()
        self.completion_tokens = Numbers()
        self._examples: dict[str, dict[str, int]] = {}
        self._names: dict[int, str] = {}

    def add(self, first: int, batch: pa.RecordBatch) -> None:
        """Meet a batch whose first row has index `first`: the results, and before them, if rows have names, these."""
        cells = results_of(batch, _READ)
        self.prompt_tokens.add(cells["prompt_tokens"])
        self.completion_tokens.add(cells["completion_tokens"])
        status = cells["status"]
        rows = [row for row, each in enumerate(status, first) if each != "pending"]
        if self._checks is not None:
            replies = [each == "ok" for each in status]
            self._checks.add(*([*compress(cells[name], replies)] for name in ("completion", "finish_reason", "extra")))
        failed = []
        if "failed" in status:
            failed = [(row, cells["error_kind"][row - first] or "unknown") for row in rows if status[row - first] == "failed"]
            for row, kind in failed:
                if self._note(row, kind, cells["error"][row - first] or "") and batch.num_columns > len(RESULT_COLUMNS):
                    self._name(row, batch.column(0)[row - first].as_py())
        self.sample.add(rows, failed, self._marked(first, cells))

    def failures(self, errors: Mapping[str, int]) -> list[Failures]:
        """Give the kinds that a tally counted, the commonest first, with examples that differ from one another."""
        common = sorted(errors.items(), key=lambda each: (-each[1], each[0]))
        return [self._failures(kind, number) for kind, number in common if number > 0]

    def _failures(self, kind: str, number: int) -> Failures:
        examples = [(row, text) for text, row in self._examples.get(kind, {}).items()]
        return Failures(kind, number, examples, {row: self._names[row] for row, _ in examples if row in self._names})

    def _marked(self, first: int, cells: Mapping[str, Sequence[Any]]) -> Iterator[tuple[int, str]]:
        named = (cells[name] for name in ("status", "completion", "finish_reason", "extra"))
        for row, (status, text, reason, extra) in enumerate(zip(*named, strict=True), first):
            looked_at = row % self._step == 0
            if status == "ok" and (looked_at or not text or reason in _ODD_REASONS):
                for mark in marks(text, reason, extra):
                    yield row, mark
                if looked_at and text:
                    if words := number_of_words(text):
                        self.lengths.add((words,))
                    if self._repeats(text):
                        self.duplicates.add(row)
                        yield row, DUPLICATE

    def _repeats(self, text: str) -> bool:
        seen = len(self._said)
        self._said.add(hash(text))
        return len(self._said) == seen

    def _note(self, row: int, kind: str, message: str) -> bool:
        """Take the row for an example, unless there are enough or one says the same; tell whether it is one."""
        examples = self._examples.setdefault(kind, {})
        return len(examples) < _MOST_EXAMPLES and examples.setdefault(message, row) == row

    def _name(self, row: int, name: object) -> None:
        if isinstance(name, str):
            self._names[row] = cut(name, MOST_NAME_CHARS)


def results_of(batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, list[Any]]:
    """Give some of a batch's result columns, by their names without prefix, as plain values."""
    first = batch.num_columns - len(RESULT_COLUMNS)
    return {name: batch.column(first + RESULT_COLUMNS.index(name)).to_pylist() for name in names}
