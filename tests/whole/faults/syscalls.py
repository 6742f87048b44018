"""Every call that changes the disk, broken in turn: the process dies there, the disk is full there, the disk fails there.

strace does it, in a small job whose disk work is all in one thread (altered.py), for it counts each thread's calls for
itself. After each the same command has to finish the job.
"""

import queue
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.whole.harness import Bench, Simulator, kept_of_csv, make_job, mistakes_in, why_no_slow_disk, write_csv
from tests.whole.table import Claim, Claims

ROWS, PART_ROWS, WIDTH = 8, 4, 3
CALLS = ("fsync", "fdatasync", "rename", "unlink", "write", "pwrite64", "ftruncate", "mkdir")
# A job of this size makes about half as many of the most frequent one; past it something is wrong.
MOST = 400

# Where a failed call need not end a run: what it was for is not lost by it, or never mattered.
HARMLESS = {
    "progress, summary and timeline, which only speak of the run": r"/(progress|summary|timeline)\.json",
    "who holds the lock, which only informs": r"/lock>",
    "the log folded into the journal at the end: the log still has it": r"^(pwrite64|fdatasync|ftruncate).*/journal\.db>",
    "the log emptied after that": r"^ftruncate.*/journal\.db-wal>",
    "the log's sync before that, and its removal after": r"(fdatasync|unlink).*/journal\.db-wal",
    "the folder's sync by SQLite: we sync it again": r"^fdatasync\(\d+<[^>]*\.rowcall>",
    "a probe that stays": r"^unlink\(.*/\.rowcall-probe-",
    "the count beside the journal, which has it too": r"^pwrite64.*/mark>",
    "the ballast, which is there to be given up": r'/ballast"',
    "a folder that is there": r"^mkdir\(",
    "Python looking for a folder for temporary files": r"\(\d*<?\"?/tmp/\w{8}[>\"]",
}


@dataclass(frozen=True)
class Blow:
    """What befalls the `number`th call of a name: `fault` in strace's words; `onward`: and every one after it."""

    call: str
    number: int
    fault: str
    onward: bool = False

    @property
    def passes(self) -> bool:
        """Whether the disk has room again at the next call: then a run may go on by itself."""
        return "ENOSPC" in self.fault and not self.onward

    def __str__(self) -> str:
        return f"{self.call} {self.number}{'+' if self.onward else ''}"

    @property
    def kills(self) -> bool:
        return self.fault == "signal=KILL"

    def strace(self, log: Path) -> Sequence[str]:
        # strace delivers no signal from under a seccomp filter, and is much slower without one.
        fast = () if self.kills else ("--seccomp-bpf",)
        inject = f"inject={self.call}:{self.fault}:when={self.number}{'+' if self.onward else ''}"
        return ("strace", "-D", "-f", "-y", *fast, "-qq", "-o", str(log), "-e", f"trace={self.call}", "-e", inject)


@dataclass(frozen=True)
class Struck:
    """What came of a blow: how the run ended, `at` which call it was struck (None: it made fewer), what is `wrong`."""

    blow: Blow
    code: int
    at: str | None = None
    twice: int = 0
    wrong: Sequence[str] = ()

    @property
    def harmless(self) -> str | None:
        return next((what for what, pattern in HARMLESS.items() if self.at and re.search(pattern, self.at)), None)


