"""Endpoints that say "not now" or "never": nobody asks before the time they name, and a person is called within few requests."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from typing import Any

from tests.whole.faults.endpoints import in_short, job_at, wrong_in
from tests.whole.faults.rogue import Answer, Asked, Rogue
from tests.whole.harness import Bench
from tests.whole.table import Claim, Claims

LATENCY_S = 0.2
OK = Answer(after=LATENCY_S)
# A request may be on its way while the answer that forbids it is.
ON_THE_WAY_S = 0.1
DAYS = 3.2

Headers = tuple[tuple[str, str], ...]


def error(status: int, message: str, **fields: Any) -> Answer:
    """Answer as OpenAI does."""
    return Answer(status, json.dumps({"error": {"message": message, **fields}}).encode(), after=LATENCY_S)


def bare(status: int, **fields: Any) -> Answer:
    """Answer as Segmind does."""
    return Answer(status, json.dumps(fields).encode(), after=LATENCY_S)


# -- not now


def seconds(wait: float) -> tuple[Headers, float]:
    return (("Retry-After", f"{wait:g}"),), wait


def date(wait: float, *, dated: bool) -> tuple[Headers, float]:
    """Name a whole second; with the answer's own date, or to be compared with the clock."""
    now = time.time()
    headers = (("Retry-After", formatdate(int(now) + wait, usegmt=True)),)
    return (*headers, *((("Date", formatdate(int(now), usegmt=True)),) if dated else ())), int(now) + wait - now


