"""What deserves a line about money: answers that were probably billed and lost, and time-outs. Each said once."""

from collections import deque
from collections.abc import Iterator, Sequence

from pipeline.core.types import Fault, FaultKind

WINDOW_REQUESTS = 1000
LOST_SHARE = 0.05
TIMEOUT_SHARE = 0.01


class Losses:
    """The last requests that were answered, or should have been; being throttled or finding no endpoint is neither."""

    def __init__(self) -> None:
        self.total = 0  # lost in this run
        self._heard = 0
        self._lost = _Share(LOST_SHARE)
        self._timeouts = _Share(TIMEOUT_SHARE)

    def answered(self) -> None:
        """Count a reply."""
        self._heard += 1

    def heard(self, result: Fault) -> Sequence[str]:
        """Count a fault; give the lines to say."""
        if result.kind in (FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.LOCAL):
            return ()
        self._heard += 1
        return list(self._said(result)) if result.ambiguous and result.resends is not None else ()

    def _said(self, lost: Fault) -> Iterator[str]:
        self.total += 1
        if self._lost.passed(self._heard):
            yield (
                f"more than {LOST_SHARE:.0%} of the last {WINDOW_REQUESTS:,} answers were probably billed and lost:"
                f" cut short, unreadable or too late; {self.total:,} in this run so far"
            )
        if lost.error_kind == "timeout" and self._timeouts.passed(self._heard):
            yield (
                f"more than {TIMEOUT_SHARE:.0%} of the last {WINDOW_REQUESTS:,} requests had no reply within endpoint.timeout_s;"
                " each was probably billed, and a longer time-out may be cheaper"
            )


class _Share:
    """Whether more than a share of the window is so, said once. A window not yet full counts as if the rest were not."""

    def __init__(self, share: float) -> None:
        self._most = share * WINDOW_REQUESTS
        self._places: deque[int] = deque()
        self._told = False

    def passed(self, place: int) -> bool:
        """Note that it is so of the request with this number."""
        self._places.append(place)
        while self._places[0] <= place - WINDOW_REQUESTS:
            self._places.popleft()
        if self._told or len(self._places) <= self._most:
            return False
        self._told = True
        return True
