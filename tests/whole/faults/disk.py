"""Disks that are full, read-only or slow to say so, and processes that are stopped for a while."""

import csv
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.small_disk import small_disk, why_no_small_disk
from tests.whole.harness import (
    Bench,
    Ended,
    JobOnDisk,
    Running,
    Simulator,
    digest_of,
    kept_of_csv,
    make_job,
    mistakes_in,
    write_csv,
)
from tests.whole.table import Claim, Claims

CONCURRENCY = 16

# A program of the user's own that forks while rowcall runs in it, as process pools do.
FORKS = """
import os, sys, threading, time
from pathlib import Path
from pipeline import Job, run_job

def fork():
    time.sleep(2)
    child = os.fork()
    if child == 0:
        time.sleep(120)
        os._exit(0)
    Path(sys.argv[2]).write_text(str(child))

threading.Thread(target=fork, daemon=True).start()
run_job(Job.load(sys.argv[1]))
"""


def waited(condition: Callable[[], object], running: Running, seconds: float = 60.0) -> bool:
    """Wait until the condition holds; False if the command ended or the time was up before."""
    until = time.monotonic() + seconds
    while not condition():
        if not running.alive or time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def job_on(bench: Bench, sim: Simulator, name: str, rows: int, **changes: Any) -> JobOnDisk:
    """Make a job of CSV rows in the folder of that name, which may be a disk of its own; its input lies elsewhere."""
    source = bench.root / f"{name}.csv"
    write_csv(source, rows)
    return make_job(bench, name, source, rows, sim, **{"limits": {"concurrency": CONCURRENCY}, **changes})


def paused(running: Running) -> bool:
    return "nothing new is sent for a minute" in running.err.read_text()


def one_line(ended: Ended, *words: str) -> list[str]:
    """Give what is wrong with what a command said: no traceback, and a line with each of these words."""
    wrong = [f"{word!r} is not said" for word in words if not any(word in line for line in ended.err.splitlines())]
    if "Traceback" in ended.err or "bug in rowcall" in ended.err:
        wrong.append("a traceback")
    return [*wrong, ended.err[-300:]] if wrong else []


def finish(bench: Bench, job: JobOnDisk, sim: Simulator, kept: Mapping[str, Sequence[Any]] | None = None) -> list[str]:
    """Run the job to its end, and give what is wrong with it: rows lost, changed or asked twice."""
    ended = bench.run("run", job.config, "--json")
    if ended.code:
        return [f"then exit {ended.code}: {ended.err[-300:]}"]
    wrong = [] if ended.summary["ok"] == job.rows else [f"{ended.summary['ok']} of {job.rows} ok"]
    if extra := sim.stats()["digests"]["extra"]:
        wrong.append(f"{extra} asked twice")
    return wrong + mistakes_in(job.output, kept_of_csv(job.rows) if kept is None else kept)


def full_while_recording(bench: Bench) -> Claims:
    """Somebody fills the disk within a second, in the middle of a run, and leaves it full."""
    text, goal = "disk filled while recording", "exit 3 after a minute, 0 lost, 0 asked twice"
    if why := why_no_small_disk():
        yield Claim(text, goal, why, None)
        return
    sim = bench.simulate("--latency", "0.2")
    with small_disk(bench.root / "recording", "size=200m") as disk:
        job = job_on(bench, sim, "recording", 3000)
        running = bench.start("run", job.config, "--json")
        waited(lambda: sim.requests > 400, running)
        disk.fill()
        began = time.monotonic()
        ended = running.wait()
        pause, served, kept = time.monotonic() - began, sim.served(), job.look()["ok"]
        wrong = one_line(ended, "MB are free", str(job.record))
        wrong += [] if served == kept else [f"{served} served, {kept} on record"]
        disk.relieve()
        wrong += finish(bench, job, sim)
        held = ended.code == 3 and not wrong and pause < 75
        yield Claim(
            text, goal, f"exit {ended.code} after {pause:.0f} s; {served} served, {kept} recorded; {wrong or 'then all'}", held
        )


