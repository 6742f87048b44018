"""How long an endpoint asks to be left alone: its headers, or a phrase in its message, as seconds from now.

The first hint that makes sense wins; one that is garbage or lies in the past is passed over. Nothing here knows what is too
long to be believed: the caller compares.
"""

import math
import re
from collections.abc import Iterator, Mapping

from pipeline.core.times import AMOUNT, delay_or_date, http_date, moment, number, span, span_or_moment

# "Please try again in 1m30.5s", "retry after 12 seconds", and Google's "retryDelay": "26s". A bare number is seconds.
SPOKEN = re.compile(
    r"(?:(?:try\s+again|retry|retrying)\s+(?:in|after)|retry_?(?:delay|after)[\"']?\s*[:=])\s*[\"']?"
    rf"({AMOUNT}(?:\s*{AMOUNT})*|\d{{1,12}}(?:\.\d{{1,12}})?)",
    re.IGNORECASE,
)


def retry_after(headers: Mapping[str, str], *, wall_now: float, body_text: str = "") -> float | None:
    """Give the seconds an endpoint asks to wait, or None if it says nothing that makes sense.

    `headers` have lower-case names; `wall_now` is Unix time. Points in time are compared with the answer's own `Date` where it
    has one, so that a clock that is wrong here does not matter.
    """
    now = http_date(headers.get("date", ""))
    hints = _hints(headers, wall_now if now is None else now, body_text)
    return next((hint for hint in hints if hint is not None and 0.0 <= hint < math.inf), None)


def _hints(headers: Mapping[str, str], now: float, body_text: str) -> Iterator[float | None]:
    milliseconds = number(headers.get("retry-after-ms", ""))
    yield None if milliseconds is None else milliseconds / 1000.0
    yield delay_or_date(headers.get("retry-after", ""), now)
    yield moment(headers.get("x-rate-limit-reset-at-utc", ""), now)  # Segmind's only one
    yield delay_or_date(headers.get("llm_provider-retry-after", ""), now)  # LiteLLM's copy of what its upstream said
    yield _bucket_reset(headers, now)
    spoken = SPOKEN.search(body_text)
    yield span(spoken[1]) if spoken else None


def _bucket_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read OpenAI's pair of buckets. The one with nothing left is what refused; where that is not said, the later one decides."""
    resets = {each: span_or_moment(headers.get(f"x-ratelimit-reset-{each}", ""), now) for each in ("requests", "tokens")}
    known = {each: seconds for each, seconds in resets.items() if seconds is not None}
    used_up = [seconds for each, seconds in known.items() if number(headers.get(f"x-ratelimit-remaining-{each}", "")) == 0]
    return max(used_up or known.values(), default=None)
