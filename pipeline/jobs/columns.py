"""Which input columns the output keeps."""

import pyarrow as pa

from pipeline.config import Config
from pipeline.core.errors import ConfigError


def kept_schema(config: Config, schema: pa.Schema) -> pa.Schema:
    """Give the input columns that the output keeps: the named ones, or all but image bytes."""
    if config.output.columns is not None:
        for name in config.output.columns:
            if name not in schema.names:
                raise ConfigError(f"output.columns: the input has no column {name} (columns: {', '.join(schema.names[:20])})")
        return pa.schema([schema.field(name) for name in config.output.columns])
    return pa.schema([each for each in schema if not (each.name in config.prompt.images and _holds_bytes(each.type))])


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return True
    if pa.types.is_binary_view(type_):
        return True
    return any(_holds_bytes(type_.field(number).type) for number in range(type_.num_fields))
