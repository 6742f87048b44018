"""The figures of two runs compared, as a page shows them."""

from collections.abc import Iterator, Sequence

from pipeline.core.scores import About, Compared, ComparedGroup, Comparison, Difference, Rule
from pipeline.observe.evaluation.forest import Of, forest_of
from pipeline.observe.evaluation.scale import Scale, finite, scale_of_changes
from pipeline.observe.evaluation.shapes import Figures, Forest, Line, Overall
from pipeline.observe.evaluation.words import (
    about_of,
    chance,
    change,
    direction,
    figure,
    methods_said,
    none_left_out,
    notices_of,
    other,
    plain,
    reasons,
    rows,
    span_of_change,
    treatment,
    treatment_said,
    unscored_said,
    verdict,
)
from pipeline.observe.report.sections import Fact, counts_of
from pipeline.observe.wording import count

_GUIDE = (
    "The difference is b less a over the same rows. Its 95 % interval says how sure it is: where 0 lies within, the two may"
    " well be equally good. Better, same, worse counts rows on which b is."
)
_TONES = {"b is better": "good", "b is worse": "bad"}


def compared_figures(comparison: Comparison) -> Figures:
    whole = none_left_out(comparison)
    of_all = next((each for each in comparison.groups if each.column is None), None)
    differences = of_all.differences if of_all is not None else ()
    counts = []
    if of_all is not None:
        for side, missing in (("a", of_all.missing_a), ("b", of_all.missing_b)):
            if missing:
                counts.append(counts_of(f"Answers missing in {side}", dict(reasons(missing))))
    return Figures(
        notices=notices_of(comparison),
        tiles=[*(_tile(comparison, each) for each in differences), *_tiles_of_rows(comparison, of_all)],
        lead=_lead(comparison, whole),
        guide=" ".join([_GUIDE, *(f"{each}." for each in methods_said(comparison))]),
        overall=_overall(comparison, differences, whole),
        forests=[each for about in comparison.metrics if (each := _forest(comparison, about)) is not None],
        counts=counts,
    )


def _tile(comparison: Comparison, difference: Difference) -> Fact:
    about, compared = about_of(comparison.metrics, difference.metric), _both(difference, comparison.rule)[0]
    found = verdict(compared, about)
    more = f"{found}: {figure(compared.a.value, about)} in a, {figure(compared.b.value, about)} in b"
    if compared.difference.low is not None:
        more += f"; 95 % interval {span_of_change(compared.difference, about)}"
    return Fact(plain(about.title), change(compared.difference.value, about), more, _TONES.get(found, ""))


def _tiles_of_rows(comparison: Comparison, of_all: ComparedGroup | None) -> Iterator[Fact]:
    alone = [f"{count(number)} only in {side}" for side, number in (("a", comparison.only_a), ("b", comparison.only_b)) if number]
    without = [unscored_said(of_all).removeprefix(", ")] if of_all is not None and (of_all.unreferenced or of_all.pending) else []
    said = "; ".join([", ".join(alone) or "none on one side only", *without])
    yield Fact("Rows in both", count(comparison.matched), said, "due" if alone else "")


def _lead(comparison: Comparison, whole: bool) -> str:
    key, against = (", ".join(map(plain, each)) for each in (comparison.key, comparison.references))
    a, b = (f"{plain(each.name)} ({rows(each.rows)})" for each in (comparison.a, comparison.b))
    lead = f"a is {a}, b is {b}."
    lead += f" Rows with the same {key} are compared; both are held against {against}."
    if comparison.extract:
        lead += f" The answer in a completion is found by {plain(comparison.extract)}."
    if comparison.cluster:
        lead += f" Rows of one {plain(comparison.cluster)} are taken together."
    return lead if whole else f"{lead} {treatment_said(comparison)}"


def _overall(comparison: Comparison, differences: Sequence[Difference], whole: bool) -> Overall:
    tested = any(each.p_value is not None for one in differences for each in (one.zero, one.drop))
    columns = ["Difference", "95 % interval", "a", "b", "Better, same, worse"]
    columns += [*(["McNemar p"] if tested else []), "Rows"]
    shares = [
        abs(each) / about_of(comparison.metrics, one.metric).scale
        for one in differences
        for compared in (one.zero, one.drop)
        for each in finite(compared.difference)
    ]
    scale = scale_of_changes(max(shares, default=0.0))
    lines = []
    for each in differences:
        about = about_of(comparison.metrics, each.metric)
        first, beside = _both(each, comparison.rule)
        lines.append(_line(plain(about.title), direction(about), first, about, scale, tested))
        if not whole:
            name = treatment(other(comparison.rule), both=True)
            lines.append(_line(name, "", beside, about, scale, tested, beside=True))
    return Overall("b less a, % of scale", columns, lines, scale)


def _line(name: str, note: str, compared: Compared, about: About, scale: Scale, tested: bool, *, beside: bool = False) -> Line:
    difference, found = compared.difference, verdict(compared, about)
    tone = _TONES.get(found, "")
    cells = [change(difference.value, about), span_of_change(difference, about), figure(compared.a.value, about)]
    cells += [figure(compared.b.value, about), f"{count(compared.wins)}, {count(compared.ties)}, {count(compared.losses)}"]
    cells += [*([chance(compared.p_value)] if tested else []), count(compared.n)]
    return Line(name, note, cells, scale.strip(difference, tone, unit=about.scale), (tone, found), beside)


def _forest(comparison: Comparison, about: About) -> Forest | None:
    found = []
    for group in comparison.groups:
        if (difference := next((each for each in group.differences if each.metric == about.name), None)) is not None:
            compared = _both(difference, comparison.rule)[0]
            found.append(Of(group, compared.n, compared.difference, _TONES.get(verdict(compared, about), "")))
    return forest_of(found, about, differences=True)


def _both(difference: Difference, rule: Rule) -> tuple[Compared, Compared]:
    return (difference.zero, difference.drop) if rule == "zero" else (difference.drop, difference.zero)
