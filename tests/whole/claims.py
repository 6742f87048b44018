"""What rowcall promises, tried out whole: prints claim, goal and what was seen, and exits 1 on a miss.

    python -m tests.whole.claims [NAME ...]

Everything runs over real sockets against `rowcall simulate` in a process of its own. Takes about six minutes on two cores.
"""

import hashlib
import random
import signal
import sys
import time
from types import SimpleNamespace

import pyarrow.parquet as pq

from tests.bench.endpoint import Endpoints
from tests.whole.canary import Search
from tests.whole.harness import (
    CANARY,
    DELAY,
    KEY_VARIABLE,
    SLOW_DISK,
    Bench,
    adds_up,
    attack,
    digest_of,
    kept_of_csv,
    make_job,
    mistakes_in,
    why_no_slow_disk,
    write_csv,
    write_pictures,
)
from tests.whole.nights import CLAIMED, of
from tests.whole.table import Claim, Claims, Trial, in_turn, tried

FREED_EARLY = (sys.executable, "-m", "tests.whole.freed_early")
WRONG_KEY = "wrong/Hd4+Yc6mQn1Wf8Tz"


def csv_job(bench: Bench) -> Claims:
    rows = 5000
    sim = bench.simulate("--latency", "0.2", "--faults", "0.1", "--rpm", "4000")
    job = make_job(bench, "csv", write_csv(bench.root / "rows.csv", rows), rows, sim, limits={"concurrency": 64})
    running = bench.start("run", job.config, "--json", "-vv")
    looks = []
    while running.alive:
        time.sleep(4)
        if running.alive and job.record.exists():
            looks.append(bench.run("status", job.config, "--json"))
    ended, counted = running.wait(), sim.stats()
    yield from finished(
        f"{rows} CSV rows, faults 10 %, rpm limit met", ended, counted, mistakes_in(job.output, kept_of_csv(rows)), rpm=4000
    )
    looks.append(bench.run("status", job.config, "--json"))
    right = sum(each.code == 0 and adds_up(each.summary, rows) for each in looks)
    yield Claim(
        "status --json while running and after the end",
        "rows = ok + failed + pending",
        f"{right} of {len(looks)}",
        right == len(looks) > 3,
    )
    again, before = bench.run("run", job.config, "--json"), counted["requests"]
    seen = f"exit {again.code}, {sim.requests - before} requests"
    yield Claim("the same command again", "exit 0, 0 requests", seen, seen == "exit 0, 0 requests")


def image_job(bench: Bench) -> Claims:
    rows, size = 2000, 200_000
    sim = bench.simulate("--latency", "0.2", "--faults", "0.1", "--rpm", "1500")
    source = write_pictures(bench.root / "pictures.parquet", rows, size)
    job = make_job(
        bench,
        "images",
        source,
        rows,
        sim,
        prompt={"user": "{{ text }} digest:{{ digest }}", "images": "photo"},
        limits={"concurrency": 64},
    )
    ended = bench.peak_of("run", job.config, "--json")
    kept = {
        "id": range(rows),
        "text": [f"echo image {row}" for row in range(rows)],
        "digest": [digest_of(row) for row in range(rows)],
    }
    wrong = mistakes_in(job.output, kept)
    sums = [image_digest(photo.as_py()) for photo in pq.read_table(source, columns=["photo"])["photo"]]
    texts = pq.read_table(job.output)["completion"].to_pylist()
    wrong += [
        f"row {row}: another row's picture" for row, (one, text) in enumerate(zip(sums, texts, strict=True)) if one not in text
    ]
    yield from finished(f"{rows} rows with 200 kB images, peak {ended.peak / 2**20:.0f} MB", ended, sim.stats(), wrong, rpm=1500)


def image_digest(photo: bytes) -> str:
    return f"image:{hashlib.sha256(photo).hexdigest()[:16]}"


