"""How long an endpoint asks to be left alone: its headers, or a phrase in its message, as seconds from now.

The first hint that makes sense wins; one that is garbage or lies in the past is passed over. Nothing here knows what is too
long to be believed: the caller compares.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# An epoch of so many seconds lies past the year 5000: it is milliseconds.
_LEAST_EPOCH_MS = 1e11
# A "number of seconds" of this size is a point in time: 2001, and no pause.
_LEAST_EPOCH_S = 1e9

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"\d{1,12}(?:\.\d{1,12})?\s*(?:milliseconds?|mseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
_PIECE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhd])")
_SPAN = re.compile(rf"{_AMOUNT}(?:\s*{_AMOUNT})*")
# "Please try again in 1m30.5s", "retry after 12 seconds", and Google's "retryDelay": "26s". A bare number is seconds.
SPOKEN = re.compile(
    r"(?:(?:try\s+again|retry|retrying)\s+(?:in|after)|retry_?(?:delay|after)[\"']?\s*[:=])\s*[\"']?"
    rf"({_AMOUNT}(?:\s*{_AMOUNT})*|\d{{1,12}}(?:\.\d{{1,12}})?)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\s*[+-]?\d{1,400}(?:\.\d{0,400})?(?:e[+-]?\d{1,4})?\s*", re.IGNORECASE)


def retry_after(headers: Mapping[str, str], *, wall_now: float, body_text: str = "") -> float | None:
    """Give the seconds an endpoint asks to wait, or None if it says nothing that makes sense.

    `headers` have lower-case names; `wall_now` is Unix time. Points in time are compared with the answer's own `Date` where it
    has one, so that a clock that is wrong here does not matter.
    """
    now = _http_date(headers.get("date", ""))
    hints = _hints(headers, wall_now if now is None else now, body_text)
    return next((hint for hint in hints if hint is not None and 0.0 <= hint < math.inf), None)


def _hints(headers: Mapping[str, str], now: float, body_text: str) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms", ""))
    yield None if milliseconds is None else milliseconds / 1000.0
    yield _delay_or_date(headers.get("retry-after", ""), now)
    yield _moment(headers.get("x-rate-limit-reset-at-utc", ""), now)  # Segmind's only one
    yield _delay_or_date(headers.get("llm_provider-retry-after", ""), now)  # LiteLLM's copy of what its upstream said
    yield _bucket_reset(headers, now)
    spoken = SPOKEN.search(body_text)
    yield _span(spoken[1]) if spoken else None


def _bucket_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read OpenAI's pair of buckets. The one with nothing left is what refused; where that is not said, the later one decides."""
    resets = {each: _span_or_moment(headers.get(f"x-ratelimit-reset-{each}", ""), now) for each in ("requests", "tokens")}
    known = {each: seconds for each, seconds in resets.items() if seconds is not None}
    used_up = [seconds for each, seconds in known.items() if _number(headers.get(f"x-ratelimit-remaining-{each}", "")) == 0]
    return max(used_up or known.values(), default=None)


def _delay_or_date(text: str, now: float) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    date = _http_date(text)
    return None if date is None else date - now


def _span_or_moment(text: str, now: float) -> float | None:
    number = _number(text)
    if number is None:
        return _span(text)
    return number if number < _LEAST_EPOCH_S else _moment(text, now)


def _moment(text: str, now: float) -> float | None:
    """Read an ISO date (UTC unless it says otherwise) or an epoch in seconds or milliseconds, as seconds from `now`."""
    epoch = _number(text)
    if epoch is not None:
        return (epoch / 1000.0 if epoch >= _LEAST_EPOCH_MS else epoch) - now
    try:
        moment = datetime.fromisoformat(re.sub(r"\s*(?:UTC|GMT)$", "", text.strip(), flags=re.IGNORECASE))
        return _utc(moment).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _span(text: str) -> float | None:
    """Read `6m0s`, `1h2m3.5s`, `120ms`, `20 seconds`; a bare number is seconds."""
    text = text.strip().lower().replace("milli", "m")  # "milliseconds" begins like a minute
    if _SPAN.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PIECE.findall(text))
    return _number(text)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _http_date(text: str) -> float | None:
    try:
        return _utc(parsedate_to_datetime(text)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
