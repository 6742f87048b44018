"""Kills of a job that publishes to a bucket again and again, and somebody who reads there all the while."""

import json
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from tests.storage.server import S3Server
from tests.whole.harness import Bench, JobOnDisk, Running, Simulator, digest_of, make_job, write_csv

STEP = 120  # rows that each publish adds
PART = 50
CONCURRENCY = 16


@dataclass
class Reader:
    """Reads the output as anybody does, by the manifest where there is one, until it is left.

    `whole` looks found a right dataset, `absent` none yet; `errors` is what looks ended with that came while objects were
    replaced: loud, and mended by looking again. `wrong` is what nobody may ever see. Whatever else ends a look ends the reader,
    and is raised when it is left: one that sees nothing any more proves nothing.
    """

    s3: S3Server
    bucket: str
    is_directory: bool
    whole: int = 0
    absent: int = 0
    errors: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> "Reader":
        self._files = fs.S3FileSystem(access_key="test", secret_key="test", region="us-east-1", endpoint_override=self.s3.url)
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._polling = self._pool.submit(self._poll)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown(wait=False)
        self._polling.result(60)

    def _poll(self) -> None:
        while not self._over.wait(0.05):
            self.look()

    def look(self) -> None:
        try:
            paths, rows = self._named()
            table = ds.dataset(paths, format="parquet", filesystem=self._files).to_table(use_threads=False)
        except FileNotFoundError:
            self.absent += 1
        except (OSError, pa.ArrowException, json.JSONDecodeError) as error:  # a manifest can be torn as well as a file
            self.errors.append(str(error)[:200])
        else:
            mistakes = mistakes_of(table, table.num_rows if rows is None else rows)
            self.wrong += mistakes
            self.whole += not mistakes

    def _named(self) -> tuple[list[str], int | None]:
        if not self.is_directory:
            return [f"{self.bucket}/out.parquet"], None
        with self._files.open_input_stream(f"{self.bucket}/out/_manifest.json") as file:
            manifest: dict[str, Any] = json.loads(file.read())
        return [f"{self.bucket}/out/{each['name']}" for each in manifest["files"]], manifest["rows"]


def mistakes_of(table: pa.Table, rows: int) -> list[str]:
    """Say what is wrong with an output that should hold the first so many rows, whole."""
    if table["id"].to_pylist() != [f"{row:06d}" for row in range(rows)] or rows % STEP:
        return [f"{table.num_rows} rows where {rows} were meant, or not in order"]
    wrong = []
    for row, (status, text) in enumerate(zip(table["status"].to_pylist(), table["completion"].to_pylist(), strict=True)):
        if status == "ok" and re.findall(r"digest:(\w+)", text or "") != [digest_of(row)]:
            wrong.append(f"row {row}: the completion {text!r} is not its own")
    return wrong


@dataclass
class Struck:
    """What kills did. `publishing` of them left a publish announced and not finished; `worst` rows were asked twice for one."""

    kills: int = 0
    publishing: int = 0
    publishes: int = 0
    twice: int = 0
    worst: int = 0
    wrong: list[str] = field(default_factory=list)


def remote_job(bench: Bench, sim: Simulator, bucket: str, *, is_directory: bool, rows: int) -> JobOnDisk:
    """Make a job whose output lies in a bucket, and its record where the one of a local output would lie."""
    name = "folder" if is_directory else "file"
    return make_job(
        *(bench, name, write_csv(bench.root / f"{name}.csv", rows), rows, sim),
        limits={"concurrency": CONCURRENCY},
        retry={"max_attempts": 1},  # so that a few rows fail, and their parts change when they are asked again
        output={"path": f"s3://{bucket}/out/" if is_directory else f"s3://{bucket}/out.parquet"},
        checkpoint={"part_rows": PART, "dir": str(bench.root / name / "out.parquet.rowcall")},
    )