def finished(what: str, ended, counted, wrong: list[str], *, rpm: int) -> Claims:
    """Claim that a job against so many requests a minute came out right; it must have met that limit, or kept to it."""
    limited = counted["refusals"].get("429", 0)
    kept = counted["requests"] / rpm * 60 / ended.seconds  # the share of the limit that was used
    digests = counted["digests"]
    seen = f"exit {ended.code}, {len(wrong)} wrong, {digests['extra']} twice; {ended.seconds:.0f} s,"
    seen += f" {counted['requests']} requests, {limited} over the limit, {kept:.0%} of it used"
    if ended.code or wrong:
        seen += f"; {ended.err[-300:]} {wrong[:3]}"
    yield Claim(
        what,
        "exit 0, each row its own answer, 0 twice, limit used",
        seen,
        ended.code == 0 and not wrong and digests["extra"] == 0 and (limited > 0 or kept >= 0.7),
    )


def kills(bench: Bench) -> Claims:
    rows, number, width = 4000, 40, 32
    sim = bench.simulate("--latency", "0.2", "--faults", "0.1")
    source = write_csv(bench.root / "killed.csv", rows)
    job = make_job(bench, "killed", source, rows, sim, limits={"concurrency": width}, checkpoint={"part_rows": 300})
    yield from attacked(bench, sim, job, f"{number} kills -9", number, 150)


def slow_disk(bench: Bench) -> Claims:
    rows, number, width = 2500, 8, 8
    goal = f"0 lost, twice ≤ {width} a kill"
    if (why := why_no_slow_disk()) is not None:
        yield Claim("the same on a disk slowed by 40 ms", goal, why, None)
        return
    before = (*SLOW_DISK, *DELAY)
    source = write_csv(bench.root / "slow.csv", rows)
    sim = bench.simulate("--latency", "0.02")
    job = make_job(bench, "slow", source, rows, sim, limits={"concurrency": width})
    yield from attacked(bench, sim, job, f"{number} kills -9, each fdatasync slowed by 40 ms", number, 300, before=before)
    sim = bench.simulate("--latency", "0.02")
    job = make_job(bench, "control", source, rows, sim, limits={"concurrency": width})
    chance = random.Random(1)
    seen = attack(
        job, sim, lambda: bench.start("run", job.config, before=before, command=FREED_EARLY), kills=4, requests=300, chance=chance
    )
    yield Claim(
        "negative control: worker freed at the reply",
        f"caught: twice > {width}",
        f"{seen.kills} kills, worst {seen.worst} {seen.wrong[:1] or ''}",
        seen.worst > width,
    )


def attacked(bench: Bench, sim, job, what: str, number: int, requests: int, before=()) -> Claims:
    seed = random.randrange(10**6)
    start = time.monotonic()
    seen = attack(
        job,
        sim,
        lambda: bench.start("run", job.config, before=before),
        kills=number,
        requests=requests,
        chance=random.Random(seed),
    )
    ended = bench.run("run", job.config, "--json")
    wrong = seen.wrong + mistakes_in(job.output, kept_of_csv(job.rows))
    twice, most = sim.stats()["digests"]["extra"], seen.worst
    text = f"{seen.kills} kills over {job.rows} rows, {len(wrong)} wrong, {twice} twice, worst kill {most};"
    text += f" {time.monotonic() - start:.0f} s"
    if wrong or ended.code:
        text += f"; seed {seed}, exit {ended.code}, {wrong[:3]} {ended.err[-300:]}"
    held = seen.kills == number and not wrong and ended.code == 0 and most <= job.concurrency and twice == sum(seen.lost)
    yield Claim(what, f"0 lost, twice ≤ {job.concurrency} a kill", text, held)


def terminated(bench: Bench) -> Claims:
    rows, number = 2000, 6
    sim = bench.simulate("--latency", "0.2", "--faults", "0.1")
    job = make_job(bench, "terminated", write_csv(bench.root / "terminated.csv", rows), rows, sim, limits={"concurrency": 64})
    chance, codes, sums = random.Random(), [], []
    for _ in range(number):
        running, until = bench.start("run", job.config), sim.requests + chance.randint(1, 300)
        while running.alive and sim.requests < until:
            time.sleep(0.01)
        running.signal(signal.SIGTERM)
        codes.append(running.wait().code)
        status = bench.run("status", job.config, "--json")
        sums.append(status.code == 0 and adds_up(status.summary, rows))
    ended = bench.run("run", job.config, "--json")
    wrong = mistakes_in(job.output, kept_of_csv(rows))
    twice = sim.stats()["digests"]["extra"]
    seen = f"exits {codes}, then {ended.code}; {twice} twice, {len(wrong)} wrong"
    yield Claim(
        f"{number} SIGTERMs at random moments",
        "exit 3, served twice 0",
        seen,
        codes == [3] * number and ended.code == 0 == twice and not wrong,
    )
    yield Claim("status --json after each of them", "rows = ok + failed + pending", f"{sum(sums)} of {number}", all(sums))


