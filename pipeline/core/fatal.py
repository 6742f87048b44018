"""The one rule for answers that would be the same for any row: wrong key, empty account, unknown model, wrong URL.

With no ok row in the job the first such answer stops the run: nothing speaks for the configuration. After one, the answer may
be a fluke of a gateway, so another row is sent out alone after a pause: the same answer again stops the run, a success
lets it go on. A row that gets the same answer a third time is at fault itself, unless the answer is about the account.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

PAUSE_BEFORE_WITNESS_S = 5.0
MOST_REFUSALS_PER_ROW = 3
# So many rows sent alone and refused, for whatever reasons, are no chance.
MOST_WITNESSES = 4
# No row can bring these about: with no other row left to ask, they are believed.
NEVER_THE_ROW = ("unauthorized", "insufficient_credits")


class Verdict(Enum):
    STOP = "stop"
    SUSPECT = "suspect"  # put the row aside, pause, send another one alone
    JOIN = "join"  # a sibling sent before the suspicion: put it aside with the first
    GIVE_UP = "give up"  # the row fails


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is suspected, and since which row; `message` is the endpoint's own."""

    row: int
    error_kind: str
    message: str


class FatalRule:
    """Remembers who was refused. `suspicion` is None while nothing is suspected."""

    def __init__(self) -> None:
        self.suspicion: Suspicion | None = None
        self._witnesses = 0  # rows sent alone and refused, since one was answered
        self._refusals: Counter[tuple[int, str]] = Counter()

    def refused(self, row: int, error_kind: str, message: str = "", *, any_ok: bool, alone: bool) -> Verdict:
        """Judge a fatal answer to `row`. `alone`: the row was the one sent to test a suspicion."""
        if not any_ok:
            return Verdict.STOP
        self._refusals[row, error_kind] += 1
        if self._refusals[row, error_kind] >= MOST_REFUSALS_PER_ROW:
            return Verdict.GIVE_UP
        suspicion = self.suspicion
        if suspicion is None:
            self.suspicion = Suspicion(row, error_kind, message)
            return Verdict.SUSPECT
        if not alone:
            return Verdict.JOIN
        self._witnesses += 1
        if (suspicion.error_kind == error_kind and suspicion.row != row) or self._witnesses >= MOST_WITNESSES:
            return Verdict.STOP
        self.suspicion = Suspicion(row, error_kind, message)
        return Verdict.SUSPECT

    def cleared(self) -> None:
        """Drop the suspicion: the row sent alone was answered."""
        self.suspicion = None
        self._witnesses = 0
