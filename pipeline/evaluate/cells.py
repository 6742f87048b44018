"""Columns of a table as the texts that are scored: completions, references, values that rows are grouped by."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import ConfigError

References = Sequence[tuple[str, ...]]

_LISTS = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)


def kind_of(schema: pa.Schema, name: str, option: str) -> pa.DataType:
    """Give the type of the column called `name`; `a.b` is field b of struct a, unless a column is called so.

    Raises ConfigError, which names `option` and the columns there are.
    """
    if name in schema.names:
        return _plain(schema.field(name).type)
    top, *steps = name.split(".")
    kind = _plain(schema.field(top).type) if top in schema.names else None
    for step in steps:
        kind = _plain(kind.field(step).type) if isinstance(kind, pa.StructType) and kind.get_field_index(step) >= 0 else None
    if kind is None:
        there = ", ".join(schema.names[:20]) + (", …" if len(schema.names) > 20 else "")
        raise ConfigError(f"{option} {name}: the table has no such column; it has {there or 'none'}")
    return kind


def column_of(batch: pa.RecordBatch, name: str) -> "pa.Array[Any]":
    """Give a column, or field of one, that kind_of knows."""
    if name in batch.schema.names:
        return batch.column(name)
    top, *steps = name.split(".")
    column = batch.column(top)
    for step in steps:
        column = pc.struct_field(column, step)
    return column


def top_of(schema: pa.Schema, name: str) -> str:
    """Give the column that has to be read to get at `name`."""
    return name if name in schema.names else name.partition(".")[0]


def check_text(schema: pa.Schema, name: str, option: str) -> None:
    """See that a column holds text. Raises ConfigError."""
    kind = kind_of(schema, name, option)
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise ConfigError(f"{option} {name}: the column holds {kind}, not text")


def check_references(schema: pa.Schema, name: str) -> None:
    """See that a column holds texts or numbers, or lists of them. Raises ConfigError."""
    kind = kind_of(schema, name, "--reference")
    inner = _plain(kind.value_type) if isinstance(kind, _LISTS) else kind
    if not (_is_text(inner) or _is_scalar(inner) or pa.types.is_null(inner)):
        advice = ""
        if isinstance(inner, pa.StructType):
            advice = (
                f"; name one of its fields: {name}.{inner.field(0).name}"
                if inner.num_fields and not isinstance(kind, _LISTS)
                else ""
            )
        raise ConfigError(f"--reference {name}: the column holds {kind}, not text, numbers or lists of these{advice}")


def check_values(schema: pa.Schema, name: str, option: str) -> None:
    """See that rows can be told apart by a column: texts, numbers, dates, true and false. Raises ConfigError."""
    kind = kind_of(schema, name, option)
    if not (_is_text(kind) or _is_scalar(kind) or pa.types.is_null(kind) or pa.types.is_temporal(kind)):
        raise ConfigError(f"{option} {name}: the column holds {kind}; rows can be told apart by text, numbers and dates only")


def has_text(schema: pa.Schema, name: str) -> bool:
    """Tell whether there is such a column and it holds text: what a run calls so does, somebody's own may hold anything."""
    return name in schema.names and _is_text(_plain(schema.field(name).type))


def is_told(schema: pa.Schema, name: str) -> bool:
    """Tell whether a person knows a row by this column."""
    kind = _plain(schema.field(name).type)
    return _is_text(kind) or _is_scalar(kind) or pa.types.is_date(kind)


def texts_of(column: "pa.Array[Any]") -> list[str | None]:
    """Give a column's cells as text, None for null."""
    column = plain(column)
    return list((column if _is_text(column.type) else column.cast(pa.string())).to_pylist())


def plain(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """Give a column with its values in their places, where a dictionary or runs stand for them."""
    kind = _plain(column.type)
    return column if column.type == kind else column.cast(kind)


def references_of(columns: Sequence["pa.Array[Any]"]) -> References:
    """Give each row's references from all these columns; null and blank ones are none. A row may have none at all."""
    rows = [_lists_of(each) for each in columns]
    if len(rows) == 1:
        return rows[0]
    return [tuple(text for texts in each for text in texts) for each in zip(*rows, strict=True)]


def _lists_of(column: "pa.Array[Any]") -> list[tuple[str, ...]]:
    column = plain(column)
    if not isinstance(column.type, _LISTS):
        return [(text,) if text is not None and not (text.isspace() or not text) else () for text in texts_of(column)]
    flat = texts_of(pc.list_flatten(column))
    # Flattening leaves out what null lists would hold, so lengths are counted and offsets not asked.
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_pylist()
    rows, start = [], 0
    for length in lengths:
        rows.append(tuple(text for text in flat[start : start + length] if text is not None and text.strip()))
        start += length
    return rows


def _plain(kind: pa.DataType) -> pa.DataType:
    """Give the type that a dictionary's or run-length encoded column's values have."""
    while isinstance(kind, pa.DictionaryType | pa.RunEndEncodedType):
        kind = kind.value_type
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_scalar(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind)
