"""Counting outcomes: a Tally that merges, and the Progress and Summary that people and scripts read.

A tally is a sum, so a part's tally can be kept beside the part and the job's made from them without reading a row again.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from pipeline.core.empty import is_empty
from pipeline.core.types import Outcome, Reply

# Latencies are counted in buckets that grow by 5 % each, from 1 ms: a percentile is right to 2.5 %, in about 200 integers.
_BUCKET_GROWTH = math.log(1.05)
_FIRST_BUCKET_S = 0.001
# Finish reasons counted by name; an endpoint that gives every row one of its own has the rest counted together.
MOST_REASONS = 100
OTHER_REASONS = "others"


@dataclass(slots=True)
class Tally:
    """Sums over recorded outcomes. Tokens count only replies that said them; cost is None-free: 0.0 without prices."""

    ok: int = 0
    failed: int = 0
    empty: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    finish_reasons: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.ok + self.failed

    def add(self, outcome: Outcome, sign: int = 1) -> None:
        """Count one outcome; with `sign=-1` take it back, as when a retry replaces it."""
        self.cost += sign * (outcome.cost or 0.0)
        if outcome.elapsed is not None:
            self.latencies[_bucket(outcome.elapsed)] += sign
        match outcome.result:
            case Reply(text=text, finish_reason=reason, usage=usage, extra=extra):
                self.ok += sign
                self.empty += sign * is_empty(text, extra)
                self.prompt_tokens += sign * (usage.prompt or 0)
                self.completion_tokens += sign * (usage.completion or 0)
                self.finish_reasons[reason or "none"] += sign
                self._bound_reasons()
            case fault:
                self.failed += sign
                self.errors[fault.error_kind] += sign

    def add_all(self, outcomes: Sequence[Outcome]) -> None:
        """Count many outcomes, at a third of what it costs to add each."""
        results = [each.result for each in outcomes]
        replies = [each for each in results if isinstance(each, Reply)]
        self.add_replies(
            [each.text for each in replies],
            [each.extra for each in replies],
            [each.finish_reason for each in replies],
            [each.usage.prompt for each in replies],
            [each.usage.completion for each in replies],
        )
        if len(replies) < len(results):
            self.add_faults([each.error_kind for each in results if not isinstance(each, Reply)])
        self.add_sends([each.elapsed for each in outcomes], [each.cost for each in outcomes])

    def add_replies(
        self,
        texts: Sequence[str | None],
        extras: Sequence[str | None],
        finish_reasons: Sequence[str | None],
        prompt_tokens: Iterable[int | None],
        completion_tokens: Iterable[int | None],
    ) -> None:
        """Count replies, given column by column."""
        self.ok += len(texts)
        if not all(texts):
            self.empty += sum(is_empty(text, extra) for text, extra in zip(texts, extras, strict=True))
        self.finish_reasons.update([each or "none" for each in finish_reasons])
        self._bound_reasons()
        self.prompt_tokens += sum(filter(None, prompt_tokens))
        self.completion_tokens += sum(filter(None, completion_tokens))

    def add_faults(self, kinds: Sequence[str]) -> None:
        """Count rows that failed, each given by its error kind."""
        self.failed += len(kinds)
        self.errors.update(kinds)

    def add_sends(self, seconds: Iterable[float | None], costs: Iterable[float | None]) -> None:
        """Count what the sends took that decided, and what they cost; None is nothing."""
        self.latencies.update([_bucket(each) for each in seconds if each is not None])
        self.cost += sum(filter(None, costs))

    def merge(self, other: "Tally", sign: int = 1) -> None:
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Counter):
                for key, count in theirs.items():
                    mine[key] += sign * count
            else:
                setattr(self, each.name, mine + sign * theirs)
        self._bound_reasons()

    def _bound_reasons(self) -> None:
        if len(self.finish_reasons) > MOST_REASONS + 1:
            rest = [self.finish_reasons.pop(reason) for reason in [*self.finish_reasons][MOST_REASONS:]]
            self.finish_reasons[OTHER_REASONS] += sum(rest)

    def latency(self, share: float) -> float | None:
        """Give the latency in seconds that `share` of the sends stayed below, or None when nothing was sent."""
        buckets = sorted((bucket, count) for bucket, count in self.latencies.items() if count > 0)
        wanted = share * sum(count for _, count in buckets)
        for bucket, count in buckets:
            wanted -= count
            if wanted <= 0:
                return round(_FIRST_BUCKET_S * math.exp((bucket + 0.5) * _BUCKET_GROWTH), 4)
        return None

    def to_json(self) -> dict[str, object]:
        return {
            each.name: {str(key): count for key, count in value.items() if count} if isinstance(value, Counter) else value
            for each in fields(self)
            for value in (getattr(self, each.name),)
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "Tally":
        """Rebuild what to_json gave. Unknown names are ignored, absent ones are zero."""
        tally = cls()
        for each in fields(cls):
            value = stored.get(each.name)
            if isinstance(value, Mapping):
                keys: Iterable[object] = map(int, value) if each.name == "latencies" else value
                setattr(tally, each.name, Counter(dict(zip(keys, value.values(), strict=True))))
            elif value is not None:
                setattr(tally, each.name, value)
        return tally


def bucket_start(bucket: int) -> float:
    """Give the seconds from which a latency counts in this bucket; where the next one starts it ends."""
    return _FIRST_BUCKET_S * math.exp(bucket * _BUCKET_GROWTH) if bucket > 0 else 0.0


def _bucket(seconds: float) -> int:
    return int(math.log(seconds / _FIRST_BUCKET_S) / _BUCKET_GROWTH) if seconds > _FIRST_BUCKET_S else 0


@dataclass(slots=True)
class Traffic:
    """What one run sent: every request counts here, whether or not its row has ended.

    `credits` is what the endpoint last said is left on the account, None if it says nothing of it.
    """

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    ambiguous: int = 0
    credits: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A picture of a run under way. Counts are rows unless the name says otherwise; `rows` heeds --limit.

    `left` rows this run has still to record; those a retry asks again are among them, though `ok` or `failed` has them too.

    `per_minute` is the requests started in the last minute, `requests_per_minute` the rate that is kept, configured or
    learned, or None; `limit` is how many may be in flight just now, `limits` how it came to that: (wall-clock seconds,
    limit, reason), the latest ones.
    `held_until` is wall-clock seconds since the epoch, with the reason in `held_by`. `eta_s` is None while unknown.
    `tally` and `traffic` are the run's own, still counting: read them now or never, and change nothing.
    """

    tally: Tally = field(repr=False)
    traffic: Traffic = field(repr=False)
    rows: int
    resumed: int
    ok: int
    failed: int
    left: int = 0
    in_flight: int = 0
    limit: int = 0
    limits: tuple[tuple[float, int, str], ...] = field(default=(), repr=False)
    waiting: int = 0
    requests: int = 0
    throttled: int = 0
    tokens: int = 0
    cost: float | None = None
    per_minute: int = 0
    requests_per_minute: float | None = None
    held_until: float | None = None
    held_by: str | None = None
    seconds: float = 0.0
    rows_per_second: float = 0.0
    eta_s: float | None = None
    stopping: str | None = None
    finished: bool = False

    @property
    def done(self) -> int:
        return self.ok + self.failed


