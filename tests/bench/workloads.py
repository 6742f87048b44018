"""The workloads: what is asked, by whom, and which figures that gives beside their goals."""

import heapq
import shutil
import statistics
import sys
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.data import write_picture_files, write_pictures, write_texts
from tests.bench.endpoint import Endpoints
from tests.bench.measure import Client, Rounds, Spent, in_alternation, spent
from tests.bench.sizes import Sizes

BARE, ROWCALL, READY = "bare loop", "rowcall", "bare loop, ready-made bodies"


@dataclass(frozen=True)
class Measured:
    """One line of the first table."""

    workload: str
    client: str
    rounds: Rounds
    bare: Rounds | None


@dataclass(frozen=True)
class Figure:
    """One line of the second table. `held` None: the machine had other work, and the figure means nothing."""

    text: str
    goal: str
    seen: str
    held: bool | None


@dataclass
class Bench:
    """Where things lie, how large they are, and what was seen so far."""

    folder: Path
    core: str
    endpoints: Endpoints
    sizes: Sizes
    rounds: int
    measured: list[Measured] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    capacities: dict[str, float] = field(default_factory=dict)

    def compare(self, workload: str, clients: Mapping[str, Client], rounds: int | None = None) -> dict[str, Rounds]:
        print(workload, file=sys.stderr, flush=True)
        rounds, used = rounds or self.rounds, self.endpoints.cpu()
        seen = in_alternation(clients, rounds)
        self._note_capacity(workload, rounds * sum(each.rows for each in clients.values()), self.endpoints.cpu() - used)
        for name, each in seen.items():
            self.measured.append(Measured(workload, name, each, seen.get(BARE)))
        return seen

    def _note_capacity(self, workload: str, requests: int, cpu: float) -> None:
        """Keep how many such requests a second the server's core has room for, by what it used for these."""
        if cpu > 0.05:  # five ticks of the clock by which CPU time is told
            name = workload.partition(":")[0]
            self.capacities[name] = min(requests / cpu, self.capacities.get(name, requests / cpu))

    def bare(self, source: Path, url: str, rows: int, concurrency: int) -> Client:
        return self._loop("bare", source, url, rows, concurrency)

    def sdk(self, source: Path, url: str, rows: int, concurrency: int) -> Client:
        return self._loop("sdk", source, url, rows, concurrency)

    def _loop(self, name: str, source: Path, url: str, rows: int, concurrency: int) -> Client:
        output = self.folder / "loop.parquet"
        command = [sys.executable, "-m", f"tests.bench.{name}", str(source), url, str(output), str(concurrency)]
        return Client(rows, lambda: spent(command, rows, self.core))

    def rowcall(
        self,
        source: Path | str,
        url: str,
        rows: int,
        concurrency: int,
        *more: str,
        prompt: str = "{{ text }}",
        env: Mapping[str, str] | None = None,
    ) -> Client:
        """Run the job afresh each time, with the record it always keeps; take output and record away after it."""
        output = self.folder / "rowcall" / "out.parquet"
        command = [
            *(sys.executable, "-m", "pipeline", "run", "-q", "--json", "-i", str(source), "-o", str(output)),
            *("--provider", "openai", "-m", "any", "--set", f"endpoint.base_url={url}"),
            *("-p", prompt, "-c", str(concurrency), *more),
        ]

        def run() -> Spent:
            try:
                return spent(command, rows, self.core, env)
            finally:
                shutil.rmtree(output.parent, ignore_errors=True)

        return Client(rows, run)

    def both(self, source: Path, url: str, rows: int, concurrency: int, *more: str) -> dict[str, Client]:
        return {BARE: self.bare(source, url, rows, concurrency), ROWCALL: self.rowcall(source, url, rows, concurrency, *more)}

    def found_beside(self, text: str, least: float, ours: Rounds, other: Rounds, unit: str = "") -> None:
        ratio, thrift = ours.rate_beside(other), ours.thrift_beside(other)
        held = None if other.disturbed else ratio >= least
        self.found(text, f"≥ {least:g}{unit}", f"{ratio:.2f}{unit} ({thrift:.2f} by CPU time)", held)

    def found(self, text: str, goal: str, seen: str, held: bool | None) -> None:
        self.figures.append(Figure(text, goal, seen, held))

    @contextmanager
    def input(self, name: str) -> Iterator[Path]:
        path = self.folder / f"{name}.parquet"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def a(bench: Bench) -> None:
    """Text rows of 500 characters, answered at once; and a few of them by way of the SDK, as users write it."""
    rows, few = bench.sizes.a_rows, bench.sizes.sdk_rows
    with bench.input("a") as source, bench.input("a-few") as short, bench.endpoints.at_once() as url:
        write_texts(source, rows, 500)
        write_texts(short, few, 500)
        sdk = f"openai SDK, gather ({few:,} rows)"
        for width in (64, 256):
            clients = bench.both(source, url, rows, width)
            if width == 64:
                clients[sdk] = bench.sdk(short, url, few, width)
            seen = bench.compare(f"A: {rows:,} text rows, no delay, {width} at a time", clients)
            bench.found_beside(f"A, {width} at a time: rows/s against the bare loop", 0.85, seen[ROWCALL], seen[BARE])
            if width == 64:
                bench.found_beside("A: rows/s against openai SDK and gather", 15, seen[ROWCALL], seen[sdk], " times")


