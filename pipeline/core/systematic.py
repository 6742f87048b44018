"""The expensive mistake: a whole job that fails the same way, or is answered with nothing. Seen early, or named soon after."""

import re
from collections import Counter, deque

from pipeline.core.empty import is_empty
from pipeline.core.types import Fault, Reply

# Of so many finished rows, this share failing alike is worth a line.
WINDOW_ROWS = 200
ALIKE_SHARE = 0.5
# Of the first so many replies, this share being empty or cut off is.
FIRST_REPLIES = 100
USELESS_SHARE = 0.9

_MASKED = re.compile(r"""[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|"[^"]*"|'[^']*'|`[^`]*`|\d+(?:[.,]\d+)*""", re.IGNORECASE)
_MOST_CHARS = 300

Signature = tuple[str, int | None, str]


def signature(fault: Fault) -> Signature:
    """Give what makes two failures alike: kind, status, and the message without numbers, ids and what is quoted."""
    return fault.error_kind, fault.status, _MASKED.sub("…", fault.aloud[:_MOST_CHARS])


class Systematic:
    """Whether the first rows of a job all fail alike. `most` of them are enough to say so; None: never.

    While `armed` nothing speaks for the job yet: no row was answered, and no two failed differently.
    """

    def __init__(self, most: int | None, *, armed: bool) -> None:
        self.armed = armed and most is not None
        self.rows: list[int] = []
        self._most = most or 0
        self._first: Signature | None = None

    @property
    def tripped(self) -> bool:
        return self.armed and len(self.rows) >= self._most

    def failed(self, row: int, fault: Fault) -> None:
        """Note a row that failed for good. Once tripped, rows that fail alike are still taken in, and nothing disarms."""
        if not self.armed:
            return
        seen = signature(fault)
        self._first = self._first or seen
        if seen == self._first:
            self.rows.append(row)
        elif not self.tripped:
            self.armed = False

    def answered(self) -> None:
        """Note a reply."""
        if not self.tripped:
            self.armed = False


class Drift:
    """What deserves a line while a job goes on: many rows failing alike, or the first replies saying nothing. Each said once."""

    def __init__(self) -> None:
        self._window: deque[Signature | None] = deque(maxlen=WINDOW_ROWS)
        self._alike: Counter[Signature] = Counter()
        self._replies = 0
        self._useless = 0
        self._told = False

    def failed(self, fault: Fault) -> str | None:
        """Give the line to say, if any."""
        seen = signature(fault)
        self._alike[seen] += 1
        self._push(seen)
        share = self._alike[seen] / WINDOW_ROWS
        if self._told or len(self._window) < WINDOW_ROWS or share < ALIKE_SHARE:
            return None
        self._told = True
        return f"{share:.0%} of the last {WINDOW_ROWS} rows failed alike ({fault.error_kind}: {fault.aloud})"

    def answered(self, reply: Reply) -> str | None:
        """Give the line to say, if any."""
        self._push(None)
        if self._replies >= FIRST_REPLIES:
            return None
        self._replies += 1
        self._useless += reply.finish_reason == "length" or is_empty(reply.text, reply.extra)
        if self._replies < FIRST_REPLIES or self._useless < USELESS_SHARE * FIRST_REPLIES:
            return None
        return (
            f"{self._useless} of the first {FIRST_REPLIES} replies are empty or cut off; look at them before paying for more"
            " (request.max_tokens, or a model that reasons first)"
        )

    def passed(self, replies: int) -> bool:
        """Take in so many replies at once if none can make a line: no failure is in sight, and the first ones are behind."""
        if self._alike or self._replies < FIRST_REPLIES:
            return False
        self._window.extend([None] * replies)
        return True

    def _push(self, seen: Signature | None) -> None:
        if len(self._window) == WINDOW_ROWS and (old := self._window[0]) is not None:
            self._alike[old] -= 1
            if not self._alike[old]:
                del self._alike[old]
        self._window.append(seen)