@dataclass(frozen=True, slots=True)
class Summary:
    """Where the job stands when a run ends, and what that run did. Always rows = ok + failed + pending.

    Rows, tokens, cost, latency, finish reasons and errors are the job's, over all its runs. `requests`, `retries`,
    `throttled`, `ambiguous`, `seconds` and `rows_per_second` are this run's; `resumed` rows were recorded before it.
    `stopped` says why it ended early, or is None. `output` is the published file or folder, None until there is one.
    `captions` are CaptionChecks' counts of that output, None for a job without pictures.
    """

    rows: int
    ok: int
    failed: int
    pending: int
    resumed: int
    requests: int
    retries: int
    throttled: int
    ambiguous: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
    rows_per_second: float
    latency_s: Mapping[str, float | None]
    finish_reasons: Mapping[str, int]
    errors: Mapping[str, int]
    empty: int
    limit: int | None
    stopped: str | None
    exit_code: int
    output: str | None
    captions: Mapping[str, object] | None = None

    def to_json(self) -> dict[str, object]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


def summarize(
    tally: Tally,
    traffic: Traffic,
    *,
    rows: int,
    resumed: int,
    seconds: float,
    priced: bool,
    limit: int | None = None,
    stopped: str | None = None,
    stop_code: int = 0,
    output: str | None = None,
    captions: Mapping[str, object] | None = None,
) -> Summary:
    """Make the summary. `stop_code` is the exit code of what stopped the run, 0 if nothing did."""
    pending = rows - tally.done
    return Summary(
        rows=rows,
        ok=tally.ok,
        failed=tally.failed,
        pending=pending,
        resumed=resumed,
        requests=traffic.requests,
        retries=traffic.retries,
        throttled=traffic.throttled,
        ambiguous=traffic.ambiguous,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost=round(tally.cost, 10) if priced else None,
        seconds=round(seconds, 3),
        rows_per_second=round((tally.done - resumed) / seconds, 3) if seconds > 0 else 0.0,
        latency_s={"p50": tally.latency(0.5), "p95": tally.latency(0.95), "p99": tally.latency(0.99)},
        finish_reasons={reason: count for reason, count in sorted(tally.finish_reasons.items()) if count},
        errors={kind: count for kind, count in sorted(tally.errors.items()) if count},
        empty=tally.empty,
        limit=limit,
        stopped=stopped,
        exit_code=stop_code or (3 if pending else 1 if tally.failed else 0),
        output=output,
        captions=captions,
    )
