"""Endpoints that are gone for a while: nobody fails for it, hardly anything is sent meanwhile, and the run goes on by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.whole.faults.endpoints import in_short, job_at, wrong_in
from tests.whole.faults.rogue import Answer, Rogue
from tests.whole.harness import Bench, Running
from tests.whole.table import Claim, Claims, Trial

OK = Answer(after=0.2)
CONCURRENCY = 32
HANGS_UP_S = 10.0
# Fast failures are the worst ones: they use up attempts fastest.
UNAVAILABLE = Answer(503, b'{"error": {"message": "no server is available"}}', after=0.005)
BAD_GATEWAY = Answer(502, b"<html><title>502 Bad Gateway</title></html>", (("Content-Type", "text/html"),), after=0.005)


def _play(answer: Answer | None, server: Rogue) -> None:
    server.script = lambda _: answer


@dataclass(frozen=True)
class Way:
    """How an endpoint goes away, and comes back."""

    name: str
    goes: Callable[[Rogue], None]
    returns: Callable[[Rogue], None]


_RETURNS = partial(_play, OK)
WAYS = (
    Way("refused", Rogue.refuse, Rogue.listen),
    Way("503", partial(_play, UNAVAILABLE), _RETURNS),
    Way("hang", partial(_play, None), _RETURNS),
    Way("HTML 502", partial(_play, BAD_GATEWAY), _RETURNS),
)


def outage(bench: Bench, way: Way, *, seconds: float = 60.0, rows: int = 2000) -> Claims:
    with Rogue(lambda _: OK) as server:
        job = job_at(
            bench,
            server,
            f"outage-{way.name.replace(' ', '-')}",
            rows,
            limits={"concurrency": CONCURRENCY},
            endpoint={"timeout_s": HANGS_UP_S},
        )
        running = bench.start("run", job.config, "--json")
        await_requests(server, running, rows // 4)
        gone = server.now
        way.goes(server)
        time.sleep(seconds)
        back = server.now
        way.returns(server)
        ended = running.wait()
    truth = server.truth
    meanwhile = truth.arrived(gone, back) + ended.summary["requests"] - len(truth.asked)
    first = min((each.at for each in truth.asked if each.at >= back and each.status == 200), default=float("inf"))
    wrong = wrong_in(job)
    yield Claim(
        f"outage of {seconds:g} s ({way.name})",
        f"0 failed, ≤ {CONCURRENCY + 20} requests meanwhile, goes on by itself",
        f"{meanwhile} meanwhile, first row {first - back:.0f} s after it; {in_short(ended, wrong)}",
        ended.code == 0 and not wrong and meanwhile <= CONCURRENCY + 20,
    )


def await_requests(server: Rogue, running: Running, number: int) -> None:
    until = time.monotonic() + 60
    while len(server.truth.asked) < number:
        if not running.alive or time.monotonic() > until:
            raise AssertionError(f"it never sent {number} requests: {running.err.read_text()[-300:]}")
        time.sleep(0.01)


OUTAGES: tuple[Trial, ...] = tuple(partial(outage, way=way) for way in WAYS)
