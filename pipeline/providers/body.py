"""Prompt -> the bytes of a chat-completion request. Equal prompts give equal bytes: a row asked again is the same request.

A picture is encoded once and joined in as it is; it never passes through a JSON encoder.
"""

import math
from collections.abc import Mapping
from typing import Any

import orjson
import pybase64

from pipeline.core.errors import BadRowError, ConfigError
from pipeline.core.types import Content, Image, Message, Prompt


def opening_of(params: Mapping[str, object], model: str | None) -> bytes:
    """Give what every body begins with, up to the first message. `params` may name another model; their `messages` is dropped."""
    fixed: dict[str, object] = {"model": model} if model else {}
    fixed |= {name: value for name, value in params.items() if name != "messages"}
    for name, value in fixed.items():
        _check_param(f"request.{name}", value)
    dumped = orjson.dumps(fixed, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return (dumped[:-1] + b"," if fixed else b"{") + b'"messages":['


def body_of(prompt: Prompt, opening: bytes, detail: str | None = None) -> bytes:
    """Build a body; `detail` is said with each picture whose block does not say it itself.

    Raises BadRowError if the row brought a value that JSON cannot hold.
    """
    chunks = [opening]
    try:
        for number, message in enumerate(prompt.messages):
            chunks.append(b"," if number else b"")
            _add_message(chunks, message, {} if detail is None else {"detail": detail})
    except orjson.JSONEncodeError as error:
        raise BadRowError(f"a message cannot be written as JSON: {error}") from error
    chunks.append(b"]}")
    return b"".join(chunks)


def sizes_of(prompt: Prompt) -> tuple[int, int]:
    """Give about how many bytes of text a prompt holds, and how many images."""
    text_bytes = images = 0
    for message in prompt.messages:
        for part in message.parts:
            match part:
                case str(text):
                    text_bytes += _utf8_length(text)
                case Image() | {"type": "image_url" | "input_image"}:
                    images += 1
                case {"text": str(text)}:
                    text_bytes += _utf8_length(text)
    return text_bytes, images


def _add_message(chunks: list[bytes], message: Message, looking: Mapping[str, str]) -> None:
    match message.parts:
        case (str(text),) if not message.extra:  # nearly always
            chunks.append(orjson.dumps({"role": message.role, "content": text}))
            return
    chunks += [b'{"role":', orjson.dumps(message.role), b',"content":']
    match message.parts:
        case ():
            chunks.append(b"null")  # an assistant's turn that was only tool calls
        case (str(text),):
            chunks.append(orjson.dumps(text))
        case parts:
            for number, part in enumerate(parts):
                chunks.append(b"," if number else b"[")
                _add_block(chunks, part, looking)
            chunks.append(b"]")
    extra = {name: value for name, value in message.extra.items() if name not in ("role", "content")}
    chunks.append(b"," + orjson.dumps(extra, default=_plain)[1:] if extra else b"}")


def _add_block(chunks: list[bytes], part: Content, looking: Mapping[str, str]) -> None:
    match part:
        case str(text):
            chunks.append(orjson.dumps({"type": "text", "text": text}))
        case Image(data=bytes(data), media_type=media_type):
            prefix = orjson.dumps(f"data:{media_type};base64,")[:-1]  # left open for the picture
            chunks += [b'{"type":"image_url","image_url":{"url":', prefix, pybase64.b64encode(data), b'"']
            chunks.append(b"," + orjson.dumps(looking)[1:] + b"}" if looking else b"}}")
        case Image(url=url):
            chunks.append(orjson.dumps({"type": "image_url", "image_url": {"url": url, **looking}}))
        case {"type": "image_url", "image_url": Mapping() as picture} if looking and "detail" not in picture:
            chunks.append(orjson.dumps({**part, "image_url": {**picture, **looking}}, default=_plain))
        case block:
            chunks.append(orjson.dumps(block, default=_plain))


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _check_param(name: str, value: object) -> None:
    """Refuse what JSON cannot say. orjson would write NaN as null, and a strict endpoint refuse every row for it."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}: {value} is no number that JSON can hold")
    try:
        orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise ConfigError(f"{name}: cannot be written as JSON: {error}") from error
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_param(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _check_param(f"{name}[{number}]", inner)


def _plain(value: object) -> Any:
    """Turn read-only mappings and the like into what orjson knows."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__}")