def segmind(wait: float) -> tuple[Headers, float]:
    moment = datetime.fromtimestamp(time.time() + wait, UTC)
    return (("x-rate-limit-reset-at-utc", moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")),), wait


FORMS: dict[str, Callable[[float], tuple[Headers, float]]] = {
    "a number": seconds,
    "an HTTP date": partial(date, dated=True),
    "an HTTP date without a Date beside it": partial(date, dated=False),
    "Segmind's header": segmind,
}


@dataclass
class Limiter:
    """Refuses one request in `every`, and whatever comes before the time it then named; `since` and `until` are that hold's."""

    form: Callable[[float], tuple[Headers, float]]
    wait: float
    every: int
    due: int  # the number of the next request to refuse
    until: float = 0.0
    since: float = 0.0
    times: int = 0
    early: list[float] = field(default_factory=list)  # seconds after the refusal

    def __call__(self, asked: Asked) -> Answer:
        if asked.at < self.until:
            self.early.append(asked.at - self.since)
        elif asked.number < self.due:
            return OK
        headers, wait = self.form(self.wait)
        if asked.at >= self.until:
            self.times += 1
            self.since, self.until = asked.at, asked.at + wait
            self.due = asked.number + self.every
        return Answer(429, b'{"error": {"message": "Rate limited"}}', headers)

    @property
    def sent_before_the_time(self) -> int:
        return sum(after > ON_THE_WAY_S for after in self.early)


def hints(bench: Bench, rows: int = 1000, wait: float = 2.0, holds: int = 4, forms: Sequence[str] = tuple(FORMS)) -> Claims:
    for number, form in enumerate(forms):
        with Rogue(script := Limiter(FORMS[form], wait, every=rows // holds, due=rows // 8)) as server:
            job = job_at(bench, server, f"hints-{number}", rows, limits={"concurrency": 32})
            ended = bench.run("run", job.config, "--json")
        refused, early = script.times, script.sent_before_the_time
        yield Claim(
            f"Retry-After of {wait:g} s as {form}: sends before the time",
            "0",
            f"{early} in {refused} holds, {len(script.early) - early} on the way; {in_short(ended, wrong_in(job))}",
            early == 0 and ended.code == 0 and refused >= 2,
        )


def days(bench: Bench, rows: int = 1000, ways: Sequence[int] = (300, 0)) -> Claims:
    wait = DAYS * 86400
    for healthy in ways:
        moment = [0.0]

        def script(asked: Asked, healthy: int = healthy, moment: list[float] = moment) -> Answer:
            if asked.number < healthy:
                return OK
            moment[0] = moment[0] or time.time() + wait
            return Answer(429, b'{"error": {"message": "Rate limit reached for requests per day"}}', seconds(wait)[0])

        with Rogue(script) as server:
            job = job_at(bench, server, f"days-{healthy}", rows, limits={"concurrency": 32}, retry={"max_delay_s": 2})
            ended = bench.run("run", job.config, "--json")
        day = datetime.fromtimestamp(moment[0]).astimezone().strftime("%Y-%m-%d %H:%M")
        named = day in ended.err
        refused = server.truth.statuses()[429]
        yield Claim(
            f"Retry-After of {DAYS} days after {healthy} replies",
            "exit 3 within seconds, naming the time; no row failed",
            f"{refused} refused, {'named' if named else f'{day} not named'}; {in_short(ended, code=3)}",
            ended.code == 3 and named and refused <= job.concurrency + 2 and ended.summary["failed"] == 0 and ended.seconds < 30,
        )


# -- never

FATAL = {
    "401": error(401, "Incorrect API key provided", code="invalid_api_key"),
    "402": error(402, "Payment required"),
    "406 credits": bare(406, error="Insufficient credits: balance 0.0003, needed 0.002"),
    "429 insufficient_quota": error(429, "You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
}


def fatal(bench: Bench, rows: int = 1500, healthy: int = 500, kinds: Sequence[str] = tuple(FATAL)) -> Claims:
    for kind in kinds:
        with Rogue(lambda asked, answer=FATAL[kind]: OK if asked.number < healthy else answer) as server:
            job = job_at(bench, server, f"fatal-{kind.split()[0]}", rows, limits={"concurrency": 32})
            stopped = bench.run("run", job.config, "--json")
            after = len(server.truth.asked) - healthy - 1
            server.script = lambda _: OK
            ended = bench.run("run", job.config, "--json")
        wrong, twice = wrong_in(job), sum(server.truth.served.values()) - rows
        said = stopped.summary
        yield Claim(
            f"{kind} from row {healthy} on, then none",
            f"exit 5, ≤ {job.concurrency + 1} requests after the first, 0 failed; then exit 0",
            f"{after} after the first, {in_short(stopped, code=5)}; then {in_short(ended, wrong)}, {twice} served twice",
            stopped.code == 5
            and 0 <= after <= job.concurrency + 1
            and said["failed"] == 0
            and said["ok"] == healthy
            and ended.code == 0
            and not wrong
            and not twice,
        )


def single(bench: Bench, rows: int = 3000) -> Claims:
    with Rogue(lambda asked: FATAL["401"] if asked.number == rows // 2 else OK) as server:
        job = job_at(bench, server, "single", rows)
        ended = bench.run("run", job.config, "--json")
    wrong, asked = wrong_in(job), len(server.truth.asked)
    yield Claim(
        f"one 401 among {rows} replies",
        "exit 0, every row ok",
        f"{asked - rows} requests more than rows; {in_short(ended, wrong)}",
        ended.code == 0 and not wrong and asked == rows + 1,
    )


REDIRECTS = {"redirect (307)": 307, "redirect (302)": 302}
AT_START = {
    "unknown model (404)": error(404, "The model `any` does not exist", code="model_not_found"),
    "405": Answer(405, b"<html><title>405 Not Allowed</title></html>", (("Content-Type", "text/html"),)),
}


def at_start(bench: Bench, rows: int = 300, ways: Sequence[str] = (*AT_START, *REDIRECTS)) -> Claims:
    with Rogue(lambda _: OK) as elsewhere:
        location = (("Location", f"{elsewhere.url}/v1/chat/completions"),)
        answers = AT_START | {way: Answer(status, b"", location) for way, status in REDIRECTS.items()}
        for number, way in enumerate(ways):
            with Rogue(lambda _, answer=answers[way]: answer) as server:
                job = job_at(bench, server, f"start-{number}", rows)
                ended = bench.run("run", job.config, "--json")
            asked, followed = len(server.truth.asked), len(elsewhere.truth.asked)
            yield Claim(
                f"{way} at the start",
                "exit 5, ≤ 5 requests, every row still to do",
                f"{asked} requests, {followed} followed; {in_short(ended, code=5)}",
                ended.code == 5 and 0 < asked <= 5 and followed == 0 and ended.summary["pending"] == rows,
            )
