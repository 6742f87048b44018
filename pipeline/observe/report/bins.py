"""Counts -> the bars of a histogram: steps that double for times, round even steps for numbers of tokens."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipeline.core.tally import bucket_start
from pipeline.observe.report.types import Bin

_MOST_BINS = 36
# A few values far out would leave all the others in one bar: from here on the last bar takes them all.
_USUAL = 0.995
_FAR = 1.5
# Larger numbers are counted by their first twelve binary digits: an endpoint that invents them cannot fill the memory.
_EXACT_BITS = 12
_ROUND_STEPS = (1, 2, 5)


class Numbers:
    """Counts numbers of tokens in bounded memory, to a thousandth."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, values: Iterable[int | None]) -> None:
        """Count further values; None and negative ones are nothing."""
        for value, number in Counter(values).items():
            if value is not None and value >= 0:
                self._counts[_rounded(value)] += number

    def bins(self) -> list[Bin]:
        return even_bins(self._counts)


def latency_bins(buckets: Mapping[int, int]) -> list[Bin]:
    """Make bars of a tally's latencies: neighbouring buckets joined until the bars are few."""
    numbers = [bucket for bucket, number in buckets.items() if number > 0]
    if not numbers:
        return []
    first, last = min(numbers), max(numbers)
    each = -(-(last - first + 1) // _MOST_BINS)
    return [
        Bin(bucket_start(at), bucket_start(at + each), sum(max(buckets.get(one, 0), 0) for one in range(at, at + each)))
        for at in range(first, last + 1, each)
    ]


def even_bins(counts: Mapping[int, int]) -> list[Bin]:
    """Make bars of whole numbers, all equally wide but for the last, which takes what lies far out."""
    if not counts:
        return []
    values = sorted(counts)
    low, high, usual = values[0], values[-1], _quantile(values, counts, _USUAL)
    top = usual if high > _FAR * usual else high
    width = _round_width((top - low + 1) / _MOST_BINS)
    start = low // width * width
    edges = [*range(start, top + 1, width), (top // width + 1) * width]
    bars = [0] * len(edges)
    for value in values:
        bars[min((value - start) // width, len(bars) - 1)] += counts[value]
    # What lies at or beyond the last edge.
    tail = [Bin(edges[-1], high + 1, bars[-1])] if bars[-1] else []
    return [*(Bin(lower, upper, number) for lower, upper, number in zip(edges, edges[1:], bars, strict=False)), *tail]


def _quantile(values: Sequence[int], counts: Mapping[int, int], share: float) -> int:
    wanted = share * sum(counts.values())
    for value in values:
        wanted -= counts[value]
        if wanted <= 0:
            return value
    return values[-1]


def _round_width(least: float) -> int:
    """Give the smallest of 1, 2, 5, 10, 20 … that is at least so wide."""
    power = 10 ** max(math.floor(math.log10(least)), 0) if least > 1 else 1
    return next(step * power for step in (*_ROUND_STEPS, 10) if step * power >= least)


def _rounded(value: int) -> int:
    drop = value.bit_length() - _EXACT_BITS
    return value if drop <= 0 else value >> drop << drop
