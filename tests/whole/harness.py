"""What the whole-job tests share: the command and the simulator as processes, jobs on disk, and proofs of an output."""

import csv
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from pipeline.core.errors import ConfigError
from pipeline.jobs.look import standing

COMMAND = (sys.executable, "-m", "pipeline")
KEY_VARIABLE = "ROWCALL_TEST_KEY"
# Never a key of anything; its letters stand nowhere else, so that a search for them is a proof.
CANARY = "canary/Zq7+Xw9vKp3Jt5Rb8Ln2"
# A whole second run must be over within it.
AT_ONCE_S = 60.0


def digest_of(row: int) -> str:
    return hashlib.sha256(f"row {row}".encode()).hexdigest()[:24]


# -- processes


def _heed_hangups() -> None:
    """Undo what nohup, or a CI without a terminal, hands down: rowcall leaves an ignored SIGHUP ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass
class Ended:
    """A command that ended. `peak` is its largest resident size in bytes, 0 where it was not measured."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int = 0

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.out)


@dataclass
class Running:
    """A command under way, its streams in files of the bench."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    started: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 300.0) -> Ended:
        code = self.process.wait(timeout)
        return Ended(code, self.out.read_text(), self.err.read_text(), time.monotonic() - self.started)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> bool:
        """Kill -9. False if it had ended before."""
        self.process.kill()
        return self.process.wait(60) == -signal.SIGKILL


class Simulator:
    """`rowcall simulate` as a process of its own."""

    def __init__(self, running: Running) -> None:
        self.running = running
        until = time.monotonic() + 30
        while not (found := re.search(r"simulating at (\S+)/v1", running.out.read_text())):
            if not running.alive or time.monotonic() > until:
                raise AssertionError(f"the simulator did not start: {running.err.read_text()}")
            time.sleep(0.02)
        self.url = found[1]

    def stats(self, *, each_digest: bool = False) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/stats{'?digests' if each_digest else ''}", timeout=30) as reply:
            return json.load(reply)

    @property
    def requests(self) -> int:
        return self.stats()["requests"]

    def drained(self) -> dict[str, Any]:
        """Wait until it works on nothing, and give its counts."""
        until = time.monotonic() + 30
        while (counted := self.stats())["in_flight"]:
            if time.monotonic() > until:
                raise AssertionError("the simulator did not come to rest")
            time.sleep(0.01)
        return counted

    def served(self) -> int:
        """Give how many replies were paid for, also by clients that had gone."""
        digests = self.drained()["digests"]
        return digests["seen"] + digests["extra"]


class Bench:
    """A temporary folder with jobs in it, and the processes that work there; leaving it ends them all."""

    def __enter__(self) -> "Bench":
        self.root = Path(tempfile.mkdtemp(prefix="rowcall-whole-"))
        self.streams = self.root / "streams"
        self.streams.mkdir()
        self._started: list[Running] = []
        self._numbers = itertools.count()
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._started:
            if running.alive:
                running.process.kill()
                running.process.wait(60)
        shutil.rmtree(self.root, ignore_errors=True)

    def start(
        self,
        *args: str | Path,
        before: Sequence[str] = (),
        command: Sequence[str] = COMMAND,
        key: str = CANARY,
        env: Mapping[str, str] | None = None,
    ) -> Running:
        number = next(self._numbers)  # trials start processes from two threads
        out, err = self.streams / f"{number:04d}.out", self.streams / f"{number:04d}.err"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCALL_")}
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(
                [*before, *command, *map(str, args)],
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                cwd=self.root,
                env={**environment, **(env or {}), KEY_VARIABLE: key, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                preexec_fn=_heed_hangups,
            )
        running = Running(process, out, err)
        self._started.append(running)
        return running

    def run(self, *args: str | Path, **how: Any) -> Ended:
        return self.start(*args, **how).wait()

    def simulate(self, *args: str, key: str = CANARY) -> Simulator:
        return Simulator(self.start("simulate", "--port", "0", *args, key=key))

    def peak_of(self, *args: str | Path) -> Ended:
        """Run a command and measure its peak size.

        By way of a small process: a child starts out with its parent's peak in its own accounts.
        """
        script = (
            "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
        )
        ended = self.run(*args, command=(sys.executable, "-S", "-c", script, *COMMAND))
        unit = 1 if sys.platform == "darwin" else 1024
        return Ended(ended.code, ended.out, ended.err, ended.seconds, int(ended.err.split()[-1]) * unit)


# -- jobs


class Endpoint(Protocol):
    """Whatever answers at `url`/v1."""

    url: str


@dataclass
class JobOnDisk:
    """A config file, its input and its output."""

    config: Path
    source: Path
    output: Path
    rows: int
    concurrency: int

    @property
    def record(self) -> Path:
        return self.output.with_name(self.output.name + ".rowcall")

    def look(self) -> dict[str, Any]:
        """Read where the job stands from a copy of its record, so that the run itself meets what the kill left."""
        with tempfile.TemporaryDirectory(prefix="rowcall-look-") as folder:
            copy = Path(folder) / self.output.name
            nothing = {"rows": self.rows, "ok": 0, "failed": 0, "pending": self.rows}
            if not self.record.exists():
                return nothing
            shutil.copytree(self.record, copy.with_name(self.record.name))
            try:
                return standing(copy).summary
            except ConfigError as error:
                if "holds no job yet" not in str(error):
                    raise
                return nothing  # killed before it had noted what the job is


def make_job(bench: Bench, name: str, source: Path, rows: int, sim: Endpoint, **changes: Any) -> JobOnDisk:
    """Write a job's config. `changes` are sections laid over it."""
    concurrency = changes.get("limits", {}).get("concurrency", 64)
    output = bench.root / name / "out.parquet"
    output.parent.mkdir(exist_ok=True)
    config: dict[str, Any] = {
        "input": {"path": str(source)},
        "prompt": {"user": "Is this right? {{ text }} digest:{{ digest }}"},
        "endpoint": {"provider": "openai", "model": "any", "base_url": f"{sim.url}/v1", "api_key_env": KEY_VARIABLE},
        "request": {"max_tokens": 64},
        "limits": {"concurrency": concurrency},
        "retry": {"base_delay_s": 0.2, "max_delay_s": 5},
        "output": {"path": str(output)},
    }
    for section, values in changes.items():
        config[section] = {**config.get(section, {}), **values}
    path = output.with_name("job.yaml")
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return JobOnDisk(path, source, output, rows, concurrency)


