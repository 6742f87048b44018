"""The one schema that all files of an input agree on, and batches conformed to it.

Names and types must agree; order may differ, and so may what is the same value in another wrapping: string or
large_string, the width of a dictionary's indices, a column without any value. Values are never converted. Shards may each
lack some columns of the others: a sample has what it has.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.types as is_

from pipeline.core.errors import SourceError
from pipeline.sources.slices import is_shard, no_shard, with_marks
from pipeline.sources.wording import shown
from pipeline.storage import AnyFile

_MOST_CHARS = 100


def agreed_schema(schemas: Iterable[tuple[AnyFile, pa.Schema]]) -> pa.Schema:
    """Give the schema all files agree on, in the first file's order; empty for no files.

    Raises SourceError naming the file and column that disagree, or a column name that one file has twice.
    """
    agreed, first = pa.schema([]), None
    for path, schema in schemas:
        _check_names(schema, path)
        if first is None:
            agreed, first = schema.remove_metadata(), path
        elif not schema.equals(agreed) or is_shard(agreed) != is_shard(schema):
            agreed = _agreed(agreed, first, schema, path)
    return agreed


def as_known(schema: pa.Schema, known: pa.Schema) -> pa.Schema:
    """Give the schema with the columns of `known` first, in its order, and in its types wherever these hold the same values.

    So files that join a job later, or are read again without those before them, fit under what was recorded first.
    """
    ours = [_known_field(field, schema.field(field.name)) for field in known if field.name in schema.names]
    return pa.schema([*ours, *(field for field in schema if field.name not in known.names)])


def conformed(batch: pa.RecordBatch, schema: pa.Schema, path: AnyFile) -> pa.RecordBatch:
    """Give the schema's columns of a batch, in its order and types. Raises SourceError for a column that does not fit."""
    if not schema.names:
        return no_columns(batch.num_rows)
    try:
        arrays = [_as(batch.column(field.name), field.type) for field in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    except (pa.ArrowException, KeyError) as error:
        raise SourceError(f"{shown(path)}: its columns no longer fit the job's: {str(error)[:_MOST_CHARS]}") from error


def no_columns(rows: int) -> pa.RecordBatch:
    """Give a batch of rows without columns, which still count."""
    empty: Any = pa.array([{}] * rows, pa.struct([]))
    return pa.RecordBatch.from_struct_array(empty)


def checked_columns(columns: Sequence[str], schema: pa.Schema) -> list[str]:
    """Give the columns, each once. Raises SourceError naming one that the input has not."""
    for column in columns:
        if column not in schema.names:
            near = get_close_matches(column, schema.names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(schema.names[:20]) or 'none'}"
            raise SourceError(f"the input has no column {column!r}; {hint}")
    return list(dict.fromkeys(columns))


def _check_names(schema: pa.Schema, path: AnyFile) -> None:
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise SourceError(f"{shown(path)}: the column name {twice!r} stands there twice; rename one")


def _agreed(agreed: pa.Schema, first: AnyFile, schema: pa.Schema, path: AnyFile) -> pa.Schema:
    if not (is_shard(agreed) and is_shard(schema)):
        _check_same_names(agreed, first, schema, path)
        agreed = no_shard(agreed)
    more = [each for each in schema if each.name not in agreed.names]
    known = [_agreed_field(each, first, schema.field(each.name), path) if each.name in schema.names else each for each in agreed]
    return pa.schema([*known, *more])


def _check_same_names(agreed: pa.Schema, first: AnyFile, schema: pa.Schema, path: AnyFile) -> None:
    for name in agreed.names:
        if name not in schema.names:
            raise SourceError(
                f"{shown(path)}: has no column {name!r}, which {shown(first)} has; one job's files need the same columns"
            )
    for name in schema.names:
        if name not in agreed.names:
            raise SourceError(
                f"{shown(path)}: has a column {name!r}, which {shown(first)} has not; one job's files need the same columns"
            )


def _agreed_field(ours: "pa.Field[Any]", first: AnyFile, theirs: "pa.Field[Any]", path: AnyFile) -> "pa.Field[Any]":
    type_ = common_type(ours.type, theirs.type)
    if type_ is None:
        raise SourceError(
            f"{shown(path)}: column {ours.name!r} is {str(theirs.type)[:_MOST_CHARS]}, and {str(ours.type)[:_MOST_CHARS]} in "
            f"{shown(first)}; one job's files need the same types"
        )
    return with_marks(ours.with_type(type_).with_nullable(ours.nullable or theirs.nullable), theirs)


def _known_field(known: "pa.Field[Any]", found: "pa.Field[Any]") -> "pa.Field[Any]":
    fits = common_type(known.type, found.type) == known.type and (known.nullable or not found.nullable)
    return with_marks(known, found) if fits else found


_TEXTS = (is_.is_string, is_.is_large_string, is_.is_string_view)
_BYTES = (is_.is_binary, is_.is_large_binary, is_.is_binary_view)
_LISTS = (is_.is_list, is_.is_large_list)


def common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Give the type for both, `a` wherever it will do; None if values would have to be converted."""
    if a.equals(b) or is_.is_null(b):
        return a
    if is_.is_null(a):
        return b
    for family in (_TEXTS, _BYTES):
        if any(each(a) for each in family) and any(each(b) for each in family):
            return a
    if is_.is_dictionary(a) and is_.is_dictionary(b):
        return _common_dictionary(a, b)
    if any(each(a) for each in _LISTS) and any(each(b) for each in _LISTS):
        return _common_list(a, b)
    if is_.is_struct(a) and is_.is_struct(b):
        return _common_struct(a, b)
    return None


def _common_list(a: Any, b: Any) -> pa.DataType | None:
    inner = common_type(a.value_type, b.value_type)
    if inner is None:
        return None
    item = a.value_field.with_type(inner).with_nullable(True)
    return pa.large_list(item) if is_.is_large_list(a) else pa.list_(item)


def _common_dictionary(a: Any, b: Any) -> pa.DataType | None:
    values: Any = common_type(a.value_type, b.value_type)
    if values is None or a.ordered != b.ordered:
        return None
    index = a.index_type if a.index_type.bit_width >= b.index_type.bit_width else b.index_type
    return pa.dictionary(index, values, a.ordered)


def _common_struct(a: pa.StructType, b: pa.StructType) -> pa.DataType | None:
    if [each.name for each in a] != [each.name for each in b]:
        return None
    fields = []
    for ours, theirs in zip(a, b, strict=True):
        inner = common_type(ours.type, theirs.type)
        if inner is None:
            return None
        fields.append(ours.with_type(inner).with_nullable(ours.nullable or theirs.nullable))
    return pa.struct(fields)


def _as(array: "pa.Array[Any]", type_: pa.DataType) -> "pa.Array[Any]":
    if array.type.equals(type_):
        return array
    if isinstance(array, pa.DictionaryArray) and isinstance(type_, pa.DictionaryType):
        # Arrow has no cast between dictionaries; the indices are checked to fit.
        indices, values = array.indices.cast(type_.index_type), _as(array.dictionary, type_.value_type)
        return pa.DictionaryArray.from_arrays(indices, values, ordered=type_.ordered)
    return array.cast(type_)
