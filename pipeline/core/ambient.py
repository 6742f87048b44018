"""How faulty the endpoint is just now, and so how often a row may fail before it is at fault itself.

A small fixed limit burns good rows where faults are ambient: at 40 % a send, three attempts lose 6 rows of 100. A large one
wastes time on rows that always fail. So the limit is the number of attempts after which a good row has failed by chance once
in a million.
"""

import math
from collections import deque

WINDOW_SENDS = 500
BY_CHANCE = 1e-6
FEWEST, MOST = 3, 20


class Ambient:
    """The last sends that were answered or failed transiently; being throttled or finding no endpoint is neither."""

    def __init__(self) -> None:
        self._window: deque[tuple[int, bool]] = deque()  # row, failed
        self._failed = 0

    def note(self, row: int, *, failed: bool) -> None:
        """Count one send of a row."""
        self._window.append((row, failed))
        self._failed += failed
        if len(self._window) > WINDOW_SENDS:
            self._failed -= self._window.popleft()[1]

    def attempts(self, row: int) -> int:
        """Give how many sends of `row` may fail for its own reasons, by how the sends of the other rows went."""
        own = [failed for each, failed in self._window if each == row]
        sends = len(self._window) - len(own)
        failed = self._failed - sum(own)
        # One more of each: while little is known, patience costs less than a row.
        share = (failed + 1) / (sends + 2)
        if share >= 1:
            return MOST
        return min(max(math.ceil(math.log(BY_CHANCE) / math.log(share)), FEWEST), MOST)
