"""Points in time and spans of it as answers write them: HTTP dates, ISO, epochs, `6m0s`. None for what makes no sense."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# An epoch of so many seconds lies past the year 5000: it is milliseconds.
_LEAST_EPOCH_MS = 1e11
# A "number of seconds" of this size is a point in time: 2001, and no pause.
_LEAST_EPOCH_S = 1e9

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
AMOUNT = r"\d{1,12}(?:\.\d{1,12})?\s*(?:milliseconds?|mseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
_PIECE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhd])")
_SPAN = re.compile(rf"{AMOUNT}(?:\s*{AMOUNT})*")
_NUMBER = re.compile(r"\s*[+-]?\d{1,400}(?:\.\d{0,400})?(?:e[+-]?\d{1,4})?\s*", re.IGNORECASE)


def delay_or_date(text: str, now: float) -> float | None:
    """Read a number of seconds or an HTTP date, as seconds from `now`; both are Unix time."""
    seconds = number(text)
    if seconds is not None:
        return seconds
    date = http_date(text)
    return None if date is None else date - now


def span_or_moment(text: str, now: float) -> float | None:
    """Read a span, or a point in time as seconds from `now`."""
    plain = number(text)
    if plain is None:
        seconds = span(text)
        return moment(text, now) if seconds is None else seconds
    return plain if plain < _LEAST_EPOCH_S else moment(text, now)


def moment(text: str, now: float) -> float | None:
    """Read an ISO date (UTC unless it says otherwise) or an epoch in seconds or milliseconds, as seconds from `now`."""
    epoch = number(text)
    if epoch is not None:
        return (epoch / 1000.0 if epoch >= _LEAST_EPOCH_MS else epoch) - now
    try:
        read = datetime.fromisoformat(re.sub(r"\s*(?:UTC|GMT)$", "", text.strip(), flags=re.IGNORECASE))
        return _utc(read).timestamp() - now
    except (ValueError, OverflowError):
        return None


def span(text: str) -> float | None:
    """Read `6m0s`, `1h2m3.5s`, `120ms`, `20 seconds`; a bare number is seconds."""
    text = text.strip().lower().replace("milli", "m")  # "milliseconds" begins like a minute
    if _SPAN.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PIECE.findall(text))
    return number(text)


def number(text: str) -> float | None:
    """Read a number, which may be infinite."""
    return float(text) if _NUMBER.fullmatch(text) else None


def http_date(text: str) -> float | None:
    """Read an HTTP date as Unix time."""
    try:
        return _utc(parsedate_to_datetime(text)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
