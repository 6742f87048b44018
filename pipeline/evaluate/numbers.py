"""The last number in a text, and whether it is the reference's."""

import re
from fractions import Fraction

from pipeline.core.errors import ConfigError
from pipeline.core.scores import About
from pipeline.evaluate.found import Found
from pipeline.version import __version__

# 1,250 · -3.5 · .5 · 2e-3 · 3/4. A minus belongs to it where nothing stands before that it could be subtracted from.
_UNSIGNED = r"(?:[0-9]{1,3}(?:[,\u202f\u00a0][0-9]{3})+(?![0-9])|[0-9]+)?(?:(?<=[0-9])(?:\.[0-9]+)?|\.[0-9]+)"
_SIGN = r"(?:(?<![\w)\]])[-+\u2212\u2013](?:[$€£¥] ?)?)?"
_NO_PART = r"(?<![\w.])(?<![a-z}]\^)(?<![a-z}]\^\{)"
_NUMBER = re.compile(rf"{_SIGN}{_NO_PART}(?:{_UNSIGNED})(?:[eE][-+]?[0-9]{{1,3}}(?![\w]))?(?:/[0-9]+(?![/\w]))?")
# LaTeX: 1{,}250 and 10,\!080 are grouped, \frac{3}{4} is 3/4. A power of a unit or variable is no answer: cm^2.
_GROUPED = re.compile(r"(?<=[0-9])(?:\{,\}|,?\\[,!])(?=[0-9]{3})")
# 1.5 × 10^6, 1.5 \\times 10^{6} and 1.5·10⁶ are 1.5e6.
_POWER_OF_TEN = re.compile(
    r"(?<=[0-9]) ?(?:[x×*·]|\\times|\\cdot) ?10 ?"
    r"(?:(?:\^|\*\*) ?(?:\{ ?([-+\u2212]?[0-9]{1,3}) ?\}|([-+\u2212]?[0-9]{1,3})(?![0-9]))|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
)
_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹\u2212", "+-0123456789-")
# 5 1/2 is 11/2; the 2019 of 2019 3/4 hardly belongs to it.
_MIXED = re.compile(r"(?<![\w.,/^])([0-9]{1,3}) ([0-9]{1,9})/([0-9]{1,9})(?![/\w])")
# Where mathematics puts its answer, whatever is said behind it.
_BOXED = re.compile(r"\\boxed\{([^{}]{1,200})\}")
_FRACTION = re.compile(r"\\[dt]?frac(?:\{(-?[0-9]{1,20})\}\{([0-9]{1,20})\}|([0-9])([0-9]))")
# Nobody means a longer one, and arithmetic with those of hostile texts would take for ever.
_MOST_CHARACTERS = 60
_MINUS = str.maketrans("\u2212\u2013", "--")


def last_number(text: str) -> str | None:
    """Give the last number, or that of the last box, as it stands without grouping and currency; None if there is none."""
    if "\\" in text or "{,}" in text:
        text = _FRACTION.sub(_divided, _GROUPED.sub(",", text))
        boxed = _BOXED.findall(text)
        text = boxed[-1] if boxed and _NUMBER.search(boxed[-1]) else text
    text = _MIXED.sub(_improper, _POWER_OF_TEN.sub(_exponent, text))
    found = None
    for match in _NUMBER.finditer(text):
        if len(match.group()) <= _MOST_CHARACTERS:
            found = match.group()
            if "/" in found and text[match.start() - 1 : match.start()] == "/":  # 12/25/2020 is no division
                found = found.partition("/")[2]
    return None if found is None else re.sub("[^0-9.eE/+-]", "", found.translate(_MINUS)).removeprefix("+")


def _divided(fraction: re.Match[str]) -> str:
    numerator, denominator = (fraction.group(at) or fraction.group(at + 2) for at in (1, 2))
    # In a mixed number its own digits must not run into those before it.
    before = fraction.string[fraction.start() - 1 : fraction.start()]
    return f"{' ' if before.isdigit() else ''}{numerator}/{denominator}"


def _exponent(power: re.Match[str]) -> str:
    return f"e{(power[1] or power[2] or power[3]).translate(_RAISED)}"


def _improper(mixed: re.Match[str]) -> str:
    whole, numerator, denominator = (int(each) for each in mixed.groups())
    return f"{whole * denominator + numerator}/{denominator}" if numerator < denominator else mixed[0]


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
