"""CIDEr-D: how alike a caption and its references are in n-grams, each weighed by how few rows' references it stands in.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015, with the conventions of the
authors' coco-caption (pycocoevalcap): the length that the penalty looks at is the number of word pairs; an n-gram that no
reference has weighs like one of a single row; scores are times 10. A table of a single row scores 0, as there:
nothing is rare in it.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.core.scores import About
from pipeline.evaluate.metric import Floats, Mean, Scored, mean_scored
from pipeline.evaluate.ngrams import ORDERS, RowCounts, Whole, marked, ngrams_of
from pipeline.version import __version__

_SIGMA = 6.0
_SCALE = 10.0
_CHARACTERS_AT_ONCE = 500_000

# What is neither a blank nor a mark of punctuation or a symbol: letters of any script with their signs, digits, underscores.
_WORD = (
    "[^\\s!-/:-@\\[-^`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf"
    "\u2010-\u205e\u3000-\u303f\uff01-\uff0f\uff1a-\uff20]"
)
_PLAIN = rf"""(?:can(?=not)|gon(?=na)|wan(?=na)|got(?=ta))(?=\w\w\w?(?!{_WORD}))  # can not
    |[@\#]?{_WORD}+(?:[-/@]{_WORD}+)*
    |[^\s.?!,:;'"`\-\u2010-\u2027\u2030-\u205e]"""
_TOKEN = re.compile(
    rf"""(?:[a-z]\.){{2,}}                              # u.s., a.m.
    |(?:mr|mrs|ms|dr|st|jr|sr|vs|etc)\.(?!\s*$)
    |\d+(?:[.,:/]\d+)+(?!{_WORD})
    |{_WORD}+?(?=n't(?!{_WORD}))|n't(?!{_WORD})        # do n't
    |'(?:s|re|ve|ll|d|m)(?!{_WORD})                    # it 's
    |o'{_WORD}+
    |{_PLAIN}""",
    re.VERBOSE,
)
# Most captions have nothing that needs the longer pattern, which takes three times as long.
_PLAIN_TOKEN = re.compile(_PLAIN, re.VERBOSE)
_NOT_PLAIN = re.compile(r"'|\.(?=\s*\S)|\d[,:/]\d")


def words_of_caption(text: str) -> list[str]:
    """Give a caption's words as coco-caption's tokenizer does, nearly: lower case, "do n't", "it 's", marks left out.

    That one is Stanford's PTBTokenizer, which needs Java. It also knows addresses, more abbreviations and rare contractions.
    """
    text = text.lower().replace("’", "'")
    return (_TOKEN if _NOT_PLAIN.search(text) else _PLAIN_TOKEN).findall(text)


def cider() -> "Cider":
    """CIDEr-D of n-grams up to 4 words, with a deviation of 6 words in the penalty for length."""
    return Cider()


class Cider(Mean):
    """CIDEr-D. All rows' references are to be learned first: a row's score depends on them all.

    Numbers differ a little from coco-caption's as the tokenizer does; from the same words they are the same. A resample is one
    of rows' scores: what is rare stays what it was among all rows.
    """

    learns = True

    def __init__(self) -> None:
        self._rows = RowCounts()
        self._closed = False

    @property
    def about(self) -> About:
        """Its signature tells how many rows' references were learned from."""
        signature = f"n:{ORDERS}|sigma:6|idf:{self._rows.rows}-rows|refs:mean|case:lc|tok:as-ptb|rowcall:{__version__}"
        return About("cider", "CIDEr-D", signature, scale=_SCALE)

    def learn(self, references: Sequence[Sequence[str]]) -> None:
        """Count in how many rows' references each n-gram stands. Raises ValueError once a row is scored."""
        if self._closed:
            raise ValueError("references are learned before any row is scored")
        for chosen in _slices([""] * len(references), references):
            texts = [words_of_caption(text) for each in references[chosen] for text in each]
            found = ngrams_of(texts)
            rows = np.repeat(np.arange(len(references[chosen])), [len(each) for each in references[chosen]])
            _, first = np.unique(marked(found.keys, rows[found.texts]), return_index=True)
            self._rows.add(found.keys[first], len(references[chosen]))

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        """Score n rows."""
        if not self._closed:
            self._rows.close()
            self._closed = True
        rows = [self._scores(answers[chosen], references[chosen]) for chosen in _slices(answers, references)]
        return mean_scored(np.concatenate([np.empty(0), *rows]))

    def _scores(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """Score rows from one array of the n-grams of all their texts: those of answers, then those of references."""
        texts = [words_of_caption(text) for text in answers]
        texts.extend(words_of_caption(text) for each in references for text in each)
        many = np.array([len(each) for each in references])
        rows = np.concatenate((np.arange(len(answers)), np.repeat(np.arange(len(answers)), many)))
        found = ngrams_of(texts)
        weights = found.counts * (np.log(max(self._rows.rows, 1)) - self._rows.logs(found.keys))
        slots = found.texts * ORDERS + found.orders
        size = len(texts) * ORDERS
        norms = np.sqrt(np.bincount(slots, weights**2, size)).reshape(-1, ORDERS)
        said = found.texts < len(answers)
        at, both = _where(found.marks[said], marked(found.keys, rows[found.texts]))
        both &= ~said
        shared = np.minimum(weights[said][at[both]], weights[both]) * weights[both]
        products = np.bincount(slots[both], shared, size).reshape(-1, ORDERS)
        lengths = norms[rows] * norms
        cosines = np.divide(products, lengths, out=np.zeros(lengths.shape), where=lengths > 0).mean(axis=1)
        pairs = np.maximum([len(words) - 1 for words in texts], 0)
        penalties = np.exp(-((pairs[rows] - pairs) ** 2) / (2 * _SIGMA**2))
        return np.asarray(_SCALE * np.bincount(rows, cosines * penalties, len(answers)) / many)


def _where(marks: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """Give where each wanted mark stands among sorted ones, and whether it does."""
    if not len(marks):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(marks, wanted), len(marks) - 1)
    return at, marks[at] == wanted


def _slices(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Iterator[slice]:
    """Cut rows where their texts add up: the arrays of a slice take some 100 bytes a character."""
    start = characters = 0
    for at, (answer, texts) in enumerate(zip(answers, references, strict=True)):
        characters += len(answer) + sum(map(len, texts))
        if characters > _CHARACTERS_AT_ONCE:
            yield slice(start, at + 1)
            start, characters = at + 1, 0
    if start < len(answers):
        yield slice(start, len(answers))
