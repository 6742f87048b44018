"""Counting in bounded memory: how many of many texts stood before, and what many texts have in common."""

from array import array
from collections import Counter
from collections.abc import Iterable

# Up to so many texts each is remembered, by a hash of 64 bits: 8 MB. Of more, every second, fourth … hash.
MOST_HASHES = 1 << 20
# So many different texts are counted at most; the count of one that stays is too low by less than 1/1000 of all.
MOST_COUNTED = 1000

_HEAPS = 16


class Repeats:
    """Counts texts that stood before. `expected` texts are to come; where they are more than `most` the count is an estimate.

    Texts are sampled by their hash, so that all repeats of one are in the sample or none is.
    """

    def __init__(self, expected: int, *, most: int = MOST_HASHES) -> None:
        self._every = 1
        while expected > self._every * most:
            self._every *= 2
        # Several heaps, for the hashes of one are made a set of in the end, which takes ten times their room.
        self._heaps = [array("q") for _ in range(_HEAPS)]

    @property
    def estimated(self) -> bool:
        return self._every > 1

    def add(self, texts: Iterable[str]) -> None:
        skip, heaps = self._every - 1, self._heaps
        for text in texts:
            # Python keys its hash anew for each process: nobody can send texts that collide.
            number = hash(text)
            if not number & skip:
                heaps[number >> 60].append(number)

    def count(self) -> int:
        return self._every * sum(len(heap) - len(set(heap)) for heap in self._heaps)


class Frequent:
    """Counts texts as Misra and Gries do (1982), a batch at a time: what is frequent stays, whatever else comes."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, texts: Iterable[str]) -> None:
        self._counts.update(texts)
        if len(self._counts) > 4 * MOST_COUNTED:
            less = self._counts.most_common(MOST_COUNTED + 1)[-1][1]
            self._counts = Counter({text: count - less for text, count in self._counts.items() if count > less})

    def at_least(self, count: float) -> list[tuple[str, int]]:
        """Give those that came so often, the most frequent first."""
        return [each for each in self._counts.most_common() if each[1] >= count]
