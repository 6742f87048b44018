"""Clients run as processes of their own, in alternation, and what each took."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.machine import HERE

_LAUNCH = (sys.executable, "-S", str(Path(__file__).with_name("launch.py")))

# 1.05 was seen for the bare loop on a machine at rest. Where others compete for its core, one thread comes off worse than the
# several of rowcall, which then looks faster than it is.
MOST_SECONDS_A_CPU_SECOND = 1.25


@dataclass(frozen=True)
class Spent:
    """One run of one client, start and end of its process included. `said` is its own last word."""

    seconds: float
    cpu: float
    peak: int
    said: Mapping[str, Any]


def spent(command: Sequence[str], rows: int, core: str, env: Mapping[str, str] | None = None) -> Spent:
    """Run it on this core, with `env` in its environment too; every row has to come out of it."""
    whole = {**os.environ, **(env or {})}
    ended = subprocess.run([*_LAUNCH, core, *command], stdout=subprocess.PIPE, text=True, cwd=HERE, env=whole, check=False)
    if ended.returncode:
        sys.exit(f"bench: exit {ended.returncode} from {' '.join(command)}")
    said, _, took = ended.stdout.rstrip().rpartition("\n")
    seen = Spent(**json.loads(took), said=json.loads(said))
    if seen.said["ok"] != rows:
        sys.exit(f"bench: {seen.said['ok']} of {rows} rows came out of {' '.join(command)}")
    return seen


@dataclass(frozen=True)
class Rounds:
    """All rounds of one client on one workload."""

    rows: int
    each: Sequence[Spent]

    @property
    def per_second(self) -> float:
        return self.rows / statistics.median(one.seconds for one in self.each)

    @property
    def cpu_per_1000(self) -> float:
        return statistics.median(one.cpu for one in self.each) * 1000 / self.rows

    @property
    def peak_mb(self) -> float:
        return statistics.median(one.peak for one in self.each) / 1e6

    @property
    def disturbed(self) -> bool:
        """Tell whether other work held up a client that has its core to itself, and waits for nobody but the server."""
        return statistics.median(one.seconds / one.cpu for one in self.each) > MOST_SECONDS_A_CPU_SECOND

    def rate_beside(self, other: "Rounds") -> float:
        """Give how many times the other's rows/s these are: the median of the rounds, each taken within a minute or so."""
        ratios = [theirs.seconds / ours.seconds for ours, theirs in zip(self.each, other.each, strict=True)]
        return statistics.median(ratios) * self.rows / other.rows

    def thrift_beside(self, other: "Rounds") -> float:
        """Give the same for the rows that a CPU second does. Other work on the machine disturbs it less."""
        ratios = [theirs.cpu / ours.cpu for ours, theirs in zip(self.each, other.each, strict=True)]
        return statistics.median(ratios) * self.rows / other.rows


@dataclass(frozen=True)
class Client:
    """Runs one client once over so many rows."""

    rows: int
    run: Callable[[], Spent]


def in_alternation(clients: Mapping[str, Client], rounds: int) -> dict[str, Rounds]:
    seen: dict[str, list[Spent]] = {name: [] for name in clients}
    for number in range(rounds):
        for name, client in clients.items():
            seen[name].append(client.run())
            print(f"  round {number + 1}, {name}: {seen[name][-1].seconds:.2f} s", file=sys.stderr, flush=True)
    return {name: Rounds(clients[name].rows, each) for name, each in seen.items()}
