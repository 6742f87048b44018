"""The moments of a job's runs laid end to end: what its plots over time are drawn from. The time between two runs is left out."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from pipeline.core.timeline import Moment
from pipeline.core.values import value


@value(frozen=True, slots=True)
class Held:
    """A stretch in which nobody could send, in seconds of running."""

    start: float
    end: float
    why: str


@value(frozen=True, slots=True)
class Course:
    """A job over the seconds it was running: the lists are of one length, and rows, requests and 429s count from the first run.

    `begins` is where each run but the first begins.
    """

    at: Sequence[float]
    done: Sequence[int]
    failed: Sequence[int]
    requests: Sequence[int]
    throttled: Sequence[int]
    in_flight: Sequence[int]
    limit: Sequence[int]
    begins: Sequence[float]
    held: Sequence[Held]

    @property
    def seconds(self) -> float:
        return self.at[-1] if self.at else 0.0

    @property
    def usual_step(self) -> float:
        """Seconds between two moments, as for most of them."""
        steps = [later - earlier for earlier, later in pairwise(self.at) if later > earlier]
        return median(steps) if steps else 0.0

    def held_for(self) -> dict[str, float]:
        """Give for how long, by reason, the longest first."""
        total: dict[str, float] = {}
        for each in self.held:
            total[each.why] = total.get(each.why, 0.0) + each.end - each.start
        return dict(sorted(total.items(), key=lambda each: -each[1]))


def course_of(timelines: Sequence[Sequence[Moment]]) -> Course:
    """Lay the runs end to end. A run of which only one moment is known has no length, and counts in what follows."""
    at, done, failed, requests, throttled = list[float](), list[int](), list[int](), list[int](), list[int]()
    in_flight, limit, begins, held = list[int](), list[int](), list[float](), list[Held]()
    before = Moment(at=0.0, done=0, failed=0, requests=0, throttled=0, tokens=0, in_flight=0, limit=0)
    for moments in timelines:
        if not moments:
            continue
        offset = (at[-1] if at else 0.0) - moments[0].at
        if at:
            begins.append(at[-1])
        for each, following in zip(moments, [*moments[1:], moments[-1]], strict=True):
            # A clock that was set back draws no line backwards.
            now = max(each.at + offset, at[-1] if at else 0.0)
            at.append(now)
            done.append(before.done + each.done)
            failed.append(before.failed + each.failed)
            requests.append(before.requests + each.requests)
            throttled.append(before.throttled + each.throttled)
            in_flight.append(each.in_flight)
            limit.append(each.limit)
            if each.held_by and following.at + offset > now:
                _hold(held, Held(now, following.at + offset, each.held_by))
        before = replace(moments[-1], done=done[-1], failed=failed[-1], requests=requests[-1], throttled=throttled[-1])
    return Course(at, done, failed, requests, throttled, in_flight, limit, begins, held)


def _hold(held: list[Held], more: Held) -> None:
    if held and held[-1].why == more.why and held[-1].end >= more.start:
        more = Held(held.pop().start, more.end, more.why)
    held.append(more)