def full_for_a_while(bench: Bench, rows: int = 3000, seconds: float = 10) -> Claims:
    """The same, but room comes back during the pause."""
    text, goal = f"the same, room back after {seconds + 5:g} s", "the run goes on by itself, exit 0"
    if why := why_no_small_disk():
        yield Claim(text, goal, why, None)
        return
    sim = bench.simulate("--latency", "0.2")
    with small_disk(bench.root / "while", "size=200m") as disk:
        job = job_on(bench, sim, "while", rows)
        running = bench.start("run", job.config, "--json")
        waited(lambda: sim.requests > 300, running)
        disk.fill()
        paused_ = waited(lambda: paused(running), running)
        time.sleep(3)
        before = sim.requests
        time.sleep(seconds)
        meanwhile = sim.requests - before
        disk.relieve()
        ended = running.wait()
        wrong = finish(bench, job, sim) if ended.code == 0 else [ended.err[-300:]]
        held = ended.code == 0 and paused_ and not meanwhile and not wrong
        yield Claim(
            text, goal, f"exit {ended.code}; {meanwhile} requests in {seconds:g} s of the pause; {wrong or 'all rows'}", held
        )


def outgrown(bench: Bench) -> Claims:
    """The job itself needs more than the disk has."""
    text, goal = "the record outgrows its disk", "pauses before anything fails, exit 3, 0 lost"
    if why := why_no_small_disk():
        yield Claim(text, goal, why, None)
        return
    sim = bench.simulate("--latency", "0.05")
    with small_disk(bench.root / "outgrown", "size=64m") as disk:
        job = incompressible(bench, sim, "outgrown", 6000)
        ended = bench.run("run", job.config, "--json")
        served, kept, room = sim.served(), job.look()["ok"], disk.free >> 20
        wrong = one_line(ended, "MB are free")
        disk.remount("size=300m")
        wrong += finish(bench, job, sim, digests(job))
        held = ended.code == 3 and served == kept < job.rows and not wrong
        yield Claim(
            text, goal, f"exit {ended.code} with {room} MB free; {served} served, {kept} recorded; {wrong or 'then all'}", held
        )


def full_at_publish(bench: Bench, rows: int = 3000) -> Claims:
    """The output's disk takes the record's, but not the output."""
    text, goal = "output's disk full at publish", "exit 3; then published with 0 requests"
    if why := why_no_small_disk():
        yield Claim(text, goal, why, None)
        return
    sim = bench.simulate("--latency", "0.05")
    with small_disk(bench.root / "publish", "size=40m") as disk:
        job = incompressible(bench, sim, "publish", rows, checkpoint={"dir": str(bench.root / "publish-record")})
        running = bench.start("run", job.config, "--json")
        waited(lambda: sim.requests > 200, running)
        disk.fill(leave=5 << 20)  # more than a run needs to go on, less than the output
        ended = running.wait()
        left = sorted(each.name for each in disk.path.iterdir() if each.name.startswith(".rowcall"))
        before = sim.requests
        wrong = one_line(ended, str(job.output), "every row is recorded")
        wrong += [f"left behind: {left}"] if left else []
        disk.relieve()
        wrong += finish(bench, job, sim, digests(job))
        asked = sim.requests - before
        held = ended.code == 3 and not wrong and not asked
        yield Claim(text, goal, f"exit {ended.code}, then {asked} requests; {wrong or 'all rows'}", held)


def digests(job: JobOnDisk) -> dict[str, list[str]]:
    return {"digest": [digest_of(row) for row in range(job.rows)]}


