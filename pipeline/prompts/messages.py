"""A column with whole conversations: JSON text, or a list of {role, content}, passed on as faithfully as it came.

Only what no endpoint could take is refused. JSON text keeps every key; from Arrow structs nulls are left out.
"""

import json
import math
from collections.abc import Mapping

from pipeline.core.errors import BadRowError
from pipeline.core.types import Content, Message
from pipeline.prompts.names import shown
from pipeline.prompts.template import checked_text

# What a message may carry instead of content.
_INSTEAD = ("tool_calls", "function_call", "refusal", "audio")


def conversation(cell: object, column: str) -> tuple[Message, ...]:
    """Give the messages of one cell. Raises BadRowError that says which message is wrong, and how."""
    where = f"messages column {shown(column)}"
    if cell is None:
        raise BadRowError(f"{where} is null")
    try:
        cell = _parsed(cell, where) if isinstance(cell, str | bytes) else without_nulls(cell)
    except ArithmeticError as error:
        raise BadRowError(f"{where} holds {error}") from error
    if not isinstance(cell, list | tuple):
        raise BadRowError(f"{where} holds {_kind(cell)}, not a list of messages")
    if not cell:
        raise BadRowError(f"{where} holds no message")
    return tuple(_message(each, f"{where}, message {number}") for number, each in enumerate(cell, 1))


def _parsed(text: str | bytes, where: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        why = f": {error.msg}, at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadRowError(f"{where} is not valid JSON{why}") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999 would go out as null
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def without_nulls(value: object) -> object:
    """Give a value from Arrow without the fields that are null, at any depth.

    Arrow gives every struct of a list the same fields: what one message lacks is null there, and was never said.
    Endpoints refuse `"name": null` and an `image_url` that is null beside text.
    """
    match value:
        case list() | tuple():
            return [without_nulls(item) for item in value]
        case Mapping():
            return {key: without_nulls(item) for key, item in value.items() if item is not None}
        case float() if not math.isfinite(value):
            raise ArithmeticError(f"the number {value}, which JSON has not")
    return value


def _kind(value: object) -> str:
    return {dict: "an object", str: "a text", type(None): "null"}.get(type(value), f"a value of type {type(value).__name__}")


def _message(message: object, where: str) -> Message:
    if not isinstance(message, Mapping):
        raise BadRowError(f"{where} is {_kind(message)}, not one with role and content")
    role = message.get("role")
    if not isinstance(role, str) or not role:
        keys = ", ".join(shown(str(key)) for key in list(message)[:8]) or "none"
        raise BadRowError(f"{where} has no role; its keys are: {keys}")
    extra = {key: value for key, value in message.items() if key not in ("role", "content")}
    silent = any(extra.get(key) for key in _INSTEAD)
    return Message(checked_text(role, where), _parts(message.get("content"), where, silent=silent), extra)


def _parts(content: object, where: str, *, silent: bool) -> tuple[Content, ...]:
    match content:
        case str():
            return (checked_text(content, where),)
        case list() | tuple() if content:
            return tuple(_block(block, f"{where}, block {number}") for number, block in enumerate(content, 1))
        case None | [] if silent:
            return ()
        case None | []:
            raise BadRowError(f"{where} has no content")
    raise BadRowError(f"{where} has {_kind(content)} as content, not text or a list of blocks")


def _block(block: object, where: str) -> Content:
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        raise BadRowError(f"{where} is no object with a type, such as text or image_url")
    if block["type"] == "text" and not isinstance(block.get("text"), str):
        raise BadRowError(f"{where} is of type text and has no text")
    return block
