"""Faults that are odd answers: a completion was worked out, and comes in a shape that few expect, or in none. Pure."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from pipeline.simulate import reading
from pipeline.simulate.acts import Act, Bill, Fault, Given, Scene, said
from pipeline.simulate.shapes import Reply

# Deeper than any parser follows.
_DEEP = 100_000
# Longer than Python reads a whole number.
_DIGITS = 5_000

_Change = Callable[[dict[str, Any]], object]


def _message(body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = body["choices"][0]["message"]
    return message


def _with(change: _Change) -> Callable[[Scene, Given], Act]:
    """Play the completion as `change` leaves it, or as what it gives."""

    def play(scene: Scene, given: Given) -> Act:
        body = scene.body()
        changed = change(body)
        return said(Reply(200, orjson.dumps(body if changed is None else changed)), scene, given)

    return play


def _as(write: Callable[[Scene], Reply]) -> Callable[[Scene, Given], Act]:
    return lambda scene, given: said(write(scene), scene, given)


def _refusal(body: dict[str, Any]) -> None:
    _message(body).update(content=None, refusal="I cannot help with that.")


def _tool_calls(body: dict[str, Any]) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    _message(body).update(content=None, tool_calls=[call])
    body["choices"][0]["finish_reason"] = "tool_calls"


def _reasoning(body: dict[str, Any]) -> None:
    _message(body)["reasoning_content"] = "The simulator does not think."


def _parts(body: dict[str, Any]) -> None:
    message = _message(body)
    message["content"] = [{"type": "text", "text": message["content"]}]


def _anthropic(body: dict[str, Any]) -> object:
    usage = body["usage"]
    return {
        "id": body["id"],
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": _message(body)["content"]}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }


def _gemini(body: dict[str, Any]) -> object:
    usage = body["usage"]
    content = {"role": "model", "parts": [{"text": _message(body)["content"]}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": usage["prompt_tokens"], "candidatesTokenCount": usage["completion_tokens"]},
        "modelVersion": body["model"],
        "responseId": body["id"],
    }


def _empty(body: dict[str, Any]) -> None:
    _message(body)["content"] = ""


def _no_text(body: dict[str, Any]) -> None:
    _message(body)["content"] = None


def _length(body: dict[str, Any]) -> None:
    body["choices"][0]["finish_reason"] = "length"


def _filtered(body: dict[str, Any]) -> None:
    body["choices"][0]["finish_reason"] = "content_filter"


def _no_choices(body: dict[str, Any]) -> None:
    body["choices"] = []


def _no_usage(body: dict[str, Any]) -> None:
    del body["usage"]


def _odd_usage(body: dict[str, Any]) -> None:
    usage = body["usage"]
    body["usage"] = {"prompt_tokens": str(usage["prompt_tokens"]), "completion_tokens": -1, "total_tokens": 1e20}


def _bare(body: dict[str, Any]) -> None:
    del body["id"], body["model"]


def _surrogate(scene: Scene) -> Reply:
    body = scene.body()
    _message(body)["content"] += " \ud800"
    return Reply(200, json.dumps(body).encode())  # orjson writes no half characters


def _nul(body: dict[str, Any]) -> None:
    _message(body)["content"] += " \x00\x1b[31m"


def _big_number(scene: Scene) -> Reply:
    body = scene.completion().body
    return Reply(200, body.replace(b'"index":0', b'"index":' + b"9" * _DIGITS))


def _not_a_number(scene: Scene) -> Reply:
    return Reply(200, scene.completion().body.replace(b'"index":0', b'"index":NaN,"score":1e999'))


def _duplicate_keys(scene: Scene) -> Reply:
    return Reply(200, scene.completion().body.replace(b'{"id":', b'{"object":"first","id":', 1))


def _invalid_utf8(scene: Scene) -> Reply:
    return Reply(200, scene.completion().body.replace(b'"content":"', b'"content":"\xff\xfe ', 1))


def _utf16(scene: Scene) -> Reply:
    body = scene.completion().body.decode().encode("utf-16")
    return Reply(200, body, content_type="application/json; charset=utf-16")


def _wrong_content_type(scene: Scene) -> Reply:
    return replace(scene.completion(), content_type="text/html; charset=nonsense")


def _nesting(scene: Scene) -> Reply:
    return Reply(200, b"[" * _DEEP)


def _half(scene: Scene) -> Reply:
    body = scene.completion().body
    return Reply(200, body[: len(body) // 2])


def _events(scene: Scene, *, ended: bool) -> Reply:
    body = scene.body()
    text = _message(body)["content"]
    deltas = [{"role": "assistant", "content": text[: len(text) // 2]}, {"content": text[len(text) // 2 :]}]
    about = {"id": body["id"], "object": "chat.completion.chunk", "created": body["created"], "model": body["model"]}
    chunks: list[object] = [{**about, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if ended:
        reason = body["choices"][0]["finish_reason"]
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": body["usage"]}
        chunks.append({**about, **last})
    lines = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    return Reply(200, b"".join([*lines, *([b"data: [DONE]\n\n"] if ended else [])]), content_type="text/event-stream")


def _served(name: str, about: str, play: Callable[[Scene, Given], Act]) -> Fault:
    return Fault(name, about, play, bill=Bill.SERVED)


def _lost(name: str, about: str, play: Callable[[Scene, Given], Act]) -> Fault:
    return Fault(name, about, play, bill=Bill.LOST)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "headers",
        "the ordinary answer with further headers, such as x-remaining-credits",
        _as(Scene.completion),
        {"headers": reading.headers},
        needs=("headers",),
        bill=Bill.SERVED,
    ),
    _served("event_stream", "server-sent events, though nobody asked for a stream", _as(lambda each: _events(each, ended=True))),
    _served("refusal", "a refusal instead of text", _with(_refusal)),
    _served("tool_calls", "a tool call instead of text", _with(_tool_calls)),
    _served("reasoning", "reasoning beside the text", _with(_reasoning)),
    _served("parts", "the text as a list of parts", _with(_parts)),
    _served("anthropic", "Anthropic's own shape", _with(_anthropic)),
    _served("gemini", "Gemini's own shape", _with(_gemini)),
    _served("empty", "a text of no characters", _with(_empty)),
    _served("no_text", "null instead of the text", _with(_no_text)),
    _served("length", "finish_reason length", _with(_length)),
    _served("filtered", "finish_reason content_filter", _with(_filtered)),
    _served("no_usage", "no token counts", _with(_no_usage)),
    _served("odd_usage", "token counts as text, negative, too large", _with(_odd_usage)),
    _served("bare", "neither id nor model", _with(_bare)),
    _served("surrogate", "half a character (a lone surrogate) in the text", _as(_surrogate)),
    _served("nul", "a NUL and a terminal's escape in the text", _with(_nul)),
    _served("big_number", "a whole number of 5,000 digits", _as(_big_number)),
    _served("not_a_number", "NaN and 1e999, which are no JSON", _as(_not_a_number)),
    _served("duplicate_keys", "a key given twice", _as(_duplicate_keys)),
    _served("invalid_utf8", "bytes that are no UTF-8", _as(_invalid_utf8)),
    _served("utf16", "the completion in UTF-16", _as(_utf16)),
    _served("wrong_content_type", "a completion that is called HTML", _as(_wrong_content_type)),
    _lost("no_choices", "a completion without choices", _with(_no_choices)),
    _lost("not_an_object", "null with status 200", _as(lambda _: Reply(200, b"null"))),
    _lost("empty_body", "nothing with status 200", _as(lambda _: Reply(200, b""))),
    _lost("half_json", "half of the JSON, called whole", _as(_half)),
    _lost("nesting", "JSON nested 100,000 deep", _as(_nesting)),
    _lost("event_stream_cut", "server-sent events that end in the middle", _as(lambda each: _events(each, ended=False))),
)
