"""A limit nobody told the run of: what share of it is reached, and how many requests bounce off it, for three manners.

The limit is 600 requests a minute; a run is watched for some minutes, and stopped. Each server counts by its own book, from its
first request on, and grants nothing that was not due.
"""

import math
import signal
import time
from collections import deque
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.whole.faults.endpoints import job_at
from tests.whole.faults.outages import await_requests
from tests.whole.faults.refusals import bare, error
from tests.whole.faults.rogue import Answer, Asked, Rogue
from tests.whole.harness import Bench
from tests.whole.table import Claim, Claims, Trial

PER_MINUTE = 600
MINUTE_S = 60.0
LATENCY_S = 0.3
LEAST_REACHED = 0.9
MOST_BOUNCED = 0.05


class Bucket:
    """As OpenAI: a bucket of a minute's worth that fills evenly; each answer says what is left, a 429 when to come back."""

    def __init__(self) -> None:
        self._tokens, self._at = float(PER_MINUTE), 0.0

    def __call__(self, asked: Asked) -> Answer:
        rate = PER_MINUTE / MINUTE_S
        self._tokens, self._at = min(self._tokens + (asked.at - self._at) * rate, PER_MINUTE), asked.at
        granted = self._tokens >= 1
        self._tokens -= granted
        headers = (
            ("x-ratelimit-limit-requests", str(PER_MINUTE)),
            ("x-ratelimit-remaining-requests", str(int(self._tokens))),
            ("x-ratelimit-reset-requests", _span((PER_MINUTE - self._tokens) / rate)),
        )
        if granted:
            return Answer(headers=headers, after=LATENCY_S)
        refused = error(
            429, "Rate limit reached for requests per min (RPM): Limit 600, Used 600, Requested 1.", code="rate_limit"
        )
        wait = max(math.ceil((1 - self._tokens) / rate), 1)
        return Answer(429, refused.body, (*headers, ("Retry-After", str(wait))), after=0.02)


class Window:
    """As Segmind: so many a minute, nothing said before the 429, and that names the end of the minute."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._granted = 0

    def __call__(self, asked: Asked) -> Answer:
        start = asked.at if self._start is None else self._start + (asked.at - self._start) // MINUTE_S * MINUTE_S
        if start != self._start:
            self._start, self._granted = start, 0
        if self._granted < PER_MINUTE:
            self._granted += 1
            return Answer(after=LATENCY_S)
        reset = datetime.fromtimestamp(time.time() + start + MINUTE_S - asked.at, UTC).isoformat(timespec="milliseconds")
        return Answer(429, bare(429, error="Rate limit exceeded").body, (("x-rate-limit-reset-at-utc", reset),), after=0.02)


class Sliding:
    """No more than so many within any minute, and a 429 that says nothing."""

    def __init__(self) -> None:
        self._granted: deque[float] = deque()

    def __call__(self, asked: Asked) -> Answer:
        while self._granted and asked.at - self._granted[0] >= MINUTE_S:
            self._granted.popleft()
        if len(self._granted) < PER_MINUTE:
            self._granted.append(asked.at)
            return Answer(after=LATENCY_S)
        return Answer(429, bare(429, error="Too many requests").body, after=0.02)


MANNERS: dict[str, type[Bucket] | type[Window] | type[Sliding]] = {
    "headers on each answer, token bucket": Bucket,
    "Segmind's header, minute by minute": Window,
    "bare 429s, sliding minute": Sliding,
}


def pace(bench: Bench, manner: str, minutes: int = 4, by: str = "", **changes: Any) -> Claims:
    """Watch a run at such an endpoint. `changes` are sections of the job; `by` says to people whom they make ask."""
    name = f"pace-{MANNERS[manner].__name__.lower()}{by.replace(' ', '-')}"
    rows = (minutes + 2) * PER_MINUTE
    with Rogue(MANNERS[manner]()) as server:
        endpoint = {"provider": "segmind" if manner.startswith("Segmind") else "openai"}
        job = job_at(bench, server, name, rows, endpoint=endpoint, **changes)
        running = bench.start("run", job.config, "--json")
        await_requests(server, running, 1)
        began = server.truth.asked[0].at
        time.sleep(max(began + minutes * MINUTE_S - server.now, 0))
        running.signal(signal.SIGTERM)
        ended = running.wait()
    figures = [seen_between(server, began + start * MINUTE_S, began + minutes * MINUTE_S) for start in (0, 1)]
    (reached, bounced), (later_reached, later_bounced) = figures
    failed = ended.summary["failed"]
    by_minute = [server.truth.statuses(began + n * MINUTE_S, began + (n + 1) * MINUTE_S) for n in range(minutes)]
    yield Claim(
        f"{PER_MINUTE} RPM, nothing configured: {', '.join(filter(None, (manner, by)))}",
        f"≥ {LEAST_REACHED:.0%} of the limit, ≤ {MOST_BOUNCED:.0%} 429s",
        f"{reached:.0%} and {bounced:.1%} over {minutes} minutes, {later_reached:.0%} and {later_bounced:.1%} after the first"
        f" (200s + 429s by minute: {', '.join(f'{each[200]} + {each[429]}' for each in by_minute)}); {failed} failed",
        reached >= LEAST_REACHED and later_reached >= LEAST_REACHED and bounced <= MOST_BOUNCED and failed == 0,
    )


def seen_between(server: Rogue, start: float, stop: float) -> tuple[float, float]:
    """Give the share of the limit that was reached by requests of that time, and the share of them that was refused."""
    counts = server.truth.statuses(start, stop)
    return counts[200] / (PER_MINUTE * (stop - start) / MINUTE_S), counts[429] / max(counts.total(), 1)


def _span(seconds: float) -> str:
    """Write a duration as OpenAI does: 59.9s, 120ms."""
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3f}s"


# They only wait, so they run at the same time.
PACES: tuple[Trial, ...] = tuple(partial(pace, manner=manner) for manner in MANNERS)
