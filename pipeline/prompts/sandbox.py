"""The sandbox in which templates run: Jinja2 without Python's insides, files, chance or boundless products.

What it prints is checked, too: a null, bytes or a function turned into text would be paid for on every row.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined, pass_eval_context
from jinja2.filters import do_indent, do_join
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.core.errors import BadRowError
from pipeline.prompts.nulls import Null

# A prompt of a megabyte is past nearly every model's context; a loop or a product over cells gets there by accident.
MOST_BYTES = 1_000_000
# 2 ** 4096 prints in microseconds; powers of powers would take for ever.
_MOST_BITS = 4096
# A printf width or precision given as an argument, or of a million and more.
_STARRED = re.compile(r"%[-+ #0]*(?:\*|\d*\.\*)")
_WIDE = re.compile(r"%[-+ #0]*(?:\d*\.)?(\d{7,})")
# Methods of text whose number says how long the result is.
_WIDENING = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})


class TooLarge(TemplateRuntimeError):
    """A product, width or power that nobody could want in a prompt."""


class _Undefined(StrictUndefined):
    """A field that is not there; says so for missing structs in the words of their null."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if isinstance(self._undefined_obj, Null):
            return self._undefined_obj.reason
        return super()._undefined_message

    def __repr__(self) -> str:
        """Raise as printing it does: inside a list it would be printed as `Undefined`, and paid for."""
        return str(self)


class Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with what makes long texts of short ones bounded: a cell may say how often a text is repeated."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        match getattr(__obj, "__self__", None), getattr(__obj, "__name__", ""), args:
            case str() | bytes(), name, widths if name in _WIDENING:
                _check_widths(widths)
            case str(text), "replace", (str(old), str(new), *_):
                _check_product(new, text.count(old))
            case str(text), "join", (items,) if isinstance(items, Sized):
                _check_product(text, len(items))
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | bytes | list | tuple) and isinstance(times, int):
                    _check_product(many, times)
        elif operator == "%":
            if isinstance(left, str):
                _check_widths(map(int, _WIDE.findall(left)))
                _check_widths(right if _STARRED.search(left) and isinstance(right, tuple) else ())
        elif isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > _MOST_BITS:
            raise TooLarge("a power too large to print")
        return super().call_binop(context, operator, left, right)


def _check_product(many: Sized, times: int) -> None:
    if len(many) * times > MOST_BYTES:
        raise TooLarge(f"a product of more than {MOST_BYTES:,} characters or items")


def _check_widths(widths: Iterable[object]) -> None:
    if any(isinstance(width, int) and abs(width) > MOST_BYTES for width in widths):
        raise TooLarge(f"a width of more than {MOST_BYTES:,} characters")


def _center(value: object, width: int = 80) -> str:
    _check_widths([width])
    return str(value).center(width)


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    _check_widths([width])
    lines = str(text).count("\n") + 1
    _check_product(width if isinstance(width, str) else " " * width, lines)
    return do_indent(text, width, first, blank)


def _replace(value: object, old: object, new: object, count: int | None = None) -> str:
    text, old, new = str(value), str(old), str(new)
    _check_product(new, text.count(old))
    return text.replace(old, new, -1 if count is None else count)


@pass_eval_context
def _join(context: Any, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    items = list(value)
    _check_product(str(d), len(items))
    return str(do_join(context, items, d, attribute))


def _printable(value: object) -> object:
    """Pass on what `{{ … }}` prints, unless that can only be a mistake which would be paid for."""
    match value:
        case str() | Undefined():
            return value
        case None:
            raise BadRowError("a {{ … }} printed null; if that is meant, say what to print instead: {{ … or '' }}")
        case list() | tuple() | Mapping() if _holds_bytes(value):
            raise BadRowError("a {{ … }} printed a value with bytes in it; images belong in prompt.images")
        case bytes() | bytearray() | memoryview():
            raise BadRowError("a {{ … }} printed bytes; images belong in prompt.images")
        case Iterator():
            raise BadRowError("a {{ … }} printed an iterator, not what it gives; add | list or | join(', ')")
        case _ if callable(value):
            raise BadRowError("a {{ … }} printed a function; call it, or write a field of that name as value['name']")
    return value


def _holds_bytes(value: object) -> bool:
    match value:
        case bytes() | bytearray() | memoryview():
            return True
        case list() | tuple():
            return any(_holds_bytes(item) for item in value)
        case Mapping():
            return any(_holds_bytes(item) for item in value.values())
    return False


def _to_json(value: object, indent: int | None = None) -> str:
    """Write JSON as it is. Jinja2's own `tojson` escapes <, >, & and ' for HTML, which a prompt is not."""
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_json_value)


def _json_value(value: object) -> object:
    match value:
        case Null():
            return None
        case Undefined():
            return str(value)  # raises, saying what is not there
        case bytes() | Iterator():
            raise TypeError(f"a value of type {type(value).__name__} cannot be written as JSON")
    return str(value)  # dates, decimals


def _is_null(value: object) -> bool:
    return value is None or isinstance(value, Null)


def _is_iterable(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, Null)


def _environment() -> Sandbox:
    environment = Sandbox(
        undefined=_Undefined,
        finalize=_printable,
        autoescape=False,  # prompts are text; escaping would change what the user wrote
        keep_trailing_newline=True,
    )
    environment.globals.clear()  # see GLOBALS
    environment.filters |= {"tojson": _to_json, "center": _center, "indent": _indent, "replace": _replace, "join": _join}
    # A row that is asked again is the same request: no chance.
    del environment.filters["random"]
    environment.tests["none"] = _is_null
    environment.tests["iterable"] = _is_iterable
    return environment


ENVIRONMENT = _environment()
# Given to each template rather than kept in the environment, so that a column of such a name is found as a column.
# Without `lipsum`, which is made by chance.
GLOBALS = {name: value for name, value in Sandbox().globals.items() if name != "lipsum"}
