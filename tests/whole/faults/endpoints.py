"""Endpoints that fail a share of what they are sent: rows are neither lost nor burned, and little is asked twice."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq

from tests.whole.faults.rogue import Answer, Asked, Framing, Rogue, Script, Then, Truth, completion
from tests.whole.harness import Bench, Ended, JobOnDisk, digest_of, kept_of_csv, make_job, mistakes_in, write_csv
from tests.whole.table import Claim, Claims

LATENCY_S = 0.05
OK = Answer(after=LATENCY_S)
# Without a byte of an answer.
CLOSED = Answer(None, then=Then.CLOSE)
RESET = Answer(None, then=Then.RESET)
UNAVAILABLE = Answer(503, b'{"error": {"message": "no server is available"}}', after=LATENCY_S)
BROKEN = (
    Answer(500, b'{"error": {"message": "internal error"}}', after=LATENCY_S),
    Answer(502, b"<html><title>502 Bad Gateway</title></html>", (("Content-Type", "text/html"),), after=LATENCY_S),
    UNAVAILABLE,
)
MOST_REQUESTS_A_ROW = 1.75


def chance(asked: Asked, what: str = "") -> float:
    """Give a number in [0, 1), always the same for this send of this row."""
    drawn = hashlib.sha256(f"{asked.digest}/{asked.nth}/{what}".encode()).digest()
    return int.from_bytes(drawn[:6], "big") / 2**48


def job_at(bench: Bench, server: Rogue, name: str, rows: int, **changes: Any) -> JobOnDisk:
    return make_job(bench, name, write_csv(bench.root / f"{name}.csv", rows), rows, server, **changes)


def wrong_in(job: JobOnDisk) -> list[str]:
    return mistakes_in(job.output, kept_of_csv(job.rows)) if job.output.exists() else ["no output was published"]


def in_short(ended: Ended, wrong: Sequence[str] = (), *, code: int = 0) -> str:
    """Say how a run ended, and what helps where it ended otherwise than with `code`."""
    said = f"exit {ended.code}"
    if ended.out.startswith("{"):
        summary = ended.summary
        said += f", {summary['ok']} ok, {summary['failed']} failed, {summary['pending']} to do"
        said += f" {summary['errors']}" if summary["failed"] else ""
    if wrong or ended.code != code:
        said += f", {len(wrong)} wrong {list(wrong[:2])} {ended.err.strip()[-200:]!r}"
    return f"{said}; {ended.seconds:.0f} s"


def ambient(bench: Bench, rows: int = 3000) -> Claims:
    def script(asked: Asked) -> Answer:
        drawn = chance(asked)
        return BROKEN[asked.number % len(BROKEN)] if drawn < 0.3 else RESET if drawn < 0.4 else OK

    with Rogue(script) as server:
        job = job_at(bench, server, "ambient", rows)
        ended = bench.run("run", job.config, "--json")
    wrong, ratio = wrong_in(job), len(server.truth.asked) / rows
    yield Claim(
        f"30 % 5xx and 10 % resets over {rows} rows",
        f"every row ok, requests a row ≤ {MOST_REQUESTS_A_ROW}",
        f"{ratio:.3f} requests a row; {in_short(ended, wrong)}",
        ended.code == 0 and not wrong and ratio <= MOST_REQUESTS_A_ROW,
    )


def poison(bench: Bench, rows: int = 3000) -> Claims:
    poisoned = {digest_of(row) for row in range(rows // 10, rows, rows // 5)}

    def script(asked: Asked) -> Answer:
        if asked.digest in poisoned:
            return BROKEN[0]
        drawn = chance(asked)
        return BROKEN[asked.number % len(BROKEN)] if drawn < 0.3 else RESET if drawn < 0.4 else OK

    with Rogue(script) as server:
        job = job_at(bench, server, "poison", rows)
        ended = bench.run("run", job.config, "--json")
    table = pq.read_table(job.output, columns=["digest", "status"])
    failed = {digest for digest, status in zip(*table.to_pydict().values(), strict=True) if status == "failed"}
    most = max(server.truth.sends[digest] for digest in poisoned)
    yield Claim(
        f"40 % ambient faults and {len(poisoned)} rows that always fail, of {rows}",
        "only those fail",
        f"{len(failed & poisoned)} of them and {len(failed - poisoned)} others, after ≤ {most} sends; {in_short(ended, code=1)}",
        failed == poisoned and ended.code == 1,
    )


# -- connections


def stale(bench: Bench, rows: int = 3000) -> Claims:
    """Close used connections under the first send of each row. A third of the rows then fail once by themselves: with two
    failures allowed they end ok only if the close was charged to nobody."""

    def once(asked: Asked) -> Answer:
        if asked.nth == 1 and asked.used:
            return CLOSED if asked.number % 2 else RESET
        return _fails_a_third(asked, after=1)

    def twice(asked: Asked) -> Answer:
        return CLOSED if asked.nth <= 2 and _of(asked.digest) < 0.1 else _fails_a_third(asked, after=2)

    ended, wrong, truth = _run_with(bench, "stale", rows, once, max_attempts=2)
    met = sum(each.nth == 1 and each.used > 0 for each in truth.asked)
    yield Claim(
        f"{rows} rows, used connections closed under them without notice",
        "every row ok, no attempt charged",
        f"{met} rows met it; {in_short(ended, wrong)}",
        # A client that stops keeping connections, having met this often enough, meets it no more.
        ended.code == 0 and not wrong and met > min(rows / 3, 100),
    )
    ended, _, truth = _run_with(bench, "stale-control", rows // 5, twice, max_attempts=2)
    hit = sum(_of(digest) < 0.1 for digest in truth.sends)
    yield Claim(
        "negative control: a tenth of the rows meets two of them and then a 500",
        "just those fail",
        f"{hit} met that; {in_short(ended, code=1)}",
        ended.summary["failed"] == hit > 0,
    )


def raced(bench: Bench, rows: int = 3000) -> Claims:
    """Close every connection within 10 ms of its answer, so that some close while the next request is on its way."""

    def script(asked: Asked) -> Answer:
        return replace(OK, then=Then.CLOSE, idle=0.01 * chance(asked, "idle"))

    ended, wrong, truth = _run_with(bench, "raced", rows, script)
    met = ended.summary["requests"] - sum(truth.served.values())
    yield Claim(
        f"{rows} rows, every connection closed within 10 ms of its answer",
        "every row ok",
        f"{met} sends lost to it; {in_short(ended, wrong)}",
        ended.code == 0 and not wrong and met > 0,
    )


def _run_with(bench: Bench, name: str, rows: int, script: Script, **retry: Any) -> tuple[Ended, list[str], Truth]:
    with Rogue(script) as server:
        job = job_at(bench, server, name, rows, retry=retry)
        ended = bench.run("run", job.config, "--json")
    return ended, wrong_in(job), server.truth


def _of(digest: str) -> float:
    return chance(Asked(0, digest, 0, 0.0, 0))


def _fails_a_third(asked: Asked, *, after: int) -> Answer:
    return BROKEN[0] if asked.nth == after + 1 and _of(asked.digest) < 1 / 3 else OK


def width(bench: Bench, wide: int = 300, each: int = 10) -> Claims:
    with Rogue(lambda _: Answer(after=0.5)) as server:
        job = job_at(bench, server, "width", wide * each, limits={"concurrency": wide})
        ended = bench.run("run", job.config, "--json")
    most, connections = server.truth.most_in_flight, server.truth.most_connections
    yield Claim(
        f"limits.concurrency {wide}: most requests in flight, as the server counts",
        f"{wide}",
        f"{most} over {connections} connections; {in_short(ended, wrong_in(job))}",
        most == wide == connections and ended.code == 0,
    )


# -- bodies


def cuts(bench: Bench, size: int = 400, step: int = 1) -> Claims:
    """Cut the first reply of every other row, each at its own byte; then all replies of some rows."""
    kinds = [(framing, then) for framing in Framing for then in (Then.CLOSE, Then.RESET)]
    ways = [(at, *kind) for at in range(0, size, step) for kind in kinds]
    cut = {digest_of(2 * number): way for number, way in enumerate(ways)}

    def script(asked: Asked) -> Answer:
        body = completion(asked.digest, size=size)
        if asked.nth > 1 or asked.digest not in cut:
            return Answer(200, body, after=LATENCY_S)
        at, framing, then = cut[asked.digest]
        return Answer(200, body, after=LATENCY_S, then=then, framing=framing, cut=at)

    rows = 2 * len(ways)
    with Rogue(script) as server:
        job = job_at(bench, server, "cuts", rows)
        ended = bench.run("run", job.config, "--json")
    wrong = wrong_in(job)
    met = sum(server.truth.sends[digest] > 1 for digest in cut)
    yield Claim(
        f"a reply of {size} bytes cut at each byte, {len(kinds)} ways: {len(ways)} rows of {rows}",
        "every row its own answer",
        f"{met} asked again; {in_short(ended, wrong)}",
        ended.code == 0 and not wrong and met == len(ways),
    )
    yield from _always_cut(bench, size)


def _always_cut(bench: Bench, size: int) -> Claims:
    rows = 200
    cut = {digest_of(row): size * row // rows for row in range(5, rows, 10)}

    def script(asked: Asked) -> Answer:
        body, at = completion(asked.digest, size=size), cut.get(asked.digest)
        if at is None:
            return Answer(200, body, after=LATENCY_S)
        framing = list(Framing)[at % len(Framing)]
        return Answer(200, body, after=LATENCY_S, then=Then.CLOSE, framing=framing, cut=at)

    with Rogue(script) as server:
        job = job_at(bench, server, "always-cut", rows)
        ended = bench.run("run", job.config, "--json")
    table = pq.read_table(job.output, columns=["digest", "status", "completion"]).to_pylist()
    failed = {row["digest"] for row in table if row["status"] == "failed" and row["completion"] is None}
    most = max(server.truth.sends[digest] for digest in cut)
    yield Claim(
        f"{len(cut)} of {rows} rows whose every reply is cut",
        "just those fail, ≤ 4 sends each",
        f"{len(failed)} failed after ≤ {most} sends; {in_short(ended, code=1)}",
        failed == set(cut) and most <= 4 and ended.code == 1,
    )
