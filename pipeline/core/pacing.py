"""Spreading starts evenly below a rate: requests or tokens, whichever the unit of `cost` is."""

import math


class Pacer:
    """GCRA, the leaky bucket as a single number (ITU-T I.371): the time from which the next start is due.

    There is no burst: a server that counts by the minute would answer it with 429s. A cost above a whole minute's
    allowance is counted as one minute: it can be paced, never met.
    `per_second` may be changed at any time, for starts booked from then on; None: no limit.
    """

    def __init__(self, per_minute: float | None = None) -> None:
        self.per_second = None if per_minute is None else per_minute / 60.0
        self._next = -math.inf

    def reserve(self, now: float, cost: float = 1.0) -> float:
        """Book a start of this cost and give the seconds to wait before it."""
        if self.per_second is None:
            return 0.0
        start = max(self._next, now)
        self._next = start + min(cost / self.per_second, 60.0)
        return start - now

    def hold(self, until: float) -> None:
        """Start nothing before `until`, and space the starts anew from there."""
        self._next = max(self._next, until)
