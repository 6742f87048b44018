"""Kills around the end, signals and rival runs against the command over real sockets: nothing is lost, and little is asked twice.

Kills at any moment are a claim of tests/whole/claims.py, which `make test-all` tries too.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.whole.harness import Bench, JobOnDisk, Running, Simulator, kept_of_csv, make_job, mistakes_in, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(400)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def job_of(bench: Bench, sim: Simulator, rows: int, *, concurrency: int, name: str = "job", part_rows: int = 300) -> JobOnDisk:
    source = bench.root / f"{name}.csv"
    if not source.exists():
        write_csv(source, rows)
    return make_job(bench, name, source, rows, sim, limits={"concurrency": concurrency}, checkpoint={"part_rows": part_rows})


def wait_for(condition: Callable[[], object], running: Running, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert running.alive, running.err.read_text()
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


def replies(sim: Simulator) -> int:
    """Count what was served so far, while it goes on."""
    counted = sim.stats()
    return counted["served"] + counted["unread"]


def assert_whole(bench: Bench, job: JobOnDisk) -> None:
    """Finish the job, and prove that every row is there once, in order, with its own answer."""
    ended = bench.run("run", job.config, "--json")
    assert ended.code == 0, ended.err
    assert ended.summary["ok"] == job.rows
    assert mistakes_in(job.output, kept_of_csv(job.rows)) == []


def test_kills_around_the_end_lose_no_row(bench: Bench) -> None:
    """Sealing and publishing are short: to meet them, strike just after the last reply."""
    sim, chance, rows = bench.simulate("--latency", "0"), random.Random(), 600
    struck = 0
    for number in range(25):  # a run may be done before it is struck: go on until six were not
        if struck == 6:
            break
        before = replies(sim)
        job = job_of(bench, sim, rows, concurrency=32, name=f"end-{number}", part_rows=20)
        running = bench.start("run", job.config)
        while running.alive and replies(sim) - before < rows:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.25))
        struck += running.kill()
        assert_whole(bench, job)
        assert replies(sim) - before <= rows + job.concurrency
        assert not list(job.output.parent.glob("*.tmp")) + list(job.output.parent.glob(".*"))
    assert struck == 6, "the runs had ended before they were struck"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_the_run_with_every_reply_on_record(bench: Bench, number: signal.Signals) -> None:
    sim = bench.simulate("--latency", "0.3", "--faults", "0.1")
    job = job_of(bench, sim, 400, concurrency=32)
    for share in (60, 150):
        running = bench.start("run", job.config, "--json")
        wait_for(lambda share=share: sim.requests >= share, running)
        running.signal(number)
        ended = running.wait()
        assert ended.code == 3, ended.err
        assert number.name in ended.summary["stopped"]
        assert ended.summary["ok"] == sim.served() == job.look()["ok"]
        assert ended.seconds < 20
    assert_whole(bench, job)
    assert sim.stats()["digests"]["extra"] == 0


def test_the_second_interrupt_ends_it_at_once(bench: Bench) -> None:
    slow = bench.simulate("--latency", "20")
    job = job_of(bench, slow, 40, concurrency=8)
    running = bench.start("run", job.config)
    wait_for(lambda: slow.stats()["in_flight"] > 0, running)
    running.signal(signal.SIGINT)
    progress = job.record / "progress.json"
    wait_for(lambda: progress.exists() and b"SIGINT" in progress.read_bytes(), running)
    second = time.monotonic()
    running.signal(signal.SIGINT)
    ended = running.wait()
    assert (ended.code, time.monotonic() - second < 1) == (130, True)
    assert "the same command" in ended.err
    # Another port on this machine is the same job.
    assert_whole(bench, job_of(bench, bench.simulate("--latency", "0"), 40, concurrency=8))


def test_a_second_run_is_turned_away_while_the_first_goes_on(bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.4")  # it goes on for ten seconds, also where it takes some until the rivals are up
    job = job_of(bench, sim, 300, concurrency=16)
    first = bench.start("run", job.config)
    wait_for(lambda: sim.requests > 20, first)
    started = [bench.start("run", job.config, *how) for how in ([], ["--fresh"], ["--keep-done"])]
    rivals = [each.wait() for each in started]
    assert [each.code for each in rivals] == [4, 4, 4]
    assert all(str(first.process.pid) in each.err for each in rivals)
    assert first.wait().code == 0
    assert sim.stats()["digests"]["extra"] == 0
    assert_whole(bench, job)


def test_of_runs_started_together_one_works(bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.4")
    job = job_of(bench, sim, 200, concurrency=16)
    codes = sorted(each.wait().code for each in [bench.start("run", job.config) for _ in range(3)])
    assert codes == [0, 4, 4]
    assert sim.stats()["digests"] == {"seen": 200, "served_twice": 0, "extra": 0, "most": 1}
    assert_whole(bench, job)


def test_a_killed_run_does_not_block_the_next(bench: Bench) -> None:
    sim = bench.simulate("--latency", "0.2")
    job = job_of(bench, sim, 200, concurrency=16)
    first = bench.start("run", job.config)
    wait_for(lambda: sim.requests > 20, first)
    assert first.kill()
    assert_whole(bench, job)
