"""An answer that is strange for one row speaks against the endpoint once several rows in a row get it.

A login page where answers were due, a head too large to be read: to one row it may happen, to three different ones it happens
to all.
"""

from dataclasses import replace

from pipeline.core.types import Fault, FaultKind

ROWS = 3


class Unison:
    """Remembers which rows in a row got faults with `if_all`."""

    def __init__(self) -> None:
        self._rows: set[int] = set()

    def answered(self) -> None:
        """Note a reply."""
        self._rows.clear()

    def heard(self, row: int, result: Fault, *, any_ok: bool) -> Fault:
        """Give what a fault is to be taken for.

        An endpoint that never answered a row of the job is not down: it is the wrong one.
        """
        if result.if_all is None:
            if result.kind is not FaultKind.LOCAL:
                self._rows.clear()
            return result
        self._rows.add(row)
        if len(self._rows) < ROWS:
            return result
        return replace(result, kind=result.if_all if any_ok else FaultKind.FATAL)
