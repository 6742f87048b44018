"""An event stream nobody asked for (or `request.stream: true`) -> the one completion it spells.

Understands OpenAI's chunks only. A stream that breaks off before its end is no completion.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.providers.parse import Parsed, decoded, parse

_EVENT_FIELD = re.compile(rb"\s*(?:data|event|id|retry)?:")
_END = "[DONE]"
# What grows from chunk to chunk; everything else of a delta is said once.
_GROWING = ("content", "reasoning_content", "reasoning", "refusal")


def looks_like_stream(content_type: str, body: bytes) -> bool:
    return "event-stream" in content_type.lower() or _EVENT_FIELD.match(body) is not None


def join_stream(body: bytes) -> Parsed | None:
    """Give what the events amount to, shaped as an ordinary body, or the error one of them told; None if they do not end."""
    joined = _Joined()
    text, lossy = decoded(body)
    for data in _events(text):
        if data.strip() == _END:
            joined.ended = True
            break
        parsed = parse(data.encode("utf-8", "replace"))
        if parsed is None or not isinstance(parsed.value, dict):
            return None
        if parsed.value.get("error"):
            return parsed
        joined.take(parsed.value)
    return Parsed(joined.body(), lossy) if joined.ended else None


def _events(text: str) -> Iterator[str]:
    for event in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if lines:
            yield "\n".join(lines)


class _Joined:
    def __init__(self) -> None:
        self.ended = False
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def take(self, chunk: Mapping[str, Any]) -> None:
        self._top.update({key: value for key, value in chunk.items() if key != "choices" and value is not None})
        pieces = chunk.get("choices")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                self._take_choice(piece)

    def body(self) -> object:
        return {**self._top, "choices": [self._choices[index] for index in sorted(self._choices)]}

    def _take_choice(self, piece: Mapping[str, Any]) -> None:
        index = piece.get("index")
        choice = self._choices.setdefault(index if isinstance(index, int) else 0, {"message": {}, "finish_reason": None})
        if piece.get("finish_reason"):
            choice["finish_reason"] = piece["finish_reason"]
            self.ended = True
        delta = piece.get("delta") or piece.get("message")
        if isinstance(delta, dict):
            _grow(choice["message"], delta)
        elif isinstance(piece.get("text"), str):
            _grow(choice["message"], {"content": piece["text"]})


def _grow(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for call in value if isinstance(value, list) else ():
                _grow_call(message.setdefault("tool_calls", []), call)
        elif key in _GROWING and type(message.get(key)) is type(value) and isinstance(value, str | list):
            message[key] += value
        elif value is not None or key not in message:
            message[key] = value


def _grow_call(calls: list[Any], piece: object) -> None:
    """Put a piece of a tool call to the call it continues; its arguments come as a torn string."""
    if not isinstance(piece, dict):
        return
    known = next((call for call in calls if call.get("index") == piece.get("index")), None)
    if known is None:
        calls.append({**piece, "function": dict(piece["function"])} if isinstance(piece.get("function"), dict) else dict(piece))
        return
    function, more = known.get("function"), piece.get("function")
    if isinstance(function, dict) and isinstance(more, dict) and isinstance(more.get("arguments"), str):
        function["arguments"] = str(function.get("arguments") or "") + more["arguments"]
