"""JSON as a person or a script reads it."""

import orjson

from pipeline.core.redact import escaped_json


def dumps(value: object) -> str:
    """Give indented JSON text, fit for a terminal."""
    return escaped_json(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
