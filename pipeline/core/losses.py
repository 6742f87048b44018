"""What deserves a line about money: answers that were probably billed and lost, and time-outs. Each said once."""

from collections import deque
from collections.abc import Iterator

from pipeline.core.types import Fault, FaultKind, Reply

WINDOW_REQUESTS = 1000
LOST_SHARE = 0.05
TIMEOUT_SHARE = 0.01


class Losses:
    """The last requests that were answered, or should have been; being throttled or finding no endpoint is neither."""

    def __init__(self) -> None:
        self.total = 0  # lost in this run
        self._lost = _Share(LOST_SHARE)
        self._timeouts = _Share(TIMEOUT_SHARE)

    def heard(self, result: Reply | Fault) -> Iterator[str]:
        """Count an answer; give the lines to say."""
        if isinstance(result, Fault) and result.kind in (FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.LOCAL):
            return
        lost = isinstance(result, Fault) and result.ambiguous and result.resends is not None
        late = lost and isinstance(result, Fault) and result.error_kind == "timeout"
        self.total += lost
        if self._lost.passed(lost):
            yield (
                f"more than {LOST_SHARE:.0%} of the last {WINDOW_REQUESTS:,} answers were probably billed and lost:"
                f" cut short, unreadable or too late; {self.total:,} in this run so far"
            )
        if self._timeouts.passed(late):
            yield (
                f"more than {TIMEOUT_SHARE:.0%} of the last {WINDOW_REQUESTS:,} requests had no reply within endpoint.timeout_s;"
                " each was probably billed, and a longer time-out may be cheaper"
            )


class _Share:
    """Whether more than a share of the window is so, said once. A window not yet full counts as if the rest were not."""

    def __init__(self, share: float) -> None:
        self._most = share * WINDOW_REQUESTS
        self._window: deque[bool] = deque()
        self._count = 0
        self._told = False

    def passed(self, is_so: bool) -> bool:
        self._window.append(is_so)
        self._count += is_so
        if len(self._window) > WINDOW_REQUESTS:
            self._count -= self._window.popleft()
        if self._told or self._count <= self._most:
            return False
        self._told = True
        return True
