"""Jobs whose rows workers of a Ray cluster ask: what lost workers cost, whether there is one limit for all, what four give.

The cluster has two nodes, all of it on this machine.
"""

import os
import random
import re
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.distributed.cluster import RayCluster
from tests.whole.faults.endpoints import in_short, wrong_in
from tests.whole.faults.pace import MANNERS, pace
from tests.whole.harness import Bench, Ended, JobOnDisk, Running, Simulator, make_job, write_csv
from tests.whole.table import Claim, Claims

WORKERS, CONCURRENCY = 4, 64


def engine(cluster: RayCluster, workers: int = WORKERS) -> dict[str, Any]:
    # All share two cores here; a worker waits most of the time.
    return {"kind": "ray", "address": cluster.address, "workers": workers, "cpus_per_worker": 0.5}


def wait_for(condition: Callable[[], object], running: Running | None = None, seconds: float = 180.0) -> None:
    """Wait for it; `running` has to go on meanwhile."""
    until = time.monotonic() + seconds
    while not condition():
        assert running is None or running.alive, running.err.read_text()
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def in_flight_of(ended: Ended) -> list[int]:
    """Give how many rows each lost worker had in flight, as the run said."""
    return [int(each) for each in re.findall(r"was lost; (\d+) rows that it had in flight", ended.err)]


def killed(cluster: RayCluster, job: JobOnDisk, bench: Bench, sim: Simulator, times: int, between: int) -> Ended:
    """Run the job, and kill so many workers, one after every `between` requests, each when all are there."""
    chance = random.Random()
    running = bench.start("run", job.config, "--json")
    for _ in range(times):
        wait_for(lambda: len(cluster.workers()) == WORKERS, running)
        before = sim.requests
        wait_for(lambda before=before: sim.requests >= before + between, running)
        os.kill(chance.choice(cluster.workers()), signal.SIGKILL)
    return running.wait()


def losses(bench: Bench, times: int = 10, rows: int = 9000) -> Claims:
    with RayCluster(nodes=2) as cluster:
        sim = bench.simulate("--latency", "0.3")
        limits, name = {"concurrency": CONCURRENCY}, "lost-workers"
        source = write_csv(bench.root / f"{name}.csv", rows)
        job = make_job(bench, name, source, rows, sim, limits=limits, engine=engine(cluster))
        ended = killed(cluster, job, bench, sim, times, between=600)
        wrong, in_flight = wrong_in(job), in_flight_of(ended)
    twice, share = sim.served() - rows, CONCURRENCY // WORKERS
    yield Claim(
        f"1 of {WORKERS} workers lost, {times} times, {CONCURRENCY} at a time",
        f"0 lost, asked twice ≤ {share} a loss",
        f"{len(wrong)} wrong; in flight at the losses: {in_flight}; {twice} asked twice; {in_short(ended, wrong)}",
        not wrong and ended.code == 0 and len(in_flight) == times and max(in_flight) <= share and twice <= sum(in_flight),
    )


def one_limit(bench: Bench) -> Claims:
    with RayCluster(nodes=2) as cluster:
        yield from pace(bench, next(iter(MANNERS)), by=f"{WORKERS} workers", engine=engine(cluster))


def four_beside_one(bench: Bench, each: int = 250, latency_s: float = 1.0, seconds: float = 20.0) -> Claims:
    def rate(cluster: RayCluster, workers: int) -> float:
        sim = bench.simulate("--latency", str(latency_s))
        name, rows = f"of-{workers}", int(each * workers / latency_s * seconds * 3)
        source = write_csv(bench.root / f"{name}.csv", rows)
        limits = {"concurrency": each * workers}
        job = make_job(bench, name, source, rows, sim, limits=limits, engine=engine(cluster, workers))
        running = bench.start("run", job.config, "--json")
        wait_for(lambda: len(cluster.workers()) == workers and sim.requests >= 3 * each * workers, running)
        began, before = time.monotonic(), sim.requests
        time.sleep(seconds)
        answered = (sim.requests - before) / (time.monotonic() - began)
        running.signal(signal.SIGTERM)
        assert running.wait().code == 3
        return answered

    with RayCluster(nodes=2) as cluster:
        one, four = rate(cluster, 1), rate(cluster, 4)
    yield Claim(
        f"4 workers beside 1, {each} in flight each, replies after {latency_s:g} s",
        "≥ 3.6 times the rows",
        f"{four / one:.2f} times: {four:.0f} rows/s beside {one:.0f}",
        four >= 3.6 * one,
    )