# What spreadsheets put into cells, and readers like to change.
CELLS = ("007", "NA", "true", "", 'a "quoted", word', "two\nlines", " spaces ", "1e5", "null", "žluť ☃")


def csv_rows(rows: int) -> Iterator[tuple[str, str, str]]:
    for row in range(rows):
        yield f"{row:06d}", CELLS[row % len(CELLS)], digest_of(row)


def write_csv(path: Path, rows: int) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "text", "digest"))
        writer.writerows(csv_rows(rows))
    return path


def picture(row: int, size: int) -> bytes:
    """Make a JPEG that decodes, of its own colour, with random bytes behind its end to make it as large as a photograph."""
    chance = random.Random(row)
    image = Image.new("RGB", (64, 48), (chance.randrange(256), chance.randrange(256), chance.randrange(256)))
    made = BytesIO()
    image.save(made, "JPEG")
    return made.getvalue() + chance.randbytes(size - made.tell())


def write_pictures(path: Path, rows: int, size: int, *, group: int = 100) -> Path:
    """Write rows with a picture each, `group` of them in a row group; in pages of a megabyte or so, however large that is."""
    schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("digest", pa.string()), ("photo", pa.binary())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_batch_size=4) as writer:
        for start in range(0, rows, group):
            some = range(start, min(start + group, rows))
            columns = [
                list(some),
                [f"echo image {i}" for i in some],
                [digest_of(i) for i in some],
                [picture(i, size) for i in some],
            ]
            writer.write_table(pa.table(columns, schema=schema))
    return path


