"""Texts made comparable as SQuAD does it, but for numbers, which keep their sign and their point."""

import re
import string
from functools import lru_cache

# What the signatures of metrics that use it say.
NORM = "squad+numbers"

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_DIGIT = re.compile("[0-9]")
_DROP = str.maketrans("", "", string.punctuation)
# A minus that no word stands before and a digit after, and a point between digits, are part of a number.
_MARKS = re.compile(rf"(?!(?<![\w.])-\.?[0-9])(?!(?<![0-9])(?<!\w)\.[0-9])(?!(?<=[0-9])\.[0-9])[{re.escape(string.punctuation)}]")
_MINUS = str.maketrans("\u2212", "-")


def normalised(text: str) -> str:
    """Give the text in lower case, without ASCII punctuation, articles and needless blanks.

    That is normalize_answer of SQuAD's evaluation script (Rajpurkar et al. 2016), with one thing mended: it drops every
    sign and point, so that 3.5 is 35 and -5 is 5. Commas go from numbers too: 1,250 is 1250. And where nothing would be left,
    articles stay, or else marks: + is not -, and the choice A not The.
    """
    return _kept(text) if len(text) <= _KEPT_LENGTH else _made(text)


def _made(text: str) -> str:
    text = text.lower()
    bare = _MARKS.sub("", text.translate(_MINUS)) if _DIGIT.search(text) else text.translate(_DROP)
    words = _ARTICLES.sub(" ", bare).split() or bare.split() or text.split()
    return " ".join(words)


# Several metrics ask for the same texts, batch by batch.
_KEPT_LENGTH = 500
_kept = lru_cache(1 << 15)(_made)
