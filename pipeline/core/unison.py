"""An answer that is strange for one row speaks against the endpoint once several rows in a row get it.

A login page where answers were due, a head too large to be read: to one row it may happen, to three different ones it happens
to all.
"""

from dataclasses import replace

from pipeline.core.types import Fault, FaultKind, Reply

ROWS = 3


class Unison:
    """Remembers which rows in a row got faults with `if_all`."""

    def __init__(self) -> None:
        self._rows: set[int] = set()

    def heard(self, row: int, result: Reply | Fault, *, any_ok: bool) -> Reply | Fault:
        """Give what the answer is to be taken for.

        An endpoint that never answered a row of the job is not down: it is the wrong one.
        """
        if isinstance(result, Reply) or result.if_all is None:
            if isinstance(result, Reply) or result.kind is not FaultKind.LOCAL:
                self._rows.clear()
            return result
        self._rows.add(row)
        if len(self._rows) < ROWS:
            return result
        return replace(result, kind=result.if_all if any_ok else FaultKind.FATAL)
