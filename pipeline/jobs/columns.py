"""Which columns the input has, and which of them the output keeps."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.checkpoint.entries import StoredJob
from pipeline.config import Config
from pipeline.core.errors import ConfigError, SourceError
from pipeline.core.redact import harmless
from pipeline.jobs.inputs import JoinedFile
from pipeline.sources.parquet import schema_of
from pipeline.sources.schema import as_known
from pipeline.sources.shards import is_picture
from pipeline.sources.slices import is_shard, is_slices, slice_columns, unmarked


def input_schema(job: StoredJob | None, files: Sequence[JoinedFile]) -> pa.Schema | None:
    """Give the input's columns, those the job on record has first, or None when no file needs to be read any more."""
    readable = [(each.path, each.original) for each in files if each.path is not None and each.original is not None]
    if not readable:
        if job is not None:
            return None
        raise SourceError("the input has no readable file")
    schema = schema_of([path for path, _ in readable], names=[name for _, name in readable])
    if job is None:
        return schema
    if is_shard(schema):  # what these shards lack is null in them
        schema = pa.schema([*schema, *(each for each in job.schema if each.name not in schema.names)])
    if gone := [name for name in job.schema.names if name not in schema.names]:
        raise SourceError(
            f"{readable[0][1]}: has no column {gone[0]!r}, which the files that joined the job before have;"
            " one job's files need the same columns"
        )
    return as_known(schema, job.schema)


def kept_schema(config: Config, schema: pa.Schema, job: StoredJob | None = None) -> pa.Schema:
    """Give the input columns that the output keeps: the named ones, or all but image bytes and what stays in its file.

    Shards that join a job on record may have more columns than it has: these are not kept.
    """
    if config.output.columns is not None:
        for name in config.output.columns:
            if name not in schema.names:
                raise ConfigError(f"output.columns: the input has no column {name} (columns: {', '.join(schema.names[:20])})")
        return pa.schema([unmarked(schema.field(name)) for name in config.output.columns])
    known = job.schema.names if job is not None and is_shard(schema) else schema.names
    kept = [each for each in schema if each.name in known and not is_slices(each) and not _is_sent(each, config)]
    return pa.schema([unmarked(each) for each in kept])


def tell_of_unsent(config: Config, schema: pa.Schema, notice: Callable[[str], None]) -> None:
    """Say once that a shard's pictures are not sent, where nobody said which are to be."""
    names = [each for each in slice_columns(schema) if is_picture(each)]
    if names and not config.prompt.images:
        named = f"the column {names[0]} holds" if len(names) == 1 else f"the columns {' and '.join(names[:5])} hold"
        notice(harmless(f"{named} pictures and {'is' if len(names) == 1 else 'are'} not sent; --image {names[0]} sends it"))


def _is_sent(field: "pa.Field[Any]", config: Config) -> bool:
    return field.name in config.prompt.images and _holds_bytes(field.type)


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return True
    if pa.types.is_binary_view(type_):
        return True
    return any(_holds_bytes(type_.field(number).type) for number in range(type_.num_fields))
