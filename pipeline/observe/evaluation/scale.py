"""Points and intervals on a common scale, as a page draws them: places in hundredths of the width, no text of others."""

import math
from collections.abc import Iterable, Sequence

from pipeline.core.scores import About, Estimate
from pipeline.core.values import value

# A tick's text is centred on it: at the edges half of it needs room.
_FIRST, _LAST = 7.0, 93.0
_MOST_TICKS = 5
# What is farther out is no score, and beyond what can be drawn.
_FARTHEST = 1e9


@value(frozen=True, slots=True)
class Strip:
    """One estimate drawn. `tone` is `good`, `bad` or nothing."""

    at: float | None
    low: float | None
    high: float | None
    tone: str = ""


@value(frozen=True, slots=True)
class Scale:
    """What a forest is drawn over. `mark` is where a line goes down through all rows: the score of all, or no difference."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    mark: float | None = None

    def strip(self, estimate: Estimate, tone: str = "", *, unit: float = 1.0) -> Strip:
        """Place an estimate, whose numbers are in `unit` where the scale's are in 1."""
        at, low, high = (self._place(each, unit) for each in (estimate.value, estimate.low, estimate.high))
        return Strip(at, low, high, tone)

    def place(self, number: float) -> float:
        """Give where a number lies; what is beyond the scale lies at its end."""
        share = (number - self.low) / (self.high - self.low)
        return round(_FIRST + (_LAST - _FIRST) * min(max(share, 0.0), 1.0), 2)

    def _place(self, number: float | None, unit: float) -> float | None:
        return None if number is None or not math.isfinite(number) else self.place(number / unit)


def scale_over(estimates: Sequence[Estimate], about: About, *, differences: bool = False) -> Scale:
    """Make a scale on which all of these can be seen, of round numbers; of `differences` with 0 in its middle."""
    numbers = [each for one in estimates for each in finite(one)]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, about.scale)
    if differences:
        high = max(abs(low), abs(high), about.scale * 1e-3)
        low = -high
    elif high - low < about.scale * 0.05:  # one point alone, or many close together: not as if they were far apart
        low, high = low - about.scale * 0.025, high + about.scale * 0.025
    step = _round_step((high - low) / (_MOST_TICKS - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if not differences:
        # No score is below none of it, nor above the best there is; error rates have no upper end.
        first = max(first, 0) if low >= -about.scale * 0.05 else first
        last = min(last, math.ceil(about.scale / step)) if about.higher and high <= about.scale * 1.05 else last
    last = max(last, first + 1)
    made = Scale(first * step, last * step, ())
    every = range(first, last + 1, 1 if last - first < _MOST_TICKS else 2)
    shown = (first, 0, last) if differences else tuple(every)
    ticks = tuple((made.place(each * step), _tick(each * step, step, differences)) for each in shown)
    middle = 0.0 if differences else estimates[0].value if estimates else None
    mark = made.strip(Estimate(middle, None, None, "")).at
    return Scale(made.low, made.high, ticks, mark)


def scale_of_shares() -> Scale:
    """Give the scale from none of a score to all there is."""
    return _between(0.0, 1.0, ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %")))


def scale_of_changes(most: float) -> Scale:
    """Give a scale of differences as shares of each metric's scale, up to `most` either way."""
    step = _round_step(max(most, 1e-3))
    return _between(-step, step, ((-step, f"-{100 * step:g} %"), (0.0, "0"), (step, f"+{100 * step:g} %")), mark=0.0)


def _between(low: float, high: float, ticks: tuple[tuple[float, str], ...], mark: float | None = None) -> Scale:
    made = Scale(low, high, ())
    placed = tuple((made.place(at), says) for at, says in ticks)
    return Scale(low, high, placed, None if mark is None else made.place(mark))


def finite(estimate: Estimate) -> Iterable[float]:
    """Give those of its numbers that can be drawn."""
    return (each for each in (estimate.value, estimate.low, estimate.high) if each is not None and abs(each) < _FARTHEST)


def _round_step(least: float) -> float:
    """Give the smallest of 1, 2, 5 and their tenths and tens that is at least so wide."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _tick(number: float, step: float, differences: bool) -> str:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{number:+.{decimals}f}" if differences and round(number, decimals) else f"{number:z.{decimals}f}"
