"""The last number in a text, and whether it is the reference's."""

import re
from fractions import Fraction

from pipeline.core.errors import ConfigError
from pipeline.core.scores import About
from pipeline.evaluate.found import Found
from pipeline.version import __version__

# 1,250 · -3.5 · .5 · 2e-3 · 3/4. A minus belongs to it where nothing stands before that it could be subtracted from.
_UNSIGNED = r"(?:[0-9]{1,3}(?:[,\u202f\u00a0][0-9]{3})+(?![0-9])|[0-9]+)?(?:(?<=[0-9])(?:\.[0-9]+)?|\.[0-9]+)"
_NUMBER = re.compile(
    rf"(?:(?<![\w)\]])[-+\u2212](?:[$€£¥] ?)?)?(?<![\w.])(?:{_UNSIGNED})(?:[eE][-+]?[0-9]{{1,3}}(?![\w]))?(?:/[0-9]+(?![/\w]))?"
)
# Nobody means a longer one, and arithmetic with those of hostile texts would take for ever.
_MOST_CHARACTERS = 60


def last_number(text: str) -> str | None:
    """Give the text's last number as it stands there, without grouping and currency; None if it has none."""
    found = None
    for match in _NUMBER.finditer(text):
        if len(match.group()) <= _MOST_CHARACTERS:
            found = match.group()
            if "/" in found and text[match.start() - 1 : match.start()] == "/":  # 12/25/2020 is no division
                found = found.partition("/")[2]
    return None if found is None else re.sub("[^0-9.eE/+-]", "", found.replace("\u2212", "-")).removeprefix("+")


def value_of(number: str) -> Fraction | None:
    """Give what a number of last_number is worth, exactly; None for a division by zero."""
    numerator, _, denominator = number.partition("/")
    try:
        return Fraction(numerator) / Fraction(denominator or "1")
    except (ValueError, ZeroDivisionError):
        return None


def number() -> Found[Fraction]:
    """Score 1 where the answer's last number equals the reference's last number exactly: 1,250.0 is 1250, 3/4 is 0.75."""
    about = About("number", "Number", f"find:last|equal:exact|refs:best|rowcall:{__version__}", proportion=True)
    return Found(about, _value, _reference)


def _value(text: str) -> Fraction | None:
    found = last_number(text)
    return None if found is None else value_of(found)


def _reference(text: str) -> Fraction:
    value = _value(text)
    if value is None:
        raise ConfigError(f"--metric number: a reference has no number in it: {text[:60]!r}; choose another metric or column")
    return value
