"""How a run went over time, in a bounded number of moments: what a report draws."""

from pipeline.core.values import value


@value(frozen=True, slots=True)
class Moment:
    """A run at one time, `at` seconds since the epoch. Rows, requests and tokens count from the run's start.

    `limit` is how many requests might be in flight, `in_flight` how many were. `held_by` says what held everybody, if anything.
    """

    at: float
    done: int
    failed: int
    requests: int
    throttled: int
    tokens: int
    in_flight: int
    limit: int
    held_by: str | None = None
