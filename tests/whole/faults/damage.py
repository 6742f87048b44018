"""Damage to a record: bits flipped, files cut, zeroed and lost, in a job that kill -9 stopped in its middle.

Each time the same command runs on what is left. It may finish, if the output is right and no recorded row was asked again;
or refuse, if --repair then finishes it and asks no more of them again than the refusal said. Anything else is a miss.
"""

import json
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import Job, RowcallError, run_job
from pipeline.checkpoint import mark
from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.record import open_record
from pipeline.jobs.check import check_job
from pipeline.jobs.look import standing
from pipeline.simulate import SimulatorSettings, serve
from tests.whole.harness import Bench, digest_of, write_csv
from tests.whole.table import Claim, Claims

ROWS, PART_ROWS, CONCURRENCY = 420, 100, 8
SAID = re.compile(r"(\d+) recorded rows can be kept, (?:at most )?(\d+) would be asked again")
# What an undisturbed run would answer differently too.
BY_CHANCE = ("latency_s", "response_id")

Harm = Callable[[Path, random.Random], None]


# -- the job, stopped in its middle


@dataclass
class Stopped:
    """A job's folder as kill -9 left it: its recorded rows as the output will show them, and where an undisturbed run ends.

    `in_flight` of the recorded rows were committed in the very moment of the kill: no slot was freed yet, and nothing but the
    journal says that they are there.
    """

    folder: Path
    recorded: dict[int, dict[str, Any]]
    whole: pa.Table
    in_flight: int = 0

    @property
    def record(self) -> Path:
        return self.folder / "out.parquet.rowcall"

    def copy(self, to: Path) -> Path:
        """Copy it with its times; the input stays the same file."""
        shutil.copytree(self.record, to / self.record.name)
        for name in ("in.csv", "job.yaml"):
            os.link(self.folder / name, to / name)
        return to


def stopped_job(bench: Bench) -> Stopped:
    """Run a job until parts are sealed and more rows are in the journal, and kill it."""
    folder = bench.root / "damage"
    folder.mkdir()
    write_csv(folder / "in.csv", ROWS)
    sim = bench.simulate("--latency", "0.02", "--wrong", "0")
    (folder / "job.yaml").write_text(
        json.dumps(
            {
                "input": {"path": "in.csv"},
                "prompt": {"user": "Is this right? {{ text }} digest:{{ digest }}"},
                "endpoint": {"provider": "openai", "model": "any", "base_url": f"{sim.url}/v1"},
                "limits": {"concurrency": CONCURRENCY},
                "output": {"path": "out.parquet"},
                "checkpoint": {"part_rows": PART_ROWS},
                "pricing": {"per_request": 0.5},
            }
        )
    )
    running = bench.start("run", folder / "job.yaml")
    until = time.monotonic() + 60
    while sim.requests < ROWS * 7 // 8 or len(list((folder / "out.parquet.rowcall/parts").glob("*.parquet"))) < 3:
        if not running.alive or time.monotonic() > until:
            raise AssertionError(f"the job was not to be stopped in its middle: {running.err.read_text()}")
        time.sleep(0.005)
    if not running.kill():
        raise AssertionError("the job had ended before it was killed")
    stopped = Stopped(folder, {}, pa.table({}))
    settled = mark.highest(Layout.of(folder / "out.parquet", is_directory=False))
    (bench.root / "undisturbed").mkdir()
    undisturbed = stopped.copy(bench.root / "undisturbed")
    layout = Layout.of(undisturbed / "out.parquet", is_directory=False)
    with hold(layout, "test"):
        record = open_record(layout, create=False, read_only=True)
        rows = [each.row for state in record.parts() for each in record.outcomes(state.part)]
        record.close()
    code, said, _ = run(undisturbed)
    if code:
        raise AssertionError(f"the job cannot be finished without any damage: {said}")
    stopped.whole = pq.read_table(undisturbed / "out.parquet")
    cells = stopped.whole.to_pylist()
    stopped.recorded = {row: cells[row] for row in rows}
    stopped.in_flight = len(rows) - settled
    if not 0 <= stopped.in_flight <= CONCURRENCY:
        raise AssertionError(f"{len(rows)} rows are recorded, and {settled} are said to be")
    return stopped


def run(folder: Path, *, repair: bool = False) -> tuple[int, str, Counter[int]]:
    """Run the job in this process; give its exit code, what an error said, and how often each row was asked."""
    with serve(SimulatorSettings(wrong=0.0)) as sim:
        try:
            summary = run_job(Job.load(folder / "job.yaml", {"endpoint.base_url": sim.base_url}, repair=repair))
            code, said = summary.exit_code, summary.stopped or ""
        except RowcallError as error:
            code, said = error.exit_code, str(error)
        each: Any = sim.stats(each_digest=True)["digests"]
    rows = {f"digest:{digest_of(row)}": row for row in range(ROWS)}
    return code, said, Counter({rows[digest]: times for digest, times in each["each"].items()})


# -- harms: the file's times stay as they are, as when a disk does it


def flip(path: Path, chance: random.Random) -> None:
    body = bytearray(path.read_bytes())
    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    _write(path, bytes(body))


def cut(path: Path, chance: random.Random) -> None:
    _write(path, path.read_bytes()[: chance.randrange(path.stat().st_size)])


def zero_tail(path: Path, chance: random.Random) -> None:
    body = path.read_bytes()
    keep = chance.randrange(len(body))
    _write(path, body[:keep] + bytes(len(body) - keep))


def lose(path: Path, chance: random.Random) -> None:
    path.unlink()


def _write(path: Path, body: bytes) -> None:
    seen = path.stat()
    path.write_bytes(body)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


