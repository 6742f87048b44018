"""A Ray cluster of several nodes on loopback, in a process of its own: each node has its raylet, and all end with the test."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self


class RayCluster:
    """Runs while it is entered. `address` is for `engine.address`, `raylets` are the nodes' process ids, the head's first.

    Raises RuntimeError where Ray starts none.
    """

    def __init__(self, nodes: int = 1, cpus: int = 4) -> None:
        self._nodes = nodes
        self._cpus = cpus

    def __enter__(self) -> Self:
        # A short name: the path of a socket in it may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="rc"))
        env = {**os.environ, "RAY_TMPDIR": str(self.folder), "RAY_USAGE_STATS_ENABLED": "0"}
        with (self.folder / "said").open("w") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.distributed.cluster", str(self._nodes), str(self._cpus)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=env,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):
            line = self._process.stdout.readline()
        if not line:
            lines = (self.folder / "said").read_text().strip().splitlines()
            self.__exit__(None, None, None)
            raise RuntimeError(lines[-1] if lines else "it said nothing")
        found = json.loads(line)
        self.address: str = found["address"]
        self.raylets: list[int] = found["raylets"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def workers(self, raylet: int | None = None) -> list[int]:
        """Give the process ids of rowcall's workers, of all nodes or of one."""
        nodes = set(self.raylets if raylet is None else [raylet])
        return sorted(pid for pid, parent, name in processes() if parent in nodes and name.startswith("ray::Worker"))


def processes() -> Iterator[tuple[int, int, str]]:
    """Give each process's id, its parent's, and its command line."""
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                stat = (each / "stat").read_text()
                name = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            yield int(each.name), int(stat.rpartition(")")[2].split()[1]), name


def main(nodes: int, cpus: int) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=cpus)
    raylets = [each.process.pid for node in cluster.list_all_nodes() for each in node.all_processes["raylet"]]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
