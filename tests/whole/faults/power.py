"""Power cuts: the job lies on a disk of its own, in an image; the image is copied as it is, and the copy is what is found.

What the job has not synced is still in the page cache of the file system in the image, so the copy lacks it. Needs root,
loop mounts and ext4.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import DamagedError
from pipeline.jobs.look import standing
from tests.whole.harness import Bench, JobOnDisk, Running, Simulator, kept_of_csv, make_job, mistakes_in, write_csv
from tests.whole.table import Claim, Claims

WIDTH, PART_ROWS = 8, 50
# The file system itself would write its journal every five seconds, and hide what the job forgot to sync.
MOUNT = ("mount", "-o", "loop,commit=300")
# From here on SQLite writes its log from the start again, and syncing it no longer carries new names along.
LOG_BYTES = 1 << 20
ALTERED = (sys.executable, "-m", "tests.whole.faults.altered")


@dataclass
class Disk:
    """A small ext4 in the file `image`, mounted at `folder`."""

    image: Path
    folder: Path

    @classmethod
    @contextmanager
    def mounted(cls, place: Path) -> Iterator["Disk"]:
        disk = cls(place.with_suffix(".img"), place)
        place.mkdir()
        with disk.image.open("wb") as file:
            file.truncate(1 << 30)
        _do("mkfs.ext4", "-q", "-F", disk.image)
        _do(*MOUNT, disk.image, place)
        try:
            yield disk
        finally:
            # Lazily: after a mistake of the trial itself a process may still be at work there.
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)

    def cut(self, running: Running) -> bool:
        """Take the power from a process and from this disk, and give the disk power again. False if the process had ended."""
        running.signal(signal.SIGSTOP)
        found = self.image.with_suffix(".found")
        _do("cp", "--sparse=always", self.image, found)
        alive = running.kill()
        _do("umount", self.folder)
        found.replace(self.image)
        _do(*MOUNT, self.image, self.folder)
        return alive


@dataclass
class Cuts:
    """What power cuts did. `lost` is, a cut, how many replies that had been served were not on record after it."""

    lost: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    recorded: int = 0

    @property
    def caught(self) -> bool:
        return bool(self.damage) or max(self.lost, default=0) > WIDTH

    def __str__(self) -> str:
        mean, most = sum(self.lost) / max(len(self.lost), 1), max(self.lost, default=0)
        text = f"{len(self.lost)} cuts, {self.recorded} rows on record, twice a cut: mean {mean:.1f}, max {most}"
        return f"{text}, {len(self.damage)} with damage {[*self.damage, *self.wrong][:2] or ''}".rstrip()


def cut_power(
    job: JobOnDisk, disk: Disk, sim: Simulator, start: Callable[[], Running], *, cuts: int, chance: random.Random
) -> Cuts:
    """Start the job and cut its power, again and again, until `cuts` or the first damage.

    Half the cuts are at random moments, the others a moment after a part got its name.
    """
    seen, lost = Cuts(), sim.served()
    for number in range(cuts):
        running = start()
        (_just_sealed if number % 2 == 0 else _any_time)(job, running, sim, chance)
        if not disk.cut(running):
            seen.wrong.append(f"the run ended by itself: {running.err.read_text()[-300:]}")
            break
        try:
            recorded = _proven(job)
        except DamagedError as error:
            seen.damage.append(str(error).replace(str(job.record), "")[:160])
            break
        gap = sim.served() - recorded
        seen.lost.append(gap - lost)
        seen.recorded, lost = recorded, gap
        if seen.caught:
            break
    return seen


def _proven(job: JobOnDisk) -> int:
    """Prove every row on record and every sealed part in a copy of the record; give how many rows have an answer."""
    if not (job.record / "journal.db").exists():
        return 0
    with tempfile.TemporaryDirectory(prefix="rowcall-look-") as folder:
        copy = Path(folder) / job.output.name
        shutil.copytree(job.record, copy.with_name(job.record.name))
        ok = standing(copy, verify=True).summary["ok"]
    assert isinstance(ok, int)
    return ok


def _any_time(job: JobOnDisk, running: Running, sim: Simulator, chance: random.Random) -> None:
    until, give_up = sim.requests + chance.randint(1, 300), time.monotonic() + 20
    while running.alive and sim.requests < until and time.monotonic() < give_up:
        time.sleep(0.002)


def _just_sealed(job: JobOnDisk, running: Running, sim: Simulator, chance: random.Random) -> None:
    give_up = time.monotonic() + 20
    known: set[str] | None = None
    while running.alive and time.monotonic() < give_up:
        if known is None and _log_bytes(job) >= LOG_BYTES and sim.requests:
            known = _sealed(job)
        if known is not None and _sealed(job) - known:
            break
        time.sleep(0.001)
    time.sleep(chance.uniform(0.002, 0.03))


def _log_bytes(job: JobOnDisk) -> int:
    try:
        return (job.record / "journal.db-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _sealed(job: JobOnDisk) -> set[str]:
    try:
        return {name for name in os.listdir(job.record / "parts") if name.endswith(".parquet")}
    except FileNotFoundError:
        return set()


@contextmanager
def job_on_a_disk(bench: Bench, name: str, rows: int) -> Iterator[tuple[JobOnDisk, Disk, Simulator]]:
    """Give a job whose record and output lie on a disk of their own. Input, config and simulator are elsewhere."""
    sim = bench.simulate("--latency", "0.02")
    source = write_csv(bench.root / f"{name}.csv", rows)
    with Disk.mounted(bench.root / f"{name}-disk") as disk:
        output = disk.folder / "out.parquet"
        limits, checkpoint = {"concurrency": WIDTH}, {"part_rows": PART_ROWS}
        job = make_job(bench, name, source, rows, sim, limits=limits, checkpoint=checkpoint, output={"path": str(output)})
        job.output = output
        yield job, disk, sim


def why_no_power_cut(bench: Bench) -> str | None:
    """Give why no disk can be made here, or None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    if missing := [name for name in ("mkfs.ext4", "mount", "umount") if shutil.which(name) is None]:
        return f"{missing[0]} is not installed"
    try:
        with Disk.mounted(bench.root / "tried-disk"):
            return None
    except subprocess.CalledProcessError as error:
        return f"loop mounts are forbidden here: {error.stderr.decode(errors='replace').strip()[-120:]}"