def strike(bench: Bench, sim: Simulator, job: JobOnDisk, s3: S3Server, *, kills: int, chance: random.Random) -> Struck:
    """Run the job with ever more rows, kill -9 it at so many random moments, every other one of them while it publishes.

    A publish may be done before it is struck. If all others were, the last kill strikes as soon as one has begun.
    """
    struck, rows, ok = Struck(), STEP, 0
    while struck.kills < kills or struck.publishes == 0:
        again = ["--retry-failed"] if struck.publishes and chance.random() < 0.4 else []
        running = bench.start("run", job.config, "--limit", str(rows), *again, env=s3.env)
        if struck.kills < kills:
            if struck.kills % 2 == 0:
                _await_moment(running, sim, chance)
            else:
                at_once = struck.kills >= kills - 2 and not struck.publishing
                _await_publish(running, job, 0 if at_once else chance.uniform(0, 0.25))
        if struck.kills < kills and running.kill():
            struck.kills += 1
            struck.publishing += announced(job)
        else:
            ended = running.wait()
            if ended.code not in (0, 1):  # 1: some rows failed, as they are meant to
                struck.wrong.append(ended.err[-300:])
                return struck
            struck.publishes += 1
            rows = min(rows + STEP, job.rows)
        now = job.look()["ok"]
        if now < ok:
            struck.wrong.append(f"kill {struck.kills} lost recorded rows: {ok} -> {now}")
        twice = sim.served() - now - struck.twice
        struck.twice, struck.worst, ok = struck.twice + twice, max(struck.worst, twice), now
    return struck


def announced(job: JobOnDisk) -> bool:
    """Whether a publish has been begun and not finished."""
    path = job.record / "job.json"
    return path.exists() and json.loads(path.read_bytes().partition(b"\n")[2])["announced"] is not None


def _await_moment(running: Running, sim: Simulator, chance: random.Random) -> None:
    until, requests = time.monotonic() + 30, sim.requests + chance.randint(1, STEP)
    while running.alive and sim.requests < requests and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(chance.uniform(0, 0.05))


def _await_publish(running: Running, job: JobOnDisk, delay: float) -> None:
    until = time.monotonic() + 30
    while running.alive and not announced(job) and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(delay)


def finished(bench: Bench, job: JobOnDisk, s3: S3Server) -> None:
    """Bring the job to its end: all rows, none failed."""
    for _ in range(20):
        if bench.run("run", job.config, "--retry-failed", env=s3.env).code == 0:
            return
    raise AssertionError("rows go on failing")


def killed_while_read(bench: Bench, s3: S3Server, *, is_directory: bool, kills: int) -> tuple[Struck, Reader]:
    """Kill a job so many times while its output is read, and finish it; whatever is wrong then is in `wrong`."""
    bucket = s3.make_bucket(f"kills-{'folder' if is_directory else 'file'}-{random.randrange(10**9)}")
    rows = 2 * STEP * kills
    sim = bench.simulate("--latency", "0.02", "--faults", "0.05")
    job = remote_job(bench, sim, bucket, is_directory=is_directory, rows=rows)
    with Reader(s3, bucket, is_directory) as reader:
        struck = strike(bench, sim, job, s3, kills=kills, chance=random.Random())
        finished(bench, job, s3)
    before = reader.whole
    reader.look()
    for right, wrong in (
        (struck.kills == kills, f"{struck.kills} kills of {kills}"),
        (struck.publishing, "no publish was struck"),
        (struck.worst <= CONCURRENCY, f"{struck.worst} rows asked twice for one kill"),
        (sim.served() - rows == struck.twice, f"{sim.served()} replies for {rows} rows, {struck.twice} lost by kills"),
        (s3.unfinished(bucket) == [], "unfinished uploads were left"),
        (listed(job.record / "outbox") == listed(job.record / "parts") == [], "files were left in the record"),
        (reader.whole == before + 1, f"the finished output is not read: {reader.errors[-1:]}"),
    ):
        struck.wrong += [] if right else [wrong]
    struck.wrong += reader.wrong
    return struck, reader


def listed(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []
