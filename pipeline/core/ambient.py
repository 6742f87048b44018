"""How faulty the endpoint is just now, and so how often a row may fail before it is at fault itself.

A small fixed limit burns good rows where faults are ambient: at 40 % a send, three attempts lose 6 rows of 100. A large one
wastes time on rows that always fail. So the limit is the number of attempts after which a good row has failed by chance once
in a million.
"""

import math
from collections import Counter, deque

WINDOW_SENDS = 500
BY_CHANCE = 1e-6
FEWEST, MOST = 3, 20


class Ambient:
    """The last sends that were answered or failed transiently; being throttled or finding no endpoint is neither."""

    def __init__(self) -> None:
        self._window: deque[tuple[int, bool]] = deque()
        self._failed = 0
        self._sends_of: Counter[int] = Counter()
        self._failed_of: Counter[int] = Counter()

    def note(self, row: int, *, failed: bool) -> None:
        """Count one send of a row."""
        self._window.append((row, failed))
        self._count(row, failed, 1)
        if len(self._window) > WINDOW_SENDS:
            self._count(*self._window.popleft(), -1)

    def attempts(self, row: int) -> int:
        """Give how many sends of `row` may fail for its own reasons, by how the sends of the other rows went."""
        sends = len(self._window) - self._sends_of[row]
        failed = self._failed - self._failed_of[row]
        # One more of each: while little is known, patience costs less than a row.
        share = (failed + 1) / (sends + 2)
        if share >= 1:
            return MOST
        return min(max(math.ceil(math.log(BY_CHANCE) / math.log(share)), FEWEST), MOST)

    def _count(self, row: int, failed: bool, by: int) -> None:
        self._failed += by * failed
        for counter, number in ((self._sends_of, by), (self._failed_of, by * failed)):
            counter[row] += number
            if not counter[row]:
                del counter[row]
