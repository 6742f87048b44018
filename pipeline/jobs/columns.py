"""Which columns the input has, and which of them the output keeps."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.checkpoint.entries import StoredJob
from pipeline.config import Config
from pipeline.core.errors import ConfigError, SourceError
from pipeline.jobs.inputs import JoinedFile
from pipeline.sources.parquet import schema_of
from pipeline.sources.schema import as_known
from pipeline.sources.slices import is_slices


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
    if gone := [name for name in job.schema.names if name not in schema.names]:
        raise SourceError(
            f"{readable[0][1]}: has no column {gone[0]!r}, which the files that joined the job before have;"
            " one job's files need the same columns"
        )
    return as_known(schema, job.schema)


def kept_schema(config: Config, schema: pa.Schema) -> pa.Schema:
    """Give the input columns that the output keeps: the named ones, or all but image bytes and what stays in its file."""
    if config.output.columns is not None:
        for name in config.output.columns:
            if name not in schema.names:
                raise ConfigError(f"output.columns: the input has no column {name} (columns: {', '.join(schema.names[:20])})")
        return pa.schema([_plain(schema.field(name)) for name in config.output.columns])
    return pa.schema([each for each in schema if not is_slices(each) and not _is_sent(each, config)])


def _plain(field: "pa.Field[Any]") -> "pa.Field[Any]":
    """Give the field of a column whose cells will be in the output itself."""
    return field.remove_metadata() if is_slices(field) else field


def _is_sent(field: "pa.Field[Any]", config: Config) -> bool:
    return field.name in config.prompt.images and _holds_bytes(field.type)


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return True
    if pa.types.is_binary_view(type_):
        return True
    return any(_holds_bytes(type_.field(number).type) for number in range(type_.num_fields))
