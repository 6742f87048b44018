"""Claims tried out, and the table they are printed as: what is claimed, the goal, what was seen, whether it held."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from tests.whole.harness import Bench


@dataclass(frozen=True)
class Claim:
    """One line of the table. `held` None: it could not be tried, and `seen` says why."""

    text: str
    goal: str
    seen: str
    held: bool | None

    @property
    def verdict(self) -> str:
        return {True: "ok", False: "MISS", None: "not run"}[self.held]


Claims = Iterator[Claim]
Trial = Callable[[Bench], Claims]


def in_turn(*trials: Trial) -> Trial:
    """Make one trial of several, one after another: beside others they take the place of one."""
    return lambda bench: chain.from_iterable(trial(bench) for trial in trials)


def tried(trials: Mapping[str, Sequence[Trial]], names: Sequence[str]) -> int:
    """Run these trials (all if none is named), those of one name at the same time; print the table. 1 on a miss, else 0."""
    started, table = time.monotonic(), []
    with Bench() as bench, ThreadPoolExecutor(max(map(len, trials.values()))) as pool:
        for name in names or trials:
            for claims in pool.map(lambda trial: list(trial(bench)), trials[name]):
                table += claims
                for claim in claims:
                    print(
                        f"{time.monotonic() - started:4.0f} s  {claim.verdict:7}  {claim.text}: {claim.seen}",
                        file=sys.stderr,
                        flush=True,
                    )
    print("\n".join(lines(table)))
    return 1 if any(claim.held is False for claim in table) else 0


def lines(table: Sequence[Claim]) -> Iterator[str]:
    """Lay the claims out in columns."""
    cells = [("claim", "goal", "seen", ""), *((each.text, each.goal, each.seen, each.verdict) for each in table)]
    widths = [max(len(row[column]) for row in cells) for column in range(2)]
    for claim, goal, seen, verdict in cells:
        yield f"{verdict:8}{claim:{widths[0]}}  {goal:{widths[1]}}  {seen}"
