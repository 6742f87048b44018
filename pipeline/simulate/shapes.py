"""The wire: replies, errors and rate headers in the shapes of OpenAI's API and of Segmind's. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

import orjson

from pipeline.simulate.answers import MODEL, Answer
from pipeline.simulate.faults import RateWindow

_JSON = "application/json"
SLOW_DOWN = "Rate limit reached, please slow down."


class Style(Enum):
    """Whose manners: which path was asked decides."""

    OPENAI = "openai"
    SEGMIND = "segmind"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, complete."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = _JSON


def completion(answer: Answer, *, serial: int, wall: float) -> Reply:
    """Shape a 200. Both APIs agree on it; the model is named `simulated`, so that no output can pass for a model's."""
    body = {
        "id": f"simulated-{serial}",
        "object": "chat.completion",
        "created": int(wall),
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": answer.finish_reason}
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        },
    }
    return Reply(200, orjson.dumps(body))


def bad_request(style: Style, message: str) -> Reply:
    return error(style, 400, message, "invalid_request_error", None)


def unauthorized(style: Style, *, missing: bool) -> Reply:
    """Refuse a key, never repeating what was sent for one."""
    if style is Style.SEGMIND:
        said = "Missing Authorization or x-api-key in header" if missing else "API key is invalid or may have expired"
        body = {"error": "Unauthorized", "error_description": said, "status_code": 401}
        return Reply(401, orjson.dumps(body))
    said = "You didn't provide an API key." if missing else "Incorrect API key provided."
    return error(style, 401, said, "invalid_request_error", "invalid_api_key")


def wrong_content_type() -> Reply:
    """Segmind's manner: one of the four meanings of its 406."""
    return error(Style.SEGMIND, 406, "Invalid content type", "", None)


def not_found(method: str, path: str) -> Reply:
    said = f"no {method} {path[:200]} here: POST /v1/chat/completions or /v1/<model>, GET /v1/models or /stats"
    return error(Style.OPENAI, 404, said, "invalid_request_error", "unknown_url")


def rate_limited(style: Style, *, wait: float, wall: float) -> Reply:
    """Shape a 429 with the hint of that API."""
    refused = error(style, 429, SLOW_DOWN, "requests", "rate_limit_exceeded")
    return Reply(429, refused.body, hint(style, wait=wait, wall=wall))


def hint(style: Style, *, wait: float, wall: float) -> dict[str, str]:
    """Say when to come back: Segmind names only the moment of its reset, OpenAI the seconds, whole ones and exact ones."""
    if style is Style.SEGMIND:
        return {"x-rate-limit-reset-at-utc": _moment(wall + wait)}
    return {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}


def rate_headers(style: Style, window: RateWindow, now: float) -> dict[str, str]:
    """Give what OpenAI says about its limit with each answer. Segmind says nothing before it refuses."""
    if style is Style.SEGMIND:
        return {}
    return {
        "x-ratelimit-limit-requests": str(window.limit),
        "x-ratelimit-remaining-requests": str(window.remaining()),
        "x-ratelimit-reset-requests": f"{math.ceil(window.resets_in(now) * 1000)}ms",
    }


def models() -> Reply:
    return Reply(
        200, orjson.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "rowcall"}]})
    )


def error(style: Style, status: int, message: str, type_: str, code: str | None) -> Reply:
    """Shape an error; Segmind's has nothing but the message."""
    if style is Style.SEGMIND:
        return Reply(status, orjson.dumps({"error": message}))
    return Reply(status, orjson.dumps({"error": {"message": message, "type": type_, "param": None, "code": code}}))


def _moment(wall: float) -> str:
    """Write a time as ISO in UTC, rounded up to the millisecond: who waits for it is never early."""
    rounded = datetime.fromtimestamp(math.ceil(wall * 1000) / 1000, UTC)
    return rounded.isoformat(timespec="milliseconds").replace("+00:00", "Z")
