"""Kills and signals at random moments: what is lost, and what is asked twice."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.whole.harness import (
    Bench,
    JobOnDisk,
    Simulator,
    adds_up,
    attack,
    kept_of_csv,
    make_job,
    mistakes_in,
    write_csv,
)
from tests.whole.table import Claim, Claims

WIDTH, PART_ROWS = 16, 100


@dataclass
class Shot:
    """What befell one job: `lost` is, a kill, what it lost of what had been served; `codes` how runs ended after a signal."""

    lost: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: int = 0


def kill_at_random(bench: Bench, job: JobOnDisk, sim: Simulator, number: int) -> Shot:
    seed = random.randrange(10**6)
    start = lambda: bench.start("run", job.config)  # noqa: E731
    seen = attack(job, sim, start, kills=number, requests=60, chance=random.Random(seed))
    ended = bench.run("run", job.config, "-q")
    wrong = [*seen.wrong, *mistakes_in(job.output, kept_of_csv(job.rows))]
    wrong += [f"the last run: exit {ended.code} {ended.err[-300:]}"] if ended.code else []
    twice = sim.served() - job.rows
    wrong += [f"{twice} twice, but {sum(seen.lost)} lost: rows on record were asked again"] if twice != sum(seen.lost) else []
    return Shot(seen.lost, [], [f"seed {seed}: {each}" for each in wrong], twice)


def terminate_at_random(bench: Bench, job: JobOnDisk, sim: Simulator, number: int) -> Shot:
    chance, shot = random.Random(), Shot()
    for _ in range(number):
        running, until = bench.start("run", job.config, "-q"), sim.requests + chance.randint(1, 60)
        while running.alive and sim.requests < until:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        running.signal(signal.SIGTERM)
        ended, now, served = running.wait(), job.look(), sim.served()
        shot.codes.append(ended.code)
        shot.wrong += [] if adds_up(now, job.rows) and now["ok"] == served else [f"{served} served: {now} {ended.err[-200:]}"]
    ended = bench.run("run", job.config, "-q")
    shot.wrong += [f"the last run: exit {ended.code} {ended.err[-300:]}"] if ended.code else []
    shot.wrong += mistakes_in(job.output, kept_of_csv(job.rows))
    shot.twice = sim.served() - job.rows
    return shot


def in_two_jobs(
    bench: Bench, name: str, rows: int, number: int, act: Callable[[Bench, JobOnDisk, Simulator, int], Shot]
) -> Sequence[Shot]:
    """Share the number out between two jobs that run beside each other; each has `rows` rows."""
    source = write_csv(bench.root / f"{name}.csv", rows)

    def one(which: int) -> Shot:
        sim = bench.simulate("--latency", "0.1", "--faults", "0.1")
        limits, checkpoint = {"concurrency": WIDTH}, {"part_rows": PART_ROWS}
        job = make_job(bench, f"{name}-{which}", source, rows, sim, limits=limits, checkpoint=checkpoint)
        return act(bench, job, sim, number // 2)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


def kills(bench: Bench, number: int = 200, rows: int = 5000) -> Claims:
    shots = in_two_jobs(bench, "shot", rows, number, kill_at_random)
    lost = [each for shot in shots for each in shot.lost]
    wrong = [each for shot in shots for each in shot.wrong]
    what = f"kill -9 at {number} random moments"
    yield Claim(
        f"{what}: rows lost, out of order, wrong",
        "0",
        f"{len(wrong)}, after {len(lost)} kills of two jobs of {rows} rows {wrong[:3] or ''}".rstrip(),
        not wrong and len(lost) == number,
    )
    mean, most = sum(lost) / max(len(lost), 1), max(lost, default=0)
    yield Claim(
        "the same: rows asked twice per kill",
        f"mean and max ≤ {WIDTH}",
        f"mean {mean:.1f}, max {most}; {sum(each.twice for each in shots)} in all",
        most <= WIDTH and len(lost) == number,
    )


def terms(bench: Bench, number: int = 50, rows: int = 3000) -> Claims:
    shots = in_two_jobs(bench, "asked-to-stop", rows, number, terminate_at_random)
    codes = Counter(code for shot in shots for code in shot.codes)
    wrong = [each for shot in shots for each in shot.wrong]
    twice = sum(each.twice for each in shots)
    seen = f"{twice} twice, exits {', '.join(f'{code} ×{times}' for code, times in codes.items())}, {len(wrong)} wrong"
    yield Claim(
        f"SIGTERM at {number} random moments: rows asked twice",
        "0, exit 3 each",
        f"{seen} {wrong[:3] or ''}".rstrip(),
        twice == 0 and not wrong and codes == {3: number},
    )