# -- proofs


def mistakes_in(output: Path, kept: Mapping[str, Sequence[Any]]) -> list[str]:
    """Prove that the output is the input plus each row's own answer; give what is wrong, nothing if all is well."""
    try:
        table = pq.read_table(output)
    except (pa.ArrowException, OSError) as error:
        return [f"the output cannot be read: {error}"]
    wrong = []
    for name, values in kept.items():
        if table[name].to_pylist() != list(values):
            wrong.append(f"column {name} is not as in the input")
    digests = table["digest"].to_pylist()
    for row, (digest, text) in enumerate(zip(digests, table["completion"].to_pylist(), strict=True)):
        if re.findall(r"digest:(\w+)", text or "") != [digest]:
            wrong.append(f"row {row}: the completion {text!r} is not its own")
    return wrong


def kept_of_csv(rows: int) -> dict[str, list[str]]:
    ids, texts, digests = zip(*csv_rows(rows), strict=True)
    return {"id": list(ids), "text": list(texts), "digest": list(digests)}


def adds_up(summary: Mapping[str, Any], rows: int) -> bool:
    return summary["rows"] == rows == summary["ok"] + summary["failed"] + summary["pending"]


# -- attacks


@dataclass
class Attacks:
    """What kills did to a job. `lost` is, a kill, how many replies that had been served were not on record after it."""

    lost: list[int] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return len(self.lost)

    @property
    def worst(self) -> int:
        return max(self.lost, default=0)


def attack(
    job: JobOnDisk,
    sim: Simulator,
    start: Callable[[], Running],
    *,
    kills: int,
    requests: int,
    chance: random.Random,
) -> Attacks:
    """Start the job and kill -9 it at a random moment, again and again, without finishing it.

    A kill strikes within the next `requests` arrivals; one in eight strikes while the command starts up.
    """
    attacks = Attacks()
    lost = sim.served() - job.look()["ok"]
    while attacks.kills < kills:
        running = start()
        _await_moment(running, sim, requests, chance)
        if not running.kill():
            attacks.wrong.append(f"the run ended by itself before kill {attacks.kills + 1}: {running.err.read_text()[-300:]}")
            return attacks
        served, now = sim.served(), job.look()
        if not adds_up(now, job.rows):
            attacks.wrong.append(f"after kill {attacks.kills + 1}: {now}")
        if attacks.recorded and now["ok"] < attacks.recorded[-1]:
            attacks.wrong.append(f"kill {attacks.kills + 1} lost recorded rows: {attacks.recorded[-1]} -> {now['ok']}")
        attacks.recorded.append(now["ok"])
        attacks.lost.append(served - now["ok"] - lost)
        lost = served - now["ok"]
    return attacks


def _await_moment(running: Running, sim: Simulator, requests: int, chance: random.Random) -> None:
    if chance.random() < 1 / 8:
        time.sleep(chance.uniform(0, 1))
        return
    until = sim.requests + chance.randint(1, requests)
    give_up = time.monotonic() + 20
    while running.alive and sim.requests < until and time.monotonic() < give_up:
        time.sleep(0.02)  # each look costs both sides: looking all the time would slow down what is looked at
    time.sleep(chance.uniform(0, 0.05))


SLOW_DISK = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync")
DELAY = ("-e", "inject=fdatasync:delay_enter=40000")


def why_no_slow_disk() -> str | None:
    """Give why no process can be slowed here, or None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run([*SLOW_DISK, *DELAY, sys.executable, "-c", "pass"], capture_output=True, timeout=60, check=False)
    return None if tried.returncode == 0 else f"ptrace is forbidden here: {tried.stderr.decode(errors='replace').strip()[-120:]}"
