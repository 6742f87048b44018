"""What `rowcall evaluate` does: opens one table or two, has them scored, and writes what was asked for."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import ConfigError
from pipeline.core.locations import Location
from pipeline.core.scores import Comparison, Evaluation, Rule, Table
from pipeline.evaluate import cells
from pipeline.evaluate.catalogue import metrics_named
from pipeline.evaluate.comparison import Pairs, check_references, comparison_of, flips_of, keys_of, marked, pair
from pipeline.evaluate.evaluation import evaluation_of, sample_places, sampled_rows, scores_beside
from pipeline.evaluate.extract import extractor
from pipeline.evaluate.gates import check_gates, judged
from pipeline.evaluate.metric import Floats
from pipeline.evaluate.scoring import MISSING_OR_PENDING, Plan, Rows, score_rows, texted
from pipeline.jobs.tables import OpenTable, open_table
from pipeline.observe.export import SUFFIXES, export

Seen = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks of an evaluation, as the command's options have it."""

    target: Path | Location
    other: Path | Location | None = None
    references: Sequence[str] = ()
    metrics: Sequence[str] = ("exact", "f1")
    tokenize: str | None = None
    extract: str | None = None
    by: Sequence[str] = ()
    cluster: str | None = None
    key: Sequence[str] = ()
    rule: Rule = "zero"
    completion: str | None = None
    gates: tuple[str, ...] = ()
    seed: int = 0
    output: Path | None = None
    csv_safe: bool = False
    others: Sequence[Path] = ()  # files that the caller writes of the result: they must not lie in a job's output either
    with_rows: bool = False  # a sample of rows, or the largest flips, is part of the result


def evaluate(asked: Asked, *, seen: Seen = lambda rows: None, now: Callable[[], float] = time.time) -> Evaluation | Comparison:
    """Score a table, or compare two, and write `asked.output`. `seen` is told of rows as they are read.

    Raises ConfigError or SourceError for what is wrong with the tables or with what was asked, before anything is written.
    """
    if not asked.references:
        raise ConfigError("--reference: name the column that holds the right answer, or several")
    if asked.other is None and asked.key:
        raise ConfigError("--key: rows of two tables are paired by it; give a second table")
    if asked.output is not None:
        _check_kind(asked.output, csv_safe=asked.csv_safe)
    plan = Plan(
        metrics=metrics_named(asked.metrics, tokenize=asked.tokenize),
        references=list(dict.fromkeys(asked.references)),
        extractor=extractor(asked.extract) if asked.extract is not None else None,
        by=list(dict.fromkeys(asked.by)),
        cluster=asked.cluster,
        key=list(dict.fromkeys(asked.key)),
        rule=asked.rule,
        seed=asked.seed,
    )
    check_gates(asked.gates, [each.about for each in plan.metrics])
    with ExitStack() as stack:
        a = stack.enter_context(open_table(asked.target, asked.completion))
        b = None if asked.other is None else stack.enter_context(open_table(asked.other, asked.completion))
        for each in (*asked.others, *([asked.output] if asked.output else [])):
            _check_place(each, [*a.files, *(b.files if b else [])])
        return _one(a, plan, asked, seen, now()) if b is None else _two(a, b, plan, asked, seen, now())


def _one(table: OpenTable, plan: Plan, asked: Asked, seen: Seen, now: float) -> Evaluation:
    plan = replace(plan, completion=table.about.completion)
    if asked.output is not None:
        _check_names(table.schema, plan)
    rows = score_rows(table.batches, table.schema, table.about.rows, plan, seen=seen)
    if not rows.scored.any():
        raise ConfigError(f"--reference {', '.join(plan.references)}: no row to be scored has one")
    result = judged(evaluation_of(rows, plan, table.about, made=now), asked.gates)
    if asked.with_rows:
        sample = sampled_rows(table.batches, table.schema, rows, plan, sample_places(rows, plan))
        result = replace(result, rows=sample)
    if asked.output is not None:
        export(_scored_schema(table.schema, plan), _scored_batches(table, rows, plan), asked.output, csv_safe=asked.csv_safe)
    return result


