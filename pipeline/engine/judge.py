"""What an answer means for its row and for the run: when to hold, when to suspect the configuration, when to stop.

Pure decisions are in core (retry, breaker, fatal, adaptive, pace); here they meet the gate, the feed and the stop.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.core.adaptive import AdaptiveLimit
from pipeline.core.ambient import Ambient
from pipeline.core.fatal import NEVER_THE_ROW, PAUSE_BEFORE_WITNESS_S, FatalRule, Verdict
from pipeline.core.losses import Losses
from pipeline.core.pace import Pace
from pipeline.core.retry import Abort, Fail, Retry, RetryPolicy, backoff, decide
from pipeline.core.tally import Traffic
from pipeline.core.types import Fault, FaultKind, Reply
from pipeline.core.unison import Unison
from pipeline.engine.feed import Feed, Task
from pipeline.engine.gate import Gate
from pipeline.engine.outage import Outage
from pipeline.engine.rekey import Rekey
from pipeline.engine.send import Sent
from pipeline.engine.steps import Done, Later, Shelve, Step, Withhold
from pipeline.engine.stop import Stop

# From its third 429 on, while others are answered, a row waits by itself and holds up nobody else; it is given up as
# rate_limited at the tenth, if a hundred others were answered since its first, and hardly any that had been throttled too.
HOLDS_ITSELF_FROM = 3
MOST_THROTTLED = 10
ANSWERED_MEANWHILE = 100
RECOVERING_SHARE = 0.1
SHORTAGE_PAUSE_S = 1.0


class Judge:
    """Takes every answer once, and says what becomes of its row. `any_ok` and `left` ask the run's own books."""

    def __init__(
        self,
        *,
        policy: RetryPolicy,
        concurrency: int,
        gate: Gate,
        feed: Feed,
        stop: Stop,
        limit: AdaptiveLimit,
        pace: Pace,
        any_ok: Callable[[], bool],
        left: Callable[[], int],
        now: Callable[[], float],
        wall: Callable[[], float],
        draw: Callable[[], float],
        notice: Callable[[str], None],
        rekeyed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.traffic = Traffic()
        self.outage = Outage(
            concurrency=concurrency,
            longest=policy.max_outage,
            gate=gate,
            feed=feed,
            stop=stop,
            left=left,
            restart=self._slow_start,
            now=now,
            draw=draw,
            notice=notice,
        )
        self._fatal = FatalRule()
        self._rekey = Rekey(rekeyed, now=now, notice=notice)
        self._unison = Unison()
        self._losses = Losses()
        self._ambient = Ambient()
        self._policy = policy
        self._gate = gate
        self._feed = feed
        self._stop = stop
        self._limit = limit
        self._pace = pace
        self._any_ok = any_ok
        self._left = left
        self._now = now
        self._wall = wall
        self._draw = draw
        self._notice = notice
        self._short = False  # whether it was said that this machine is short of something
        self._recovered = 0  # rows answered that had been throttled
        self._holds = 0  # in a row, without a success between
        self._too_long: int | None = None  # the row whose answer named a time too far off

    def judge(self, task: Task, sent: Sent, *, alone: bool) -> Step:
        """Count the answer and choose the row's next step."""
        self._count(task, sent)
        result = sent.result
        if isinstance(result, Reply):
            self._unison.answered()
            self._losses.answered()
            self._ambient.note(task.row.index, failed=False)
            self._learn(sent, ok=True)
            self._answered(task, sent, alone=alone)
            self._holds, self._too_long = 0, None
            return Done(result)
        fault = self._unison.heard(task.row.index, result, any_ok=self._any_ok())
        if fault is not result:
            sent = replace(sent, result=fault)
        self._count_fault(task, sent, fault)
        match fault.kind:
            case FaultKind.REJECTED:
                self._answered(task, sent, alone=alone)
                return Done(fault)
            case FaultKind.THROTTLED:
                self.outage.alive()
                return self._throttled(task, sent, fault, alone=alone)
            case FaultKind.FATAL:
                self.outage.alive()
                if self._rekey.excuses(fault, elapsed=sent.elapsed):
                    if alone:
                        self._gate.alone()
                    return Later(0.0)
                return self._refused(task, fault, alone=alone)
            case FaultKind.LOCAL:
                return self._short_of_something(task, fault, alone=alone)
            case _:
                return self._failed(task, sent, fault, alone=alone)

    def nobody_left_to_ask(self) -> None:
        """All that is left waits for others to be heard, and there are no others: let one of them speak."""
        suspicion = self._fatal.suspicion
        if self._feed.shelved and suspicion is not None:
            if self._feed.shelved == 1 and suspicion.error_kind in NEVER_THE_ROW:
                self._stop.request(f"{suspicion.error_kind}: {suspicion.message}", 5)
            else:
                self._feed.unshelve(1)
        elif self._feed.withheld and not self.outage.answers:
            self.outage.give_up()
        else:
            self._feed.unshelve()
            self._feed.release()

    def tick(self) -> None:
        """Look at the time, about once a second."""
        self.outage.tick()
        if self._limit.waited(self._now(), in_flight=self._gate.in_flight):
            self._gate.grow(self._limit.limit)

    def _count(self, task: Task, sent: Sent) -> None:
        traffic, requests = self.traffic, sent.requests
        traffic.requests += requests
        traffic.ambiguous += sent.ambiguous
        if sent.credits is not None:
            traffic.credits = sent.credits
        traffic.retries += requests - (task.sent == 0)
        task.attempts += requests
        task.sent += requests
        if requests > 1:
            task.freed = True

    def _count_fault(self, task: Task, sent: Sent, fault: Fault) -> None:
        self.traffic.throttled += fault.kind is FaultKind.THROTTLED
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.REJECTED):
            self._ambient.note(task.row.index, failed=fault.kind is FaultKind.TRANSIENT)
        for line in self._losses.heard(fault):
            self._notice(line)
        if fault.status is not None and fault.kind is not FaultKind.THROTTLED:
            self._learn(sent, ok=False)

    def _learn(self, sent: Sent, *, ok: bool) -> None:
        """Let an answer that throttled nobody have its say about how much at once, and how fast."""
        now = self._now()
        self._pace.answered(now, sent_at=sent.at, quotas=sent.quotas)
        if self._limit.answered(now, ok=ok, sent_at=sent.at, in_flight=self._gate.in_flight):
            self._gate.grow(self._limit.limit)

    def _answered(self, task: Task, sent: Sent, *, alone: bool) -> None:
        self._recovered += task.throttled.times > 0
        self._feed.new_first = False
        ended = self.outage.answered(task, sent_at=sent.at, alone=alone)
        if alone:
            if not self.outage.waiting:
                self._gate.together()
            if self._fatal.suspicion is not None:
                self._fatal.cleared()
                self._notice("another row was answered: the run goes on")
                self._feed.unshelve()
        elif ended and self._fatal.suspicion is None:
            self._gate.together()
        elif ended:
            self._gate.alone()

    def _slow_start(self) -> None:
        self._limit.again(self._now())
        self._gate.grow(self._limit.limit)

    def _slow_down(self, task: Task, sent: Sent, *, pause: float) -> None:
        """Ask for less at once, and more slowly. While no pace is known that spaces the starts, one request goes first."""
        now, row = self._now(), task.row.index
        ask_one = self._holds > 1 or self._pace.requests_per_minute is None
        if self._pace.throttled(now, row=row, pause=pause):
            self._limit.throttled(now, sent_at=sent.at, in_flight=self._gate.in_flight, ask_one=ask_one)
            self._gate.grow(self._limit.limit)

    def _throttled(self, task: Task, sent: Sent, fault: Fault, *, alone: bool) -> Step:
        hint = fault.retry_after
        self._pace.refused(self._now(), sent.quotas)
        step = self._only_this_row(task, fault)
        if step is not None and not alone:
            return step
        if hint is not None and hint > self._policy.max_retry_after:
            return self._asked_for_too_long(task, fault, hint)
        if self._now() >= self._gate.held_until:
            # The first 429 of an episode sets the hold; those of requests already under way only obey it.
            self._holds += 1
        elif hint is None:
            hint = 0.0
        # An endpoint that goes on naming moments ("Retry-After: 0") gets the wait of one that names nothing.
        if hint is None or (hint < self._policy.base_delay and self._holds > 1):
            span = max(self._policy.max_delay - self._policy.base_delay, 0.0)
            further = min(backoff(self._holds - 1, draw=self._draw(), policy=self._policy), span)
            # At a pace that is about right a moment is enough; otherwise nobody knows how long.
            hint = self._policy.base_delay + (0.0 if self._holds == 1 and self._pace.requests_per_minute else further)
        if hint > 0:
            self._gate.hold(hint, f"{fault.status or fault.error_kind}")
        held = max(self._gate.held_until - self._now(), 0.0)
        self._slow_down(task, sent, pause=held)
        if alone:
            self._gate.alone()
        elif self._limit.limit > 1:
            return Later(held)
        # Where one goes at a time another row has the next turn: this one may be throttled for ever, and all would wait for it.
        self._feed.new_first = True
        return Later(held + self._behind_others(task))

    def _only_this_row(self, task: Task, fault: Fault) -> Step | None:
        """Judge a row that is throttled again and again while others are answered: the limit it meets is its own.

        When nobody gets through, nobody fails; nor while rows that were throttled get through at the next try: then it is
        everybody's limit, and a row may lose out many times by chance.
        """
        seen, others = task.throttled, self.outage.answers
        if seen.times == 0:
            seen.first, seen.recovered = others, self._recovered
        passed_by = others > seen.latest and seen.times > 0
        seen.times, seen.latest = seen.times + 1, others
        recover = self._recovered - seen.recovered > RECOVERING_SHARE * (others - seen.first)
        if not passed_by or recover or seen.times < HOLDS_ITSELF_FROM:
            return None
        if seen.times >= MOST_THROTTLED and others - seen.first >= ANSWERED_MEANWHILE:
            return Done(fault)
        hint = fault.retry_after or 0.0
        return Later(max(self._behind_others(task), hint if hint <= self._policy.max_retry_after else self._policy.max_delay))

    def _behind_others(self, task: Task) -> float:
        return self._policy.base_delay + backoff(task.throttled.times - 1, draw=self._draw(), policy=self._policy)

    def _asked_for_too_long(self, task: Task, fault: Fault, hint: float) -> Step:
        until = datetime.fromtimestamp(self._wall() + hint, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        # Two rows say so, or there is no second one to ask.
        if self._too_long is not None and (self._too_long != task.row.index or self._left() <= 1):
            self._stop.request(f"the endpoint asks to wait until {until}: {fault.aloud}", 3)
        elif self._too_long is None:
            self._notice(
                f"the endpoint asks to wait until {until}, longer than retry.max_retry_after_s;"
                f" one row asks again in {self._policy.max_delay:g} s"
            )
        self._too_long = task.row.index
        self._gate.hold(self._policy.max_delay, f"{fault.status or fault.error_kind}")
        self._gate.alone()
        return Later(self._policy.max_delay)

    def _refused(self, task: Task, fault: Fault, *, alone: bool) -> Step:
        match self._fatal.refused(task.row.index, fault.error_kind, fault.aloud, any_ok=self._any_ok(), alone=alone):
            case Verdict.STOP:
                self._stop.request(f"{fault.error_kind}: {fault.aloud}", 5)
                return Later(0.0)
            case Verdict.GIVE_UP:
                if alone:
                    self._fatal.cleared()
                    self.outage.refused()
                    self._feed.unshelve()
                return Done(fault)
            case Verdict.SUSPECT:
                self._notice(
                    f"row {task.row.index} was refused ({fault.error_kind}: {fault.aloud});"
                    f" in {PAUSE_BEFORE_WITNESS_S:g} s another row shows whether that holds for all"
                )
                self._gate.hold(PAUSE_BEFORE_WITNESS_S, fault.error_kind)
                self._gate.alone()
        return Shelve()

    def _failed(self, task: Task, sent: Sent, fault: Fault, *, alone: bool) -> Step:
        """A transient fault, or an absent endpoint."""
        if fault.kind is FaultKind.TRANSIENT and not self.outage.waiting:
            self.outage.charge(task, fault)
        self.outage.failed(task, fault, sent_at=sent.at, alone=alone)
        if self.outage.waiting:
            return Later(self._backoff(task))
        if alone:
            self._once_more_alone(fault)
        most = self._policy.max_attempts or self._ambient.attempts(task.row.index)
        match decide(fault, failures=task.failures, most=most, lost=task.lost, draw=self._draw(), policy=self._policy):
            case Retry(after=after):
                return Later(after)
            case Fail(resend=resend):
                if self.outage.may_fail(task):
                    return Done(fault)
                if resend:
                    return Later(self._backoff(task))
                task.verdict = sent
                return Withhold()
            case Abort():
                raise AssertionError("fatal faults are judged elsewhere")

    def _short_of_something(self, task: Task, fault: Fault, *, alone: bool) -> Step:
        """Open files or memory ran out on this machine: neither the row's fault nor the endpoint's."""
        self.outage.local(fault)
        if alone:
            self._once_more_alone(fault)
        if self._now() >= self._gate.held_until:
            self._limit.halve(self._now())
            self._gate.grow(self._limit.limit)
            self._gate.hold(SHORTAGE_PAUSE_S, "a shortage here")
        if not self._short:
            self._short = True
            self._notice(f"this machine is short of something ({fault.message}); fewer requests go out at once")
        return Later(self._backoff(task))

    def _once_more_alone(self, fault: Fault) -> None:
        self._gate.hold(PAUSE_BEFORE_WITNESS_S, self._gate.held_by or fault.error_kind)
        self._gate.alone()

    def _backoff(self, task: Task) -> float:
        return backoff(task.failures - 1, draw=self._draw(), policy=self._policy)
