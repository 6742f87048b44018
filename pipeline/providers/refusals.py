"""What an endpoint says when it does not answer: status, codes and message, dug out of the many shapes of error bodies."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import urlsplit

from pipeline.core.types import Request, Response
from pipeline.providers.echo import Words, prompt_texts
from pipeline.providers.parse import decoded, parse

# So much of an error body is read, and so much of its message is looked at.
_MOST_BYTES = 64 * 1024
_MOST_CHARACTERS = 2000
_MOST_BYTES_SHOWN = 16 * 1024
_EXCERPT = 400

# Names that stand for a status where HTTP's own says 200: the error names of Segmind's page, OpenAI's and Anthropic's codes
# and types. The vaguest come last: an error may carry two.
_NAMED = {
    "unauthorized": 401,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "insufficient_credits": 402,
    "forbidden": 403,
    "permission_error": 403,
    "not_found": 404,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limited": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    "overloaded_error": 529,
    "bad_gateway": 502,
    "service_unavailable": 503,
    "timeout": 504,
    "gateway_timeout": 504,
    "server_error": 500,
    "internal_server_error": 500,
    "api_error": 500,
    "bad_request": 400,
    "invalid_request_error": 400,
}
# In a body too long to parse whole (FastAPI echoes the input), the fields are found by their looks.
_FIELD = re.compile(r'"(code|type|status|message|msg|error|detail)"\s*:\s*"((?:[^"\\]|\\.){1,2000})"')
_TITLE = re.compile(r"<title[^>]{0,200}>(.{1,500}?)</title", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(?:script|style).{0,4000}?</(?:script|style)>|<[^>]{0,2000}>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Refusal:
    """An answer that is no reply, as the policy reads it.

    `status` is HTTP's, or for a 200 the one its body names. `codes` are what a program was meant to read, in lower case;
    `message` is what a person was, not yet redacted. `page` is the text of an HTML page, None where an API answered.
    """

    status: int
    codes: frozenset[str]
    message: str
    words: Words
    page: str | None
    headers: Mapping[str, str]

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Tell whether a code or the endpoint's own words match; the prompt's words, quoted back, do not count."""
        return any(map(pattern.search, self.codes)) or self.words.say(pattern)


def read_refusal(response: Response, request: Request) -> Refusal:
    """Read an error answer of any status other than 200."""
    text, _ = decoded(response.body[:_MOST_BYTES])
    found = _Found()
    page = None
    if _is_page(response.headers.get("content-type", ""), text):
        page = _shown(text)[:_MOST_CHARACTERS]
        found.messages.extend(html.unescape(title) for title in _TITLE.findall(text)[:1])
    elif len(response.body) <= _MOST_BYTES and (parsed := parse(response.body)):
        _dig(found, parsed.value)
    else:
        _scan(found, text)
    said = found.message() or excerpt(response.body)
    if 300 <= response.status < 400:
        said = ""  # "302 Found", and a link that may hold a token
    message = said or without_words(response)
    return _refusal(response.status, found, message, response, request, page=page)


def read_error_in_200(value: object, response: Response, request: Request) -> Refusal | None:
    """Read the error that a body of status 200 tells; None if it tells none."""
    if not isinstance(value, dict) or not _tells_error(value):
        return None
    found = _Found()
    _dig(found, value)
    refusal = _refusal(response.status, found, found.message() or excerpt(response.body), response, request)
    return replace(refusal, status=_named_status(refusal))


def excerpt(body: bytes) -> str:
    """Give the beginning of a body as a person would read it: of a page its title or text. Empty for a blank one."""
    text, _ = decoded(body[:_MOST_BYTES])
    if _is_page("", text):
        title = _TITLE.search(text)
        text = html.unescape(title[1]) if title else _shown(text)
    return " ".join(text[:_MOST_CHARACTERS].split())[:_EXCERPT]


def is_page(response: Response) -> bool:
    """Tell whether an HTML page came where an API should have answered."""
    return _is_page(response.headers.get("content-type", ""), decoded(response.body[:_MOST_BYTES])[0])


def without_words(response: Response) -> str:
    """Say for an answer without a message what its status and target say."""
    if 300 <= response.status < 400:
        host = _host(response.headers.get("location", ""))
        return f"HTTP {response.status}: a redirect to {host or 'another path'}, which is not followed; is the URL right?"
    try:
        return f"HTTP {response.status} {HTTPStatus(response.status).phrase}, with an empty body"
    except ValueError:
        return f"HTTP {response.status}, with an empty body"


