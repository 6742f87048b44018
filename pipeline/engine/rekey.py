"""A 401 in the middle of a job may only mean that the key was changed: its file is read once more before anybody is stopped."""

from collections.abc import Callable

from pipeline.core.types import Fault


class Rekey:
    """`reread` looks for another key, has it used from then on, and tells whether there was one."""

    def __init__(self, reread: Callable[[], bool], *, now: Callable[[], float], notice: Callable[[str], None]) -> None:
        self._reread = reread
        self._now = now
        self._notice = notice
        self._changed_at = float("-inf")

    def excuses(self, fault: Fault, *, elapsed: float) -> bool:
        """Tell whether a row was refused for a key that is no longer used. `elapsed`: seconds since it was sent."""
        if fault.error_kind != "unauthorized":
            return False
        if self._now() - elapsed < self._changed_at:
            return True
        if not self._reread():
            return False
        self._changed_at = self._now()
        self._notice("the key was refused, and its file holds another one now: the run goes on with that")
        return True
