"""Telling a row that always fails from an endpoint that is gone.

Rows that fail while others succeed have themselves to blame; when every send fails, nobody does. So a row's failures
are held against it only once something got through after the first of them, and a run in which nothing gets through
stops before any row is given up for it.
"""

# With a limit of 8 sends a row, 25 rows can fail 200 times before one of them would be given up.
STOP_AFTER_SENDS = 200
STOP_AFTER_SENDS_PER_ROW = 8
# So many failures in a row may be chance at high fault rates; more is a suspicion.
LEAST_SUSPECT = 8


class Streak:
    """The sends since the last answer, and the rows that failed before it.

    `left` in every call is the number of rows of this run without a recorded outcome.
    """

    def __init__(self, *, concurrency: int) -> None:
        self.length = 0
        self._suspect = max(LEAST_SUSPECT, concurrency // 4)
        self._failed: set[int] = set()
        self._charged: set[int] = set()

    def failed(self, row: int) -> None:
        """Count a send of `row` that failed transiently or found no endpoint."""
        self.length += 1
        self._failed.add(row)

    def answered(self) -> None:
        """Note that the endpoint answered somebody: a reply, or a refusal of that row alone. Being throttled is neither."""
        self.length = 0
        self._charged |= self._failed
        self._failed.clear()

    def ended(self, row: int) -> None:
        """Forget a row whose outcome is recorded."""
        self._failed.discard(row)
        self._charged.discard(row)

    def may_fail(self, row: int, *, left: int) -> bool:
        """Tell whether `row` may be given up now for its failures."""
        return row in self._charged and (self.length < self._suspect or self._only_bad_rows_left(left))

    def spares_all(self, *, left: int) -> bool:
        """Tell whether so many rows failed since the last answer that none of them is to blame."""
        return len(self._failed) >= self._suspect and not self._only_bad_rows_left(left)

    def over(self, *, left: int) -> bool:
        """Tell whether the run should stop: nobody got through for so long that waiting is for a later run."""
        allowed = min(STOP_AFTER_SENDS, STOP_AFTER_SENDS_PER_ROW * left)
        return self.length >= max(allowed, 1) and not self._only_bad_rows_left(left)

    def _only_bad_rows_left(self, left: int) -> bool:
        return len(self._charged) >= left > 0
