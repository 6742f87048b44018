"""The sandbox in which templates run: Jinja2 without Python's insides, files, chance or boundless products.

What it prints is checked, too: a null, bytes or a function turned into text would be paid for on every row.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.core.errors import BadRowError
from pipeline.prompts.nulls import Null

# A prompt of a megabyte is past nearly every model's context; a loop or a product over cells gets there by accident.
MOST_BYTES = 1_000_000
# 2 ** 4096 prints in microseconds; powers of powers would take for ever.
_MOST_BITS = 4096


class TooLarge(TemplateRuntimeError):
    """A product or power that nobody could want in a prompt."""


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
    """The sandbox, with products and powers bounded: a cell may say how often a text is repeated."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | bytes | list | tuple) and isinstance(times, int) and len(many) * times > MOST_BYTES:
                    raise TooLarge(f"a product of more than {MOST_BYTES:,} characters or items")
        elif isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > _MOST_BITS:
            raise TooLarge("a power too large to print")
        return super().call_binop(context, operator, left, right)


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
    environment.filters["tojson"] = _to_json
    # A row that is asked again is the same request: no chance.
    del environment.filters["random"]
    environment.tests["none"] = _is_null
    environment.tests["iterable"] = _is_iterable
    return environment


ENVIRONMENT = _environment()
# Given to each template rather than kept in the environment, so that a column of such a name is found as a column.
# Without `lipsum`, which is made by chance.
GLOBALS = {name: value for name, value in Sandbox().globals.items() if name != "lipsum"}
