"""JSON in a completion: found wherever it stands, compared by value, and one field of it as text."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pipeline.core.errors import ConfigError
from pipeline.core.scores import About
from pipeline.evaluate.found import Found
from pipeline.version import __version__

_FENCED = re.compile(r"```([^`\n]*)\n(.*?)```", re.DOTALL)
_OPENS = re.compile(r"[{\[]")
# A text with more brackets before its JSON is none; trying each would take a hostile one's length squared.
_MOST_TRIES = 50
_MOST_WHOLE = 1e15  # up to here a float tells every whole number


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _number(text: str) -> int | float:
    value = float(text)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("too large")
    return int(value) if value.is_integer() and abs(value) <= _MOST_WHOLE else value


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_number)


def find_json(text: str) -> Any:
    """Give the value of the JSON in a text: all of it, its last fenced block, or the last object, else list, that stands in it.

    Objects come before lists, as [1] may be a footnote. Raises ValueError if there is none. Numbers that are whole come as
    int, however written.
    """
    fenced = [block for label, block in _FENCED.findall(text) if label.strip().lower() in ("", "json")]
    for whole in (text, *reversed(fenced)):
        try:
            return _DECODER.decode(whole.strip())
        except (ValueError, RecursionError):
            continue
    found: list[Any] = []
    at = failed = 0
    while failed < _MOST_TRIES and (opens := _OPENS.search(text, at)):
        try:
            value, at = _DECODER.raw_decode(text, opens.start())
        except (ValueError, RecursionError):
            at, failed = opens.end(), failed + 1
            continue
        if isinstance(value, dict) or not (found and isinstance(found[0], dict)):
            found = [value]
    if not found:
        raise ValueError("no JSON")
    return found[0]


def field_of(text: str, path: Sequence[str]) -> str | None:
    """Give a field of the JSON in a text as text; `path` leads through objects by key and lists by number, () is all of it.

    None if there is no JSON, no such field, or null in it.
    """
    try:
        value = find_json(text)
    except ValueError:
        return None
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    if value is None or isinstance(value, str):
        return value
    return _canonical(value)


def json_value() -> Found[str]:
    """Score 1 where the answer's JSON has the reference's value, whatever the order of keys and the spelling of numbers."""
    about = About("json", "JSON", f"equal:value|refs:any|rowcall:{__version__}", proportion=True)
    return Found(about, _value, _reference)


def _value(text: str) -> str | None:
    try:
        return _canonical(find_json(text))
    except ValueError:
        return None


def _canonical(value: Any) -> str | None:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except (RecursionError, ValueError):
        return None


def _reference(text: str) -> str:
    try:
        found = _canonical(_DECODER.decode(text.strip()))
    except (ValueError, RecursionError):
        found = None
    if found is None:
        raise ConfigError(f"--metric json: a reference is no JSON: {text[:60]!r}; choose another metric or column")
    return found