def _two(a: OpenTable, b: OpenTable, plan: Plan, asked: Asked, seen: Seen, now: float) -> Comparison:
    if not plan.key:
        raise ConfigError("--key: name the column by which rows of the two tables belong together, such as id")
    plan_a, plan_b = (
        replace(plan, completion=a.about.completion),
        replace(plan, completion=b.about.completion, by=(), cluster=None),
    )
    plan_a.check(a.schema)
    plan_b.check(b.schema)
    keys = keys_of(a.batches, a.schema, plan_a, "A"), keys_of(b.batches, b.schema, plan_b, "B")
    pairs = pair(*keys, (str(asked.target), str(asked.other)), plan.key)
    check_references((a.batches, a.schema), (b.batches, b.schema), plan_a, pairs)
    only_a, only_b = marked(a.about.rows, pairs.in_a), marked(b.about.rows, pairs.in_b)
    rows_a = score_rows(a.batches, a.schema, a.about.rows, plan_a, only=only_a, seen=seen)
    rows_b = score_rows(b.batches, b.schema, b.about.rows, plan_b, only=only_b, learn=False, seen=seen)
    if not (rows_a.scored[pairs.in_a] & rows_b.scored[pairs.in_b]).any():
        raise ConfigError(f"--reference {', '.join(plan.references)}: no pair of rows has one")
    tables = _told_apart(a.about, b.about, asked.target, asked.other or asked.target)
    result = judged(comparison_of(rows_a, rows_b, plan_a, pairs, tables, made=now), asked.gates)
    if asked.with_rows:
        sides = (a.batches, a.schema, plan_a), (b.batches, b.schema, plan_b)
        result = replace(result, flips=flips_of(rows_a, rows_b, pairs, sides))
    if asked.output is not None:
        export(
            _paired_schema(a.schema, plan_a),
            _paired_batches(a, rows_a, rows_b, plan_a, pairs),
            asked.output,
            csv_safe=asked.csv_safe,
        )
    return result


def _told_apart(a: Table, b: Table, in_a: Path | Location, in_b: Path | Location) -> tuple[Table, Table]:
    """Give both tables with names that differ: last night's captions.parquet and tonight's lie in other folders."""
    parts_a, parts_b = _parts(in_a), _parts(in_b)
    if a.name != b.name or parts_a == parts_b:
        return a, b
    depth = next(at for at in range(1, max(len(parts_a), len(parts_b)) + 1) if parts_a[-at:] != parts_b[-at:])
    return replace(a, name="/".join(parts_a[-depth:])), replace(b, name="/".join(parts_b[-depth:]))


def _parts(place: Path | Location) -> tuple[str, ...]:
    return tuple(str(place).split("/")) if isinstance(place, Location) else place.resolve().parts


# -- what is written


def check_json(file: Path) -> None:
    """See that scores may be written there as JSON, before anything is scored. Raises ConfigError."""
    if file.suffix.lower() != ".json":
        raise ConfigError(f"{file}: figures are written as JSON; give a name that ends in .json, or - for standard output")
    _check_folder(file)


def _check_folder(file: Path) -> None:
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"{file}: its folder does not exist")
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file}: is not a regular file; write to another place")


def _check_kind(output: Path, *, csv_safe: bool) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{output}: scores are written as {', '.join(SUFFIXES)}; give one of these")
    if csv_safe and output.suffix.lower() != ".csv":
        raise ConfigError(f"{output}: --csv-safe is for .csv alone; no spreadsheet runs what is in {output.suffix}")


