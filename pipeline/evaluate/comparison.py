"""Two tables compared row by row, by a key: the same rows on both sides, in the key's own order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from pipeline.core.errors import ConfigError
from pipeline.core.scores import Compared, ComparedGroup, Comparison, Difference, Flip, Table
from pipeline.evaluate import cells
from pipeline.evaluate.evaluation import notices_of, sampled_rows
from pipeline.evaluate.metric import Flags, Floats, Metric
from pipeline.evaluate.pairs import compare
from pipeline.evaluate.scoring import Batches, Plan, Rows, counts_of
from pipeline.version import __version__

# Of each direction.
_FLIPS = 50
Places = npt.NDArray[np.int64]
Side: TypeAlias = tuple[Batches, pa.Schema, Plan]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which row of A goes with which of B. Both have the shape (n,), in the order of the key's text."""

    in_a: Places
    in_b: Places
    keys: Sequence[str]
    only_a: int
    only_b: int


def keys_of(batches: Batches, schema: pa.Schema, plan: Plan, whose: str) -> dict[str, int]:
    """Give each row's key as text, with the row's place. Raises ConfigError where rows share one, or one has none."""
    tops = list(dict.fromkeys(cells.top_of(schema, name) for name in plan.key))
    keys: dict[str, int] = {}
    for row, key in enumerate(_keys(batches(tops), plan)):
        if key is None:
            raise ConfigError(f"--key {', '.join(plan.key)}: row {row:,} of {whose} has none")
        if keys.setdefault(key, row) != row:
            raise ConfigError(
                f"--key {', '.join(plan.key)}: rows {keys[key]:,} and {row:,} of {whose} are both {key[:60]!r};"
                " name the column, or columns, in which each row is its own"
            )
    return keys


def _keys(batches: Iterator[pa.RecordBatch], plan: Plan) -> Iterator[str | None]:
    for batch in batches:
        columns = [cells.texts_of(cells.column_of(batch, name)) for name in plan.key]
        if len(columns) == 1:
            yield from columns[0]
        else:
            for values in zip(*columns, strict=True):
                yield None if None in values else orjson.dumps(values).decode()


def pair(a: dict[str, int], b: dict[str, int], names: tuple[str, str], key: Sequence[str]) -> Pairs:
    """Pair rows that have the same key. Raises ConfigError if there are none."""
    keys = sorted(a.keys() & b.keys())
    if not keys:
        examples = " and ".join(f"{next(iter(each))[:40]!r}" for each in (a, b) if each)
        raise ConfigError(
            f"--key {', '.join(key)}: no row of {names[0]} is one of {names[1]} (they hold {examples or 'no rows'})"
        )
    in_a = np.fromiter((a[each] for each in keys), np.int64, len(keys))
    in_b = np.fromiter((b[each] for each in keys), np.int64, len(keys))
    return Pairs(in_a, in_b, keys, len(a) - len(keys), len(b) - len(keys))


def marked(count: int, places: Places) -> Flags:
    """Give an array, shape (count,), that is true at these places."""
    marks = np.zeros(count, np.bool_)
    marks[places] = True
    return marks


def check_references(a: tuple[Batches, pa.Schema], b: tuple[Batches, pa.Schema], plan: Plan, pairs: Pairs) -> None:
    """See that paired rows have the same references: else their scores say nothing about each other. Raises ConfigError."""
    hashes = []
    for (batches, schema), places in ((a, pairs.in_a), (b, pairs.in_b)):
        tops = list(dict.fromkeys(cells.top_of(schema, name) for name in plan.references))
        columns = (cells.references_of([cells.column_of(batch, name) for name in plan.references]) for batch in batches(tops))
        hashes.append(np.fromiter((hash(each) for column in columns for each in column), np.int64)[places])
    differ = np.flatnonzero(hashes[0] != hashes[1])
    if len(differ):
        raise ConfigError(
            f"--reference {', '.join(plan.references)}: {len(differ):,} of {len(pairs.keys):,} pairs have other references on the"
            f" other side, such as {pairs.keys[int(differ[0])][:60]!r}; are these runs of the same rows?"
        )


