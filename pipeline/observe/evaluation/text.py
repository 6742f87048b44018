"""An evaluation as lines for a terminal, a hundred columns wide unless a metric's own words are longer."""

import textwrap
from collections.abc import Iterator, Sequence

from pipeline.core.redact import harmless
from pipeline.core.scores import About, Compared, ComparedGroup, Comparison, Counted, Evaluation, Flip, Gate, Group, Score
from pipeline.observe.evaluation.words import (
    NOTHING,
    REASONS,
    AnyGroup,
    about_of,
    chance,
    change,
    figure,
    largest,
    methods_said,
    name_of,
    none_left_out,
    other,
    percent,
    plain,
    reasons_in_both,
    reasons_said,
    rows,
    seen,
    span,
    span_of_change,
    treatment,
    treatment_said,
    unscored_said,
    verdict,
)
from pipeline.observe.wording import count

WIDTH = 100
MOST_GROUPS = 50
MOST_FLIPS = 5
_MOST_CHARS_OF_A_METHOD = 60
_MOST_CHARS_OF_A_METRIC = 16
_LEAST_WORDS = 14
_GAP = "  "
_INDENT = "  "

# A heading, and the cells below it: a group's name stands above several lines of cells.
_Block = tuple[str, list[list[str]]]


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """Give the table: all rows, then the largest groups of each column, a line for each metric."""
    lines = [*_wrapped(_of_what(evaluation)), ""]
    whole = none_left_out(evaluation)
    looks = any(score.no_answer is not None for group in evaluation.groups for score in group.scores)
    header = ["", "n", "score", "95 % interval"]
    header += [] if whole else [treatment(other(evaluation.rule))]
    header += ["not found"] if looks else []
    blocks, rest = _shown(evaluation.groups)
    lines += _table(
        [*header, "interval by"],
        [(_group_said(group), [_score_cells(evaluation, each, whole, looks) for each in group.scores]) for group in blocks],
    )
    lines += _left_out(rest)
    if looks:
        lines += _wrapped("not found: rows with a completion in which no answer was found; they count as wrong")
    return [*lines, "", *_closing(evaluation)]


def comparison_lines(comparison: Comparison) -> list[str]:
    """Give the table of two runs: all rows, then the largest groups, for each metric what b has over a; then a few flips."""
    lines = [
        f"a  {plain(comparison.a.name)}: {rows(comparison.a.rows)}",
        f"b  {plain(comparison.b.name)}: {rows(comparison.b.rows)}",
    ]
    lines += [*_wrapped(_matched_said(comparison)), ""]
    whole = none_left_out(comparison)
    tested = any(
        each.p_value is not None for group in comparison.groups for one in group.differences for each in (one.zero, one.drop)
    )
    header = ["", "n", "a", "b", "b - a", "95 % interval", "better/same/worse", *(["McNemar p"] if tested else [])]
    blocks, rest = _shown(comparison.groups)
    lines += _table(
        header,
        [(_compared_said(group), list(_difference_cells(comparison, group, whole, tested))) for group in blocks],
        last_is_words=False,
    )
    lines += _left_out(rest)
    lines += ["", *_verdicts(comparison), *methods_said(comparison), *_closing(comparison)]
    return [*lines, *_flips(comparison)]


def _of_what(evaluation: Evaluation) -> str:
    table = evaluation.table
    against = ", ".join(map(plain, evaluation.references))
    found = f", answers found by {plain(evaluation.extract)}" if evaluation.extract else ""
    clusters = f", rows of one {plain(evaluation.cluster)} taken together" if evaluation.cluster else ""
    sentence = "" if none_left_out(evaluation) else f". {treatment_said(evaluation)}"
    return f"{plain(table.name)}: {plain(table.completion)} against {against}{found}{clusters}{sentence}"


def _matched_said(comparison: Comparison) -> str:
    key = ", ".join(map(plain, comparison.key))
    found = f"{rows(comparison.matched)} with the same {key} in both"
    found += f"; {count(comparison.only_a)} only in a, {count(comparison.only_b)} only in b"
    return found if none_left_out(comparison) else f"{found}. {treatment_said(comparison)}"


def _group_said(group: Group) -> str:
    return f"{name_of(group)}: {rows(group.rows)}{unscored_said(group)}, {reasons_said(group.missing)}"


def _compared_said(group: ComparedGroup) -> str:
    return f"{name_of(group)}: {rows(group.rows)}{unscored_said(group)}, {reasons_in_both(group)}"


def _score_cells(evaluation: Evaluation, score: Score, whole: bool, looks: bool) -> list[str]:
    about = about_of(evaluation.metrics, score.metric)
    first, beside = (score.zero, score.drop) if evaluation.rule == "zero" else (score.drop, score.zero)
    cells = [_metric(score.metric), *_counted(first, about)]
    cells += [] if whole else [figure(beside.estimate.value, about)]
    if looks:
        cells.append(NOTHING if score.no_answer is None else percent(score.no_answer, score.drop.n))
    return [*cells, harmless(first.estimate.method, _MOST_CHARS_OF_A_METHOD)]