def _check_place(output: Path, scored: Sequence[Path | Location]) -> None:
    """Refuse to write into what is scored, or over any job's output: that is paid for, and the record's only copy."""
    place = output.resolve()
    for each in (file.resolve() for file in scored if isinstance(file, Path)):
        if place.is_relative_to(each) or place.is_relative_to(each.with_name(f"{each.name}.rowcall")):
            raise ConfigError(f"{output}: is what is to be scored, or lies in it; write to another place")
    for each in (place, place.parent):
        if each.name and Layout.of(each, is_directory=each.is_dir()).has_record:
            raise ConfigError(f"{output}: belongs to the job whose record is {each.name}.rowcall; write to another place")
    _check_folder(output)


def _columns(plan: Plan) -> list["pa.Field[Any]"]:
    fields: list[pa.Field[Any]] = [pa.field(f"score_{each.about.name}", pa.float64()) for each in plan.metrics]
    fields.append(pa.field("score_missing", pa.string()))
    if plan.extractor is not None:
        fields.append(pa.field("score_answer", pa.string()))
    return fields


def _check_names(schema: pa.Schema, plan: Plan) -> None:
    taken = [field.name for field in _columns(plan) if field.name in schema.names]
    if taken:
        raise ConfigError(f"-o: the table has a column {taken[0]} already; score the run's own output, or rename it")


def _scored_schema(schema: pa.Schema, plan: Plan) -> pa.Schema:
    return pa.schema([*schema, *_columns(plan)])


def _scored_batches(table: OpenTable, rows: Rows, plan: Plan) -> Iterator[pa.RecordBatch]:
    schema = _scored_schema(table.schema, plan)
    scores = scores_beside(rows, plan)
    at = 0
    for batch in table.batches(table.schema.names):
        within = slice(at, at + batch.num_rows)
        columns = [_nullable(each[within]) for each in scores.values()]
        columns.append(_missing(rows, within))
        if plan.extractor is not None:
            columns.append(pa.array([each or None for each in texted(batch, plan).answers], pa.string()))
        yield pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)
        at += batch.num_rows


def _paired_schema(schema: pa.Schema, plan: Plan) -> pa.Schema:
    fields: list[pa.Field[Any]] = [pa.field(name, cells.kind_of(schema, name, "--key")) for name in plan.key]
    for each in plan.metrics:
        fields += [pa.field(f"score_{each.about.name}_{side}", pa.float64()) for side in "ab"]
    return pa.schema([*fields, pa.field("score_missing_a", pa.string()), pa.field("score_missing_b", pa.string())])


def _paired_batches(table: OpenTable, a: Rows, b: Rows, plan: Plan, pairs: Pairs) -> Iterator[pa.RecordBatch]:
    """Give the rows that both tables hold, in the order of A: the key, and the scores of both."""
    schema = _paired_schema(table.schema, plan)
    partner = np.full(table.about.rows, -1)
    partner[pairs.in_a] = pairs.in_b
    scores_a, scores_b = scores_beside(a, plan), scores_beside(b, plan)
    at = 0
    for batch in table.batches(list(dict.fromkeys(cells.top_of(table.schema, name) for name in plan.key))):
        here = np.flatnonzero(partner[at : at + batch.num_rows] >= 0)
        places = pa.array(here, pa.int64())
        in_a, in_b = here + at, partner[here + at]
        columns = [cells.plain(cells.column_of(batch, name)).take(places) for name in plan.key]
        for name in scores_a:
            columns += [_nullable(scores_a[name][in_a]), _nullable(scores_b[name][in_b])]
        columns += [_missing(a, in_a), _missing(b, in_b)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
        at += batch.num_rows


def _nullable(scores: Floats) -> "pa.Array[Any]":
    return pa.array(scores, mask=np.isnan(scores))


def _missing(rows: Rows, places: Any) -> "pa.Array[Any]":
    kinds = np.where(rows.pending[places], len(MISSING_OR_PENDING) - 1, rows.missing[places])
    return pa.array([MISSING_OR_PENDING[each] if each >= 0 else None for each in kinds.tolist()], pa.string())
