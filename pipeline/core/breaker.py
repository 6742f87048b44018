"""Telling an endpoint that is down from rows that fail, and waiting for it.

    CLOSED   many different rows fail in a row ->  SUSPECT   nothing new is sent
    SUSPECT  an answer to what was sent since  ->  CLOSED
    SUSPECT  2 s without one                   ->  OPEN      one row asks after 5 s, then after 10, 20, 30, 30 …
    OPEN     that row is answered              ->  CLOSED    and a slow start; answers to older requests do not count

Backoff alone is no policy for an outage: the faster the endpoint fails, the faster it uses up every row's attempts.
"""

from collections import deque
from enum import Enum

# So many failures in a row may be chance where faults are ambient; more is a suspicion.
LEAST_ROWS = 8
SUSPECT_S = 2.0
FIRST_PROBE_S, MOST_PROBE_S = 5.0, 30.0
# And so may it be when single rows get through all the while, but hardly any.
WINDOW_SENDS = 20
FAILING_SHARE = 0.6
SILENCE_S = 10.0


class State(Enum):
    CLOSED = "closed"
    SUSPECT = "suspect"
    OPEN = "open"


class Breaker:
    """`now` in every call is monotonic seconds; `left` the rows of this run without a recorded outcome.

    `silent_since` is the time of the first failure after the last answer, None while the last send was answered.
    """

    def __init__(self, *, concurrency: int) -> None:
        self.state = State.CLOSED
        self.silent_since: float | None = None
        self.rows = max(LEAST_ROWS, concurrency // 4)
        self._streak: dict[int, None] = {}  # rows, in the order of their failures
        self._streak_sent_at = 0.0  # when the first of those requests had been sent
        self._bad: set[int] = set()  # rows that failed, whereupon others were answered
        self._sends: deque[tuple[int, bool]] = deque(maxlen=max(WINDOW_SENDS, concurrency))
        self._probe_s = FIRST_PROBE_S

    def failed(self, row: int, now: float, *, sent_at: float, left: int, unreachable: bool) -> bool:
        """Count a send that failed transiently or found no endpoint; tell whether that makes it suspect.

        `unreachable`: the failure cannot be the row's doing. Then, towards the end, all rows left are enough. Rows that
        failed before while others were answered are no reason, once no other rows are left.
        """
        if self.silent_since is None:
            self.silent_since = now
        self._sends.append((row, True))
        if not self._streak:
            self._streak_sent_at = sent_at
        self._streak[row] = None
        enough = min(self.rows, max(left, 1)) if unreachable else self.rows
        if len(self._bad) >= left > 0:
            return False
        if self.state is State.CLOSED and (len(self._streak) >= enough or self._hardly_any(now)):
            self.state = State.SUSPECT
            return True
        return False

    def answered(self, row: int, *, sent_at: float, probe: bool) -> bool:
        """Count an answer; tell whether sends may go on that could not before. `probe`: the row was the one sent alone.

        An answer to a request that was sent before those that fail says less: it takes half of the failures off, and ends
        no suspicion. When an endpoint goes, what it had begun is often still answered.
        """
        self._sends.append((row, False))
        self.silent_since = None
        if self.state is State.CLOSED and not self._streak:  # nearly always
            return False
        older = bool(self._streak) and sent_at < self._streak_sent_at
        if (self.state is State.OPEN and not probe) or (self.state is State.SUSPECT and older):
            return False
        before, self.state = self.state, State.CLOSED
        if before is State.CLOSED:
            self._bad |= self._streak.keys()
        kept = len(self._streak) // 2 if older else 0
        self._streak = dict.fromkeys(list(self._streak)[:kept])
        if before is State.OPEN:
            self._sends.clear()
        self._probe_s = FIRST_PROBE_S
        return before is not State.CLOSED

    def ended(self, row: int) -> None:
        """Forget a row that has its outcome."""
        self._streak.pop(row, None)
        self._bad.discard(row)

    def alive(self) -> None:
        """Note that the endpoint is there, although it answered no row: it throttles, or refuses everybody."""
        self.silent_since = None

    def excuse(self, seconds: float, now: float) -> None:
        """Do not count the last so many seconds as silence: nobody asked in them."""
        if self.silent_since is not None:
            self.silent_since = min(self.silent_since + seconds, now)

    def open(self) -> None:
        """Believe the suspicion."""
        self.state = State.OPEN

    def probe_after(self, draw: float) -> float:
        """Give the seconds until the next row may ask, with `draw` in [0, 1); longer each time."""
        wait, self._probe_s = self._probe_s * (0.5 + 0.5 * draw), min(self._probe_s * 2, MOST_PROBE_S)
        return wait

    def _hardly_any(self, now: float) -> bool:
        assert self.silent_since is not None
        if len(self._sends) < (self._sends.maxlen or 0) or now - self.silent_since < SILENCE_S:
            return False
        failed = [row for row, bad in self._sends if bad]
        return len(failed) >= FAILING_SHARE * len(self._sends) and len(set(failed)) >= LEAST_ROWS
