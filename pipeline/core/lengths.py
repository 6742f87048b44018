"""How long texts are, in words: quantiles and a histogram, in bounded memory whatever comes."""

from collections import Counter
from collections.abc import Iterable

_MOST_BINS = 30


class Lengths:
    """Counts texts by their number of words, to three digits."""

    def __init__(self) -> None:
        self._lengths: Counter[int] = Counter()
        self._longest = 0

    def add(self, lengths: Iterable[int]) -> None:
        """Count further texts of so many words."""
        for length, number in Counter(lengths).items():
            self._lengths[_rounded(length)] += number
            self._longest = max(self._longest, length)

    def to_json(self) -> dict[str, object]:
        """Give quantiles as `words`, a histogram as `bins`: low, high, count."""
        quantiles = {"p5": self._words(0.05), "p50": self._words(0.5), "p95": self._words(0.95)}
        return {"words": {**quantiles, "longest": self._longest}, "bins": self._bins()}

    def _words(self, share: float) -> int:
        wanted = share * self._lengths.total()
        for length, count in sorted(self._lengths.items()):
            wanted -= count
            if wanted <= 0:
                return length
        return 0

    def _bins(self) -> list[tuple[int, int, int]]:
        """Give bins of one round width; the last one also takes the longest hundredth, however long."""
        if not self._lengths:
            return []
        most = self._words(0.99)
        width = next(
            each for power in range(9) for each in (10**power, 2 * 10**power, 5 * 10**power) if most // each < _MOST_BINS
        )
        last = most // width
        counts: Counter[int] = Counter()
        for length, count in self._lengths.items():
            counts[min(length // width, last)] += count
        highs = [(at + 1) * width for at in range(last)] + [max((last + 1) * width, self._longest + 1)]
        return [(at * width, high, counts[at]) for at, high in enumerate(highs) if at >= min(counts)]


def _rounded(length: int) -> int:
    """Give a length to three digits, so that however many lengths there are few are counted."""
    if length < 1000:
        return length
    unit: int = 10 ** (len(str(length)) - 3)
    return length // unit * unit
