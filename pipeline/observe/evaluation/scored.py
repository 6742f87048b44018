"""The figures of one table scored, as a page shows them."""

from collections.abc import Iterator, Sequence

from pipeline.core.scores import About, Counted, Evaluation, Group, Rule, Score, Spread
from pipeline.observe.evaluation.forest import Of, forest_of
from pipeline.observe.evaluation.scale import scale_of_shares
from pipeline.observe.evaluation.shapes import Bar, Figures, Forest, Histogram, Line, Overall
from pipeline.observe.evaluation.words import (
    NOTHING,
    about_of,
    direction,
    figure,
    none_left_out,
    notices_of,
    other,
    percent,
    plain,
    reasons,
    rows,
    span,
    treatment,
    treatment_said,
    unscored_said,
)
from pipeline.observe.report.foreign import cell
from pipeline.observe.report.sections import Fact, counts_of
from pipeline.observe.wording import count

_MOST_BARS = 100
_GUIDE = (
    "The 95 % interval says how sure a score is: if the rows had been drawn anew again and again, 19 in 20 such intervals"
    " would hold the score of all rows there could be."
)


def scored_figures(evaluation: Evaluation) -> Figures:
    whole = none_left_out(evaluation)
    of_all = next((each for each in evaluation.groups if each.column is None), None)
    scores = of_all.scores if of_all is not None else ()
    tiles = [_tile(evaluation, each, whole) for each in scores]
    return Figures(
        notices=notices_of(evaluation),
        tiles=[*tiles, *_tiles_of_rows(evaluation, of_all)],
        lead=_lead(evaluation, whole),
        guide=_GUIDE,
        overall=_overall(evaluation, scores, whole),
        forests=[drawn for about in evaluation.metrics if (drawn := _forest(evaluation, about)) is not None],
        counts=[counts_of("Rows whose answer is missing", dict(reasons(of_all.missing)))] if of_all and not whole else [],
        histograms=[each for spread in evaluation.spreads if (each := _histogram(evaluation, spread)) is not None],
    )


def _tile(evaluation: Evaluation, score: Score, whole: bool) -> Fact:
    about = about_of(evaluation.metrics, score.metric)
    first, beside = _both(score, evaluation.rule)
    found = first.estimate
    more = f"95 % interval {span(found, about)}" if found.low is not None else f"no interval: {plain(found.method)}"
    more += "" if whole else f"; {treatment(other(evaluation.rule))}: {figure(beside.estimate.value, about)}"
    more += "" if about.higher else f"; {direction(about)}"
    return Fact(plain(about.title), figure(found.value, about), more)


def _tiles_of_rows(evaluation: Evaluation, of_all: Group | None) -> Iterator[Fact]:
    if of_all is None:
        return
    without = unscored_said(of_all).removeprefix(", ")
    yield Fact("Rows", count(of_all.rows), without, "due" if of_all.pending else "")
    referenced = max((each.zero.n for each in of_all.scores), default=0)
    missing = sum(of_all.missing.values())
    share = f"{percent(missing, referenced)} of {rows(referenced)}" if missing else ""
    yield Fact("Missing answers", count(missing), share, "due" if missing else "")


def _lead(evaluation: Evaluation, whole: bool) -> str:
    against = ", ".join(map(plain, evaluation.references))
    lead = f"{plain(evaluation.table.completion)} is held against {against}."
    if evaluation.extract:
        lead += f" The answer in it is found by {plain(evaluation.extract)}."
    if evaluation.cluster:
        lead += f" Rows of one {plain(evaluation.cluster)} are taken together."
    return lead if whole else f"{lead} {treatment_said(evaluation)}"


def _overall(evaluation: Evaluation, scores: Sequence[Score], whole: bool) -> Overall:
    looks = any(each.no_answer is not None for each in scores)
    columns = ["Score", "95 % interval", "Interval by", "Rows"]
    columns += [] if whole else [treatment(other(evaluation.rule)).capitalize()]
    columns += ["No answer found"] if looks else []
    scale, lines = scale_of_shares(), []
    for each in scores:
        about = about_of(evaluation.metrics, each.metric)
        first, beside = _both(each, evaluation.rule)
        found = first.estimate
        cells = [figure(found.value, about), span(found, about), cell(plain(found.method)), count(first.n)]
        cells += [] if whole else [figure(beside.estimate.value, about)]
        if looks:
            cells.append(NOTHING if each.no_answer is None else percent(each.no_answer, each.drop.n))
        lines.append(Line(plain(about.title), direction(about), cells, scale.strip(found, unit=about.scale)))
    return Overall("Score, % of scale", columns, lines, scale)


def _forest(evaluation: Evaluation, about: About) -> Forest | None:
    found = []
    for group in evaluation.groups:
        if (score := _score(group, about)) is not None:
            counted = _both(score, evaluation.rule)[0]
            found.append(Of(group, counted.n, counted.estimate))
    return forest_of(found, about)


def _score(group: Group, about: About) -> Score | None:
    return next((each for each in group.scores if each.metric == about.name), None)


def _both(score: Score, rule: Rule) -> tuple[Counted, Counted]:
    """Give the score under the treatment that was chosen, and under the other."""
    return (score.zero, score.drop) if rule == "zero" else (score.drop, score.zero)


def _histogram(evaluation: Evaluation, spread: Spread) -> Histogram | None:
    most = max((each for _, _, each in spread.bins), default=0)
    if not most or len(spread.bins) > _MOST_BARS:
        return None
    about = about_of(evaluation.metrics, spread.metric)
    width = 100 / len(spread.bins)
    bars = [
        Bar(
            round(at * width + width * 0.05, 2),
            round(width * 0.9, 2),
            round(100 * each / most, 2),
            f"{figure(low, about)} to {figure(high, about)}: {rows(each)}",
        )
        for at, (low, high, each) in enumerate(spread.bins)
    ]
    (low, _, _), (_, high, _) = spread.bins[0], spread.bins[-1]
    edges = [figure(low, about), figure(high, about)]
    low, high, number = max(spread.bins, key=lambda each: each[2])
    note = f"The tallest bar: {rows(number)}, from {figure(low, about)} to {figure(high, about)}."
    return Histogram(plain(about.title), bars, edges, note)