def incompressible(bench: Bench, sim: Simulator, name: str, rows: int, **changes: Any) -> JobOnDisk:
    """Make a job whose kept column takes 12 kB a row, also compressed."""
    source, chance = bench.root / f"{name}.csv", random.Random(0)
    with source.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "digest", "blob"))
        writer.writerows(("t", digest_of(row), chance.randbytes(6000).hex()) for row in range(rows))
    changes = {"limits": {"concurrency": CONCURRENCY}, **changes}
    changes["checkpoint"] = {"part_rows": 500, "max_open_megabytes": 4, **changes.get("checkpoint", {})}
    return make_job(bench, name, source, rows, sim, **changes)


def read_only_at_the_start(bench: Bench) -> Claims:
    text, goal = "output folder read-only", "exit 2 before the first request"
    if why := why_no_small_disk():
        yield Claim(text, goal, why, None)
        return
    sim = bench.simulate()
    with small_disk(bench.root / "readonly") as disk:
        record = bench.root / "readonly-record"
        job = job_on(bench, sim, "readonly", 50, checkpoint={"dir": str(record)})
        disk.remount("ro")
        ended = bench.run("run", job.config)
        wrong = one_line(ended, str(disk.path), "Read-only file system")
        disk.remount("rw")
        asked = sim.requests
        wrong += finish(bench, job, sim)
        yield Claim(
            text, goal, f"exit {ended.code}, {asked} requests; {wrong or 'then all'}", ended.code == 2 and not asked and not wrong
        )


def stopped_for_a_minute(
    bench: Bench, seconds: float = 60.0, latency: float = 3.0, timeout: float = 10.0, rounds: int = 8
) -> Claims:
    """SIGSTOP while requests are in flight, for longer than their time-out; their replies come meanwhile."""
    sim = bench.simulate("--latency", f"{latency}:0.01")
    job = job_on(bench, sim, f"stopped-{seconds:g}", rounds * CONCURRENCY, endpoint={"timeout_s": timeout})
    running = bench.start("run", job.config, "--json")
    waited(lambda: sim.requests > 2 * CONCURRENCY and sim.stats()["in_flight"] == CONCURRENCY, running)
    running.signal(signal.SIGSTOP)
    time.sleep(seconds)
    running.signal(signal.SIGCONT)
    ended = running.wait()
    if ended.code:
        yield Claim(f"SIGSTOP for {seconds:g} s", "exit 0", f"exit {ended.code}: {ended.err[-300:]}", False)
        return
    summary, extra = ended.summary, sim.stats()["digests"]["extra"]
    wrong = mistakes_in(job.output, kept_of_csv(job.rows))
    if "nobody is answered" in ended.err:
        wrong.append("a false outage")
    yield Claim(
        f"SIGSTOP for {seconds:g} s, time-out {timeout:g} s",
        "0 time-outs, 0 asked twice, no outage",
        f"{summary['retries']} retries, {extra} asked twice; {wrong or 'every row its own answer'}",
        not summary["retries"] and not extra and not wrong and summary["ok"] == job.rows,
    )


def outlived_by_a_child(bench: Bench) -> Claims:
    """A run is killed whose forked child lives on, and would keep the lock."""
    sim = bench.simulate("--latency", "0.2")
    job = job_on(bench, sim, "child", 1000)
    told = bench.root / "child.pid"
    running = bench.start(job.config, told, command=(sys.executable, "-c", FORKS))
    waited(lambda: told.exists() and told.read_text(), running)
    struck = running.kill()
    child = int(told.read_text())
    try:
        ended = bench.run("run", job.config, "--json")
        os.kill(child, 0)  # it lives still
    finally:
        os.kill(child, signal.SIGKILL)
    extra, wrong = sim.stats()["digests"]["extra"], mistakes_in(job.output, kept_of_csv(job.rows)) if ended.code == 0 else []
    yield Claim(
        "kill -9, a forked child lives on",
        f"the next run goes on, at most {CONCURRENCY} asked twice",
        f"exit {ended.code}, {extra} asked twice; {wrong or ended.err[-200:] if ended.code else 'all rows'}",
        struck and ended.code == 0 and extra <= CONCURRENCY and not wrong,
    )