def b(bench: Bench) -> None:
    """A second for each answer, and a thousand under way: what is lost is lost in ramping up, refilling and ending."""
    rows, width, delay = bench.sizes.b_rows, bench.sizes.b_width, bench.sizes.b_delay
    ideal = rows / width * delay
    with bench.input("b") as source, bench.endpoints.delayed(delay) as url:
        write_texts(source, rows, 500)
        name = f"B: {rows:,} text rows, {delay:g} s delay, {width:,} at a time"
        seen = bench.compare(name, bench.both(source, url, rows, width), min(bench.rounds, 3))
    share, theirs = (seen[name].per_second * ideal / rows for name in (ROWCALL, BARE))
    # Its first row is asked alone, so that a wrong key costs one request and not a thousand: one delay more.
    together = ideal / (ideal / share - delay)
    said = f"{share:.2f} ({together:.2f} but for the first row, asked alone; bare loop {theirs:.2f})"
    bench.found(f"B: share of the ideal {ideal:g} s", "≥ 0.93", said, share >= 0.93)


def c(bench: Bench) -> None:
    """Pictures in a binary column, sent as data URIs. The bare loop holds them all; once more with bodies made before."""
    rows = bench.sizes.c_rows
    with bench.input("c") as source, bench.input("c-ready") as ready, bench.endpoints.at_once() as url:
        write_pictures(source, rows, bench.sizes.c_bytes)
        name = f"C: {rows:,} images of {bench.sizes.c_bytes // 1000} kB, 64 at a time"
        # The loop writes no pictures into its output, so neither does rowcall.
        more = ("--image", "photo", "--set", "output.columns=[text]")
        clients = bench.both(source, url, rows, 64, *more)
        clients[READY] = bench.bare(write_pictures(ready, rows, bench.sizes.c_bytes, bodies=True), url, rows, 64)
        seen = bench.compare(name, clients)
    peak = seen[ROWCALL].peak_mb
    bench.found_beside("C: rows/s against the bare loop", 0.9, seen[ROWCALL], seen[BARE])
    bench.found_beside("C: against the bare loop with ready-made bodies", 0.9, seen[ROWCALL], seen[READY])
    # Without either's start and end: the loop has all bodies in memory by then, while rowcall still has to read and make them.
    pairs = zip(seen[READY].each, seen[ROWCALL].each, strict=True)
    sending = statistics.median(ready.said["seconds"] / ours.said["seconds"] for ready, ours in pairs)
    held = None if seen[READY].disturbed else sending >= 0.9
    bench.found("C: the same, first to last row only, bodies in memory", "≥ 0.9", f"{sending:.2f}", held)
    bench.found("C: peak memory", "≤ 400 MB", f"{peak:.0f} MB", peak <= 400)