class Sweep:
    """Strikes a job at every call, two jobs at a time. `alterations` are the negative controls'."""

    def __init__(self, bench: Bench, name: str, *alterations: str) -> None:
        self._bench = bench
        self._name = name
        self._command = (
            sys.executable,
            "-m",
            "tests.whole.faults.altered",
            ",".join(("one-thread", "short-pause", *alterations)),
        )
        self._source = write_csv(bench.root / f"{name}.csv", ROWS)
        self._simulators: queue.Queue[Simulator] = queue.Queue()
        for _ in range(2):
            self._simulators.put(bench.simulate("--latency", "0.005"))

    def all(self, fault: str, calls: Iterable[str], *, onward: bool = False, at: range | None = None) -> Iterator[Struck]:
        """Strike the first, second, … call of each name, or those of numbers `at`, until a run makes no more of them."""
        with ThreadPoolExecutor(2) as pool:
            for call in calls:
                for start in range(1, MOST, 8) if at is None else (0,):
                    numbers = range(start, start + 8) if at is None else at
                    # `write` also carries the message that says what happened: that one has to come through.
                    blows = [Blow(call, number, fault, onward and call != "write") for number in numbers]
                    struck = [each for each in pool.map(self._strike, blows) if each.at is not None]
                    yield from struck
                    if len(struck) < len(blows):
                        break

    def _strike(self, blow: Blow) -> Struck:
        sim = self._simulators.get()
        try:
            return self._strike_beside(sim, blow)
        finally:
            self._simulators.put(sim)

    def _strike_beside(self, sim: Simulator, blow: Blow) -> Struck:
        name = f"{self._name}-{str(blow).replace(' ', '-')}"
        limits, checkpoint = {"concurrency": WIDTH}, {"part_rows": PART_ROWS}
        job = make_job(self._bench, name, self._source, ROWS, sim, limits=limits, checkpoint=checkpoint)
        served, asked = sim.served(), sim.requests
        log = self._bench.root / f"{name}.strace"
        run = self._bench.run("run", job.config, "-q", before=blow.strace(log), command=self._command)
        sent = sim.requests - asked
        struck = Struck(blow, run.code, _struck_at(log, killed=blow.kills and run.code == -9))
        if struck.at is None:
            return struck
        wrong = [] if blow.kills else list(_badly_ended(struck, run.err, sent))
        again = self._bench.run("run", job.config, "-q", command=self._command)
        wrong += [f"the same command again: exit {again.code} {again.err[-300:]}"] if again.code or again.err else []
        wrong += mistakes_in(job.output, kept_of_csv(ROWS))
        wrong += [f"left over: {path}" for path in _left_over(job.output.parent)]
        return replace(struck, twice=sim.served() - served - ROWS, wrong=wrong)


def _struck_at(log: Path, *, killed: bool) -> str | None:
    """Give the call that was struck, None if there was none."""
    lines = [re.sub(r"^\d+ +", "", line) for line in log.read_text(errors="replace").splitlines()]
    if killed:
        return next((line for line in reversed(lines) if not line.startswith(("+++", "---", "<..."))), "a call")
    return next((line for line in lines if "(INJECTED)" in line), None)


def _badly_ended(struck: Struck, said: str, sent: int) -> Iterator[str]:
    """See that a run that met a failing disk ended as it should: with a code that says so, and one line why."""
    why = [line for line in said.splitlines() if line.startswith(("rowcall: error: ", "stopped early: "))]
    if struck.code == 0 and (struck.harmless or struck.blow.passes):
        return
    if struck.code not in (3, 5, *((2,) if sent == 0 else ())):
        yield f"exit {struck.code}"
    if len(why) != 1:
        yield f"{len(why)} lines that say why: {said[-200:]!r}"
    if "Traceback" in said or "bug in rowcall" in said:
        yield f"a traceback: {said[-300:]!r}"


def _left_over(folder: Path) -> Iterator[str]:
    """Give what a crash left behind for good. What only speaks of the run has one temporary name each, used again by the next."""
    for path in sorted(folder.rglob("*")):
        inside = path.parent.name in ("parts", "kept")
        if (inside or path.suffix == ".tmp") and not path.name.startswith(("progress", "summary", "timeline", ".rowcall-probe")):
            yield str(path.relative_to(folder))


