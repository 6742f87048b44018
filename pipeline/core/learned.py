"""Finding out how many requests a second an endpoint lets through that names no limit and only throttles.

What counts is what got through in a minute, the pause included, up to the time when it lets requests through again: that is
the limit, whatever way the endpoint counts, by fixed minutes, a sliding window, or a bucket that refills.
"""

import math
from collections import deque

# Limits are by the minute.
MEMORY_S = 60.0
LONG_PAUSE_S = 2 * MEMORY_S
# Just below what was measured: at the very rate, chance alone would be throttled again and again.
MARGIN = 0.98
# So many requests and seconds say too little: then the rate is only lowered.
TELLING_STARTS, TELLING_S = 20, 30.0
LOWERED = 0.9
# While the rate is used in full it is raised, in steps that double: an estimate far too low is left behind within
# minutes, one that is right is overstepped by little. The first estimate is the worst one.
USED_SHARE = 0.8
FIRST_STEP, STEP_AFTER_A_GUESS, MOST_STEP = 0.01, 0.1, 0.5
STEP_EVERY_S, STEP_EVERY_STARTS, LONGEST_STEP_S = 10.0, 5, 30.0


class Learned:
    """`per_second` is the rate, None until the endpoint has throttled. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.per_second: float | None = None
        self._through = 0  # requests started and not throttled
        self._then: deque[tuple[float, int]] = deque()  # about once a second, as far back as it is remembered
        self._paused: float | None = None  # when requests were held back first; None while they get through
        self._guessed = True  # whether the rate is a first guess, made amid the burst that met the limit
        self._since = (0.0, 0)  # the time of the last step, and how many had got through by then
        self._step = STEP_AFTER_A_GUESS
        self._step_due = 0.0

    def started(self, now: float) -> None:
        """Count a request that goes out."""
        if not self._then or now - self._then[-1][0] >= 1.0:
            self._then.append((now, self._through))
            if self._paused is None:
                while now - self._then[0][0] > 2 * MEMORY_S:
                    self._then.popleft()
        self._through += 1

    def refused(self) -> None:
        """Count a request that was throttled."""
        self._through -= 1

    def throttled(self, now: float, *, pause: float) -> None:
        """Note that the endpoint throttles, and that nothing starts for `pause` seconds from now."""
        if self._paused is None:
            self._paused = now
        if self.per_second is None:
            self.per_second = self._measured(now + pause, telling=False)

    def stray(self, now: float) -> None:
        """Note that a request was throttled as now and then one is: the rate is about right, so it is raised carefully again."""
        self._step = FIRST_STEP
        self._begin_step(now)

    def answered(self, now: float, *, sent_at: float) -> None:
        """Note that a request sent at `sent_at` was let through."""
        if self._paused is not None and sent_at > self._paused:
            self._learn(sent_at)
            self._paused = None
            self._begin_step(now)
        elif self._paused is None and now >= self._step_due:
            self._raise(now)

    def _learn(self, until: float) -> None:
        if self.per_second is None:
            return
        assert self._paused is not None
        if until - self._paused > LONG_PAUSE_S:
            # A limit by the day, an outage or a suspended machine: nothing was learned of the minute.
            self.per_second = None if self._guessed else self.per_second
            self._then.clear()
            return
        measured = self._measured(until)
        if measured is None:
            self.per_second *= LOWERED
        elif self._guessed:
            self.per_second = MARGIN * measured
            self._guessed, self._step = False, STEP_AFTER_A_GUESS
            # What the burst found in a full bucket is not what the bucket refills by.
            self._then.clear()
        else:
            # The rate may have been climbing for most of the minute: the truth lies between.
            self.per_second = MARGIN * min(math.sqrt(measured * self.per_second), self.per_second)
            self._step = FIRST_STEP

    def _measured(self, until: float, *, telling: bool = True) -> float | None:
        """Give the rate at which requests got through in the minute up to `until`, or in the one up to the pause and in the
        pause, whichever is higher; None where that says too little, unless it need not be `telling`.

        The first is right for fixed minutes, the second where the pause was longer than it had to be.
        """
        assert self._paused is not None
        rates = []
        for since in (until - MEMORY_S, self._paused - MEMORY_S):
            then, before = next((each for each in self._then if each[0] >= since), (until, self._through))
            through, seconds = self._through - before, until - then
            if not telling or through >= TELLING_STARTS or seconds >= TELLING_S:
                rates.append(max(through, 1) / max(seconds, 1.0))
        return max(rates, default=None)

    def _raise(self, now: float) -> None:
        then, before = self._since
        if self.per_second is not None and self._through - before >= USED_SHARE * self.per_second * (now - then):
            self.per_second *= 1.0 + self._step
            self._step = min(2 * self._step, MOST_STEP)
        self._begin_step(now)

    def _begin_step(self, now: float) -> None:
        self._since = now, self._through
        self._step_due = now + max(STEP_EVERY_S, min(STEP_EVERY_STARTS / (self.per_second or 1.0), LONGEST_STEP_S))
