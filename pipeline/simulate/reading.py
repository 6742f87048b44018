"""Plain values from a file -> checked ones. A mistake becomes a line: where, what was found, what is allowed, what was meant."""

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence

import orjson

from pipeline.core.described import describe

# Gives the value as the program wants it, or raises UnfitError.
Read = Callable[[object], object]

_MOST_CHARS = 100_000
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class UnfitError(Exception):
    """The value is not allowed here; the message says what is."""


def keys(raw: object, allowed: Mapping[str, Read], where: str, mistakes: list[str]) -> dict[str, object]:
    """Read a mapping with these keys at most; what was wrong is added to `mistakes`."""
    if not isinstance(raw, Mapping):
        mistakes.append(f"{where}: found {describe(raw)}, allowed: keys with values, of {', '.join(allowed)}")
        return {}
    read: dict[str, object] = {}
    for key, value in raw.items():
        if key not in allowed:
            meant = nearest(str(key), list(allowed))
            meaning = f"; did you mean {meant}" if meant else ""
            mistakes.append(f"{where}.{key!s:.60}: unknown key{meaning}; allowed here: {', '.join(allowed) or 'none'}")
            continue
        try:
            read[key] = allowed[key](value)
        except UnfitError as error:
            mistakes.append(f"{where}.{key}: found {describe(value)}, allowed: {error}")
    return read


def nearest(name: str, allowed: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name.replace("-", "_"), allowed, 1, 0.5)), None)


def number(least: float, most: float = math.inf) -> Read:
    words = f"a number from {least:g} to {most:g}" if most < math.inf else f"a number of at least {least:g}"

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or not (least <= value <= most and value < math.inf):
            raise UnfitError(words)
        return float(value)

    return read


def whole(least: int, most: int | None = None) -> Read:
    words = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
            raise UnfitError(words)
        return value

    return read


def choice(*allowed: str) -> Read:
    def read(value: object) -> object:
        if value not in allowed:
            raise UnfitError(", ".join(allowed))
        return value

    return read


def text(value: object) -> object:
    if not isinstance(value, str) or not value or len(value) > _MOST_CHARS:
        raise UnfitError(f"text of 1 to {_MOST_CHARS:,} characters")
    return value


def truth(value: object) -> object:
    if not isinstance(value, bool):
        raise UnfitError("true or false")
    return value


def body(value: object) -> object:
    """Read what stands for an answer's body: text as it is, or keys with values to be written as JSON. Gives bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, Mapping | list):
        try:
            return orjson.dumps(value)
        except (orjson.JSONEncodeError, TypeError):
            pass
    raise UnfitError("text, or keys with values to be written as JSON")


def headers(value: object) -> object:
    """Read headers; numbers count as text. Nothing in them may begin another header."""
    if isinstance(value, Mapping) and all(_is_header(name, field) for name, field in value.items()):
        return {str(name): str(field) for name, field in value.items()}
    raise UnfitError("names of headers with their values, in printable characters")


def _is_header(name: object, value: object) -> bool:
    return isinstance(name, str) and bool(_HEADER_NAME.fullmatch(name)) and str(value).isprintable()


def wire_bytes(value: object) -> object:
    """Read literal bytes: text in which each character up to U+00FF is the byte of that number."""
    try:
        if isinstance(value, str) and value:
            return value.encode("latin-1")
    except UnicodeEncodeError:
        pass
    raise UnfitError(r'text in double quotes, as "HTTP/1.1 200 OK\r\n\r\n", each character a byte: \xff is the last one')


def part(value: object) -> object:
    """Read where a body is cut: a share of it, written with a point (0.5), or a number of bytes."""
    if isinstance(value, float) and 0.0 <= value <= 1.0:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise UnfitError("a share of the body, as 0.5, or a whole number of bytes")
