"""The machine: what it is, which cores clients and servers get, and a folder on a disk that keeps what is synced to it."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

_IN_MEMORY = ("tmpfs", "ramfs")
HERE = Path(__file__).resolve().parents[2]


def cores() -> tuple[str, str, str]:
    """Give the cores for clients and for servers as launch.py takes them, and a sentence on them."""
    if not hasattr(os, "sched_setaffinity"):
        return "", "", "this system pins no process to a core, so client and server may get in each other's way"
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) == 1:
        return str(ours[0]), str(ours[0]), "client and server share the one core there is"
    return str(ours[0]), str(ours[1]), "clients were pinned to one core, servers to another"


def described() -> str:
    """Name the machine and the versions that matter."""
    model = _from_file("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    system = _from_file("/etc/os-release", "PRETTY_NAME") or platform.platform(terse=True)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "openai"))
    return f"{model}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}, {libraries}"


def _from_file(name: str, key: str) -> str | None:
    try:
        lines = Path(name).read_text().splitlines()
    except OSError:
        return None
    return next((line.split("=" if "=" in line else ":", 1)[1].strip(' "') for line in lines if line.startswith(key)), None)


@contextmanager
def folder_on_disk() -> Iterator[Path]:
    """Give a temporary folder whose fsync is real, and remove it. `out/` of this checkout, unless that lies in memory."""
    (HERE / "out").mkdir(exist_ok=True)
    places = [HERE / "out", Path(tempfile.gettempdir()), Path("/var/tmp")]
    place = next((each for each in places if each.is_dir() and _file_system(each) not in _IN_MEMORY), None)
    if place is None:
        sys.exit("bench: no folder here lies on a disk; set TMPDIR to one that does")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as name:
        yield Path(name)


def disk(folder: Path) -> str:
    """Name what the records lie on, and how long it takes to make a small write durable, which every commit waits for."""
    took = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(30):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    (folder / "synced").unlink()
    return f"records lay on {_file_system(folder) or 'a disk'}, which syncs 4 kB in {statistics.median(took) * 1000:.1f} ms"


def _file_system(place: Path) -> str:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    over = [(len(point), kind) for point, kind in mounts if place.resolve().is_relative_to(point)]
    return max(over, default=(0, ""))[1]


def cpu_seconds(pid: int) -> float:
    """Give what a process has used so far, or 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, the 14th and 15th of proc(5)


def nginx_version(program: str) -> str:
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr
    return said.strip().rpartition("/")[2] or "?"
