"""A folder that grows, and the same command every night: nights that go well, one with a file gone, and three that go badly.

Rows are numbered in the order in which they should join the job, so that an output in order is ids from 0 on.
"""

import json
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import yaml

from pipeline.simulate import Latency, Simulator, SimulatorSettings, serve
from tests.storage.server import S3Server
from tests.whole.harness import CELLS, Bench, Running, digest_of
from tests.whole.places import Bucket, Folder, Place, Reader, read_set
from tests.whole.table import Claim, Claims, Trial, in_turn

CONCURRENCY = 8
PART_ROWS = 20
OUTAGE_S = 1.5
KILLED = -9


# -- what is tried


@dataclass(frozen=True)
class Variant:
    """Where input and output lie, and which kind they are of."""

    name: str
    remote_input: bool
    remote_output: bool
    output: str
    suffix: str

    @property
    def tears(self) -> tuple[type[Exception], ...]:
        """Give what a read may end with while an object is replaced: that of a folder in S3 is its manifest, and no part."""
        if not self.remote_output:
            return ()
        return (OSError, pa.ArrowException) if self.output.endswith(".parquet") else (json.JSONDecodeError,)


# All five are a line of the table of faults. `make test-all` tries the first, as a claim, and the last, as a test: between them
# both places, both forms of an output, and both kinds of input.
VARIANTS = (
    Variant("local, a folder", False, False, "out", ".parquet"),
    Variant("local, one file", False, False, "out.parquet", ".csv"),
    Variant("from S3, a local folder", True, False, "out", ".csv"),
    Variant("from S3 to S3, a folder", True, True, "out", ".parquet"),
    Variant("from S3 to S3, one file", True, True, "out.parquet", ".csv"),
)
CLAIMED, *_, TESTED = VARIANTS


@dataclass(frozen=True)
class Plan:
    """One night: files that have come by then, as name and rows; a file that has gone; how it ends; whether the endpoint does."""

    name: str
    files: Sequence[tuple[str, int]]
    code: int
    gone: str = ""
    latency: float = 0.03
    down: bool = False


# Names that sort otherwise than they join: a night's own files are sorted, and stand behind all that came before.
NIGHTS = (
    Plan("the first", [("m-1", 30), ("m-2", 25)], 0),
    Plan("killed", [("c-1", 40), ("c-2", 15), ("x-1", 25)], KILLED, latency=0.1),
    Plan("a file gone", [("a-1", 30), ("z-1", 12)], 0, gone="m-1"),
    Plan("cut by its deadline", [("b-1", 60), ("b-2", 40)], 3),
    Plan("endpoint down", [("0-1", 35), ("n-1", 30)], 3, latency=0.1, down=True),
    Plan("the morning after", [], 0),
    Plan("nothing new", [], 0),
)


# -- what was seen


@dataclass
class Night:
    """What one night did. `served` counts the replies that each digest was paid; `recorded` are those on record after it."""

    plan: Plan
    code: int
    said: str
    seconds: float
    new: int
    served: Counter[str]
    recorded: frozenset[str]


@dataclass
class Seen:
    nights: list[Night] = field(default_factory=list)
    published: list[pa.Table] = field(default_factory=list)
    read: list[pa.Table] = field(default_factory=list)
    reads: int = 0
    torn: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def twice(self) -> int:
        return sum((total := sum((each.served for each in self.nights), Counter())).values()) - len(total)


def asked_wrongly(nights: Sequence[Night]) -> list[str]:
    """Prove that each night only asked what was not on record; give what is wrong."""
    wrong, recorded, known = [], frozenset[str](), 0
    for night in nights:
        name, known = night.plan.name, known + night.new
        if again := [each for each in night.served if each in recorded]:
            wrong.append(f"{name}: {len(again)} recorded rows were asked again")
        if gone := recorded - night.recorded:
            wrong.append(f"{name}: {len(gone)} rows are on record no more")
        fresh = len(night.recorded - recorded)
        lost = night.served.total() - fresh
        if not 0 <= lost <= (CONCURRENCY if night.code == KILLED else 0):
            wrong.append(f"{name}: {night.served.total()} replies served, {fresh} rows newly on record")
        if night.code == 0 and len(night.recorded) != known:
            wrong.append(f"{name}: {len(night.recorded)} of {known} rows are on record")
        if night.code == 3 and not 0 < fresh < known - len(recorded):
            wrong.append(f"{name}: {fresh} rows were recorded, so it was not stopped in its middle")
        if night.code == KILLED and not recorded < night.recorded:
            wrong.append(f"{name}: nothing was on record, so it was not killed in its middle")
        recorded = night.recorded
    return wrong


