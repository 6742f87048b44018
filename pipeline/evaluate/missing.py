"""Which rows have no answer, and why. A truncated text is no short answer, and an empty one no wrong one: they are counted."""

from collections.abc import Sequence

from pipeline.core.captions import carries_refusal

Texts = Sequence[str | None]


def missing_kinds(completions: Texts, statuses: Texts | None, finish_reasons: Texts | None, extras: Texts | None) -> Texts:
    """Give for each row a name of core.scores.MISSING, "pending" if it was never asked, or None if it has an answer.

    What a table does not have is None.
    """
    nothing: Texts = [None] * len(completions)
    kinds: list[str | None] = []
    for text, status, reason, extra in zip(
        completions, statuses or nothing, finish_reasons or nothing, extras or nothing, strict=True
    ):
        if status == "failed" or status == "pending":
            kinds.append(status)
        elif reason == "content_filter" or (extra is not None and carries_refusal(extra)):
            kinds.append("refused")
        elif reason == "length":
            kinds.append("length")
        elif not text or text.isspace():
            kinds.append("empty")
        else:
            kinds.append(None)
    return kinds
