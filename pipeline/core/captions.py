"""What captioners check before they use captions: cut off, refused, empty, said before, going round, opening with a phrase."""

import json
from collections import Counter
from collections.abc import Sequence

from pipeline.core.empty import is_empty
from pipeline.core.lengths import Lengths
from pipeline.core.loops import is_loop
from pipeline.core.phrases import is_refusal, stock_phrase
from pipeline.core.sketches import Frequent, Repeats
from pipeline.core.words import words_of

# Three words that begin one caption in ten, of so many at least, are a stock phrase of this job's own.
_OWN_SHARE = 0.1
_OWN_LEAST = 50
_OWN_WORDS = 3
_OWN_CHARACTERS = 6  # where each character counts as a word
_LONGEST_OWN = 60
_MOST_PHRASES = 10
_COMMAS = " ,;:"

_FINAL = " .!?…。！？"


class CaptionChecks:
    """Looks through captions, given column by column, and keeps counts. `expected` is how many rows are to come, at most.

    Memory is bounded whatever comes. Where no spaces are written each character counts as a word.
    """

    def __init__(self, expected: int) -> None:
        self._checked = self._truncated = self._refused = self._empty = self._loops = 0
        self._repeats = Repeats(expected)
        self._phrases: Counter[str] = Counter()
        self._own = Frequent()
        self._lengths = Lengths()

    def add(self, texts: Sequence[str | None], finish_reasons: Sequence[str | None], extras: Sequence[str | None]) -> None:
        """Look through replies: the `completion`, `finish_reason` and `extra` of rows that are ok."""
        captions: list[str] = []
        openings: list[str] = []
        lengths: list[int] = []
        for text, reason, extra in zip(texts, finish_reasons, extras, strict=True):
            said, words, characters = words_of(text or "")
            self._truncated += reason == "length"
            self._refused += _is_refused(said, reason, extra)
            if not said:
                self._empty += is_empty(text, extra)
                continue
            self._loops += is_loop(words, characters=characters)
            captions.append(said.rstrip(_FINAL))
            lengths.append(len(words))
            if phrase := stock_phrase(said):
                self._phrases[phrase] += 1
            elif len(words) > _OWN_WORDS:
                first = "".join(words[:_OWN_CHARACTERS]) if characters else " ".join(words[:_OWN_WORDS])
                openings.append(first[:_LONGEST_OWN].rstrip(_COMMAS))
        self._checked += len(texts)
        self._lengths.add(lengths)
        self._repeats.add(captions)
        self._own.add(filter(None, openings))

    def to_json(self) -> dict[str, object]:
        """Give the counts, and how long the captions are (core/lengths.py).

        With `duplicates_estimated` the count of duplicates is scaled up from a sample.
        """
        return {
            **{"checked": self._checked, "truncated": self._truncated, "refused": self._refused, "empty": self._empty},
            **{"duplicates": self._repeats.count(), "duplicates_estimated": self._repeats.estimated, "loops": self._loops},
            "stock_phrases": self._stock_phrases(),
            **self._lengths.to_json(),
        }

    def _stock_phrases(self) -> dict[str, int]:
        found = Counter(self._phrases)
        if self._checked >= _OWN_LEAST:
            found.update(dict(self._own.at_least(_OWN_SHARE * self._checked)))
        return {phrase[:1].upper() + phrase[1:]: count for phrase, count in found.most_common(_MOST_PHRASES)}


def marks(text: str | None, finish_reason: str | None, extra: str | None) -> tuple[str, ...]:
    """Give what is to be said of one caption: `truncated`, `refused`, `empty`, `loop`, `stock phrase`."""
    said, words, characters = words_of(text or "")
    found = {
        "truncated": finish_reason == "length",
        "refused": _is_refused(said, finish_reason, extra),
        "empty": is_empty(text, extra),
        "loop": is_loop(words, characters=characters),
        "stock phrase": stock_phrase(said) is not None,
    }
    return tuple(name for name, stands in found.items() if stands)


def _is_refused(said: str, reason: str | None, extra: str | None) -> bool:
    return reason == "content_filter" or is_refusal(said) or (extra is not None and carries_refusal(extra))


def carries_refusal(extra: str) -> bool:
    """Tell whether a reply's `extra`, JSON text, says that the model refused."""
    if '"refusal"' not in extra:
        return False
    try:
        carried = json.loads(extra)
    except (ValueError, RecursionError):
        return False
    return isinstance(carried, dict) and bool(carried.get("refusal"))
