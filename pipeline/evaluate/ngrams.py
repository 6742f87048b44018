"""Word n-grams of many texts as arrays of 64-bit numbers, and in how many rows each stands, for CIDEr."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipeline.evaluate.metric import Floats

ORDERS = 4

Keys = npt.NDArray[np.uint64]
Whole = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

# Odd, so that products by it wrap around without losing what was multiplied: the fraction of the golden ratio, as usual.
_MIX = np.uint64(0x9E3779B97F4A7C15)
_LONGEST_KEPT = 40
_MOST_PENDING = 4_000_000
_BITS = 6
_SHELVES = 2**_BITS


@dataclass(frozen=True, slots=True)
class Ngrams:
    """The different n-grams of each text, one an element: its key, its text's index, its order from 0, how often it stands.

    Sorted by `marks`, in which key and text are one. Keys are hashes: of 20 million n-grams two share one with a chance of
    1 in 100,000, and count as one.
    """

    keys: Keys
    texts: Whole
    orders: Whole
    counts: Whole
    marks: Keys


def ngrams_of(texts: Sequence[Sequence[str]]) -> Ngrams:
    """Count the n-grams of texts, each a list of words."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    words = np.fromiter(map(_number, chain.from_iterable(texts)), np.uint64, int(lengths.sum()))
    text = np.repeat(np.arange(len(texts)), lengths)
    found: list[tuple[Keys, Whole, Whole]] = []
    keys = words
    for order in range(ORDERS):
        if order:
            keys = keys[:-1] * _MIX + words[order:]
        whole = text[order:] == text[: len(keys)]
        found.append((keys[whole], text[order:][whole], np.full(int(whole.sum()), order)))
    return _counted(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _counted(keys: Keys, texts: Whole, orders: Whole) -> Ngrams:
    marks = marked(keys, texts)
    at = np.argsort(marks)
    marks = marks[at]
    first = np.flatnonzero(np.diff(marks, prepend=marks[:1] + np.uint64(1)))
    chosen = at[first]
    return Ngrams(keys[chosen], texts[chosen], orders[chosen], np.diff(first, append=len(marks)), marks[first])


def marked(keys: Keys, indices: Whole) -> Keys:
    """Make one number of a key and an index."""
    # The key is mixed once more: a text's index must not add up with the last word of a key.
    return (keys ^ (keys >> np.uint64(29))) * _MIX + (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)


def _number(word: str) -> int:
    return _kept(word) if len(word) <= _LONGEST_KEPT else _hash(word)


def _hash(word: str) -> int:
    """Give the same 64 bits on every run: rounding follows the order of keys, so scores are the same to the last digit."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_kept = lru_cache(maxsize=1_000_000)(_hash)


class RowCounts:
    """In how many rows each n-gram stands: 12 bytes for each different one, where a Counter of tuples takes 250."""

    def __init__(self) -> None:
        self.rows = 0
        # Sorted keys and their counts, cut by the keys' first bits: merging copies one shelf at a time, not all.
        self._shelves = [(np.empty(0, np.uint64), np.empty(0, np.int32)) for _ in range(_SHELVES)]
        self._pending: list[Keys] = []
        self._waiting = 0
        self._keys: Keys = np.empty(0, np.uint64)
        self._logs: Floats = np.empty(0)

    def add(self, keys: Keys, rows: int) -> None:
        """Count the n-grams of that many further rows; `keys` holds each of a row's n-grams once."""
        self.rows += rows
        self._pending.append(keys)
        self._waiting += len(keys)
        if self._waiting > _MOST_PENDING:
            self._merge()

    def close(self) -> None:
        """Forget the n-grams of a single row, which count like those of none: most of all. No row can be added after it."""
        self._merge()
        several = [(keys[counts > 1], counts[counts > 1]) for keys, counts in self._shelves]
        self._shelves.clear()
        self._keys = np.concatenate([keys for keys, _ in several])
        self._logs = np.log(np.concatenate([counts for _, counts in several], dtype=np.float64))

    def logs(self, keys: Keys) -> Floats:
        """Give the logarithm of the number of rows that each n-gram stands in, 0 for none."""
        if not len(self._keys):
            return np.zeros(len(keys))
        different, which = np.unique(keys, return_inverse=True)
        at = np.minimum(np.searchsorted(self._keys, different), len(self._keys) - 1)
        return np.asarray(np.where(self._keys[at] == different, self._logs[at], 0.0)[which])

    def _merge(self) -> None:
        if not self._pending:
            return
        new, counts = np.unique(np.concatenate(self._pending), return_counts=True)
        self._pending, self._waiting = [], 0
        cuts = np.searchsorted(new, np.arange(1, _SHELVES, dtype=np.uint64) << np.uint64(64 - _BITS))
        parts = zip(np.split(new, cuts), np.split(counts.astype(np.int32), cuts), strict=True)
        for shelf, part in enumerate(parts):
            self._shelves[shelf] = _merged(self._shelves[shelf], part)


def _merged(one: tuple[Keys, Counts], other: tuple[Keys, Counts]) -> tuple[Keys, Counts]:
    keys, counts = np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1]))
    at = np.argsort(keys, kind="stable")
    keys, counts = keys[at], counts[at]
    # Each key is there twice at most: what the second counted goes to the first.
    second = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    counts[second - 1] += counts[second]
    kept = np.ones(len(keys), np.bool_)
    kept[second] = False
    return keys[kept], counts[kept]
