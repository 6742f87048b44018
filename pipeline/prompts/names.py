"""Column names in messages to people: shown harmlessly, with the nearest one that exists."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_MOST_SHOWN = 20
_MOST_CHARS = 60


def shown(name: str, most: int = _MOST_CHARS) -> str:
    """Give a name from the data in quotes, cut, with control characters escaped."""
    return repr(name if len(name) <= most else name[: most - 1] + "…")


def no_column(name: str, columns: Sequence[str]) -> str:
    """Say that there is no such column, which is nearest and which there are."""
    close = nearest(name, columns)
    meant = f"; did you mean {shown(close)}?" if close is not None else ";"
    listed = ", ".join(shown(column) for column in columns[:_MOST_SHOWN]) or "none"
    more = f" and {len(columns) - _MOST_SHOWN} more" if len(columns) > _MOST_SHOWN else ""
    return f"there is no column {shown(name)}{meant} the input's columns are: {listed}{more}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Give the known name most like this one, letter case aside, or None if none is like it."""
    by_folded = {each.casefold(): each for each in known}
    found = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None
