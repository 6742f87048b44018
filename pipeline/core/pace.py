"""When the next request may start: by the rates that are configured, or else by what the endpoint's answers teach.

Two teachers: what answers say is left of a limit, spread over the time until it is whole again, and being throttled.
"""

import math

from pipeline.core.learned import Learned
from pipeline.core.pacing import Pacer
from pipeline.core.quota import Quota, Quotas

# With nothing left, requests still start now and then, at the limit's own rate if that is slower: a bucket refills all the
# while, and only an answer can tell.
LONGEST_GAP_S = 2.0
TOKENS_OF_A_START = 1000.0
# Nor faster than so many times the limit's own rate.
MOST_HASTE = 2.0
LEAST_PERIOD_S = 1.0


class Pace:
    """Requests and tokens a minute; None: not configured. `learn`: find out what is not configured. Times are monotonic."""

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None, *, learn: bool) -> None:
        self._requests = Pacer(requests_per_minute)
        self._tokens = Pacer(tokens_per_minute)
        self._learns_requests = learn and requests_per_minute is None
        self._learns_tokens = learn and tokens_per_minute is None
        self._learned = Learned()
        self._met: set[int] = set()  # rows that were throttled
        self._told_requests = Told()
        self._told_tokens = Told(unit=TOKENS_OF_A_START)

    @property
    def requests_per_minute(self) -> float | None:
        """The rate that is kept just now, configured or learned; None: none is."""
        return None if self._requests.per_second is None else self._requests.per_second * 60.0

    def reserve(self, now: float, tokens: float) -> float:
        """Book a start and give the seconds to wait before it."""
        return max(self._requests.reserve(now), self._tokens.reserve(now, tokens))

    def hold(self, until: float) -> None:
        """Start nothing before `until`; what was booked until then is void."""
        self._requests.hold(until)
        self._tokens.hold(until)

    def started(self, now: float) -> None:
        """Count a request that goes out."""
        self._learned.started(now)

    def answered(self, now: float, *, sent_at: float, quotas: Quotas | None) -> None:
        """Learn from an answer that throttled nobody."""
        if self._learns_requests:
            self._learned.answered(now, sent_at=sent_at)
        self._heed(quotas)

    def refused(self, quotas: Quotas | None) -> None:
        """Count a request that was throttled, whoever's limit it was."""
        self._learned.refused()
        self._heed(quotas)

    def throttled(self, now: float, *, row: int, pause: float) -> bool:
        """Learn from being throttled, whereupon nothing starts for `pause` seconds; tell whether that is everybody's limit.

        It is believed from the second row on that meets it: one row alone may have a limit of its own.
        """
        self._met.add(row)
        if len(self._met) < 2:
            return False
        self._met = {row, -1}  # two are enough to remember
        if self._learns_requests:
            self._learned.throttled(now, pause=pause)
            self._heed(None)
        return True

    def _heed(self, quotas: Quotas | None) -> None:
        if quotas is not None:
            self._told_requests.tell(quotas.requests)
            self._told_tokens.tell(quotas.tokens)
        if self._learns_requests:
            known = [rate for rate in (self._told_requests.per_second, self._learned.per_second) if rate is not None]
            self._requests.per_second = min(known, default=None)
        if self._learns_tokens:
            self._tokens.per_second = self._told_tokens.per_second


class Told:
    """The rate a second that uses up what is left just when the limit is whole again.

    In fixed windows that is the limit's own rate, kept to the end; of a bucket that refills it uses half, and goes on from
    there at the rate at which it refills. `unit` is what one start may cost.
    """

    def __init__(self, *, unit: float = 1.0) -> None:
        self.per_second: float | None = None
        self._slowest = unit / LONGEST_GAP_S
        self._period = LEAST_PERIOD_S  # the longest time it took until the limit was whole again

    def tell(self, quota: Quota | None) -> None:
        """Take in what an answer said, if it said anything."""
        if quota is None:
            return
        self._period = max(self._period, quota.resets_in)
        own = math.inf if quota.limit is None else quota.limit / self._period
        # Around the turn of a window answers speak of the last moments of the old one, where a few might go at once.
        left = quota.remaining / max(quota.resets_in, 0.001)
        self.per_second = max(min(left, MOST_HASTE * own), min(self._slowest, own))