def count_threads(bench: Bench) -> int:
    """Count the threads that change the job's files. Were it more than one, strace's counting would be blind to some."""
    sweep = Sweep(bench, "counted")
    sim = bench.simulate("--latency", "0.005")
    job = make_job(bench, "counted", sweep._source, ROWS, sim, limits={"concurrency": WIDTH}, checkpoint={"part_rows": PART_ROWS})
    log = bench.root / "counted.strace"
    trace = ("strace", "-f", "-y", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}")
    bench.run("run", job.config, "-q", before=trace, command=sweep._command)
    lines = [line for line in log.read_text(errors="replace").splitlines() if str(job.output.parent) in line]
    return len({line.split()[0] for line in lines})


def why_no_strace() -> str | None:
    """Give why no call can be broken here, or None if it can."""
    if (why := why_no_slow_disk()) is not None:
        return why
    probe = [*Blow("mkdir", 1, "signal=KILL").strace(Path("/dev/null")), sys.executable, "-c", "import os; os.mkdir('/')"]
    died = subprocess.run(probe, capture_output=True, timeout=60, check=False).returncode
    return None if died == -9 else f"this strace kills nobody: exit {died}"


def summed(what: str, goal: str, struck: Sequence[Struck], *, threads: int = 1) -> Claim:
    """Make one claim of many blows."""
    bad = [each for each in struck if each.wrong or each.twice > WIDTH]
    counts = Counter(each.blow.call for each in struck)
    codes = Counter("0 where nothing rests on it" if each.code == 0 else str(each.code) for each in struck)
    seen = f"{len(struck)} points ({', '.join(f'{call} {counts[call]}' for call in counts)}), exits"
    seen += f" {', '.join(f'{code} ×{times}' for code, times in sorted(codes.items()))};"
    seen += f" {len(bad)} wrong, twice at most {max((each.twice for each in struck), default=0)}"
    for each in bad[:3]:
        seen += f"; {each.blow} exit {each.code} twice {each.twice} {[*each.wrong][:2]} at {(each.at or '')[:150]}"
    if threads != 1:
        seen += f"; {threads} threads change files, so that some points were not met"
    return Claim(what, goal, seen, not bad and threads == 1 and set(counts) == set(CALLS))


def killed_at_every_call(bench: Bench) -> Claims:
    what, goal = "SIGKILL at every fsync, rename, unlink, write …, then resumed", f"0 lost, 0 tracebacks, twice ≤ {WIDTH}"
    if (why := why_no_strace()) is not None:
        yield Claim(what, goal, why, None)
        return
    yield summed(what, goal, list(Sweep(bench, "killed-at").all("signal=KILL", CALLS)), threads=count_threads(bench))
    control = list(Sweep(bench, "in-place", "output-in-place").all("signal=KILL", ["write"]))
    yield caught("negative control: output written under its own name", control)


def full_disk_at_every_call(bench: Bench) -> Claims:
    what, goal = (
        "ENOSPC from every write, fsync, rename … on, then resumed",
        f"exit 3 or 5, one line why; 0 lost, twice ≤ {WIDTH}",
    )
    if (why := why_no_strace()) is not None:
        yield Claim(what, goal, why, None)
        return
    yield summed(what, goal, list(Sweep(bench, "full-at").all("error=ENOSPC", CALLS, onward=True)))


def failing_disk_at_every_call(bench: Bench) -> Claims:
    what, goal = "EIO at every write, fsync, rename …, then resumed", f"exit 3 or 5, one line why; 0 lost, twice ≤ {WIDTH}"
    if (why := why_no_strace()) is not None:
        yield Claim(what, goal, why, None)
        return
    yield summed(what, goal, list(Sweep(bench, "failing-at").all("error=EIO", CALLS)))
    control = list(Sweep(bench, "unheeded", "syncs-unheeded").all("error=EIO", ["fsync"]))
    yield caught("negative control: failed fsync passed over", control)


def caught(what: str, control: Sequence[Struck]) -> Claim:
    """Make the claim that a mistake was noticed."""
    bad = [each for each in control if each.wrong]
    seen = f"{len(bad)} of {len(control)} points" + (f", first: {bad[0].blow} {bad[0].wrong[0][:90]}" if bad else "")
    return Claim(what, "caught: some point is wrong", seen, bool(bad))
