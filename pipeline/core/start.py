"""How many requests may be under way at the start of a run: one, then four, then all. A wrong key costs five at most."""

SECOND_STEP = 4


class Start:
    """The limit of requests in flight while nothing is known of the endpoint. `limit` is 1 until the first answer of
    any kind, then 4, and `concurrency` from the first reply after that."""

    def __init__(self, concurrency: int) -> None:
        self.limit = 1
        self._concurrency = concurrency

    def answered(self, *, ok: bool) -> bool:
        """Note an answer and tell whether the limit grew."""
        before = self.limit
        if self.limit == 1:
            self.limit = min(SECOND_STEP, self._concurrency)
        elif ok:
            self.limit = self._concurrency
        return self.limit != before

    def again(self) -> None:
        """Begin anew, after an outage."""
        self.limit = 1

    def halve(self) -> None:
        """Ask for less from now on: this machine is short of something."""
        self._concurrency = max(self._concurrency // 2, 1)
        self.limit = min(self.limit, self._concurrency)
