"""The gallery's rows as the page's script reads them: JSON, a row a line."""

import base64
from collections.abc import Iterator, Sequence

from pipeline.observe.report.foreign import cell, json_in_html, shown
from pipeline.observe.report.types import ShownRow

_MOST_REFERENCES = 20
_MOST_CHARS_OF_A_WORD = 80  # a status, a finish reason, an error kind, a mark


def rows_in_pieces(gallery: Sequence[ShownRow], *, pictured: bool) -> Iterator[str]:
    """Give the JSON piece by piece: with four hundred thumbnails it is megabytes."""

    def text(whole: str) -> str:
        return shown(whole if pictured else cell(whole))  # what is not pictured is a table

    yield "["
    for number, row in enumerate(gallery):
        references = [text(each) for each in row.references[:_MOST_REFERENCES]]
        record = {
            "index": row.index,
            "name": None if row.name is None else text(row.name),
            "status": _word(row.status),
            "prompt": text(row.prompt),
            "completion": None if row.completion is None else text(row.completion),
            "finish": _word(row.finish_reason),
            "references": references,
            "kind": _word(row.error_kind),
            "error": None if row.error is None else text(row.error),
            "http": row.http_status,
            "pictures": [base64.b64encode(each).decode("ascii") for each in row.pictures],
            "unpictured": None if row.no_picture is None else shown(row.no_picture),
            "tokens": row.completion_tokens,
            "seconds": row.latency_s,
            "cost": row.cost,
            "marks": [_word(each) for each in row.marks],
        }
        yield (",\n" if number else "\n") + json_in_html({key: each for key, each in record.items() if each not in (None, [])})
    yield "\n]"


def _word(text: str | None) -> str | None:
    return None if text is None else shown(text, _MOST_CHARS_OF_A_WORD)
