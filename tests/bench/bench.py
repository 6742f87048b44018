"""Rows a second of `rowcall run` beside the least a program can do with aiohttp, in alternation: python -m tests.bench.bench

Both ask the same simulated endpoint, a process of its own, the same text rows from Parquet, and write Parquet. The bare loop has
workers over an iterator, orjson and uvloop, and no journal, no retry, no limits. Only the ratio means anything: this
machine's other work disturbs both alike.
"""

import asyncio
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

ROWS = 10_000
CONCURRENCY = 64
ROUNDS = 3
ROWCALL = [sys.executable, "-m", "pipeline"]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [f"{number} " + "a question of some length. " * 18 for number in range(ROWS)]
        pq.write_table(pa.table({"text": texts}), folder / "rows.parquet")
        command = [*ROWCALL, "simulate", "--port", "0", "--latency", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = re.search(r"http://\S+/v1", server.stdout.readline())
            assert url is not None
            compare(folder, url.group())
        finally:
            server.terminate()
            server.wait()


def compare(folder: Path, url: str) -> None:
    print(f"{ROWS:,} rows of 500 characters, concurrency {CONCURRENCY}, {os.cpu_count()} cores, {ROUNDS} rounds in alternation")
    seen: dict[str, list[tuple[float, float, float]]] = {"bare loop": [], "rowcall run": []}
    for number in range(ROUNDS):
        seen["bare loop"].append(measured(lambda: subprocess.run([sys.executable, __file__, "bare", folder, url], check=True)))
        seen["rowcall run"].append(measured(lambda at=number: subprocess.run(run(folder, url, at), check=True)))
    print(f"{'':12} {'rows/s':>9} {'CPU s per 1,000 rows':>21} {'peak MB':>8}")
    for name, rounds in seen.items():
        seconds, cpu, peak = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(f"{name:12} {ROWS / seconds:9,.0f} {cpu * 1000 / ROWS:21.3f} {peak:8.0f}")
    ratios = [bare[0] / ours[0] for bare, ours in zip(seen["bare loop"], seen["rowcall run"], strict=True)]
    print(f"rowcall's rows/s are {statistics.median(ratios):.2f} of the bare loop's (journal on, every commit synced)")


def run(folder: Path, url: str, number: int) -> list[str]:
    return [
        *ROWCALL, "run", "-q", "-i", str(folder / "rows.parquet"), "-p", "{{ text }}", "--provider", "openai", "-m", "simulated",
        "--set", f"endpoint.base_url={url}", "-c", str(CONCURRENCY), "-o", str(folder / f"out{number}.parquet"),
    ]  # fmt: skip


def measured(work: Callable[[], object]) -> tuple[float, float, float]:
    """Give seconds, CPU seconds and the peak memory in MB of a child process (the largest so far)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu, after.ru_maxrss / 1024


async def bare(folder: Path, url: str) -> None:
    """The bare loop: what a careful person writes in thirty lines."""
    texts = pq.read_table(folder / "rows.parquet")["text"].to_pylist()
    answers: list[str | None] = [None] * len(texts)
    rows = iter(enumerate(texts))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:

        async def worker() -> None:
            for index, text in rows:
                body = orjson.dumps({"model": "simulated", "messages": [{"role": "user", "content": text}]})
                async with session.post(f"{url}/chat/completions", data=body) as answer:
                    answers[index] = json.loads(await answer.read())["choices"][0]["message"]["content"]

        async with asyncio.TaskGroup() as crew:
            for _ in range(CONCURRENCY):
                crew.create_task(worker())
    pq.write_table(pa.table({"text": texts, "completion": answers}), folder / "bare.parquet")


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        uvloop.run(bare(Path(sys.argv[2]), sys.argv[3]))
    else:
        main()
