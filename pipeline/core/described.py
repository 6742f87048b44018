"""Naming a value in a message about a file of YAML, as the user wrote it there."""

from collections.abc import Mapping

MOST_CHARS = 60


def describe(value: object) -> str:
    """Give a value as the user wrote it in YAML, if it is short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "keys with values"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case _:
            return f"{value!r:.{MOST_CHARS}}"
