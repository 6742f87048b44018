"""The output's columns: the kept input columns, then what came back. Arrow types and the way from outcomes to arrays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.checkpoint import arrays
from pipeline.checkpoint import outcomes as codec
from pipeline.core.errors import ConfigError
from pipeline.core.types import RESULT_COLUMNS, Fault, FaultKind, Outcome, Reply, Usage

_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(RESULT_COLUMNS, pa.string()),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), pa.int64()),
    **dict.fromkeys(("http_status", "attempts"), pa.int32()),
    **dict.fromkeys(("latency_s", "cost"), pa.float64()),
}

_FIELDS = [pa.field(name, _TYPES[name]) for name in RESULT_COLUMNS]
RESULTS = pa.schema(_FIELDS)

Arrays = Sequence["pa.Array[Any]"]


def output_schema(kept: pa.Schema, prefix: str) -> pa.Schema:
    """Give the output's schema, the same whatever came back. Raises ConfigError if a result column's name is taken."""
    names = [prefix + name for name in RESULT_COLUMNS]
    taken = [name for name in names if name in kept.names]
    if taken:
        raise ConfigError(
            f"output.prefix: the input already has a column {', '.join(taken)}; set output.prefix (e.g. llm_), "
            "or leave the column out with output.columns"
        )
    # Metadata of the whole schema spoke of the input file (its pandas index, say) and would be untrue of the output.
    fields = [*kept, *(pa.field(name, field.type) for name, field in zip(names, _FIELDS, strict=True))]
    return pa.schema(fields)


def difference(old: pa.Schema, new: pa.Schema) -> str:
    """Say what differs between two output schemas that are not equal."""
    for field in new:
        if field.name not in old.names:
            return f"there is a column {field.name} now"
        before = old.field(field.name)
        if before.type != field.type:
            return f"column {field.name} was {before.type}, is now {field.type}"
        if before.nullable != field.nullable:
            return f"column {field.name} {'may now' if field.nullable else 'may not any more'} be null"
    gone = [name for name in old.names if name not in new.names]
    return f"column {gone[0]} is gone" if gone else "the columns' order changed"


def result_arrays(outcomes: Sequence[Outcome | None]) -> Arrays:
    """Give one array a result column; None stands for a row that is still to do, status `pending`."""
    return stored_arrays([codec.PENDING if each is None else codec.values(each) for each in outcomes])


def stored_arrays(rows: Sequence[codec.Values]) -> Arrays:
    """Give one array a result column of outcomes as the journal holds them."""
    return [arrays.build(values, field.type) for values, field in zip(codec.columns(rows), _FIELDS, strict=True)]


def joined(schema: pa.Schema, kept: Arrays, results: Arrays) -> pa.RecordBatch:
    """Join kept and result arrays into a batch of the output's schema."""
    columns = [*kept, *results]
    return pa.RecordBatch.from_arrays(
        [each if each.type == field.type else each.cast(field.type) for each, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def overlaid(batch: pa.RecordBatch, changes: dict[int, Outcome]) -> pa.RecordBatch:
    """Replace the results of some rows of an output batch; `changes` is keyed by the row's place in the batch."""
    if not changes:
        return batch
    kept = batch.num_columns - len(_FIELDS)
    take = list(range(batch.num_rows))
    for place, at in enumerate(changes, batch.num_rows):
        take[at] = place
    indices = arrays.build(take, pa.int64())
    newer = result_arrays(list(changes.values()))
    old = batch.columns[kept:]
    results = [pa.concat_arrays(pair).take(indices) for pair in zip(old, newer, strict=True)]
    return joined(batch.schema, batch.columns[:kept], results)


def outcomes_of(batch: pa.RecordBatch, first: int) -> Iterator[Outcome | None]:
    """Read the outcomes back from an output batch whose first row has index `first`; None for a pending row.

    A fault comes back with what the output shows of it; its kind and hints have served their purpose.
    """
    columns = [column.to_pylist() for column in batch.columns[batch.num_columns - len(_FIELDS) :]]
    for row, values in enumerate(zip(*columns, strict=True), first):
        yield _outcome(row, dict(zip(RESULT_COLUMNS, values, strict=True)))


def _outcome(row: int, cells: Mapping[str, Any]) -> Outcome | None:
    result: Reply | Fault
    match cells["status"]:
        case "pending":
            return None
        case "ok":
            usage = Usage(cells["prompt_tokens"], cells["completion_tokens"], cells["total_tokens"])
            finish, model, id_ = cells["finish_reason"], cells["model"], cells["response_id"]
            result = Reply(cells["completion"], finish, usage, model, id_, cells["extra"])
        case _:
            result = Fault(FaultKind.REJECTED, cells["error_kind"], cells["error"] or "", cells["http_status"])
    return Outcome(row, cells["attempts"], cells["latency_s"], result, cells["cost"])
