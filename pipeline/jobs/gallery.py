"""The rows that a report shows: their results, what they asked, and their pictures, small."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.checkpoint.record import Record
from pipeline.core.captions import marks
from pipeline.core.errors import BadRowError
from pipeline.core.redact import harmless
from pipeline.core.types import Image
from pipeline.jobs.asked_again import Asked, AskedAgain
from pipeline.observe.report.foreign import cut
from pipeline.observe.report.scan import DUPLICATE, MOST_NAME_CHARS, results_of
from pipeline.observe.report.types import ShownRow
from pipeline.sources.parquet import rows_of

MOST_PROMPT_CHARS = 2000
MOST_CHARS = 5000
_MOST_PICTURES = 6
_MOST_REFERENCES = 10
_MOST_WHY_CHARS = 300
_READ_AHEAD = 8  # rows with their pictures, of which each may be as large as one that is sent
_READ = (
    *("completion", "finish_reason", "completion_tokens", "status", "error_kind", "error", "http_status"),
    *("latency_s", "cost", "extra"),
)
_PENDING = dict.fromkeys(_READ) | {"status": "pending"}

Thumbnail = Callable[[bytes], bytes]


class Gallery:
    """Makes the rows to show, one at a time. `thumbnail` shrinks a picture, or raises BadRowError.

    `duplicates` are rows known to say what another said. `named` is the column that holds a row's name, if one does.
    """

    def __init__(
        self,
        record: Record,
        again: AskedAgain,
        references: Sequence[str],
        thumbnail: Thumbnail,
        duplicates: Collection[int],
        named: str | None = None,
    ) -> None:
        self._named = named
        self._duplicates = duplicates
        self._record = record
        self._again = again
        self._references = references
        self._thumbnail = thumbnail

    def show(self, rows: Sequence[int]) -> list[ShownRow]:
        """Give these rows, which ascend. Of their pictures only the small ones are held."""
        self._again.begin(rows)
        try:
            return [self._shown(*each) for each in self._asked(rows)]
        finally:
            self._again.close()

    def _asked(self, rows: Sequence[int]) -> Iterator[tuple[int, Mapping[str, object], Mapping[str, Any], Asked]]:
        """Give cells and results of each, and what it asked: a few are read ahead, for a store takes its time."""
        with ThreadPoolExecutor(_READ_AHEAD, "rowcall-gallery") as pool:
            waiting: deque[tuple[int, Mapping[str, object], Mapping[str, Any], Future[Asked]]] = deque()
            for row, kept, results in self._recorded(rows):
                cells = self._again.cells(row, kept)
                waiting.append((row, cells, results, pool.submit(self._again.asked, row, cells)))
                if len(waiting) > _READ_AHEAD:
                    row, cells, results, asked = waiting.popleft()
                    yield row, cells, results, asked.result()
            for row, cells, results, asked in waiting:
                yield row, cells, results, asked.result()

    def _recorded(self, rows: Sequence[int]) -> Iterator[tuple[int, Mapping[str, object], Mapping[str, Any]]]:
        """Give what is on record of each: kept cells and results; nothing of rows that no part holds yet."""
        at = 0
        for state in self._record.parts():
            stop = at
            while stop < len(rows) and rows[stop] < state.part.stop:
                stop += 1
            if at < stop:
                batches = self._record.columns(state.part, self._again.columns)
                yield from _picked(rows[at:stop], state.part.start, batches)
            at = stop
        for row in rows[at:]:
            yield row, {}, _PENDING

    def _shown(self, row: int, cells: Mapping[str, object], results: Mapping[str, Any], asked: Asked) -> ShownRow:
        pictures, why = self._pictures(asked.images) if self._again.pictured else ((), None)
        why = why or asked.why
        text, reason, extra = results["completion"], results["finish_reason"], results["extra"]
        return ShownRow(
            index=row,
            status=results["status"],
            prompt=cut(asked.text, MOST_PROMPT_CHARS),
            completion=None if text is None else cut(text, MOST_CHARS),
            finish_reason=reason,
            references=tuple(each for name in self._references for each in _texts(cells.get(name))),
            error_kind=results["error_kind"],
            error=results["error"],
            http_status=results["http_status"],
            pictures=pictures,
            no_picture=harmless(why, _MOST_WHY_CHARS) if why and (self._again.pictured or not asked.text) else None,
            completion_tokens=results["completion_tokens"],
            latency_s=results["latency_s"],
            cost=results["cost"],
            marks=self._marks(row, text, reason, extra) if results["status"] == "ok" else (),
            name=self._name(cells),
        )

    def _name(self, cells: Mapping[str, object]) -> str | None:
        name = None if self._named is None else cells.get(self._named)
        return cut(name, MOST_NAME_CHARS) if isinstance(name, str) else None

    def _marks(self, row: int, *reply: str | None) -> tuple[str, ...]:
        return (*marks(*reply), *((DUPLICATE,) if row in self._duplicates else ()))

    def _pictures(self, images: Sequence[Image]) -> tuple[tuple[bytes, ...], str | None]:
        made: list[bytes] = []
        why = f"only {_MOST_PICTURES} of its {len(images)} pictures are shown" if len(images) > _MOST_PICTURES else None
        for image in images[:_MOST_PICTURES]:
            if image.data is None:
                why = f"it was fetched from {urlsplit(image.url or '').hostname}, and is not kept"
                continue
            try:
                made.append(self._thumbnail(image.data))
            except BadRowError as error:
                why = str(error)
        return tuple(made), why


def _picked(
    rows: Sequence[int], first: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[tuple[int, Mapping[str, object], Mapping[str, Any]]]:
    """Give these rows of a part that begins at `first`; only of them are values made."""
    at = 0
    for batch in batches:
        while at < len(rows) and rows[at] < first + batch.num_rows:
            one = batch.slice(rows[at] - first, 1)
            results = {name: values[0] for name, values in results_of(one, _READ).items()}
            (row,) = rows_of(rows[at], one)
            yield rows[at], {name: row.cells[name] for name in batch.schema.names}, results
            at += 1
        if at == len(rows):
            return
        first += batch.num_rows


def _texts(cell: object) -> Iterator[str]:
    items = cell if isinstance(cell, list | tuple) else (cell,)
    for each in items[:_MOST_REFERENCES]:
        if isinstance(each, str):
            yield cut(each, MOST_PROMPT_CHARS)
