"""The shapes in which a paid answer comes: OpenAI's choices, Anthropic's content, Gemini's candidates. JSON value -> Reply.

A gateway passes its model's own shape through, so the shape is read off the body, never assumed from the provider. Whatever was
answered is kept: what is no text goes into `extra`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.core.types import Reply, Usage

# Past this a float is no longer every integer, and a token count no longer a token count.
_MOST_TOKENS = 2**53
# Short fields of a hostile reply must not fill a column, or a counter keyed by them.
_MOST_CHARACTERS = 200

_PROMPT = ("prompt_tokens", "input_tokens", "promptTokenCount")
_COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount")
_TOTAL = ("total_tokens", "totalTokenCount")
_COUNT_NAMES = frozenset((*_PROMPT, *_COMPLETION, *_TOTAL))
# What an answer in OpenAI's shape may hold besides text, in its message and beside it.
_IN_MESSAGE = ("refusal", "tool_calls", "function_call", "annotations", "audio", "images")
_IN_CHOICE = ("logprobs", "error")
# Most answers hold nothing else.
_PLAIN_MESSAGE = frozenset({"role", "content"})
_PLAIN_CHOICE = frozenset({"index", "message", "finish_reason"})


def read_reply(value: object, *, lossy: bool = False) -> Reply | None:
    """Read a chat completion; None if the value is none. A completion without text is one: it was paid for."""
    if not isinstance(value, dict):
        return None
    said = _said(value)
    if said is None:
        return None
    usage = value.get("usage", value.get("usageMetadata"))
    said.keep("usage", _details(usage))
    said.keep("lossy_utf8", lossy)
    return Reply(
        text=said.text,
        finish_reason=_short(said.finish_reason),
        usage=read_usage(usage),
        model=_short(value.get("model", value.get("modelVersion"))),
        response_id=_short(value.get("id", value.get("responseId"))),
        extra=_json(said.extra) if said.extra else None,
    )


def read_usage(usage: object) -> Usage:
    """Read token counts: exact, not negative, below 2**53; `"7"` and `12.0` count, all else is None."""
    if not isinstance(usage, dict):
        return Usage()
    return Usage(_first_count(usage, _PROMPT), _first_count(usage, _COMPLETION), _first_count(usage, _TOTAL))


@dataclass(slots=True)
class _Said:
    """What one answer said, gathered piece by piece."""

    texts: list[str] = field(default_factory=list)
    finish_reason: object = None
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        return "".join(self.texts) if self.texts else None

    def keep(self, key: str, value: object) -> None:
        if value:
            self.extra[key] = value

    def keep_of(self, given: Mapping[str, object], keys: Sequence[str]) -> None:
        for key in keys:
            if value := given.get(key):
                self.extra[key] = value

    def add(self, key: str, value: object) -> None:
        """Keep one of several: strings are joined, anything else is listed."""
        if isinstance(value, str) and isinstance(known := self.extra.get(key, ""), str):
            self.keep(key, known + value)
        elif value:
            listed = self.extra.setdefault(key, [])
            self.extra[key] = [*(listed if isinstance(listed, list) else [listed]), value]


def _said(value: Mapping[str, Any]) -> _Said | None:
    match value:
        case {"choices": [dict() as choice, *others]}:
            return _openai(choice, others)
        case {"content": [*parts], "role": _} | {"content": [*parts], "stop_reason": _}:
            return _anthropic(value, parts)
        case {"candidates": [dict() as candidate, *others]}:
            return _gemini(candidate, others)
    return None


def _openai(choice: Mapping[str, Any], others: Sequence[object]) -> _Said | None:
    message = choice.get("message")
    if not isinstance(message, dict):
        if not isinstance(choice.get("text"), str):
            return None
        message = {"content": choice["text"]}  # the older completions form
    said = _Said(finish_reason=choice.get("finish_reason"))
    _take_content(said, message.get("content"))
    if not message.keys() <= _PLAIN_MESSAGE:
        said.keep_of(message, _IN_MESSAGE)
        said.add("reasoning", message.get("reasoning_content") or message.get("reasoning"))
    if not choice.keys() <= _PLAIN_CHOICE:
        said.keep_of(choice, _IN_CHOICE)
    said.keep("choices", others)  # request.n: the further ones were paid for, too
    return said


def _take_content(said: _Said, content: object) -> None:
    match content:
        case None:
            pass
        case str():
            said.texts.append(content)
        case list():
            for part in content:
                _take_part(said, part)
        case _:
            said.add("content", content)


def _take_part(said: _Said, part: object) -> None:
    """Sort one part of a content list, in OpenAI's, Anthropic's or Mistral's words."""
    match part:
        case str():
            said.texts.append(part)
        case {"type": "thinking" | "reasoning" | "reasoning_text"} if isinstance(part, dict):
            thought = part.get("thinking") or part.get("reasoning") or part.get("text")
            said.add("reasoning", _joined(thought))
        case {"type": "refusal", "refusal": str(refusal)}:
            said.add("refusal", refusal)
        case {"type": "tool_use" | "server_tool_use" | "tool_call"}:
            said.extra["tool_calls"] = [*_list(said.extra.get("tool_calls")), part]
        case {"text": str(text)}:
            said.texts.append(text)
        case _:
            said.extra["content"] = [*_list(said.extra.get("content")), part]


def _anthropic(value: Mapping[str, Any], parts: Sequence[object]) -> _Said:
    said = _Said(finish_reason=value.get("stop_reason"))
    _take_content(said, list(parts))
    return said


def _gemini(candidate: Mapping[str, Any], others: Sequence[object]) -> _Said:
    said = _Said(finish_reason=candidate.get("finishReason"))
    content = candidate.get("content")
    for part in _list(content.get("parts")) if isinstance(content, dict) else ():
        match part:
            case {"thought": True, "text": str(text)}:
                said.add("reasoning", text)
            case {"functionCall": call}:
                said.extra["tool_calls"] = [*_list(said.extra.get("tool_calls")), call]
            case _:
                _take_part(said, part)
    said.keep("candidates", others)
    return said


def _joined(thought: object) -> object:
    if isinstance(thought, list) and all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in thought):
        return "".join(each["text"] for each in thought)
    return thought


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _details(usage: object) -> object:
    """Give what the usage says beyond the three counts, as the endpoint named it."""
    if not isinstance(usage, dict):
        return None
    return {name: value for name, value in usage.items() if name not in _COUNT_NAMES and value is not None}


def _first_count(usage: Mapping[str, object], names: Sequence[str]) -> int | None:
    for name in names:
        if name in usage and (count := _count(usage[name])) is not None:
            return count
    return None


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_MOST_TOKENS)):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def _short(value: object) -> str | None:
    if type(value) not in (str, int):
        return None
    return str(value)[:_MOST_CHARACTERS] or None


def _json(extra: Mapping[str, object]) -> str:
    try:
        return orjson.dumps(extra).decode()
    except orjson.JSONEncodeError:  # nested past orjson's depth
        return _json_of_the_deep(extra)


def _json_of_the_deep(extra: Mapping[str, object]) -> str:
    try:
        return json.dumps(extra, ensure_ascii=False)
    except RecursionError:
        return '{"unreadable":true}'
