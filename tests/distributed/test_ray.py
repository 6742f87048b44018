"""Jobs on a real Ray cluster of two nodes: workers, a node and the driver are killed; no row is lost, few are paid for twice."""

import hashlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pyarrow.parquet as pq
import pytest
import yaml

from tests.distributed.cluster import RayCluster, processes
from tests.storage.server import S3Server
from tests.whole.faults.fleet import in_flight_of, wait_for
from tests.whole.harness import (
    CANARY,
    KEY_VARIABLE,
    Bench,
    Ended,
    JobOnDisk,
    Simulator,
    kept_of_csv,
    make_job,
    mistakes_in,
    write_csv,
    write_pictures,
)

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(600)]
# All on one node of a multi-node test would be luck.
WORKERS, CONCURRENCY = 4, 32


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(RayCluster(nodes=2, cpus=4))
        except RuntimeError as error:
            pytest.skip(f"Ray starts no cluster on this machine: {error}")
        yield made


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def job_on(cluster: RayCluster, bench: Bench, sim: Simulator, rows: int, name: str = "job", **engine: object) -> JobOnDisk:
    source = bench.root / "in.csv"
    if not source.exists():
        write_csv(source, rows)
    ray = {"kind": "ray", "address": cluster.address, "workers": WORKERS, **engine}
    return make_job(
        bench, name, source, rows, sim, limits={"concurrency": CONCURRENCY}, engine=ray, checkpoint={"part_rows": 300}
    )


def assert_whole(job: JobOnDisk, ended: Ended) -> None:
    assert ended.code == 0, ended.err
    assert ended.summary["ok"] == job.rows
    assert mistakes_in(job.output, kept_of_csv(job.rows)) == []


def not_started(ended: Ended) -> int:
    """Give how many workers were lost before they had joined, as the run said."""
    return ended.err.count(" did not start (")


def test_lost_workers_cost_their_rows_in_flight_and_no_more(cluster: RayCluster, bench: Bench) -> None:
    sim, chance = bench.simulate("--latency", "0.2"), random.Random()
    job = job_on(cluster, bench, sim, 2500)
    running = bench.start("run", job.config, "--json")
    for _ in range(3):
        wait_for(lambda: len(cluster.workers()) == WORKERS, running)
        before = sim.requests
        wait_for(lambda before=before: sim.requests >= before + 400, running)  # all have joined by then, on a quiet machine
        os.kill(chance.choice(cluster.workers()), signal.SIGKILL)
    ended = running.wait()
    assert_whole(job, ended)
    lost = in_flight_of(ended)
    assert lost
    assert len(lost) + not_started(ended) == 3
    assert max(lost) <= -(-CONCURRENCY // (WORKERS - 1)), "a worker's share, while another may not be there yet"
    assert sim.served() - job.rows <= sum(lost) == ended.summary["ambiguous"]


def test_a_lost_node_costs_the_rows_in_flight_of_its_workers(cluster: RayCluster, bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.2")
    job = job_on(cluster, bench, sim, 4000)
    running = bench.start("run", job.config, "--json")
    wait_for(lambda: sim.requests >= 300 and len(cluster.workers()) == WORKERS, running)
    node = cluster.raylets[1]
    there = len(cluster.workers(node))
    os.kill(node, signal.SIGKILL)
    ended = running.wait()
    assert_whole(job, ended)
    assert sim.served() - job.rows <= sum(in_flight_of(ended))
    assert there > 0
    assert len(in_flight_of(ended)) + not_started(ended) >= there


def test_a_job_goes_on_locally_and_in_the_cluster_whoever_died(cluster: RayCluster, bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.2")
    job = job_on(cluster, bench, sim, 1200)
    for engine, requests in (("ray", 300), ("local", 600)):
        running = bench.start("run", job.config, "--engine", engine)
        wait_for(lambda requests=requests: sim.requests >= requests, running)
        assert running.kill()
        wait_for(lambda: not cluster.workers())
        sim.drained()
        assert job.look()["ok"] >= sim.served() - 2 * CONCURRENCY
    ended = bench.run("run", job.config, "--json")
    assert_whole(job, ended)
    assert sim.served() <= job.rows + 2 * CONCURRENCY


def test_an_interrupt_drains_the_fleet(cluster: RayCluster, bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.3")
    job = job_on(cluster, bench, sim, 1000)
    running = bench.start("run", job.config, "--json")
    wait_for(lambda: sim.requests >= 200, running)
    running.signal(signal.SIGTERM)
    ended = running.wait()
    assert ended.code == 3, ended.err
    assert ended.summary["ok"] == sim.served()
    wait_for(lambda: not cluster.workers())


def test_a_signal_that_comes_while_ray_starts_ends_the_run_as_ever(cluster: RayCluster, bench: Bench) -> None:
    job = job_on(cluster, bench, bench.simulate(), 100, address="local")
    running = bench.start("run", job.config, "--json")
    wait_for(lambda: any(parent == running.process.pid and "gcs_server" in name for _, parent, name in processes()), running)
    running.signal(signal.SIGTERM)
    ended = running.wait()
    assert (ended.code, ended.summary["ok"]) == (3, 0), ended.err


def test_a_wrong_key_stops_the_fleet_and_no_key_is_in_the_clusters_logs(cluster: RayCluster, bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.1", "--require-key-env", KEY_VARIABLE)
    job = job_on(cluster, bench, sim, 200)
    ended = bench.run("run", job.config, "--json", key="another")
    assert ended.code == 5, ended.err
    assert sim.requests <= 5
    assert_whole(job, bench.run("run", job.config, "--json"))
    found = subprocess.run(["grep", "-rlaF", CANARY, str(cluster.folder)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_workers_read_pictures_from_a_store_with_the_keys_they_are_given(
    cluster: RayCluster, bench: Bench, s3: S3Server, bucket: str
) -> None:
    sim, rows, photos = bench.simulate("--latency", "0.1"), 40, list[bytes]()
    for part in range(2):  # the cluster was started without the store's keys
        source = write_pictures(bench.root / f"{part}.parquet", rows // 2, 20_000)
        s3.put(bucket, f"in/{part}.parquet", source.read_bytes())
        photos += pq.read_table(source)["photo"].to_pylist()
    job = job_on(cluster, bench, sim, rows)
    images = {"input": {"path": f"s3://{bucket}/in/*.parquet"}, "prompt": {"user": "{{ text }}", "images": "photo"}}
    job.config.write_text(yaml.safe_dump({**yaml.safe_load(job.config.read_text()), **images}))
    ended = bench.run("run", job.config, "--json")
    assert ended.code == 0, ended.err
    assert (ended.summary["ok"], sim.requests) == (rows, rows)
    texts = pq.read_table(job.output)["completion"].to_pylist()
    sums = [hashlib.sha256(photo).hexdigest()[:16] for photo in photos]
    assert [one in text for one, text in zip(sums, texts, strict=True)] == [True] * rows
