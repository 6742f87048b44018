"""The run's own books: what is recorded, what is left, how fast it goes. Feeds progress and summary; decides nothing."""

from collections import deque
from collections.abc import Callable

from pipeline.core.adaptive import AdaptiveLimit
from pipeline.core.tally import Progress, Tally, Traffic
from pipeline.core.types import Outcome
from pipeline.engine.feed import Feed
from pipeline.engine.gate import Gate
from pipeline.engine.stop import Stop

RATE_WINDOW_S = 60.0


class Books:
    """Counts over the job (`tally`) and this run. `rows` is how many the job has, within --limit."""

    def __init__(self, tally: Tally, *, rows: int, again: int, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.tally = tally
        self.rows = rows
        self.resumed = tally.done - again
        self.left = rows - self.resumed
        self.recorded = 0  # by this run, and not forgotten again
        self._priced = False
        self._now = now
        self._wall = wall
        self._started = now()
        self._points: deque[tuple[float, int, int]] = deque()  # (now, rows done, requests) about once a second

    @property
    def seconds(self) -> float:
        return self._now() - self._started

    def committed(self, batch: list[Outcome], replaced: Tally | None) -> None:
        """Count outcomes that are on disk now."""
        if replaced is not None:
            self.tally.merge(replaced, -1)
        self.tally.add_all(batch)
        self._priced = self._priced or any(each.cost is not None for each in batch)
        self.left -= len(batch)
        self.recorded += len(batch)

    def forgotten(self, tally: Tally) -> None:
        """Count outcomes that were taken off the record: their rows are to do again."""
        self.tally.merge(tally, -1)
        self.left += tally.done
        self.recorded -= tally.done

    def picture(
        self,
        *,
        feed: Feed,
        gate: Gate,
        limit: AdaptiveLimit,
        traffic: Traffic,
        stop: Stop,
        kept_per_minute: float | None,
        finished: bool = False,
    ) -> Progress:
        """Give the run as it stands; starts are kept below `kept_per_minute`. Call about once a second: the rates are taken
        from the earlier calls."""
        now = self._now()
        done = self.rows - self.left
        self._points.append((now, done, traffic.requests))
        while self._points[0][0] < now - RATE_WINDOW_S:
            self._points.popleft()
        then, before, requests_before = self._points[0]
        if then == now:
            then, before, requests_before = self._started, self.resumed, 0
        rate = (done - before) / (now - then) if now > then else 0.0
        held = gate.held_until > now
        return Progress(
            tally=self.tally,
            traffic=traffic,
            rows=self.rows,
            resumed=self.resumed,
            ok=self.tally.ok,
            failed=self.tally.failed,
            left=self.left,
            in_flight=gate.in_flight,
            limit=limit.limit,
            limits=tuple((round(self._wall() + each.at - now, 3), each.limit, each.reason) for each in limit.history),
            waiting=feed.waiting,
            requests=traffic.requests,
            throttled=traffic.throttled,
            tokens=self.tally.prompt_tokens + self.tally.completion_tokens,
            cost=self.tally.cost if self._priced or self.tally.cost else None,
            per_minute=round((traffic.requests - requests_before) * 60 / max(now - then, 1.0)),
            requests_per_minute=kept_per_minute,
            held_until=self._wall() + gate.held_until - now if held else None,
            held_by=gate.held_by if held else None,
            seconds=self.seconds,
            rows_per_second=rate,
            eta_s=self.left / rate if rate > 0 else None,
            stopping=stop.reason,
            finished=finished,
        )
