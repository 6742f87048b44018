"""Run a command on some cores and say, as a last line of JSON, what it took: launch.py CORES COMMAND...

A process of its own, and a small one: a child starts out with its parent's peak memory in its own accounts. CORES are
numbers with commas between them; none leaves the system to choose.
"""

import json
import os
import sys
import time


def main(cores: str, command: list[str]) -> int:
    if cores:
        os.sched_setaffinity(0, [int(each) for each in cores.split(",")])
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode; here the first round writes it
    began = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
    seconds = time.perf_counter() - began
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak}))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