def _metric(name: str) -> str:
    return harmless(name, _MOST_CHARS_OF_A_METRIC)


def _counted(counted: Counted, about: About) -> list[str]:
    return [count(counted.n), figure(counted.estimate.value, about), span(counted.estimate, about)]


def _difference_cells(comparison: Comparison, group: ComparedGroup, whole: bool, tested: bool) -> Iterator[list[str]]:
    for each in group.differences:
        about = about_of(comparison.metrics, each.metric)
        first, beside = (each.zero, each.drop) if comparison.rule == "zero" else (each.drop, each.zero)
        yield [_metric(each.metric), *_compared(first, about, tested)]
        if not whole:
            yield [f"  {treatment(other(comparison.rule), both=True)}", *_compared(beside, about, tested)]


def _compared(compared: Compared, about: About, tested: bool) -> list[str]:
    return [
        count(compared.n),
        figure(compared.a.value, about),
        figure(compared.b.value, about),
        change(compared.difference.value, about),
        span_of_change(compared.difference, about),
        f"{count(compared.wins)}/{count(compared.ties)}/{count(compared.losses)}",
        *([chance(compared.p_value)] if tested else []),
    ]


def _verdicts(comparison: Comparison) -> Iterator[str]:
    for group in comparison.groups[:1]:
        for each in group.differences:
            compared = each.zero if comparison.rule == "zero" else each.drop
            yield f"{plain(each.metric)}: {verdict(compared, about_of(comparison.metrics, each.metric))}"


def _closing(result: Evaluation | Comparison) -> Iterator[str]:
    for about in result.metrics:
        lower = "" if about.higher else " (lower is better)"
        yield f"{plain(about.name)}{lower}: {harmless(about.signature)}"
    for each in result.notices:
        yield f"notice: {harmless(each)}"
    yield from map(_gate_said, result.gates)


def _gate_said(gate: Gate) -> str:
    return f"gate {plain(gate.text)} {'holds' if gate.holds else 'DOES NOT HOLD'}: {seen(gate)}"


def _flips(comparison: Comparison) -> Iterator[str]:
    if not comparison.flips or not comparison.metrics:
        return
    about = comparison.metrics[0]
    yield ""
    yield f"largest differences by {plain(about.name)}, a -> b"
    for each in few(comparison.flips, about):
        yield harmless(_flip_said(each, about), WIDTH)


def few(flips: Sequence[Flip], about: About) -> list[Flip]:
    """Choose some of the largest of either kind: those given first may all be losses."""
    losses = [each for each in flips if not _is_win(each, about)]
    wins = [each for each in flips if _is_win(each, about)]
    lost = losses[: max(MOST_FLIPS - MOST_FLIPS // 2, MOST_FLIPS - len(wins))]
    return [*lost, *wins[: MOST_FLIPS - len(lost)]]


def _is_win(flip: Flip, about: About) -> bool:
    a, b = flip.scores_a.get(about.name), flip.scores_b.get(about.name)
    return (a if a is not None else 0.0) < (b if b is not None else 0.0) if about.higher else (a or 0.0) > (b or 0.0)


def _flip_said(flip: Flip, about: About) -> str:
    a, b = figure(flip.scores_a.get(about.name), about), figure(flip.scores_b.get(about.name), about)
    wanted = f"  reference: {harmless(flip.references[0], 24)}" if flip.references else ""
    sides = f"{_side(flip.completion_a, flip.missing_a)} -> {_side(flip.completion_b, flip.missing_b)}"
    return f"{_INDENT}{harmless(flip.key, 20)}: {a} -> {b}  {sides}{wanted}"


def _side(completion: str | None, missing: str | None) -> str:
    return f"({REASONS.get(missing or 'empty', 'missing')})" if not completion else f"'{harmless(completion, 20)}'"


def _shown(groups: Sequence[AnyGroup]) -> tuple[list[AnyGroup], int]:
    """Give all rows and the largest groups, and how many are left out."""
    of_all = [each for each in groups if each.column is None]
    by_column, rest = largest([each for each in groups if each.column is not None], MOST_GROUPS)
    return of_all + by_column, rest


def _left_out(groups: int) -> list[str]:
    return [f"{count(groups)} smaller group{'' if groups == 1 else 's'} not shown: --json holds all"] if groups else []


def _table(header: list[str], blocks: Sequence[_Block], *, last_is_words: bool = True) -> Iterator[str]:
    cells = [header, *(line for _, lines in blocks for line in lines)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(header))]
    if last_is_words:
        used = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1) + len(_INDENT)
        widths[-1] = max(WIDTH - used, _LEAST_WORDS)

    def line(cells: list[str]) -> str:
        last = harmless(cells[-1], widths[-1]) if last_is_words else cells[-1].rjust(widths[-1])
        middle = (cell.rjust(width) for cell, width in zip(cells[1:-1], widths[1:-1], strict=True))
        return (_INDENT + _GAP.join([cells[0].ljust(widths[0]), *middle, last])).rstrip()

    yield line(header)
    for heading, lines in blocks:
        yield from _wrapped(heading)
        yield from map(line, lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=_INDENT) or [""]