def power_cuts(bench: Bench, cuts: int = 20, rows: int = 6000) -> Claims:
    what, goal = f"{cuts} power cuts, resumed from what was on the disk", f"0 parts gone, 0 lost, twice ≤ {WIDTH} a cut"
    if (why := why_no_power_cut(bench)) is not None:
        yield Claim(what, goal, why, None)
        return
    with job_on_a_disk(bench, "powered", rows) as (job, disk, sim):
        seen = cut_power(job, disk, sim, lambda: bench.start("run", job.config), cuts=cuts, chance=random.Random())
        ended = bench.run("run", job.config, "-q")
        wrong = mistakes_in(job.output, kept_of_csv(rows))
        held = len(seen.lost) == cuts and not (seen.caught or seen.wrong or wrong or ended.code)
        text = f"{seen}; then exit {ended.code}, {len(wrong)} wrong, {sim.served() - rows} twice in all {ended.err[-200:]}"
        yield Claim(what, goal, text, held)
    for alteration, mistake in (("commits-unsynced", "synchronous=NORMAL"), ("names-unsynced", "no folder synced")):
        with job_on_a_disk(bench, alteration, rows) as (job, disk, sim):
            command = (*ALTERED, alteration)
            start = lambda job=job, command=command: bench.start("run", job.config, command=command)  # noqa: E731
            seen = cut_power(job, disk, sim, start, cuts=16, chance=random.Random())
        yield Claim(f"negative control: {mistake}", "caught: rows or a part are lost", str(seen), seen.caught)


def _do(*command: str | Path) -> None:
    subprocess.run(command, capture_output=True, check=True, timeout=60)