def status_after_kill(bench: Bench) -> Claims:
    rows = 2000
    sim = bench.simulate("--latency", "0.2")
    job = make_job(bench, "looked", write_csv(bench.root / "looked.csv", rows), rows, sim, limits={"concurrency": 32})
    right = 0
    for turn in (1, 2, 3):
        running = bench.start("run", job.config)
        while running.alive and sim.requests < 100 * turn:
            time.sleep(0.01)
        during = bench.run("status", job.config, "--json")
        running.kill()
        after = bench.run("status", job.config, "--json")
        right += all(each.code == 0 and adds_up(each.summary, rows) and each.summary["ok"] > 0 for each in (during, after))
    yield Claim("status --json beside a run and after kill -9", "rows = ok + failed + pending", f"{right} of 3", right == 3)


def wrong_key(bench: Bench) -> Claims:
    rows = 300
    sim = bench.simulate("--latency", "0.05", "--require-key-env", KEY_VARIABLE)
    for provider in ("openai", "segmind"):
        endpoint = {"provider": provider, "base_url": f"{sim.url}/v1"}
        job = make_job(
            bench, f"key-{provider}", write_csv(bench.root / f"key-{provider}.csv", rows), rows, sim, endpoint=endpoint
        )
        before = sim.requests
        refused = bench.run("run", job.config, "-vv", key=WRONG_KEY)
        asked = sim.requests - before
        right = bench.run("run", job.config, "-vv")
        wrong = mistakes_in(job.output, kept_of_csv(rows))
        seen = f"exit {refused.code}, {asked} requests, then exit {right.code}, {len(wrong)} wrong"
        held = refused.code == 5 and 0 < asked <= 5 and right.code == 0 and not wrong
        yield Claim(f"wrong key ({provider}), then the right one", "exit 5, ≤ 5 requests, then 0", seen, held)


def changed_prompt(bench: Bench) -> Claims:
    rows = 400
    sim = bench.simulate("--latency", "0.05")
    job = make_job(bench, "changed", write_csv(bench.root / "changed.csv", rows), rows, sim, limits={"concurrency": 8})
    first = bench.run("run", job.config, "--json", "-n", "100")
    before = sim.requests
    prompt = ("--prompt", "Another one: {{ text }} digest:{{ digest }}")
    refused = bench.run("run", job.config, *prompt)
    asked = sim.requests - before
    named = "prompt" in refused.err and "--keep-done" in refused.err
    seen = f"first exit {first.code}; exit {refused.code}, {asked} requests, {'named' if named else refused.err}"
    yield Claim("changed prompt", "exit 2, 0 requests, named", seen, (first.code, refused.code, asked, named) == (0, 2, 0, True))
    ended = bench.run("run", job.config, *prompt, "--keep-done")
    wrong = mistakes_in(job.output, kept_of_csv(rows))
    asked = sim.requests - before
    seen = f"exit {ended.code}, {asked} requests, {len(wrong)} wrong"
    yield Claim(
        "--keep-done goes on", "exit 0, only the other 300 asked", seen, ended.code == 0 and asked == rows - 100 and not wrong
    )


