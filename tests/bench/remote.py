"""The workloads whose data lie in an object store, on loopback."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.request import urlopen

from pipeline.simulate import Simulator, SimulatorSettings, serve
from tests.bench.data import write_pictures, write_texts
from tests.bench.machine import HERE
from tests.bench.measure import Rounds
from tests.bench.store import BUCKET, FOLDER, STATS, access
from tests.bench.workloads import ROWCALL, Bench
from tests.storage.server import S3Server

_RESUMED_ROWS = 20
_LONGEST_S = 600


def remote(bench: Bench) -> None:
    """Pictures in Parquet files that lie in a store: memory, at two sizes of the input, and what is fetched of it."""
    few, many = (_streamed(bench, objects) for objects in bench.sizes.s3_objects)
    peak, times = many.peak_mb, many.peak_mb / few.peak_mb
    less, more = (each.rows * bench.sizes.s3_bytes / 1e9 for each in (few, many))
    bench.found(f"S3: peak memory with {more:g} GB of remote input", "≤ 400 MB", f"{peak:.0f} MB", peak <= 400)
    bench.found(f"S3: beside that with {less:g} GB", "≤ 1.2 times", f"{times:.2f} times", times <= 1.2)


def _streamed(bench: Bench, objects: int) -> Rounds:
    sizes = bench.sizes
    rows = objects * sizes.s3_rows
    with bench.input("object") as one, ExitStack() as stack:
        write_pictures(one, sizes.s3_rows, sizes.s3_bytes)
        store = stack.enter_context(bench.endpoints.objects(one, objects))
        url = stack.enter_context(bench.endpoints.at_once())
        name = f"S3: {rows:,} images of {sizes.s3_bytes // 1000} kB in {objects:,} objects, 64 at a time"
        more = ("--image", "photo", "--set", "output.columns=[text]")
        client = bench.rowcall(f"s3://{BUCKET}/{FOLDER}/", url, rows, 64, *more, env=access(store))
        seen = bench.compare(name, {ROWCALL: client}, rounds=1)[ROWCALL]
        with urlopen(f"{store}/{STATS}") as said:
            fetched = json.load(said)["bytes"] / (objects * one.stat().st_size)
    bench.found(f"S3: bytes fetched for {rows:,} images beside their size", "≤ 1.1 times", f"{fetched:.2f} times", fetched <= 1.1)
    return seen


def resume(bench: Bench) -> None:
    """A job of many parts whose output lies in a store: how long it takes to the first request for what joined since."""
    parts, rows = bench.sizes.resume_parts, bench.sizes.resume_part_rows
    folder = bench.folder / "resume"
    (folder / "in").mkdir(parents=True)
    print(f"resume: {parts:,} parts on S3", file=sys.stderr, flush=True)
    with S3Server() as server, serve(SimulatorSettings()) as sim:
        bucket = server.make_bucket("resume")
        command = [
            *(sys.executable, "-m", "pipeline", "run", "-q", "-i", str(folder / "in"), "-o", f"s3://{bucket}/out/"),
            *("-p", "{{ text }}", "--provider", "openai", "-m", "any", "--set", f"endpoint.base_url={sim.base_url}"),
            *("--set", f"checkpoint.dir={folder / 'record'}", "--set", f"checkpoint.part_rows={rows}"),
        ]
        write_texts(folder / "in" / "first.parquet", parts * rows, 50)
        _ran(command, server, sim)
        published = len(server.keys(bucket, "out/part-"))
        write_texts(folder / "in" / "later.parquet", _RESUMED_ROWS, 50)
        took = _ran(command, server, sim)
        if published != parts or sim.stats()["requests"] != parts * rows + _RESUMED_ROWS:
            sys.exit(f"bench: {published} parts were published, and {sim.stats()['requests']} requests were sent")
    text = f"resume: from the start to the first request, {parts:,} parts on S3"
    bench.found(text, "≤ 10 s", f"{took:.1f} s", took <= 10)


def _ran(command: Sequence[str], server: S3Server, sim: Simulator) -> float:
    """Run it to its end; give the seconds to its first request."""
    before, began = sim.stats()["requests"], time.perf_counter()
    process = subprocess.Popen(command, cwd=HERE, env={**os.environ, **server.env})
    try:
        while sim.stats()["requests"] == before and process.poll() is None:
            time.sleep(0.002)
        took = time.perf_counter() - began
        if code := process.wait(_LONGEST_S):
            sys.exit(f"bench: exit {code} from {' '.join(command)}")
        return took
    finally:
        process.kill()