HARMS: tuple[Harm, ...] = (flip, flip, flip, cut, zero_tail, lose)


def a_file(record: Path, chance: random.Random) -> Path:
    """Choose one of the record's files: mostly journal, log and parts."""
    kind = chance.choices(("journal.db", "journal.db-wal", "parts/*", "kept/*", "*"), (6, 5, 5, 2, 3))[0]
    return chance.choice(sorted(each for each in record.glob(kind) if each.is_file() and each.stat().st_size))


# -- trials


@dataclass
class Seen:
    """What became of the harmed jobs. `wrong` names every miss."""

    finished: int = 0
    repaired: int = 0
    again: int = 0
    wrong: list[str] = field(default_factory=list)


def trial(stopped: Stopped, folder: Path, seen: Seen, name: str) -> None:
    """Run a harmed copy of the job, repair it if it asks for that, and count what came of it."""
    code, said, asked = run(folder)
    allowed = 0
    if code == 5:
        found = SAID.search(said)
        if found is None or "--repair" not in said:
            seen.wrong.append(f"{name}: refused without a way on: {said}")
            return
        allowed = int(found[2])
        repaired_code, said, again = run(folder, repair=True)
        asked += again
        if repaired_code:
            seen.wrong.append(f"{name}: the repair ended with {repaired_code}: {said}")
            return
        seen.repaired += 1
    elif code:
        seen.wrong.append(f"{name}: exit {code}: {said}")
        return
    else:
        seen.finished += 1
    again_ = sum(asked[row] for row in stopped.recorded)
    seen.again += again_
    if again_ > allowed + stopped.in_flight:
        seen.wrong.append(f"{name}: {again_} recorded rows asked again, {allowed} were announced")
    seen.wrong += [f"{name}: {each}" for each in mistakes(stopped, folder, asked)]


def mistakes(stopped: Stopped, folder: Path, asked: Counter[int]) -> list[str]:
    """Compare the output with the undisturbed one; rows that were on record in every cell."""
    table = pq.read_table(folder / "out.parquet")
    if table.schema != stopped.whole.schema or table.num_rows != ROWS:
        return ["the output has another shape"]
    wrong = []
    for row, (mine, theirs) in enumerate(zip(table.to_pylist(), stopped.whole.to_pylist(), strict=True)):
        by_chance = () if row in stopped.recorded and not asked[row] else BY_CHANCE
        if differing := [key for key in theirs if key not in by_chance and mine[key] != theirs[key]]:
            wrong.append(f"row {row}: {', '.join(differing)} differ")
    return wrong[:3]


def harmed(stopped: Stopped, bench: Bench, count: int, seed: int) -> Seen:
    """Harm the job `count` times, each time another copy of it, and see what a run makes of it."""
    seen = Seen()
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        folder = bench.root / f"harmed-{number}"
        folder.mkdir()
        stopped.copy(folder)
        path, harm = a_file(folder / stopped.record.name, chance), chance.choice(HARMS)
        name = f"seed {seed}, {number}: {harm.__name__} {path.name}"
        harm(path, chance)
        try:
            if number % 5 == 0:
                look(folder)
            trial(stopped, folder, seen, name)
        except Exception as error:  # whatever it is, a user would have seen a traceback
            seen.wrong.append(f"{name}: {type(error).__name__}: {error}")
        shutil.rmtree(folder)
    return seen


def look(folder: Path) -> None:
    """Look at the job as a user would before running it again; neither may fail."""
    standing(folder / "out.parquet")
    check_job(Job.load(folder / "job.yaml"))


# -- negative controls: rowcall with one check left out


@contextmanager
def unchecked() -> Iterator[None]:
    """Let the journal's rows be believed without their checksum."""

    def believe(row: int, body: bytes, crc: int) -> None:
        pass

    checked, codec.prove = codec.prove, believe
    try:
        yield
    finally:
        codec.prove = checked


def misses_seen(stopped: Stopped, bench: Bench) -> tuple[bool, bool]:
    """Tell whether a wrong answer would be noticed, and a job begun anew in silence."""
    found = []
    for name in ("wrong", "anew"):
        folder, seen = bench.root / f"control-{name}", Seen()
        folder.mkdir()
        stopped.copy(folder)
        if name == "anew":
            shutil.rmtree(folder / stopped.record.name)
            trial(stopped, folder, seen, name)
        else:
            standing(folder / "out.parquet")  # folds the log, so that each row stands in one place
            path = folder / stopped.record.name / "journal.db"
            row = max(stopped.recorded)
            body = path.read_bytes()
            _write(path, body.replace(f"digest:{digest_of(row)}".encode(), f"digest:{digest_of(0)}".encode()))
            with unchecked():
                trial(stopped, folder, seen, name)
        found.append(bool(seen.wrong) and seen.finished == 1)
    return found[0], found[1]


def damaged_records(bench: Bench, count: int = 200) -> Claims:
    stopped = stopped_job(bench)
    wrong, anew = misses_seen(stopped, bench)
    yield Claim("a wrong answer, and a job begun anew, planted on purpose", "both seen", f"{wrong}, {anew}", wrong and anew)
    seen = harmed(stopped, bench, count, random.randrange(10**6))
    told = (
        f"{len(seen.wrong)} misses; {seen.finished} finished by themselves, {seen.repaired} with --repair;"
        f" {seen.again} of {count * len(stopped.recorded)} recorded rows asked again, as announced"
    )
    yield Claim(
        f"{count} flips, cuts, zeroed tails and losses in a record",
        "0 wrong outputs, 0 silent restarts",
        "; ".join([told, *seen.wrong[:5]]),
        not seen.wrong,
    )
