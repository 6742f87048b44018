"""The plots of a report, each as SVG with the words beside it. Only numbers are drawn: no text of others enters a figure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline.core.errors import ConfigError
from pipeline.core.extras import missing_extra
from pipeline.core.values import value
from pipeline.observe.report.foreign import shown
from pipeline.observe.report.gathered import Course
from pipeline.observe.report.types import Bin
from pipeline.observe.wording import count, duration, short, took

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator

    from pipeline.observe.report.svg import inline_svg
except ImportError:
    raise ConfigError(f"a report's plots need matplotlib: {missing_extra('report')}") from None

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Units of the drawing: a phone shows it at nine tenths of that, a wide window somewhat larger.
_WIDTH, _HEIGHT, _LETTERS = 330, 180, 11
_INK, _LINE, _FIRST, _SECOND, _BAD, _HELD = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_THEME = {
    _INK: "var(--muted)",
    _LINE: "var(--line)",
    _FIRST: "var(--first)",
    _SECOND: "var(--second)",
    _BAD: "var(--bad)",
    _HELD: "var(--held)",
}
_STEPS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_BARS_OVER_TIME = 40
_DAYS = 86400


@value(frozen=True, slots=True)
class Plot:
    """One drawing: `legend` pairs a colour of the page (`first`, `second`, `bad`, `held`) with what it stands for."""

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...] = ()
    note: str | None = None


def rows_over_time(course: Course) -> Plot | None:
    """Draw rows done and failed, all runs end to end."""
    if course.seconds <= 0 or not course.done[-1]:
        return None
    figure, axes = _axes()
    axes.fill([0, *course.at, course.seconds], [0, *course.done, 0], color=_FIRST, alpha=0.16, linewidth=0)
    axes.plot(course.at, course.done, color=_FIRST, linewidth=2)
    legend = [("first", "done")]
    if course.failed[-1]:
        axes.plot(course.at, course.failed, color=_BAD, linewidth=2)
        legend.append(("bad", "of these failed"))
    _over_time(axes, course)
    done, failed = count(course.done[-1]), count(course.failed[-1])
    says = f"Rows over time: {done} done, {failed} of them failed, in {took(course.seconds)}."
    return Plot("Rows done", _svg(figure, "rows", says), tuple(legend), _runs(course))


def concurrency_over_time(course: Course) -> Plot | None:
    """Draw requests in flight beside how many might have been, the stretches shaded in which nobody could send."""
    if course.seconds <= 0 or not any(course.limit):
        return None
    figure, axes = _axes()
    for each in course.held:
        axes.axvspan(each.start, each.end, color=_HELD, alpha=0.35, linewidth=0)
    axes.plot(course.at, course.limit, color=_SECOND, linewidth=1.6, drawstyle="steps-post")
    axes.plot(course.at, course.in_flight, color=_FIRST, linewidth=1.6)
    _over_time(axes, course)
    legend = [("first", "in flight"), ("second", "limit")]
    note = None
    if course.held:
        legend.append(("held", "held"))
        note = "Held for " + ", ".join(f"{took(seconds)} by {why}" for why, seconds in course.held_for().items()) + "."
    says = f"Requests in flight over time: at most {count(max(course.in_flight))}, the limit at most {count(max(course.limit))}."
    return Plot("Concurrency", _svg(figure, "concurrency", f"{says} {note or ''}".strip()), tuple(legend), note)


def requests_over_time(course: Course) -> Plot | None:
    """Draw how many requests a minute were sent, and how many of these were answered 429."""
    if course.seconds <= 0 or not course.requests[-1]:
        return None
    figure, axes = _axes()
    # None so narrow that all of what was noticed in one moment stands in it: the last moments of a run lie close together.
    bars = max(1, min(_MOST_BARS_OVER_TIME, int(course.seconds / max(1.0, course.usual_step))))
    width = course.seconds / bars
    starts = [width * each for each in range(bars)]
    for counts, colour in ((course.requests, _FIRST), (course.throttled, _BAD)):
        edges = [_interpolated(course.at, counts, at) for at in (*starts, course.seconds)]
        heights = [60 * (high - low) / width for low, high in pairwise(edges)]
        axes.bar(starts, heights, width=width * 0.86, align="edge", color=colour, alpha=0.85, linewidth=0)
    _over_time(axes, course)
    throttled = course.throttled[-1]
    legend = (("first", "sent"), *((("bad", "answered 429"),) if throttled else ()))
    says = f"Requests over time: {count(course.requests[-1])} in all, {count(throttled)} of them throttled."
    return Plot("Requests a minute", _svg(figure, "requests", says), legend)


def histogram(bins: Sequence[Bin], *, name: str, title: str, unit: str, note: str | None = None) -> Plot | None:
    """Draw how many rows fall in each bin. Bins are drawn equally wide, whatever they span, and labelled by their edges."""
    total = sum(each.count for each in bins)
    if not total:
        return None
    figure, axes = _axes()
    axes.bar(range(len(bins)), [each.count for each in bins], width=0.9, align="edge", color=_FIRST, alpha=0.85, linewidth=0)
    every = max(1, -(-len(bins) // 5))
    marked = ([each.low for each in bins] + [bins[-1].high])[::every]
    axes.xaxis.set_major_locator(FixedLocator(range(0, len(bins) + 1, every)))
    axes.xaxis.set_major_formatter(FixedFormatter(_edges(marked)))
    axes.set_xlim(-0.1, len(bins))
    most = max(bins, key=lambda each: each.count)
    longest = f"most of them ({count(most.count)}) from {_edge(most.low)} to {_edge(most.high)}"
    says = f"{title} in {unit}: {count(total)} rows, {longest}."
    return Plot(title, _svg(figure, name, says), note=note or f"Rows by {unit}.")


def _axes() -> tuple[Figure, "Axes"]:
    figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72))
    axes = figure.add_axes((0.12, 0.145, 0.855, 0.82))
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=_LETTERS, labelcolor=_INK, pad=6)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: short(round(at)) if at == round(at) else f"{at:.3g}"))
    return figure, axes


def _over_time(axes: "Axes", course: Course) -> None:
    step = next((each for each in _STEPS_S if course.seconds / each <= 4), _DAYS * -(-round(course.seconds) // (4 * _DAYS)))
    # What is wanting to the last step may be an error of rounding.
    axes.xaxis.set_major_locator(FixedLocator([step * each for each in range(int(course.seconds / step + 0.001) + 1)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _time(at, step)))
    axes.set_xlim(0, course.seconds)
    axes.set_ylim(bottom=0)
    for each in course.begins:
        axes.axvline(each, color=_INK, linewidth=1, linestyle=(0, (3, 3)))


def _time(at: float, step: float) -> str:
    if step < 1:
        return f"{at:.2g} s"
    return f"{at / _DAYS:.0f} d" if step >= _DAYS else duration(at)


def _runs(course: Course) -> str | None:
    if not course.begins:
        return None
    return f"{len(course.begins) + 1} runs end to end; a dashed line is where the next began."


def _interpolated(at: Sequence[float], counts: Sequence[int], when: float) -> float:
    import numpy as np

    return float(np.interp(when, at, counts))


def _edges(numbers: Sequence[float]) -> list[str]:
    """Give labels that differ: short ones if they do."""
    labels = [_edge(each) for each in numbers]
    if len(set(labels)) < len(labels):
        labels = [f"{each:.6g}" if each < 1000 else count(round(each)) for each in numbers]
    return labels


def _edge(number: float) -> str:
    return short(round(number)) if number >= 1000 else f"{number:.3g}"


def _svg(figure: Figure, name: str, says: str) -> str:
    return inline_svg(figure, name=name, says=shown(says), theme=_THEME)
