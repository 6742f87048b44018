"""A disk of a few megabytes that a test may fill: a tmpfs mounted for it, which needs root and Linux."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """`path` is where it is mounted."""

    path: Path

    @property
    def free(self) -> int:
        seen = os.statvfs(self.path)
        return seen.f_bavail * seen.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Let somebody else's file take all the room there is but `leave` bytes."""
        with self._filler.open("ab") as file:
            while (room := self.free - leave) > 0:
                try:
                    file.write(b"x" * min(room, 1 << 20))
                    file.flush()
                except OSError:
                    return

    def relieve(self) -> None:
        """Take that file away."""
        self._filler.unlink(missing_ok=True)

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True, capture_output=True, timeout=30)

    @property
    def _filler(self) -> Path:
        return self.path / "somebody-elses"


@cache
def why_no_small_disk() -> str | None:
    """Give why no disk can be mounted here, None if it can."""
    with tempfile.TemporaryDirectory() as folder:
        tried = _mount(Path(folder), "size=1m")
        if tried.returncode:
            return f"no tmpfs can be mounted here: {tried.stderr.strip()}"
        _unmount(Path(folder))
    return None


@contextmanager
def small_disk(path: Path, options: str = "size=64m") -> Iterator[SmallDisk]:
    """Mount a tmpfs on a new folder; skips the test where that cannot be done."""
    if why := why_no_small_disk():
        pytest.skip(why)
    path.mkdir()
    _mount(path, options).check_returncode()
    try:
        yield SmallDisk(path)
    finally:
        _unmount(path)


def _mount(path: Path, options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _unmount(path: Path) -> None:
    # Lazily: what a failed test left open there must not keep it mounted.
    subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True, timeout=30)
