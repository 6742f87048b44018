"""The workloads whose data lie in an object store, on loopback."""

import json
from contextlib import ExitStack
from urllib.request import urlopen

from tests.bench.data import write_pictures
from tests.bench.measure import Rounds
from tests.bench.store import BUCKET, FOLDER, STATS, access
from tests.bench.workloads import ROWCALL, Bench


def remote(bench: Bench) -> None:
    """Pictures in Parquet files that lie in a store: memory, at two sizes of the input, and what is fetched of it."""
    few, many = (_streamed(bench, objects) for objects in bench.sizes.s3_objects)
    peak, times = many.peak_mb, many.peak_mb / few.peak_mb
    less, more = (each.rows * bench.sizes.s3_bytes / 1e9 for each in (few, many))
    bench.found(f"S3: peak memory with {more:g} GB of remote input", "≤ 400 MB", f"{peak:.0f} MB", peak <= 400)
    bench.found(f"S3: beside that with {less:g} GB", "≤ 1.1 times", f"{times:.2f} times", times <= 1.1)


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
