"""What an answer says is left of a rate limit: so many requests or tokens, until then. Read off headers; nobody decides here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.times import http_date, number, span_or_moment

# A limit that is whole again only after so long is a day's, or a month's: it says how much there is, not how fast to go.
LONGEST_RESET_S = 120.0

# Header names by what they count: remaining, reset, limit. OpenAI's and whoever copies them, Anthropic's, the IETF's draft
# (RateLimit header fields for HTTP), and the older form of it that OpenRouter and others send.
_REQUESTS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-limit-requests"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-limit"),
    ("ratelimit-remaining", "ratelimit-reset", "ratelimit-limit"),
    ("x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit"),
)
_TOKENS = (
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "x-ratelimit-limit-tokens"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-limit"),
)


@dataclass(frozen=True, slots=True)
class Quota:
    """`remaining` requests or tokens until the limit is whole again in `resets_in` seconds; `limit` is the whole, if known."""

    remaining: float
    resets_in: float
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one answer said; None where it said nothing that may be paced by."""

    requests: Quota | None = None
    tokens: Quota | None = None


def quotas(headers: Mapping[str, str], *, wall_now: float) -> Quotas | None:
    """Read the quotas off an answer's headers (lower-case names); None if there are none. `wall_now` is Unix time."""
    requests, tokens = _first(headers, _REQUESTS, wall_now), _first(headers, _TOKENS, wall_now)
    return None if requests is None and tokens is None else Quotas(requests, tokens)


def _first(headers: Mapping[str, str], names: tuple[tuple[str, str, str], ...], wall_now: float) -> Quota | None:
    for remaining, reset, limit in names:
        if remaining in headers and reset in headers:
            return _quota(headers[remaining], headers[reset], headers.get(limit, ""), _now(headers, wall_now))
    return None


def _now(headers: Mapping[str, str], wall_now: float) -> float:
    date = http_date(headers.get("date", ""))
    return wall_now if date is None else date


def _quota(remaining: str, reset: str, limit: str, now: float) -> Quota | None:
    left, seconds, most = number(remaining), span_or_moment(reset, now), number(limit)
    if left is None or seconds is None or not 0 <= left < math.inf or not 0 <= seconds <= LONGEST_RESET_S:
        return None
    return Quota(left, seconds, most if most is not None and 0 < most < math.inf else None)