def second_run(bench: Bench) -> Claims:
    rows = 2000
    sim = bench.simulate("--latency", "0.2")
    job = make_job(bench, "held", write_csv(bench.root / "held.csv", rows), rows, sim, limits={"concurrency": 16})
    first = bench.start("run", job.config)
    while first.alive and sim.requests < 20:
        time.sleep(0.01)
    tries = [bench.run("run", job.config) for _ in range(3)]
    named = all(str(first.process.pid) in each.err for each in tries)
    alive = first.alive
    first.signal(signal.SIGTERM)
    first.wait()
    slowest = max(each.seconds for each in tries)
    seen = f"exits {[each.code for each in tries]} in ≤ {slowest:.2f} s, {'holder named' if named else tries[0].err}"
    yield Claim(
        "second run on a held job",
        "exit 4 within 1 s",
        seen,
        alive and named and slowest <= 1.0 and all(each.code == 4 for each in tries),
    )


def memory(bench: Bench) -> Claims:
    peaks, seen = [], []
    for rows in (20_000, 200_000):
        source = bench.root / f"many-{rows}.csv"
        text = "".join(f"{row},some words about row {row}\n" for row in range(rows))
        source.write_text(f"id,text\n{text}")
        prompt = {"user": "{{ text }}"}
        with Endpoints(bench.root, core="", nginx=None).at_once() as url:  # not the simulator, which would take most of the time
            endpoint = SimpleNamespace(url=url.removesuffix("/v1"))
            job = make_job(bench, f"many-{rows}", source, rows, endpoint, prompt=prompt, limits={"concurrency": 64})
            ended = bench.peak_of("run", job.config, "--json")
        peaks.append(ended.peak)
        right = ended.code == 0 and ended.summary["ok"] == rows
        seen.append(f"{ended.peak / 2**20:.0f} MB in {ended.seconds:.0f} s{'' if right else f' EXIT {ended.code}'}")
    ratio = peaks[1] / peaks[0]
    yield Claim(
        "peak memory of 200,000 rows beside 20,000",
        "≤ 1.2 times",
        f"{ratio:.2f} ({seen[1]} beside {seen[0]})",
        ratio <= 1.2 and "EXIT" not in str(seen),
    )


def one_row_group(bench: Bench) -> Claims:
    peaks, seen, size = [], [], 200_000
    for rows in (300, 1500):
        sim = bench.simulate("--latency", "0")
        source = write_pictures(bench.root / f"group-{rows}.parquet", rows, size, group=rows)
        prompt = {"user": "{{ text }}", "images": "photo"}
        job = make_job(bench, f"group-{rows}", source, rows, sim, prompt=prompt, limits={"concurrency": 16})
        ended = bench.peak_of("run", job.config, "--json")
        peaks.append(ended.peak)
        seen.append(f"{ended.peak / 2**20:.0f} MB{f' EXIT {ended.code}' if ended.code else ''}")
        sim.running.signal(signal.SIGTERM)
    ratio = peaks[1] / peaks[0]
    yield Claim(
        "peak memory of one row group of 300 MB of pictures beside one of 60 MB",
        "≤ 1.2 times",
        f"{ratio:.2f} ({seen[1]} beside {seen[0]})",
        ratio <= 1.2 and "EXIT" not in str(seen),
    )


def canary(bench: Bench) -> Claims:
    search = Search([CANARY, WRONG_KEY])
    files = [path for path in sorted(bench.root.rglob("*")) if path.is_file()]
    kinds = {path.suffix for path in files}  # a search of nothing does not count
    found = search.found(files)
    blind = search.blind_to(CANARY, bench.root / "planted")
    yield Claim(
        f"the keys in {len(files)} files: records, outputs, streams at -vv",
        "in none, a planted one found",
        f"the search is blind to {blind}" if blind else ", ".join(found[:5]) or "in none, the planted one found",
        not blind and not found and kinds >= {".db", ".parquet", ".out", ".err"},
    )


TRIALS: dict[str, tuple[Trial, ...]] = {
    # At the same time where some mostly wait: for the minute's limit, a slow disk, a reply. What measures a time stands alone.
    "jobs": (csv_job, image_job, kills),
    "stops": (slow_disk, in_turn(terminated, status_after_kill, wrong_key, changed_prompt), of(CLAIMED)),
    "second": (second_run,),
    "memory": (memory, one_row_group),
    "canary": (canary,),
}


if __name__ == "__main__":
    sys.exit(tried(TRIALS, sys.argv[1:]))