def comparison_of(
    a: Rows,
    b: Rows,
    plan: Plan,
    pairs: Pairs,
    tables: tuple[Table, Table],
    *,
    made: float,
) -> Comparison:
    """Make the comparison of two scored tables; its gates and flips are added by others. Groups are those of A."""
    both = a.scored[pairs.in_a] & b.scored[pairs.in_b]
    everything = np.ones(len(pairs.keys), np.bool_)
    sides = _Sides(a, b, plan, pairs, both)
    groups = [sides.group(everything, None, None)]
    for column, coded in a.groups.items():
        codes = coded.codes[pairs.in_a]
        sizes = np.bincount(codes, minlength=len(coded.values))
        for code in np.argsort(-sizes, kind="stable"):
            if sizes[code]:
                groups.append(sides.group(np.asarray(codes == code), column, coded.values[int(code)]))
    return Comparison(
        version=__version__,
        made=made,
        a=tables[0],
        b=tables[1],
        key=plan.key,
        references=plan.references,
        rule=plan.rule,
        extract=plan.extractor.says if plan.extractor else None,
        cluster=plan.cluster,
        metrics=[each.about for each in plan.metrics],
        groups=groups,
        matched=len(pairs.keys),
        only_a=pairs.only_a,
        only_b=pairs.only_b,
        notices=_notices(a, b, plan, pairs),
    )


def _notices(a: Rows, b: Rows, plan: Plan, pairs: Pairs) -> list[str]:
    said = []
    if pairs.only_a or pairs.only_b:
        said.append(f"not compared: {pairs.only_a:,} only in A, {pairs.only_b:,} only in B")
    of_a = notices_of(a, plan, whose=" of A", within=marked(len(a), pairs.in_a))
    return said + of_a + notices_of(b, replace(plan, metrics=()), whose=" of B", within=marked(len(b), pairs.in_b))


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both tables' rows, and which of the pairs are scored on `both` sides."""

    a: Rows
    b: Rows
    plan: Plan
    pairs: Pairs
    both: Flags

    def group(self, within: Flags, column: str | None, value: str | None) -> ComparedGroup:
        pairs, scored = self.pairs, within & self.both
        pending = within & (self.a.pending[pairs.in_a] | self.b.pending[pairs.in_b])
        number, waiting = int(np.count_nonzero(within)), int(np.count_nonzero(pending))
        return ComparedGroup(
            column=column,
            value=value,
            rows=number,
            unreferenced=number - waiting - int(np.count_nonzero(scored)),
            missing_a=counts_of(self.a.missing[pairs.in_a][scored]),
            missing_b=counts_of(self.b.missing[pairs.in_b][scored]),
            differences=[self._difference(metric, scored) for metric in self.plan.metrics],
            pending=waiting,
        )

    def _difference(self, metric: Metric, scored: Flags) -> Difference:
        answered = scored & self.a.answered[self.pairs.in_a] & self.b.answered[self.pairs.in_b]
        drop = self._compared(metric, answered)
        zero = drop if np.array_equal(scored, answered) else self._compared(metric, scored)
        return Difference(metric.about.name, zero, drop)

    def _compared(self, metric: Metric, within: Flags) -> Compared:
        name, places = metric.about.name, (self.pairs.in_a[within], self.pairs.in_b[within])
        return compare(
            self.a.scores[name][places[0]],
            self.b.scores[name][places[1]],
            self.a.statistics[name][places[0]],
            self.b.statistics[name][places[1]],
            metric.about,
            metric.overall,
            clusters=None if self.a.clusters is None else self.a.clusters[places[0]],
            seed=self.plan.seed,
        )


def flips_of(a: Rows, b: Rows, pairs: Pairs, sides: tuple[Side, Side]) -> list[Flip]:
    """Give the rows on which the first metric's scores differ most, those that B lost first."""
    about = sides[0][2].metrics[0].about
    gains = _gains(a, b, pairs, about.name) * (1 if about.higher else -1)
    order = np.argsort(gains, kind="stable")
    lost = [int(each) for each in order[:_FLIPS] if gains[each] < 0]
    won = [int(each) for each in order[::-1][:_FLIPS] if gains[each] > 0]
    chosen = lost + won
    (batches_a, schema_a, plan_a), (batches_b, schema_b, plan_b) = sides
    rows_a = sampled_rows(batches_a, schema_a, a, plan_a, [int(each) for each in pairs.in_a[chosen]])
    rows_b = sampled_rows(batches_b, schema_b, b, plan_b, [int(each) for each in pairs.in_b[chosen]])
    return [
        Flip(
            key=pairs.keys[at],
            scores_a=in_a.scores,
            scores_b=in_b.scores,
            references=in_a.references,
            completion_a=in_a.completion,
            completion_b=in_b.completion,
            cells=in_a.cells,
            missing_a=in_a.missing,
            missing_b=in_b.missing,
        )
        for at, in_a, in_b in zip(chosen, rows_a, rows_b, strict=True)
    ]


def _gains(a: Rows, b: Rows, pairs: Pairs, name: str) -> Floats:
    gains = b.scores[name][pairs.in_b] - a.scores[name][pairs.in_a]
    return np.nan_to_num(gains, nan=0.0)
