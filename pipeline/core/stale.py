"""Whether connections are worth keeping: some servers close them after each reply without saying so.

A server that restarts closes all of them once, and that is no reason; so it takes several windows of sends in a row.
"""

WINDOW_SENDS = 200
MOST_SHARE = 0.02
WINDOWS = 3


class Stale:
    """Counts sends, and those lost on a reused connection that the server had just closed. `often` stays once it is True."""

    def __init__(self) -> None:
        self.often = False
        self._sends = 0
        self._lost = 0
        self._bad_windows = 0

    def sent(self, *, lost: bool) -> bool:
        """Count one send; tell whether it is the one that makes it often."""
        if self.often:
            return False
        self._sends += 1
        self._lost += lost
        if self._sends == WINDOW_SENDS:
            self._bad_windows = self._bad_windows + 1 if self._lost > MOST_SHARE * WINDOW_SENDS else 0
            self._sends = self._lost = 0
        self.often = self._bad_windows >= WINDOWS
        return self.often
