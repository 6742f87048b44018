"""Outages: what the breaker decides, done. Shuts the gate, lets one row ask, and gives back what an outage charged to rows."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.core.breaker import SUSPECT_S, Breaker, State
from pipeline.core.types import Fault, FaultKind
from pipeline.engine.feed import Feed, Task
from pipeline.engine.gate import Gate
from pipeline.engine.stop import Stop

# Of the answers that come from a proxy: these say that nobody was behind it. A 504 or 524 may be one row's long work.
_NOBODY_BEHIND = frozenset({502, 503, 521, 522, 523, 529, 530})


@dataclass(frozen=True, slots=True)
class Charged:
    """A row's counts before the failures since the last answer."""

    task: Task
    failures: int
    lost: Mapping[str, int]


class Outage:
    """Takes every failure and every answer. `answers` counts the rows of this run that the endpoint answered."""

    def __init__(
        self,
        *,
        concurrency: int,
        longest: float,
        gate: Gate,
        feed: Feed,
        stop: Stop,
        left: Callable[[], int],
        restart: Callable[[], None],
        now: Callable[[], float],
        draw: Callable[[], float],
        notice: Callable[[str], None],
    ) -> None:
        self.answers = 0
        self._breaker = Breaker(concurrency=concurrency)
        self._longest = longest
        self._gate = gate
        self._feed = feed
        self._stop = stop
        self._left = left
        self._restart = restart
        self._now = now
        self._draw = draw
        self._notice = notice
        self._charged: dict[int, Charged] = {}
        self._latest: Fault | None = None
        self._episode = 0
        self._opened_at = 0.0

    @property
    def waiting(self) -> bool:
        """Whether nobody is to be blamed just now: the endpoint is suspected to be down, or is."""
        return self._breaker.state is not State.CLOSED

    def charge(self, task: Task, fault: Fault) -> None:
        """Hold a failure against the row, until further notice."""
        self._charged.setdefault(task.row.index, Charged(task, task.failures, task.lost.copy()))
        task.failures += 1
        if fault.resends is not None:
            task.lost[fault.error_kind] = task.lost.get(fault.error_kind, 0) + 1

    def failed(self, task: Task, fault: Fault, *, sent_at: float, alone: bool) -> None:
        """Count a failed send, the row's fault or not."""
        self._latest = fault
        unreachable = fault.kind is FaultKind.DOWN or fault.status in _NOBODY_BEHIND
        if self._breaker.failed(task.row.index, self._now(), sent_at=sent_at, left=self._left(), unreachable=unreachable):
            self._give_back()
            self._gate.shut()
            self._episode += 1
            asyncio.get_running_loop().call_later(SUSPECT_S, self._believe, self._episode)
        elif alone and self._breaker.state is State.OPEN:
            self._ask_again_later()

    def local(self, fault: Fault) -> None:
        """Note a shortage of our own, which is nobody's fault and still may last."""
        self._latest = fault
        if self._breaker.silent_since is None:
            self._breaker.silent_since = self._now()

    def answered(self, task: Task, *, sent_at: float, alone: bool) -> bool:
        """Count an answer to a row; tell whether it ends a suspicion or an outage."""
        self.answers += 1
        was_open = self._breaker.state is State.OPEN
        ended = self._breaker.answered(task.row.index, sent_at=sent_at, probe=alone)
        if not self.waiting:
            self._charged.clear()
            self._feed.release()
        if ended and was_open:
            self._notice(f"the endpoint answers again, after {self._now() - self._opened_at:.0f} s")
            self._restart()
        return ended

    def ended(self, task: Task) -> None:
        """Forget a row that has its outcome."""
        self._charged.pop(task.row.index, None)
        self._breaker.ended(task.row.index)

    def refused(self) -> None:
        """Note that the row sent alone was refused for good, which says nothing about an outage."""
        if self._breaker.state is State.OPEN:
            self._ask_again_later()
        elif self._breaker.state is State.CLOSED:
            self._gate.together()

    def alive(self) -> None:
        """Note that the endpoint is there, though it answers nobody."""
        self._breaker.alive()

    def may_fail(self, task: Task) -> bool:
        """Tell whether a row may be given up for its failures: only if others got through meanwhile, or hardly any are left."""
        if self.waiting:
            return False
        return self.answers > task.answers_before or (self.answers > 0 and self._left() < self._breaker.rows)

    def tick(self) -> None:
        """Stop the run once nobody was answered for `retry.max_outage_s`."""
        since = self._breaker.silent_since
        if since is not None and self._now() - since >= self._longest:
            self.give_up()

    def stood_still(self, seconds: float) -> None:
        """Note that this process has just not run for so long: that is no outage."""
        if seconds > 0:
            self._breaker.excuse(seconds, self._now())
            self._notice(f"this process stood still for {seconds:.0f} s; the run goes on")

    def give_up(self) -> None:
        """Stop the run; its rows stay to do."""
        assert self._latest is not None
        self._stop.request(f"the endpoint answers nobody, the latest failure is {_said(self._latest)}", 3)

    def _believe(self, episode: int) -> None:
        if self._breaker.state is not State.SUSPECT or episode != self._episode or self._stop.requested:
            return
        self._breaker.open()
        self._opened_at = self._now()
        assert self._latest is not None
        self._notice(
            f"nobody is answered ({_said(self._latest)});"
            f" one row asks every few seconds, for at most {self._longest / 60:g} minutes"
        )
        self._ask_again_later()

    def _ask_again_later(self) -> None:
        self._gate.hold(self._breaker.probe_after(self._draw()), "outage")
        self._gate.alone()

    def _give_back(self) -> None:
        for each in self._charged.values():
            each.task.failures, each.task.lost, each.task.verdict = each.failures, dict(each.lost), None
        self._charged.clear()
        self._feed.release()


def _said(fault: Fault) -> str:
    return f"{fault.error_kind}: {fault.aloud}"