def d(bench: Bench) -> None:
    """Many short rows: memory, and what making the output takes."""
    few, many = (_short_rows(bench, rows) for rows in bench.sizes.d_rows)
    peak, times = many.peak_mb, many.peak_mb / few.peak_mb
    bench.found(f"D: peak memory at {many.rows:,} rows", "≤ 250 MB", f"{peak:.0f} MB", peak <= 250)
    bench.found(f"D: beside that at {few.rows:,} rows", "≤ 1.1 times", f"{times:.2f} times", times <= 1.1)
    # Its own `seconds` end with the last row: what comes before them is the start, what comes after is the publish.
    last = many.each[0]
    share = 1 - last.said["seconds"] / last.seconds
    bench.found(f"D: publish of {many.rows:,} rows, with the start", "≤ 10 % of the run", f"{share:.1%}", share <= 0.1)


def _short_rows(bench: Bench, rows: int) -> Rounds:
    with bench.input("d") as source, bench.endpoints.at_once() as url:
        write_texts(source, rows, 30)
        name = f"D: {rows:,} short rows, 64 at a time"
        return bench.compare(name, bench.both(source, url, rows, 64), rounds=1)[ROWCALL]


def e(bench: Bench) -> None:
    """A folder of large pictures: memory, at two sizes of the folder."""
    few, many = (_folder(bench, files) for files in bench.sizes.e_files)
    peak, times = many.peak_mb, many.peak_mb / few.peak_mb
    bench.found(f"E: peak memory at {many.rows:,} pictures", "≤ 700 MB", f"{peak:.0f} MB", peak <= 700)
    bench.found(f"E: beside that at {few.rows:,} pictures", "≤ 1.1 times", f"{times:.2f} times", times <= 1.1)


def _folder(bench: Bench, files: int) -> Rounds:
    folder = bench.folder / "pictures"
    try:
        write_picture_files(folder, files, bench.sizes.e_bytes)
        with bench.endpoints.delayed(0.2) as url:
            name = f"E: a folder of {files:,} pictures of {bench.sizes.e_bytes / 1e6:g} MB, 0.2 s delay, 64 at a time"
            client = bench.rowcall(folder, url, files, 64, prompt="Describe this photo in one sentence.")
            return bench.compare(name, {ROWCALL: client}, rounds=1)[ROWCALL]
    finally:
        shutil.rmtree(folder)


def tail(bench: Bench) -> None:
    """One row in a hundred takes very long.

    With rows of 0.2 s, and one in a hundred of 30 s, a row takes 0.498 s in the mean instead of 0.2: where slots are what is
    scarce, nobody can do more than 0.4 times the rows. So each job is held against what it would take if slots were never
    idle for a moment: as many workers as slots, each taking the next row in order. What is claimed is that slow rows
    cost rowcall nothing beyond their slot: no batch, part or commit waits for them. The slow rows are in the
    first quarter, so that the run does not end with the wait for one of them. The first row is not slow: until it is
    answered it is alone, and its time would be everybody's.
    """
    slow = set(range(24, bench.sizes.tail_rows // 4, 25))
    without, with_them = (_share_of_ideal(bench, name, rows) for name, rows in (("without", set()), ("with", slow)))
    ratio = with_them / without
    text = f"slow tail: share of the ideal, {with_them:.2f}, against {without:.2f} without it"
    bench.found(text, "≥ 0.95", f"{ratio:.2f}", ratio >= 0.95)


def _share_of_ideal(bench: Bench, name: str, slow: Container[int]) -> float:
    sizes = bench.sizes
    rows, width = sizes.tail_rows, sizes.tail_width
    with bench.input("tail") as source, bench.endpoints.delayed(sizes.tail_delay, sizes.tail_slow) as url:
        write_texts(source, rows, 500, slow)
        what = f"slow tail: {rows:,} rows of {sizes.tail_delay:g} s, {width} at a time"
        what += f", {name} 1 % of {sizes.tail_slow:g} s"
        seen = bench.compare(what, {ROWCALL: bench.rowcall(source, url, rows, width)}, rounds=1)[ROWCALL]
    delays = (sizes.tail_slow if row in slow else sizes.tail_delay for row in range(rows))
    return ideal_seconds(delays, width) / seen.each[0].seconds


def ideal_seconds(delays: Iterator[float], width: int) -> float:
    """Give how long so many workers need that take one row after another and do nothing else."""
    free = [0.0] * width
    for delay in delays:
        heapq.heapreplace(free, free[0] + delay)
    return max(free)
