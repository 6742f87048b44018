"""JSON as a person or a script reads it."""

import orjson


def dumps(value: object) -> str:
    """Give indented JSON text."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
