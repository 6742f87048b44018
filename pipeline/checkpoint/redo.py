"""Which recorded rows a retry asks again: failed ones by their kind, and on request ok rows cut off or without text."""

from collections.abc import Collection, Iterator

from pipeline.checkpoint.book import Book
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.rows import part_outcomes
from pipeline.core.empty import is_empty
from pipeline.core.tally import OTHER_REASONS, Tally
from pipeline.core.types import Outcome, Reply

LENGTH = "length"
EMPTY = "empty"


def mark(book: Book, layout: Layout, kinds: Collection[str] | None) -> int:
    """Mark, in one commit, the rows whose outcome is of these kinds (None: every failed one); give how many are new.

    Outcomes are read where they lie: journal, sealed parts, or the published output, which must have been verified.
    """
    return book.mark_redo(_chosen(book, layout, kinds))


def wanted(outcome: Outcome, kinds: Collection[str] | None) -> bool:
    """Tell whether a retry of these kinds asks this row again."""
    match outcome.result:
        case Reply(text=text, finish_reason=reason, extra=extra):
            if not kinds:
                return False
            return (LENGTH in kinds and reason == "length") or (EMPTY in kinds and is_empty(text, extra))
        case fault:
            return kinds is None or fault.error_kind in kinds


def _chosen(book: Book, layout: Layout, kinds: Collection[str] | None) -> Iterator[Outcome]:
    for entry in book.parts:
        if entry.tally is None or _may_hold(entry.tally, kinds):
            yield from (each for each in part_outcomes(book, layout, entry) if wanted(each, kinds))


def _may_hold(tally: Tally, kinds: Collection[str] | None) -> bool:
    """Whether a part is worth reading: of a million rows usually a handful of parts is."""
    if kinds is None:
        return tally.failed > 0
    counted = tally.errors.keys() & kinds
    return (
        any(tally.errors[kind] > 0 for kind in counted)
        or (LENGTH in kinds and any(tally.finish_reasons[each] > 0 for each in ("length", OTHER_REASONS)))
        or (EMPTY in kinds and tally.empty > 0)
    )
