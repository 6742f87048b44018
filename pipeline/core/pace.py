"""When the next request may start: by the rates that are configured, or else by what the endpoint's answers teach.

Two teachers: what answers say is left of a limit, spread over the time until it is whole again, and being throttled.
"""

import math
from collections import deque

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
MOST_LIES = 20
# Of the latest answers this share being 429s is more than chance, or than a pace that is about right.
LATELY, LEAST_TELLING, TELLING_SHARE = 300, 3, 0.04


class Pace:
    """Requests and tokens a minute; None: not configured. `learn`: find out what is not configured. Times are monotonic."""

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None, *, learn: bool) -> None:
        self._requests = Pacer(requests_per_minute)
        self._tokens = Pacer(tokens_per_minute)
        self._learns_requests = learn and requests_per_minute is None
        self._learns_tokens = learn and tokens_per_minute is None
        self._learned = Learned()
        self._met: set[int] = set()  # rows that were throttled
        self._lately: deque[bool] = deque(maxlen=LATELY)  # whether each of the latest answers throttled
        self._told_requests = Told()
        self._told_tokens = Told(unit=TOKENS_OF_A_START)

    @property
    def requests_per_minute(self) -> float | None:
        """The rate that is kept just now, configured or learned; None: none is."""
        return None if self._requests.per_second is None else self._requests.per_second * 60.0

    @property
    def free(self) -> bool:
        """Whether starts need not be spaced just now: `reserve` would give 0 for any."""
        return self._requests.per_second is None and self._tokens.per_second is None

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
        self._lately.append(False)
        if self._learns_requests:
            self._learned.answered(now, sent_at=sent_at)
        if quotas is not None or not self.free:
            self._heed(now, quotas)

    def refused(self, now: float, quotas: Quotas | None) -> None:
        """Count a request that was throttled, whoever's limit it was."""
        self._lately.append(True)
        self._learned.refused()
        for told in (self._told_requests, self._told_tokens):
            told.throttled()
        self._heed(now, quotas)

    def throttled(self, now: float, *, row: int, pause: float) -> bool:
        """Learn from being throttled, whereupon nothing starts for `pause` seconds; tell whether that is everybody's limit.

        It is believed from the second row of the run on that meets it, for one row alone may have a limit of its own; and
        not while hardly any request is throttled: that is how it is at the right pace.
        """
        self._met.add(row)
        if len(self._met) < 2:
            return False
        self._met = {row, -1}  # two are enough to remember
        if self._told_requests.leaves_some(now) or sum(self._lately) < max(LEAST_TELLING, TELLING_SHARE * len(self._lately)):
            self._learned.stray(now)
            return False
        if self._learns_requests:
            self._learned.throttled(now, pause=pause)
            self._heed(now, None)
        return True

    def _heed(self, now: float, quotas: Quotas | None) -> None:
        if quotas is not None:
            self._told_requests.tell(quotas.requests, now)
            self._told_tokens.tell(quotas.tokens, now)
        if self._learns_requests:
            known = [rate for rate in (self._told_requests.rate(now), self._learned.per_second) if rate is not None]
            self._requests.per_second = min(known, default=None)
        if self._learns_tokens:
            self._tokens.per_second = self._told_tokens.rate(now)


class Told:
    """The rate a second that uses up what is left just when the limit is whole again.

    In fixed windows that is the limit's own rate, kept to the end; of a bucket that refills it uses half, and goes on from
    there at the rate at which it refills. `unit` is what one start may cost. What was said holds until the limit was to be
    whole again; that nothing is left is not believed of an endpoint that goes on answering.
    """

    def __init__(self, *, unit: float = 1.0) -> None:
        self._per_second: float | None = None
        self._until = -math.inf  # from then on there is only the limit's own rate
        self._left = 0.0
        self._nothing_left = 0  # answers in a row that said so
        self._slowest = unit / LONGEST_GAP_S
        self._own = math.inf
        self._period = LEAST_PERIOD_S  # the longest time it took until the limit was whole again

    def throttled(self) -> None:
        """Note that nothing was left indeed."""
        self._nothing_left = 0

    def rate(self, now: float) -> float | None:
        """Give the rate to keep to, None if nothing is known."""
        if now < self._until and self._nothing_left < MOST_LIES:
            return self._per_second
        return None if math.isinf(self._own) else self._own

    def leaves_some(self, now: float) -> bool:
        """Whether the latest word, if it still holds, was that something is left: then it is another limit that is met."""
        return now < self._until and self._left > 0

    def tell(self, quota: Quota | None, now: float) -> None:
        """Take in what an answer said, if it said anything."""
        if quota is None:
            return
        self._left = quota.remaining
        self._nothing_left = self._nothing_left + 1 if quota.remaining == 0 else 0
        self._until = now + max(quota.resets_in, LEAST_PERIOD_S)
        self._period = max(self._period, quota.resets_in)
        own = self._own = math.inf if quota.limit is None else quota.limit / self._period
        # Around the turn of a window answers speak of the last moments of the old one, where a few might go at once.
        left = quota.remaining / max(quota.resets_in, 0.001)
        self._per_second = max(min(left, MOST_HASTE * own), min(self._slowest, own))
