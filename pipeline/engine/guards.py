"""What finished rows say about the whole job: that it fails the same way throughout, or more often than its owner allows."""

from collections.abc import Callable, Sequence

from pipeline.core.systematic import Drift, Systematic
from pipeline.core.types import Fault, Outcome, Reply
from pipeline.engine.stop import Stop


class Guards:
    """Looks at every recorded outcome once; stops the run with exit 5, or says a line."""

    def __init__(self, systematic: Systematic, *, max_failed: int | None, stop: Stop, notice: Callable[[str], None]) -> None:
        self._systematic = systematic
        self._drift = Drift()
        self._max_failed = max_failed
        self._stop = stop
        self._notice = notice

    @property
    def in_doubt(self) -> bool:
        """Whether what is recorded may yet have to be forgotten: then no part may be sealed."""
        return self._systematic.armed

    @property
    def to_forget(self) -> Sequence[int]:
        """The rows that failed alike and are to do again, none unless that stopped the run."""
        return self._systematic.rows if self._systematic.tripped else ()

    def recorded(self, outcomes: Sequence[Outcome], *, failed_before: int, failed: int) -> None:
        """Take in outcomes that are on disk; `failed` rows the job has now, `failed_before` it had before."""
        only_replies = {type(each.result) for each in outcomes} == {Reply}
        if not (only_replies and not self._systematic.armed and self._drift.passed(len(outcomes))):
            for each in outcomes:
                self._look_at(each)
        # Rows of a retry that fail again raise nothing.
        if self._max_failed is not None and failed > self._max_failed and failed > failed_before:
            self._stop.request(f"stop.max_failed: {failed} rows have failed, more than the {self._max_failed} it allows", 5)

    def _look_at(self, outcome: Outcome) -> None:
        match outcome.result:
            case Reply() as reply:
                self._systematic.answered()
                line = self._drift.answered(reply)
            case fault:
                self._systematic.failed(outcome.row, fault)
                line = self._drift.failed(fault)
                self._stop_if_all_alike(fault)
        if line is not None:
            self._notice(line)

    def _stop_if_all_alike(self, fault: Fault) -> None:
        if self._systematic.tripped:
            self._stop.request(
                f"the first {len(self._systematic.rows)} rows all failed alike ({fault.error_kind}: {fault.aloud}); they are"
                " still to do. Mend the cause, or set stop.systematic_failures: null to have them fail",
                5,
            )
