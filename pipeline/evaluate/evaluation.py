"""From scored rows to an Evaluation: scores of all and of groups, their spread, what a reader must be told, a sample of rows."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.core.scores import MISSING, About, Counted, Evaluation, Group, Score, ScoredRow, Spread, Table
from pipeline.evaluate import cells
from pipeline.evaluate.metric import Flags, Floats, Metric
from pipeline.evaluate.pairs import counted
from pipeline.evaluate.scoring import Batches, Plan, Rows, counts_of, texted
from pipeline.version import __version__

_BINS = 20
# The sample: the worst by the first metric, the best, and some of each kind without an answer.
_WORST, _BEST, _MISSING = 120, 30, 50
MOST_CHARACTERS = 2000
_MOST_CELLS = 4
_CELL_CHARACTERS = 300

Places = npt.NDArray[np.int64]


def evaluation_of(rows: Rows, plan: Plan, table: Table, *, made: float) -> Evaluation:
    """Make the evaluation of a table's rows; its gates and sample are added by others."""
    everything = np.ones(len(rows), np.bool_)
    groups = [_group(rows, plan, everything, None, None)]
    for column, coded in rows.groups.items():
        for code in _largest_first(coded.codes, len(coded.values)):
            groups.append(_group(rows, plan, np.asarray(coded.codes == code), column, coded.values[code]))
    return Evaluation(
        version=__version__,
        made=made,
        table=table,
        references=plan.references,
        rule=plan.rule,
        extract=plan.extractor.says if plan.extractor else None,
        cluster=plan.cluster,
        metrics=[each.about for each in plan.metrics],
        groups=groups,
        spreads=[each for metric in plan.metrics if (each := _spread(rows, metric.about)) is not None],
        notices=notices_of(rows, plan),
    )


def _largest_first(codes: npt.NDArray[np.int32], number: int) -> list[int]:
    sizes = np.bincount(codes, minlength=number)
    return [int(each) for each in np.argsort(-sizes, kind="stable")]


def _group(rows: Rows, plan: Plan, within: Flags, column: str | None, value: str | None) -> Group:
    scored = within & rows.scored
    number, pending = int(np.count_nonzero(within)), int(np.count_nonzero(within & rows.pending))
    return Group(
        column=column,
        value=value,
        rows=number,
        unreferenced=number - pending - int(np.count_nonzero(scored)),
        missing=counts_of(rows.missing[scored]),
        scores=[_score(rows, plan, metric, scored) for metric in plan.metrics],
        pending=pending,
    )


def _score(rows: Rows, plan: Plan, metric: Metric, scored: Flags) -> Score:
    name = metric.about.name
    zero = _counted(rows, plan, metric, scored)
    answered = scored & rows.answered
    drop = zero if np.array_equal(scored, answered) else _counted(rows, plan, metric, answered)
    no_answer = None
    if name in rows.unanswered or plan.extractor is not None:
        found = rows.found & ~rows.unanswered[name] if name in rows.unanswered else rows.found
        no_answer = int(np.count_nonzero(answered & ~found))
    return Score(name, zero, drop, no_answer)


def _counted(rows: Rows, plan: Plan, metric: Metric, within: Flags) -> Counted:
    clusters = None if rows.clusters is None else rows.clusters[within]
    return counted(rows.statistics[metric.about.name][within], metric.about, metric.overall, clusters=clusters, seed=plan.seed)


def _spread(rows: Rows, about: About) -> Spread | None:
    """Give the histogram of the scores that count by the plan's rule zero; None for scores of 0 and 1, which say it all."""
    scores = rows.scores[about.name]
    scores = scores[~np.isnan(scores)]
    if about.proportion or not len(scores):
        return None
    counts, edges = np.histogram(scores, bins=_BINS, range=(0.0, max(about.scale, float(scores.max()))))
    return Spread(about.name, [(float(edges[at]), float(edges[at + 1]), int(number)) for at, number in enumerate(counts)])


