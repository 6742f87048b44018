"""How many requests may be in flight: one, then as many as are configured, until the endpoint objects.

A limit that was really used when the endpoint throttled is cut, once an episode, and grows again only while it is used. The
start is careful for another reason: a wrong key costs five requests at most. The first reply shows that key, model and
address are right; where the first answer was no reply, or is long in coming, four rows ask next.
"""

import math
from collections import deque
from dataclasses import dataclass

SECOND_STEP = 4
# The first row may happen to be one that takes minutes; a wrong key is refused sooner.
LONG_S = 5.0
CUT = 0.7
# In flight, of the limit: below that it was not the limit that decided.
USED_SHARE = 0.8
# Grown by so much in the time that a whole limit of requests takes, but never by less than one request.
GROWTH = 0.1
MOST_CHANGES = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the limit, `at` in monotonic seconds."""

    at: float
    limit: int
    reason: str


class AdaptiveLimit:
    """`limit` requests may be in flight, `most` at most. With `adaptive=False` only the start, outages and shortages here
    change it.

    `history` holds the latest changes, for people to look at. Times are monotonic seconds.
    """

    def __init__(self, most: int, *, adaptive: bool = True) -> None:
        self.limit = 1
        self.history: deque[Change] = deque(maxlen=MOST_CHANGES)
        self._most = most
        self._adaptive = adaptive
        self._goal = float(most)  # where it goes back to after a pause or an outage
        self._unheard = True  # nobody was answered yet, since the start or an outage
        self._asked_at: float | None = None  # since when requests were seen under way, none of them throttled
        self._doubling = False  # whether the goal is approached step by step
        self._cut_at = -math.inf

    def answered(self, now: float, *, ok: bool, sent_at: float, in_flight: int) -> bool:
        """Note an answer that throttled nobody; tell whether the limit grew. `ok`: it was a reply."""
        before = self.limit
        if sent_at < self._cut_at:  # it says nothing about the limit there is now
            return False
        first, self._unheard = self._unheard, False
        if first and (self._doubling or not ok):
            self._set(now, min(max(SECOND_STEP, self.limit), self._goal), "answered")
        elif ok and self.limit < int(self._goal):
            # One more for each reply: twice as many in the time that one takes.
            self._set(now, min(self.limit + 1, self._goal) if self._doubling else self._goal, "answered")
        elif ok and self._goal < self._most and in_flight >= USED_SHARE * self.limit:
            self._goal = min(self._goal + max(GROWTH, 1.0 / self.limit), self._most)
            self._set(now, self._goal, "used in full")
        return self.limit > before

    def waited(self, now: float, *, in_flight: int) -> bool:
        """Note how things stand, about once a second; tell whether the limit grew."""
        if not in_flight:
            self._asked_at = None
        if not self._unheard or self._doubling or self.limit > 1 or not in_flight:
            return False
        if self._asked_at is None:
            self._asked_at = now
        if now - self._asked_at < LONG_S:
            return False
        self._set(now, min(SECOND_STEP, self._goal), "no answer yet")
        return self.limit > 1

    def throttled(self, now: float, *, sent_at: float, in_flight: int, ask_one: bool) -> None:
        """Note that a request was throttled, this one counted in `in_flight`. Others sent before the cut change nothing more.

        `ask_one`: let one request find out when the pause is over, and go back from there at its first reply.
        """
        if not self._adaptive or sent_at < self._cut_at:
            return
        self._cut_at, self._asked_at = now, None
        if self.limit >= int(self._goal) and in_flight >= USED_SHARE * self.limit:
            self._goal = max(self.limit * CUT, 1.0)
        self._doubling = False
        self._set(now, 1 if ask_one else min(self.limit, self._goal), "throttled")

    def again(self, now: float) -> None:
        """Begin anew after an outage: one, four, and then twice as many each time."""
        self._unheard, self._doubling = True, True
        self._set(now, 1, "outage")

    def halve(self, now: float) -> None:
        """Ask for less, until it turns out that more goes well: this machine is short of something."""
        self._goal = max(self._goal / 2, 1.0)
        self._set(now, min(self.limit, self._goal), "shortage")

    def _set(self, now: float, limit: float, reason: str) -> None:
        if max(int(limit), 1) != self.limit:
            self.limit = max(int(limit), 1)
            self.history.append(Change(now, self.limit, reason))
