"""Bytes of an answer -> JSON value, forgiving everything that does not hide what was paid for.

orjson reads nearly every body. What it refuses on principle (a byte order mark, UTF-16, broken UTF-8, half a surrogate pair,
`NaN`, numbers past any range) goes through the standard library with those values replaced.
"""

import json
import math
import re

import orjson

from pipeline.core.values import value

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Digits that can still be a 64-bit number; int() of more may be refused (sys.int_info) and orjson could not write it again.
_MOST_DIGITS = 20


@value(frozen=True, slots=True)
class Parsed:
    """A complete JSON value, free of lone surrogates and of numbers that JSON cannot hold. `lossy`: bytes were no UTF-8."""

    value: object
    lossy: bool = False


def parse(body: bytes) -> Parsed | None:
    """Read one JSON value that fills the whole body; None if it is no such thing."""
    try:
        return Parsed(orjson.loads(body))
    except orjson.JSONDecodeError:
        return _parse_leniently(body)


def decoded(body: bytes) -> tuple[str, bool]:
    """Give the body as text by its own first bytes, never by a declared charset, and whether anything of it was lost."""
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding), False
    except UnicodeDecodeError:
        return body.decode(encoding, "replace"), True


def _parse_leniently(body: bytes) -> Parsed | None:
    text, lossy = decoded(body)
    try:
        return Parsed(_clean(json.loads(text, parse_int=_whole, parse_constant=lambda _: None)), lossy)
    except (ValueError, RecursionError, MemoryError):  # a nesting bomb is a RecursionError
        return None


def _whole(digits: str) -> int | float:
    number = int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def _clean(value: object) -> object:
    match value:
        case str():
            return _LONE_SURROGATE.sub(REPLACEMENT, value)
        case float() if not math.isfinite(value):
            return None
        case list():
            return [_clean(each) for each in value]
        case dict():
            return {_LONE_SURROGATE.sub(REPLACEMENT, key): _clean(each) for key, each in value.items()}
    return value
