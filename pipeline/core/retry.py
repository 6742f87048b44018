"""What to do with a row whose send failed: try again later, give the row up, or question the whole run."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.types import Fault, FaultKind

# An answer that was probably billed and lost (a body cut short, a time-out, a malformed 200) is bought
# again at most so often a row.
MOST_LOST_PER_ROW = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts sends that failed for the row's own reasons, None: as ambient.py says; delays are seconds."""

    max_attempts: int | None = None
    base_delay: float = 1.0
    max_delay: float = 60.0
    max_retry_after: float = 900.0
    max_outage: float = 3600.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Ask again, `after` seconds from now at the earliest."""

    after: float


@dataclass(frozen=True, slots=True)
class Fail:
    """The row is given up. `resend` False: it must not even be sent again while the verdict is in doubt."""

    resend: bool = True


@dataclass(frozen=True, slots=True)
class Abort:
    """The answer would be the same for any row: the one rule of fatal.py decides."""


def backoff(exponent: int, *, draw: float, policy: RetryPolicy) -> float:
    """Give a full-jitter wait, `draw * min(cap, base * 2**exponent)` with `draw` in [0, 1).

    Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    # The exponent is held at 30: 2.0**1024 overflows, and the cap has long since decided.
    return draw * min(policy.max_delay, policy.base_delay * 2.0 ** min(max(exponent, 0), 30))


def decide(
    fault: Fault, *, failures: int, most: int, lost: Mapping[str, int], draw: float, policy: RetryPolicy
) -> Retry | Fail | Abort:
    """Choose the next step for a row whose latest send ended in `fault`; it is given up after `most` failures.

    `failures` counts the sends that failed for the row's own reasons, this one included: being throttled, or finding no
    endpoint, costs a row time and never an attempt. `lost` counts, by error kind, the row's answers that were probably
    billed and lost (faults with `resends`), this one included. A server's hint is a floor: it may lengthen the wait,
    never shorten it.
    """
    match fault.kind:
        case FaultKind.FATAL:
            return Abort()
        case FaultKind.REJECTED:
            return Fail()
        case FaultKind.TRANSIENT:
            if fault.resends is not None and (
                lost.get(fault.error_kind, 0) > fault.resends or sum(lost.values()) > MOST_LOST_PER_ROW
            ):
                return Fail(resend=False)
            if failures >= most:
                return Fail()
    hint = fault.retry_after or 0.0
    if hint > policy.max_retry_after:
        hint = policy.max_delay
    return Retry(after=max(backoff(failures - 1, draw=draw, policy=policy), hint))
