"""How fast `rowcall run` is, beside a bare loop, and how much memory it takes: python -m tests.bench [WORKLOAD ...]

Without a name all workloads run: A and B (text), C (images), D (a million rows), E (a folder of pictures), S3 (pictures in an
object store), resume (of a job whose output lies in one) and tail (a few very slow rows). Takes twenty minutes. Prints two
tables in Markdown.
"""

import argparse
import os
import sys
import time

from tests.bench import machine, table
from tests.bench.endpoint import Endpoints, answered_by, find_nginx
from tests.bench.named import WORKLOADS
from tests.bench.sizes import TINY, Sizes
from tests.bench.workloads import Bench


def main(arguments: list[str]) -> int:
    parser = _options()
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.workload if name not in WORKLOADS]:
        parser.error(f"there is no workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    began, load = time.monotonic(), os.getloadavg()[0]
    nginx = None if options.no_nginx else find_nginx()
    client, server, placed = machine.cores()
    with machine.folder_on_disk() as folder:
        sizes = TINY if options.tiny else Sizes.with_remote(options.gigabytes)
        disk = machine.disk(folder)
        bench = Bench(folder, client, Endpoints(folder, server, nginx), sizes, options.rounds)
        for name in options.workload or WORKLOADS:
            WORKLOADS[name](bench)
    print(f"Seen on {machine.described()}; load {load:.1f} before it began.")
    print(f"{answered_by(nginx)}; {placed}; {disk}.{_capacities(bench)} {_rounds(options.rounds, began)}\n")
    print("\n".join((*table.measurements(bench.measured), "", *table.figures(bench.figures))))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("workload", nargs="*", help=f"of {', '.join(WORKLOADS)}; all if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="of A and C, and at most 3 of B (default 5)")
    parser.add_argument("--no-nginx", action="store_true", help="ask a small server of our own in its stead; installs nothing")
    parser.add_argument("--gigabytes", type=float, default=2, help="of S3's input (default 2)")
    parser.add_argument("--tiny", action="store_true", help="a few rows each, to see that it runs")
    return parser


def _capacities(bench: Bench) -> str:
    # Two digits are what ticks of 10 ms can bear.
    each = ", ".join(f"{float(f'{count:.2g}'):,.0f} of {name}" for name, count in bench.capacities.items())
    return f" By the CPU time it used, the server has room a second for {each}." if each else ""


def _rounds(rounds: int, began: float) -> str:
    minutes = (time.monotonic() - began) / 60
    medians = f"medians of {rounds} rounds for A and C, of {min(rounds, 3)} for B, else one"
    return f"In alternation, {medians}; {minutes:.0f} minutes in all."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