def notices_of(rows: Rows, plan: Plan, *, whose: str = "", within: Flags | None = None) -> list[str]:
    """Say in sentences what a reader of the scores must know of these rows, or of those `within`."""
    said = []
    within = np.ones(len(rows), np.bool_) if within is None else within
    unreferenced = int(np.count_nonzero(within & ~(rows.scored | rows.pending)))
    if unreferenced:
        said.append(f"{_many(unreferenced, 'row')}{whose} without a reference, in no score")
    if number := int(np.count_nonzero(within & rows.pending)):
        said.append(f"{_many(number, 'row')}{whose} still to do, in no score: `rowcall run` goes on")
    missing = counts_of(rows.missing[rows.scored])
    if number := missing.get("length", 0):
        said.append(
            f"{_many(number, 'answer')}{whose} cut off (finish reason length), which is no answer:"
            " raise request.max_tokens, and ask again with --retry-failed=length"
        )
    if rows.refusals:
        said.append(f"{_many(rows.refusals, 'completion')}{whose} like a refusal to read, scored as an answer")
    for metric in plan.metrics:
        if blind := rows.blind.get(metric.about.name, 0):
            said.append(
                f"{metric.about.title} sees only a-z and 0-9, and so nothing in a reference of {_many(blind, 'row')}{whose}"
            )
    return said


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def scores_beside(rows: Rows, plan: Plan) -> dict[str, Floats]:
    """Give the columns of scores that stand beside the rows: null (NaN here) where a row is in no score by the plan's rule."""
    out = {}
    for metric in plan.metrics:
        scores = rows.scores[metric.about.name]
        if plan.rule == "drop":
            scores = np.where(rows.answered, scores, np.nan)
        out[metric.about.name] = scores
    return out


def sample_places(rows: Rows, plan: Plan) -> list[int]:
    """Choose which rows a person should look at: the worst by the first metric, the best, and some without an answer."""
    about = plan.metrics[0].about
    scores = rows.scores[about.name] * (1 if about.higher else -1)
    scored = np.flatnonzero(rows.scored & rows.answered)
    order = scored[np.argsort(scores[scored], kind="stable")]
    chosen: list[Places] = [order[:_WORST], order[max(_WORST, len(order) - _BEST) :]]
    lost = rows.scored & ~rows.answered
    for at in range(len(MISSING)):
        chosen.append(np.flatnonzero(lost & (rows.missing == at))[:_MISSING])
    return [int(each) for each in np.concatenate(chosen)]


def sampled_rows(batches: Batches, schema: pa.Schema, rows: Rows, plan: Plan, places: Sequence[int]) -> list[ScoredRow]:
    """Read some rows once more, and give them as `places` has them."""
    found: dict[int, ScoredRow] = {}
    beside = telling_columns(schema, plan)
    for at, batch in _with_any(batches([*plan.columns(schema), *beside]), places):
        texts = texted(batch, plan)
        shown = {name: cells.texts_of(batch.column(name)) for name in beside}
        for row in (each - at for each in set(places) if at <= each < at + batch.num_rows):
            answer = texts.answers[row] if plan.extractor is not None else ""
            found[at + row] = ScoredRow(
                index=at + row,
                scores={name: score_at(rows, name, at + row) for name in rows.scores},
                references=[cut(each) for each in texts.references[row][:10]],
                completion=cut(texts.completions[row]),
                answer=cut(answer) or None,
                cells={name: (values[row] or "")[:_CELL_CHARACTERS] for name, values in shown.items()},
                missing=texts.kinds[row],
            )
    return [found[each] for each in places]


def score_at(rows: Rows, name: str, row: int) -> float | None:
    """Give one row's score by a metric, None if it has none."""
    score = float(rows.scores[name][row])
    return None if np.isnan(score) else score


def telling_columns(schema: pa.Schema, plan: Plan) -> list[str]:
    """Choose a few input columns by which a person knows a row: those asked for first, then what stands before the results."""
    read = {cells.top_of(schema, name) for name in (plan.completion, *plan.references)}
    results = schema.names.index(plan.completion) if plan.completion in schema.names else len(schema.names)
    asked = [name for name in (*plan.key, *plan.by) if name in schema.names]
    others = [name for name in schema.names[:results] if name not in read and cells.is_told(schema, name)]
    return list(dict.fromkeys([*asked, *others]))[:_MOST_CELLS]


def cut(text: str | None) -> str:
    """Give at most so much of a text as a page shows."""
    text = text or ""
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"


def _with_any(batches: Iterator[pa.RecordBatch], places: Sequence[int]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Give those batches, with the place of their first row, that hold any of the places; end behind the last of them."""
    wanted = np.sort(np.asarray(places, np.int64))
    at = 0
    for batch in batches:
        if at > (wanted[-1] if len(wanted) else -1):
            return
        if np.searchsorted(wanted, at) < np.searchsorted(wanted, at + batch.num_rows):
            yield at, batch
        at += batch.num_rows