class _Found:
    """Codes and messages in the order in which they were met."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.messages: list[str] = []

    def message(self) -> str:
        return " | ".join(dict.fromkeys(filter(None, map(str.strip, self.messages))))[:_MOST_CHARACTERS]


def _dig(found: _Found, value: object) -> None:
    """Collect what an error body says. Depth is bounded by the shapes known, not by the body."""
    match value:
        case [dict() as only]:  # Google's OpenAI-style endpoint lists its one error
            _dig(found, only)
        case dict():
            _take_fields(found, value)
            error = value.get("error")
            for inner in error if isinstance(error, list) else [error]:
                _take_error(found, inner)
            _take_details(found, value)
            if reason := _block_reason(value):
                found.codes.append("content_filter")
                found.messages.append(f"the prompt was blocked: {reason}")
        case str():
            found.messages.append(value)


def _take_error(found: _Found, error: object) -> None:
    match error:
        case str():
            found.messages.insert(0, error)
        case dict():
            _take_fields(found, error)
            _take_details(found, error)


def _take_fields(found: _Found, fields: Mapping[str, object]) -> None:
    for name in ("code", "type", "status", "status_code", "reason"):
        code = fields.get(name)
        if isinstance(code, str | int) and not isinstance(code, bool):
            found.codes.append(str(code)[:_EXCERPT].strip().lower())
    for name in ("message", "msg", "error_description", "detail"):
        message = fields.get(name)
        if isinstance(message, str):
            found.messages.append(message)


def _take_details(found: _Found, fields: Mapping[str, object]) -> None:
    """Read Anthropic's `details.error_code`, Google's list of details, FastAPI's of what is wrong where, Azure's inner error."""
    for name in ("details", "detail", "innererror", "errors"):
        inner = fields.get(name)
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, str):
                found.messages.append(each)
            elif isinstance(each, dict):
                _take_detail(found, each)


def _take_detail(found: _Found, detail: Mapping[str, object]) -> None:
    if isinstance(code := detail.get("error_code"), str):
        found.codes.append(code.lower())
    if isinstance(delay := detail.get("retryDelay"), str):
        found.messages.append(f"retry in {delay[:20]}")
    location, message = detail.get("loc"), detail.get("msg")
    if isinstance(location, list) and isinstance(message, str):
        found.messages.append(f"{'.'.join(map(str, location))}: {message}")
    else:
        _take_fields(found, detail)


def _scan(found: _Found, text: str) -> None:
    for name, value in _FIELD.findall(text):
        if name in ("code", "type", "status"):
            found.codes.append(value.lower())
        elif len(found.messages) < 5:
            found.messages.append(value)


def _refusal(
    status: int, found: _Found, message: str, response: Response, request: Request, *, page: str | None = None
) -> Refusal:
    words = Words(message, lambda: prompt_texts(request.body))
    return Refusal(status, frozenset(found.codes), message, words, page, response.headers)


def _tells_error(value: Mapping[str, object]) -> bool:
    if value.get("error") or "error" in (value.get("object"), value.get("type")) or _block_reason(value):
        return True
    return "choices" not in value and any(isinstance(value.get(name), str | list) for name in ("detail", "message"))


def _block_reason(value: Mapping[str, object]) -> str | None:
    """Give why Google did not even start: `{"promptFeedback": {"blockReason": "SAFETY"}}`."""
    match value:
        case {"promptFeedback": {"blockReason": str(reason)}}:
            return reason
    return None


def _named_status(refusal: Refusal) -> int:
    """Give the status that an error in a 200 names as a number or by name, else 200 itself."""
    for code in refusal.codes:
        if code.isascii() and code.isdigit() and 400 <= int(code[:9]) < 600:
            return int(code)
    names = {*refusal.codes, "_".join(refusal.words.own.split())}
    return next((status for name, status in _NAMED.items() if name in names), refusal.status)


def _is_page(content_type: str, text: str) -> bool:
    start = text[:200].lstrip("\ufeff \t\r\n").lower()
    return start.startswith(("<!doctype html", "<html", "<head")) or ("html" in content_type.lower() and start.startswith("<"))


def _shown(text: str) -> str:
    """Give the text of a page."""
    return " ".join(html.unescape(_TAG.sub(" ", text[:_MOST_BYTES_SHOWN])).split())


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
