"""Spoilt input, config and image files: each ends in rows or in one line that names it, never in a traceback or a hang."""

import json
import queue
import select
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.whole.harness import Bench
from tests.whole.table import Claim, Claims

NUMBER = 325  # 25 of each kind
WORKERS = 2
# A mutant takes about a second; the largest bombs take ten on a busy machine.
MOST_SECONDS = 90.0
_PROCESS = (sys.executable, "-m", "tests.whole.faults.mutant_runs")
# Ways in which rowcall is broken on purpose -> what must be seen of it.
SABOTAGE = {"hang": "hung", "crash": "died", "bug": "traceback", "loss": "rows in", "words": "stderr holds"}


@dataclass
class Seen:
    """How mutants ended: the exit codes, what was wrong, and how long the slowest took in seconds."""

    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Worker:
    """A process that runs mutants, started anew when one ended or hung it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, number: int | None, folder: Path, *, sabotage: str = "", most_seconds: float = MOST_SECONDS
    ) -> dict[str, object]:
        """Give how mutant `number` ended (None: a good file): code, seconds, wrong."""
        folder.mkdir()
        process = self._process or self._start()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"number": number, "folder": str(folder), "sabotage": sabotage}).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], most_seconds)
        answer = process.stdout.readline() if ready else b""
        if answer and not sabotage:
            found: dict[str, object] = json.loads(answer)
            return found
        self.close()
        if answer:
            found = json.loads(answer)
            return found
        what = f"died ({process.returncode})" if ready else f"hung for {most_seconds:.0f} s"
        return {"code": -1, "seconds": most_seconds, "wrong": [what], "done": f"mutant {number}", "err": ""}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(_PROCESS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        return self._process


def run_all(numbers: Iterable[int], root: Path) -> Seen:
    """Run these mutants in folders below `root`, which is removed at the end: others may search what a bench holds."""
    root.mkdir()
    seen, idle = Seen(), queue.SimpleQueue[Worker]()
    workers = [Worker(root / f"worker-{each}.log") for each in range(WORKERS)]
    for worker in workers:
        idle.put(worker)

    def one(number: int) -> None:
        worker = idle.get()
        try:
            ended = worker.run(number, root / f"{number:04d}")
        finally:
            idle.put(worker)
        seen.codes[int(str(ended["code"]))] += 1
        seen.slowest = max(seen.slowest, float(str(ended["seconds"])))
        wrong = ended["wrong"]
        assert isinstance(wrong, list)
        if wrong:
            seen.wrong.append(f"{number} ({ended['done']}): {'; '.join(wrong)}; {ended['err']}")

    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(one, numbers))
    finally:
        for worker in workers:
            worker.close()
        shutil.rmtree(root)
    return seen


def unseen(root: Path, sabotage: Sequence[str]) -> list[str]:
    """Run the good CSV job under a rowcall broken in these ways; give those that were not seen for what they are."""
    root.mkdir()
    worker, missed = Worker(root / "worker.log"), []
    for what in sabotage:
        ended = worker.run(None, root / what, sabotage=what, most_seconds=10 if what == "hang" else MOST_SECONDS)
        if not any(SABOTAGE[what] in str(each) for each in ended["wrong"]):  # type: ignore[attr-defined]
            missed.append(f"{what}: {ended}")
    worker.close()
    shutil.rmtree(root)
    return missed


def mutations(bench: Bench) -> Claims:
    """Every kind of file, each spoilt 25 times."""
    seen = run_all(range(NUMBER), bench.root / "mutants")
    codes = ", ".join(f"{number} × exit {code}" for code, number in sorted(seen.codes.items()))
    text = f"{NUMBER} spoilt CSV, JSONL, gzip, Parquet, YAML and image files"
    goal = "0 tracebacks, 0 hangs, no row lost, right exit code"
    yield Claim(
        text, goal, f"{len(seen.wrong)} wrong {seen.wrong[:3] or ''}; {codes}; slowest {seen.slowest:.0f} s", not seen.wrong
    )
    missed = unseen(bench.root / "sabotaged", list(SABOTAGE))
    yield Claim(
        "control: a rowcall that hangs, dies, breaks, loses a row, or moves the cursor",
        "each seen",
        f"unseen: {missed}" if missed else f"{len(SABOTAGE)} of {len(SABOTAGE)}",
        not missed,
    )
