"""Text that others wrote, made fit for a page, for a table, and for a script element. Markup is the template's to escape."""

import json
import re
from collections.abc import Mapping, Sequence

from pipeline.core.redact import visible
from pipeline.observe.formulas import is_formula

# A page that shows a few hundred rows must open on a phone, whatever an endpoint sends.
MOST_CHARS = 8000
_HALF = re.compile("[\ud800-\udfff]")
# Enough that no parser of HTML can find an end of the script element, a comment, or an entity in it.
_IN_HTML = re.compile("[<>&\u2028\u2029]")


def shown(text: str, limit: int = MOST_CHARS) -> str:
    """Give text with controls as \\xNN, direction changes gone, halves of letters replaced, and cut at `limit`."""
    cut = text[:limit].replace("\r\n", "\n")
    cut = _HALF.sub("\ufffd", visible(cut))
    return cut if len(text) <= limit else f"{cut} … ({len(text) - limit:,} more characters)"


def cut(text: str, limit: int) -> str:
    """Cut text that is longer than `limit` characters, and say how long it is."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def cell(text: str) -> str:
    """Give text for a table, whose cells people paste into spreadsheets: an apostrophe stands before a formula."""
    return f"'{text}" if is_formula(text) else text


def json_in_html(value: object) -> str:
    """Give JSON that may stand in a script element: the same value, and nothing in it that HTML heeds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _IN_HTML.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def indented(value: Mapping[str, object]) -> str:
    """Give a config as a person reads it: a `key: value` a line, deeper ones indented."""
    return "\n".join(_lines(value, "")) or "nothing is set"


def _lines(value: object, indent: str) -> list[str]:
    lines = []
    match value:
        case Mapping():
            entries = [(f"{key}:", each) for key, each in value.items()]
        case list() | tuple():
            entries = [("-", each) for each in value]
        case _:
            entries = []
    for name, each in entries:
        lines += [f"{indent}{name} {_scalar(each)}"] if _is_scalar(each) else [f"{indent}{name}", *_lines(each, indent + "  ")]
    return lines


def _is_scalar(value: object) -> bool:
    return not value or not isinstance(value, Mapping | list | tuple)


def _scalar(value: object) -> str:
    match value:
        case str():
            return value if value and "\n" not in value else json.dumps(value, ensure_ascii=False)
        case Mapping():
            return "{}"
        case Sequence():
            return "[]"
        case bool() | None:
            return json.dumps(value)
    return str(value)
