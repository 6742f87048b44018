"""The run finds its own pace: against endpoints that count requests in every manner known, nothing configured."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from pipeline.core.retry import RetryPolicy
from pipeline.core.types import Fault, FaultKind, Response
from tests.engine.test_run import SETTINGS, Case, play
from tests.fakes import Answer

PER_MINUTE = 600
MINUTES = 8

# What an endpoint says to a request at a time: headers of the answer, and whether it lets it through.
Verdict = tuple[bool, dict[str, str]]


def told(remaining: float, resets_in: float) -> dict[str, str]:
    names = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
    return dict(zip(names, (str(PER_MINUTE), str(int(remaining)), f"{resets_in:.3f}s"), strict=True))


@dataclass
class FixedMinute:
    """So many in each minute on the clock. `says`: `reset` with each refusal, `quota` with each answer, or nothing."""

    says: str = "nothing"
    began: float = 23.0  # when the first minute had begun before the run
    minute: int = -1
    used: int = 0

    def __call__(self, now: float) -> Verdict:
        minute, into = divmod(now + self.began, 60.0)
        if minute != self.minute:
            self.minute, self.used = int(minute), 0
        if self.used >= PER_MINUTE:
            return False, {"retry-after": f"{60 - into:.3f}"} if self.says != "nothing" else {}
        self.used += 1
        return True, told(PER_MINUTE - self.used, 60 - into) if self.says == "quota" else {}


@dataclass
class Bucket:
    """Refilled all the time, up to `size`."""

    size: float = PER_MINUTE
    says: str = "nothing"
    at: float = 0.0
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.size

    def __call__(self, now: float) -> Verdict:
        rate = PER_MINUTE / 60
        self.left, self.at = min(self.size, self.left + (now - self.at) * rate), now
        if self.left < 1:
            return False, {"retry-after": f"{(1 - self.left) / rate:.3f}"} if self.says != "nothing" else {}
        self.left -= 1
        return True, told(self.left, (self.size - self.left) / rate) if self.says == "quota" else {}


@dataclass
class Sliding:
    """So many in any minute that ends now."""

    says: str = "nothing"
    seen: deque[float] = field(default_factory=deque)

    def __call__(self, now: float) -> Verdict:
        while self.seen and now - self.seen[0] >= 60:
            self.seen.popleft()
        if len(self.seen) >= PER_MINUTE:
            return False, {"retry-after": str(math.ceil(60 - now + self.seen[0]))} if self.says != "nothing" else {}
        self.seen.append(now)
        return True, {}


@pytest.mark.parametrize("latency", [0.3, 3.0])
@pytest.mark.parametrize(
    "limiter",
    [
        pytest.param(lambda: FixedMinute("reset"), id="fixed minute, the reset named"),
        pytest.param(lambda: FixedMinute("quota"), id="fixed minute, what is left named"),
        pytest.param(FixedMinute, id="fixed minute, nothing named"),
        pytest.param(lambda: Bucket(says="quota"), id="bucket, what is left named"),
        pytest.param(lambda: Bucket(10, says="reset"), id="small bucket, the wait named"),
        pytest.param(lambda: Bucket(10), id="small bucket, nothing named"),
        pytest.param(lambda: Sliding("reset"), id="sliding minute, the wait named"),
        pytest.param(Sliding, id="sliding minute, nothing named"),
    ],
)
def test_a_limit_that_is_not_configured_is_found_and_kept(limiter: Callable[[], Callable[[float], Verdict]], latency: float):
    endpoint, through, refused = limiter(), [], []

    def script(row: int, nth: int, now: float) -> Answer:
        admitted, headers = endpoint(now)
        (through if admitted else refused).append(now)
        if not admitted:
            return Response(429, headers, b"")
        return Response(200, headers, f"row {row}".encode()) if headers else 200

    rows = PER_MINUTE * MINUTES
    settings = replace(SETTINGS, concurrency=64, policy=RetryPolicy())
    seen = play(Case(rows=rows, script=script, settings=settings, latency=latency, fault_latency=0.05, part_rows=rows))
    assert (seen.result.stopped, seen.failed) == (None, {})
    assert rows / seen.seconds * 60 >= 0.9 * PER_MINUTE
    assert len(refused) <= 0.05 * len(seen.transport.sends)


@pytest.mark.parametrize("named", [True, False])
def test_429s_that_mean_too_many_at_once_are_met_by_fewer_at_once(named: bool):
    transports = []

    def script(row: int, nth: int, now: float) -> Answer:
        busy = transports[0].in_flight >= 10
        return Response(429, {"retry-after": "1"} if named else {}, b"") if busy else 200

    settings = replace(SETTINGS, concurrency=64, policy=RetryPolicy())
    seen = play(Case(rows=3000, script=script, settings=settings, latency=1.0, fault_latency=0.05, part_rows=3000), transports)
    assert (seen.result.stopped, seen.failed) == (None, {})
    assert seen.seconds <= 3000 / 10 / 0.6, "six tenths of what ten at once can do"
    assert seen.result.traffic.throttled <= 0.06 * len(seen.transport.sends)


def test_without_adaptive_as_many_as_configured_are_in_flight_again_after_a_hold():
    def script(row: int, nth: int, now: float) -> Answer:
        return Response(429, {"retry-after": "10"}, b"") if 5 <= now < 6 else 200

    fixed = replace(SETTINGS, adaptive=False)
    transports = []
    play(Case(rows=200, script=script, settings=fixed), transports)
    after = sorted(at for at, _ in transports[0].sends if at > 10)
    assert len([at for at in after if at < after[0] + 1.0]) == 8


def test_rows_that_lose_out_in_a_crowd_are_not_taken_for_rows_with_a_limit_of_their_own():
    """Found with a real server: without a pace most are throttled each time, and ten in a row may be chance."""
    endpoint = Bucket(10)

    def script(row: int, nth: int, now: float) -> Answer:
        return 200 if endpoint(now)[0] else Response(429, {"retry-after": "1"}, b"")

    settings = replace(SETTINGS, concurrency=128, adaptive=False)
    seen = play(Case(rows=2400, script=script, settings=settings, latency=0.3, fault_latency=0.01, part_rows=2400))
    assert max(seen.transport.per_row.values()) > 10
    assert (seen.result.stopped, seen.failed) == (None, {})


def test_progress_shows_the_pace_that_was_learned():
    endpoint = FixedMinute("quota")

    def script(row: int, nth: int, now: float) -> Answer:
        return Response(200, endpoint(now)[1], f"row {row}".encode())

    seen = play(Case(rows=300, script=script, settings=replace(SETTINGS, concurrency=64)))
    assert seen.watcher.pictures[0].requests_per_minute is None
    assert 500 < (seen.watcher.pictures[-2].requests_per_minute or 0) < 1300
    assert seen.watcher.pictures[-2].limit == 64


WIDE = replace(SETTINGS, concurrency=64, policy=RetryPolicy())


def test_rows_throttled_now_and_then_by_chance_do_not_slow_a_run_down():
    def script(row: int, nth: int, now: float) -> Answer:
        return Response(429, {"retry-after": "1"}, b"") if row % 200 == 50 and nth == 1 else 200

    seen = play(Case(rows=8000, script=script, settings=WIDE, latency=0.5, part_rows=8000))
    held = 40 * 1.1
    assert seen.seconds <= 8000 * 0.5 / 64 + held + 20


def test_a_long_wait_at_the_start_says_nothing_of_the_rate():
    def script(row: int, nth: int, now: float) -> Answer:
        return Response(429, {"retry-after": str(600 - now)}, b"") if 0.5 < now < 600 else 200

    seen = play(Case(rows=3000, script=script, settings=WIDE, part_rows=3000))
    assert seen.seconds <= 600 + 3000 / 64 * 2


@pytest.mark.parametrize("until", [11, 1e9], ids=["for a second", "for ever"])
def test_answers_that_say_nothing_is_left_are_not_believed_for_ever(until: float):
    nothing_left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"}

    def script(row: int, nth: int, now: float) -> Answer:
        return Response(200, nothing_left if 10 <= now < until else {}, f"row {row}".encode())

    seen = play(Case(rows=3000, script=script, settings=WIDE, part_rows=3000))
    assert seen.seconds <= 3000 / 64 + 120


def test_a_configured_rate_is_kept_through_short_holds():
    def script(row: int, nth: int, now: float) -> Answer:
        return Response(429, {"retry-after": "1"}, b"") if 0.5 < now < 120 else 200

    seen = play(Case(rows=20, script=script, settings=replace(WIDE, requests_per_minute=6.0), latency=0.5))
    starts = [at for at, _ in seen.transport.sends]
    assert min(later - before for before, later in pairwise(starts)) >= 10 - 1e-6


def test_a_shortage_on_this_machine_that_passes_is_recovered_from():
    short = Fault(FaultKind.LOCAL, "connection", "EMFILE")
    seen = play(Case(rows=2000, script=lambda row, nth, now: short if 5 < now < 20 else 200, settings=WIDE, part_rows=2000))
    assert (seen.result.stopped, seen.failed) == (None, {})
    assert seen.seconds <= 20 + 2000 / 64 + 60