def published_wrongly(published: Sequence[pa.Table], sizes: Sequence[int]) -> list[str]:
    """Prove that each set is the rows that had joined, in order, with their own answers, and those of the last set unchanged."""
    wrong = []
    for table, size, before in zip(published, sizes, (None, *published), strict=False):
        if table["id"].to_pylist() != list(range(size)):
            wrong.append(f"{size} rows: not those that joined, in that order")
        for row in table.select(["id", "text", "digest", "completion", "status"]).to_pylist():
            own = f"digest:{digest_of(row['id'])}"
            if (
                row["status"] != "ok"
                or own not in row["completion"]
                or row["digest"] not in own
                or row["text"] != cell(row["id"])
            ):
                wrong.append(f"{size} rows: {row} is not its own")
                break
        if before is not None and not table.slice(0, before.num_rows).equals(before):
            wrong.append(f"{size} rows: those of the set before are not as they were")
    return wrong


def read_wrongly(read: Sequence[pa.Table], published: Sequence[pa.Table]) -> list[str]:
    """Prove that readers saw each set that was published, in that order, and no other."""
    if len(read) == len(published) and all(map(pa.Table.equals, read, published)):
        return []
    known = [next((at for at, each in enumerate(published) if each.equals(table)), None) for table in read]
    return [f"of {len(published)} sets published, the reader saw {known}, None being another"]


# -- trying it


def cell(row: int) -> str:
    return CELLS[row % len(CELLS)]


