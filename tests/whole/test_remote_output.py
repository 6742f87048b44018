"""kill -9 of a job whose output lies in an object store, at random moments of its runs and publishes, while others read it."""

import random
from collections.abc import Iterator

import pytest

from tests.storage.server import S3Server
from tests.whole.harness import Bench
from tests.whole.remote import CONCURRENCY, STEP, Reader, finished, listed, remote_job, strike

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(600)]
KILLS = 20


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


@pytest.mark.parametrize("is_directory", [False, True], ids=["file", "folder"])
def test_kills_lose_no_row_and_show_no_reader_a_wrong_dataset(
    bench: Bench, s3: S3Server, bucket: str, is_directory: bool
) -> None:
    rows = STEP * 40
    sim = bench.simulate("--latency", "0.02", "--faults", "0.05")
    job = remote_job(bench, sim, bucket, is_directory=is_directory, rows=rows)
    with Reader(s3, bucket, is_directory) as reader:
        struck = strike(bench, sim, job, kills=KILLS, chance=random.Random())
        finished(bench, job)
    print(f"{struck}\nreader: {reader.whole} whole, {reader.absent} absent, {len(reader.errors)} errors, {reader.errors[:3]}")
    assert (struck.wrong, reader.wrong) == ([], [])
    assert struck.kills == KILLS and struck.publishing
    assert struck.worst <= CONCURRENCY
    assert sim.served() - rows == struck.twice
    assert s3.unfinished(bucket) == []
    assert listed(job.record / "outbox") == listed(job.record / "parts") == []
    before = reader.whole
    reader.look()
    assert reader.whole == before + 1
