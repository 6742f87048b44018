"""Arithmetic as questions put it: `What is 17 + 25?`, `15% of 240`, `the sum of 3, 4 and 5`. Exact, in fractions."""

import ast
import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

_NUMBER = r"(\d+(?:\.\d+)?)"
_SPOKEN = (
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile(r"\bplus\b"), "+"),
    (re.compile(r"\bminus\b|[−–]"), "-"),
    (re.compile(r"\btimes\b|\bmultiplied by\b|[×·]|(?<=\d)\s*x\s*(?=\d)"), "*"),
    (re.compile(r"\bdivided by\b|÷"), "/"),
    (re.compile(r"\bto the power of\b|\^"), "**"),
    (re.compile(r"\bsquared\b"), "**2"),
    (re.compile(r"\bcubed\b"), "**3"),
)
_LIST = rf"{_NUMBER}(?:(?:,? and |, ){_NUMBER})+"
_EXPRESSION = re.compile(r"[-(]*\d[\d\s.+*/()-]*[\d)]")
_NUMBERS = re.compile(_NUMBER)
# Longer expressions and higher powers are no question but an attack on the server's time.
_MOST_CHARACTERS = 120
_MOST_EXPONENT = 16
_MOST_BASE = 10**6
_MOST_RESULT = 10**15
# Dates and part numbers look like sums: only who asks for a sum gets one.
_CUE = re.compile(r"\bwhat(?: is|'s|’s)\b|\bhow much\b|\bcalculate\b|\bcompute\b|\bwork out\b|\bevaluate\b")


def solve(question: str) -> Fraction | None:
    """Give the result of the first sum found in `question`, or None where there is none that can be worked out."""
    text = question.lower()
    if not _CUE.search(text):
        return None
    for pattern, sign in _SPOKEN:
        text = pattern.sub(sign, text)
    return next((value for value in _candidates(text) if value is not None and abs(value) <= _MOST_RESULT), None)


def say(value: Fraction) -> str:
    """Write a number as people do: whole, or with at most four decimals."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.4f}".rstrip("0").rstrip(".")


def _candidates(text: str) -> Iterator[Fraction | None]:
    for pattern, work in _PHRASES:
        found = pattern.search(text)
        if found:
            yield work([Fraction(number) for number in _NUMBERS.findall(found[0])])
    yield from (_evaluate(each) for each in _EXPRESSION.findall(text))


def _remainder(numbers: list[Fraction]) -> Fraction | None:
    return numbers[0] % numbers[1] if numbers[1] else None


def _root(numbers: list[Fraction]) -> Fraction | None:
    root = math.isqrt(int(numbers[0]))
    return Fraction(root) if root * root == numbers[0] else None


_Work = Callable[[list[Fraction]], Fraction | None]
_PHRASES: tuple[tuple[re.Pattern[str], _Work], ...] = (
    (re.compile(rf"{_NUMBER}\s*(?:%|percent) of {_NUMBER}"), lambda numbers: numbers[0] * numbers[1] / 100),
    (re.compile(rf"square root of {_NUMBER}"), _root),
    (re.compile(rf"remainder (?:when|of|if) {_NUMBER} (?:is )?/ {_NUMBER}"), _remainder),
    (re.compile(rf"sum of {_LIST}"), lambda numbers: sum(numbers, Fraction(0))),
    (re.compile(rf"product of {_LIST}"), lambda numbers: math.prod(numbers, start=Fraction(1))),
    (re.compile(rf"average of {_LIST}"), lambda numbers: sum(numbers, Fraction(0)) / len(numbers)),
    (re.compile(rf"difference between {_NUMBER} and {_NUMBER}"), lambda numbers: abs(numbers[0] - numbers[1])),
    (re.compile(rf"half of {_NUMBER}"), lambda numbers: numbers[0] / 2),
)


def _evaluate(expression: str) -> Fraction | None:
    if len(expression) > _MOST_CHARACTERS:
        return None
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        return _value(tree) if isinstance(tree, ast.BinOp) else None
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(_value(left), op, _value(right))
    raise ValueError("not a sum")


def _combined(left: Fraction, op: ast.operator, right: Fraction) -> Fraction:
    match op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.Pow() if right.denominator == 1 and 0 <= right <= _MOST_EXPONENT and _is_small(left):
            return left ** int(right)
    raise ValueError("not a sum")


def _is_small(base: Fraction) -> bool:
    return abs(base.numerator) <= _MOST_BASE and base.denominator <= _MOST_BASE
