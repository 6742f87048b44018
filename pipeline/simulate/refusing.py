"""Faults that are told by a status: errors in the words of those who say them, hints of when to come back, redirects. Pure.

Nothing was worked for when these are said, so nothing would have been billed.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import orjson

from pipeline.simulate import reading, shapes
from pipeline.simulate.acts import Act, Fault, Given, Scene, phrase, said
from pipeline.simulate.shapes import Reply, Style

FIRST_STATUS, LAST_STATUS = 201, 599
# The pause that a 429 asks for unless the script says otherwise: long enough to be seen, short enough to rehearse a job with
# thousands of them.
BRIEF_HOLD_S = 0.25
# Nobody's: a client that follows a redirect to it fails, and no prompt leaves the machine.
ELSEWHERE = "https://elsewhere.invalid/login"

_ENDING = {"headers": reading.headers, "close": reading.truth}
_HINTS = ("own", "seconds", "milliseconds", "date", "segmind", "litellm", "bucket", "words", "none")
HINTING = {"retry_after_s": reading.number(0, 10_000_000), "hint": reading.choice(*_HINTS)}
_STATUS_KEYS = {"body": reading.body, "content_type": reading.text, **HINTING, **_ENDING}

# What a reverse proxy or Cloudflare says by itself: never JSON.
_PAGES = frozenset({405, 502, 504, *range(520, 528), 530})
_MESSAGES = {
    500: "The server had an error while processing your request.",
    503: "The engine is currently overloaded, please try again later.",
}


def of_status(status: int) -> Fault:
    """Give the fault that answers with this status, in the manner of the API that was asked."""
    return Fault(
        str(status),
        f"HTTP {status} {phrase(status)}",
        lambda scene, given: _play_status(status, scene, given),
        _STATUS_KEYS,
        at_once=status == 429,  # a limiter answers at once, it does not work first
    )


def _play_status(status: int, scene: Scene, given: Given) -> Act:
    reply = _plain(status, scene)
    wait = given.get("retry_after_s", BRIEF_HOLD_S if status == 429 else None)
    if wait is not None:
        reply = _hinting(reply, scene, wait, given.get("hint", "own"))
    if "body" in given:
        reply = Reply(status, given["body"], reply.headers, reply.content_type)
    if "content_type" in given:
        reply = Reply(status, reply.body, reply.headers, given["content_type"])
    return said(reply, scene, given)


def _plain(status: int, scene: Scene) -> Reply:
    match status:
        case 202:
            return Reply(202, orjson.dumps({"request_id": f"simulated-{scene.serial}", "status": "QUEUED"}))
        case 204:
            return Reply(204, b"")
        case 401:
            return shapes.unauthorized(scene.style, missing=False)
        case 404:
            return shapes.error(scene.style, 404, "The model does not exist", "invalid_request_error", "model_not_found")
        case 406:
            return shapes.wrong_content_type()
        case 429:
            return shapes.error(scene.style, 429, shapes.SLOW_DOWN, "requests", "rate_limit_exceeded")
        case 529:
            return Reply(529, orjson.dumps(_anthropic("overloaded_error", "Overloaded")))
        case _ if 300 <= status < 400:
            return Reply(status, b"", {"Location": ELSEWHERE})
        case _ if status in _PAGES:
            return page(status, f"{status} {phrase(status)}")
    type_ = "server_error" if status >= 500 else "invalid_request_error"
    return shapes.error(scene.style, status, _MESSAGES.get(status, phrase(status)), type_, None)


def page(status: int, title: str) -> Reply:
    html = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\r\n"
    return Reply(status, html.encode(), content_type="text/html")


def _hinting(reply: Reply, scene: Scene, wait: float, hint: str) -> Reply:
    """Say when to come back, never too early a time: seconds and dates are rounded up."""
    if hint == "words":
        return shapes.error(
            scene.style, reply.status, f"{shapes.SLOW_DOWN} Please try again in {wait:g}s.", "requests", "rate_limit_exceeded"
        )
    return Reply(reply.status, reply.body, {**reply.headers, **_hint(hint, scene, wait)}, reply.content_type)


def _hint(hint: str, scene: Scene, wait: float) -> Mapping[str, str]:
    match hint:
        case "own":
            return shapes.hint(scene.style, wait=wait, wall=scene.wall)
        case "seconds":
            return {"retry-after": str(math.ceil(wait))}
        case "milliseconds":
            return {"retry-after-ms": str(math.ceil(wait * 1000))}
        case "date":
            return {"retry-after": format_datetime(datetime.fromtimestamp(math.ceil(scene.wall + wait), UTC), usegmt=True)}
        case "segmind":
            return shapes.hint(Style.SEGMIND, wait=wait, wall=scene.wall)
        case "litellm":
            return {"llm_provider-retry-after": str(math.ceil(wait))}
        case "bucket":
            return {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{math.ceil(wait * 1000)}ms"}
    return {}


def _openai(message: str, type_: str = "invalid_request_error", code: str | int | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def _anthropic(type_: str, message: str, **more: object) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type_, "message": message, **more}}


_QUOTA = "You exceeded your current quota, please check your plan and billing details."
# Name, its line in the list, status, body: each as one provider was seen to word it, whichever path is asked.
_WORDED: tuple[tuple[str, str, int, object], ...] = (
    ("insufficient_quota", "OpenAI's 429 for an empty account", 429, _openai(_QUOTA, *["insufficient_quota"] * 2)),
    ("hidden_quota", "LiteLLM's 429 for the same, code hidden", 429, _openai(_QUOTA, "throttling_error", "429")),
    (
        "crossed_budget",
        "LiteLLM's 429 for a budget used up",
        429,
        _openai("No deployments available - crossed budget: Exceeded budget for deployment", "internal_server_error"),
    ),
    (
        "low_balance",
        "Anthropic's 400 for an empty account",
        400,
        _anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    ),
    (
        "spend_limit",
        "Anthropic's 429 past the spend limit: no waiting helps",
        429,
        _anthropic("rate_limit_error", "Spend limit", details={"error_code": "enforced_spend_limit_reached"}),
    ),
    ("segmind_spend_limit", "Segmind's 406 for a team's spend limit", 406, {"error": "Team spend limit reached"}),
    ("segmind_parameter", "Segmind's 406 for a value", 406, {"error": "temperature must be between 0 and 1"}),
    ("segmind_failed", "Segmind's 422: inference ran and failed", 422, {"status": "FAILED", "error": "inference failed"}),
    ("model_retired", "410 for a model that is gone", 410, {"error": "This model is retired"}),
    ("no_access", "403 for a model that this key may not use", 403, _openai("You are not allowed to use this model")),
    (
        "context_length",
        "400 for a prompt that is too long",
        400,
        _openai("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
    ),
    (
        "llamacpp_context",
        "llama.cpp's 400 for the same",
        400,
        _openai(
            "request (4019 tokens) exceeds the available context size (512 tokens), try increasing it",
            "exceed_context_size_error",
            400,
        ),
    ),
    ("content_filter", "400 for what is not to be talked about", 400, _openai("Filtered", code="content_filter")),
    ("bad_image", "400 for a picture that cannot be read", 400, _openai("invalid image: cannot be decoded")),
    ("image_fetch", "400 for a picture that the endpoint could not fetch", 400, _openai("failed to download the image")),
    (
        "request_too_large",
        "429 for a request above the limit by itself",
        429,
        _openai("Request too large for this model: Limit 30000, Requested 43000.", "tokens", "rate_limit_exceeded"),
    ),
    (
        "daily_limit",
        "429 for a limit per day, which ends in two hours",
        429,
        _openai(
            "Rate limit reached on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 2h0m0s.",
            "requests",
            "rate_limit_exceeded",
        ),
    ),
    ("slow_down", "503 that is a rate limit", 503, _openai("Please slow down", "server_error", "slow_down")),
    ("model_loading", "llama.cpp's 503 while it starts", 503, _openai("Loading model", "unavailable_error", 503)),
)


def _worded(name: str, about: str, status: int, body: object) -> Fault:
    reply = Reply(status, orjson.dumps(body))
    return Fault(name, about, lambda scene, given: said(reply, scene, given), _ENDING, at_once=status in (406, 429))


def _segmind_credits(scene: Scene, given: Given) -> Act:
    body = orjson.dumps({"error": "Insufficient credits. Your balance is 0.02, this call needs 0.05"})
    return said(Reply(406, body, {"x-remaining-credits": "0.02"}), scene, given)


def _firewall(scene: Scene, given: Given) -> Act:
    reply = page(403, "Just a moment...")
    return said(Reply(403, reply.body, {"cf-ray": "8f00-SIM"}, reply.content_type), scene, given)


def _redirect(scene: Scene, given: Given) -> Act:
    return said(Reply(given.get("status", 307), b"", {"Location": given.get("to", ELSEWHERE)}), scene, given)


def _key_echo(scene: Scene, given: Given) -> Act:
    body = _openai(f"Incorrect API key provided: {scene.key}.", code="invalid_api_key")
    return said(Reply(401, orjson.dumps(body), {"x-your-key": scene.key or "none"}), scene, given)


def _html_200(scene: Scene, given: Given) -> Act:
    return said(page(200, "Sign in to the network"), scene, given)


def _error_in_200(scene: Scene, given: Given) -> Act:
    code = given.get("code", "server_error")
    return said(Reply(200, orjson.dumps(_openai(given.get("message", "No answer"), code, code))), scene, given)


FAULTS: tuple[Fault, ...] = (
    *(_worded(*each) for each in _WORDED),
    Fault("segmind_credits", "Segmind's 406 for too few credits", _segmind_credits, _ENDING, at_once=True),
    Fault("firewall", "Cloudflare's 403 page", _firewall, _ENDING, at_once=True),
    Fault(
        "redirect",
        "a redirect to another host",
        _redirect,
        {"status": reading.whole(300, 399), "to": reading.text, **_ENDING},
        at_once=True,
    ),
    Fault("key_echo", "401 that quotes the key, in header and message", _key_echo, _ENDING, at_once=True),
    Fault("html_200", "a sign-in page with status 200", _html_200, _ENDING),
    Fault("error_in_200", "an error with status 200", _error_in_200, {"code": reading.text, "message": reading.text, **_ENDING}),
)
