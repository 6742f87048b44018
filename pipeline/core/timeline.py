"""How a run went over time, in a bounded number of moments: what a report draws."""

from typing import TYPE_CHECKING

from pipeline.core.values import value

if TYPE_CHECKING:
    from pipeline.core.tally import Progress

# A drawing has no room for more.
MOST_MOMENTS = 400
# Less than the second between two pictures of a run, which is never quite one.
_FIRST_STEP_S = 0.75


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


class Timeline:
    """Keeps a run's moments: each second's at first, then at a step that doubles, however long it runs.

    The first and the last always stay; so do those at which a hold began or ended, unless these alone are too many.
    """

    def __init__(self, *, most: int = MOST_MOMENTS) -> None:
        self._most = most
        self._step = _FIRST_STEP_S
        self._kept: list[Moment] = []
        self._last: Moment | None = None
        self._before = (0, 0)

    @property
    def moments(self) -> list[Moment]:
        """The moments in order, at most one more than `most`."""
        return self._kept if self._last is None or self._last is self._kept[-1] else [*self._kept, self._last]

    def add(self, now: "Progress", wall: float) -> None:
        """Take a picture of the run, `wall` seconds since the epoch. The first one has to be of its start."""
        if not self._kept:
            self._before = (now.failed, now.tokens)
        failed, tokens = self._before
        self._last = Moment(
            round(wall, 1),
            now.rows - now.resumed - now.left,
            # A retry may leave fewer failures than there were, and shorter replies.
            max(now.failed - failed, 0),
            now.requests,
            now.throttled,
            max(now.tokens - tokens, 0),
            now.in_flight,
            now.limit,
            now.held_by,
        )
        if not self._kept or self._stays(self._kept[-1], self._last):
            self._kept.append(self._last)
        if len(self._kept) > self._most:
            self._thin()

    def _stays(self, before: Moment, moment: Moment) -> bool:
        # A clock that was set back begins anew.
        return moment.held_by != before.held_by or not 0 <= moment.at - before.at < self._step

    def _thin(self) -> None:
        self._step *= 2
        thinned = self._kept[:1]
        for each in self._kept[1:]:
            if self._stays(thinned[-1], each):
                thinned.append(each)
        # Holds that come and go all the time: half of them have to do.
        self._kept = thinned if len(thinned) <= 3 * self._most // 4 else thinned[::2]