def file_of(rows: range, suffix: str) -> bytes:
    table = pa.table({"id": list(rows), "text": [cell(row) for row in rows], "digest": [digest_of(row) for row in rows]})
    made = BytesIO()
    pa.csv.write_csv(table, made) if suffix == ".csv" else pq.write_table(table, made)
    return made.getvalue()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Job:
    """A job, its growing input, and an endpoint that is there by night."""

    bench: Bench
    variant: Variant
    root: Path
    source: Place
    target: Place

    def __post_init__(self) -> None:
        self.env = {**self.source.env, **self.target.env}
        self.port = free_port()
        beside = isinstance(self.target, Folder)
        self.record = self.target.path / f"{self.variant.output}.rowcall" if beside else self.root / "record"
        self.config = self._write(self.root / "nightly.yaml", None if beside else self.record)
        self.rows = 0

    def _write(self, path: Path, record: Path | None) -> Path:
        types = {"csv": {"types": {"id": "int64"}}} if self.variant.suffix == ".csv" else {}
        config = {
            "input": {"path": self.source.text(), **types},
            "prompt": {"user": "Is this right? {{ text }} digest:{{ digest }}"},
            "endpoint": {"provider": "openai", "model": "any", "base_url": f"http://127.0.0.1:{self.port}/v1"},
            "request": {"max_tokens": 64},
            "limits": {"concurrency": CONCURRENCY},
            "retry": {"base_delay_s": 0.1, "max_delay_s": 0.5, "max_outage_s": OUTAGE_S},
            "output": {"path": self.target.text(self.variant.output)},
            "checkpoint": {"dir": record and str(record), "part_rows": PART_ROWS},
        }
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def night(self, plan: Plan, deadline: str = "2h") -> Night:
        new = 0
        for name, rows in plan.files:
            numbers = range(self.rows + new, self.rows + new + rows)
            self.source.put(name + self.variant.suffix, file_of(numbers, self.variant.suffix))
            new += rows
        self.rows += new
        if plan.gone:
            self.source.remove(plan.gone + self.variant.suffix)
        with serve(SimulatorSettings(latency=Latency(plan.latency), wrong=0.0), port=self.port) as sim:
            running = self.bench.start("run", "-q", "--deadline", deadline, self.config, env=self.env)
            if plan.code == KILLED:
                await_requests(sim, running, new // 2)
                running.kill()
            if plan.down:
                await_requests(sim, running, new)
            else:
                running.wait()
                await_rest(sim)
        ended = running.wait()
        counted: Any = sim.stats(each_digest=True)["digests"]
        recorded = self.on_record() if ended.code else frozenset(map(digest_of, range(self.rows)))
        return Night(plan, ended.code, ended.out + ended.err, ended.seconds, new, Counter(counted["each"]), recorded)

    def on_record(self) -> frozenset[str]:
        """Read which rows are on record, from a copy of it: the next night is to meet what this one left."""
        copy, look = self.root / "copy", self.root / "look.yaml"
        shutil.copytree(self.record, copy)
        rows = self.root / "rows.parquet"
        ended = self.bench.run("export", "-q", self._write(look, copy), rows, env=self.env)
        assert ended.code == 0, ended.err
        table = pq.read_table(rows, columns=["digest", "status"])
        shutil.rmtree(copy)
        rows.unlink()
        return frozenset(row["digest"] for row in table.to_pylist() if row["status"] != "pending")


def await_rest(sim: Simulator) -> None:
    """Wait until it works on nothing, also for clients that have gone."""
    until = time.monotonic() + 60
    while sim.stats()["in_flight"]:
        if time.monotonic() > until:
            raise AssertionError("the simulator did not come to rest")
        time.sleep(0.01)


def await_requests(sim: Simulator, running: Running, number: int) -> None:
    until = time.monotonic() + 60
    while cast(int, sim.stats()["requests"]) < number:
        if not running.alive or time.monotonic() > until:
            raise AssertionError(f"it never sent {number} requests: {running.err.read_text()[-300:]}")
        time.sleep(0.01)


@contextmanager
def job_of(bench: Bench, variant: Variant) -> Iterator[Job]:
    root = bench.root / variant.name.replace(" ", "-").replace(",", "").replace("/", "-")
    root.mkdir()
    with ExitStack() as stack:
        bucket = ""
        if variant.remote_input or variant.remote_output:
            server = stack.enter_context(S3Server())
            bucket = server.make_bucket("nights")
        source: Place = Bucket(server, bucket, "in") if variant.remote_input else Folder(root / "in")
        target: Place = Bucket(server, bucket, "out") if variant.remote_output else Folder(root / "published")
        yield Job(bench, variant, root, source, target)


def five_nights(bench: Bench, variant: Variant) -> Seen:
    """Go through the nights, reading the output all the while."""
    seen, began = Seen(), time.monotonic()
    every = 0.1 if variant.remote_output else 0.03
    sizes, joined = [], 0
    with job_of(bench, variant) as job, Reader(job.target, variant.output, every=every, tears=variant.tears) as reader:
        for plan in NIGHTS:
            night = job.night(*cut_short(plan, seen.nights[0].seconds) if plan.name == "cut by its deadline" else (plan,))
            seen.nights.append(night)
            joined += night.new
            if night.code != plan.code:
                seen.wrong.append(f"{plan.name}: exit {night.code}: {night.said[-300:]}")
            if bool(night.said) != (night.code == 3):  # what cron would mail; who is killed says nothing
                seen.wrong.append(f"{plan.name}: exit {night.code} said {night.said[-300:]!r}")
            if night.code == 0 and joined != (sizes or [0])[-1]:
                published = read_set(job.target, variant.output)
                assert published is not None
                seen.published.append(published)
                sizes.append(joined)
            reader.caught_up()
        verified = bench.run("status", "--verify", job.config, env=job.env)
        if verified.code:
            seen.wrong.append(f"status --verify: exit {verified.code}: {verified.err[-300:]}")
    seen.read, seen.reads, seen.torn = reader.sets, reader.reads, reader.torn
    seen.wrong += asked_wrongly(seen.nights) + published_wrongly(seen.published, sizes)
    seen.wrong += reader.wrong + read_wrongly(seen.read, seen.published)
    seen.seconds = time.monotonic() - began
    return seen


def cut_short(plan: Plan, usual: float) -> tuple[Plan, str]:
    """Give the night a deadline, and answers so slow, that it is cut in its middle: not while it starts on a busy machine."""
    deadline = 2 * usual + 2
    return replace(plan, latency=deadline / 4), f"{deadline:.1f}s"


def nights(bench: Bench, variant: Variant) -> Claims:
    seen = five_nights(bench, variant)
    rows = sum(each.new for each in seen.nights)
    served = sum(each.served.total() for each in seen.nights)
    text = f"exits {', '.join(str(each.code) for each in seen.nights)}; {served} replies for {rows} rows, {seen.twice} twice;"
    text += f" {seen.reads} reads of {len(seen.read)} sets,"
    text += f" {seen.torn} read again since the object had just been replaced," if seen.torn else ""
    text += f" {len(seen.wrong)} wrong {seen.wrong[:3] or ''}".rstrip()
    yield Claim(
        f"five nights over a growing folder ({variant.name})",
        f"new rows only, ≤ {CONCURRENCY} twice by the kill, order kept, readers see whole sets",
        f"{text}; {seen.seconds:.0f} s",
        not seen.wrong,
    )


def of(*variants: Variant) -> Trial:
    return in_turn(*(partial(nights, variant=each) for each in variants))


# Side by side: each job waits for little but processors.
TRIALS = (of(*VARIANTS[::2]), of(*VARIANTS[1::2]))
