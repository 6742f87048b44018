"""The table of faults: prints claim, goal and what was seen, and exits 1 on a miss.

    python -m tests.whole.faults [NAME ...]

Everything runs over real sockets, files and signals, on this machine alone.
"""

import sys

from tests.whole.table import Trial, tried

# Name -> trials that may run at the same time. Those that saturate the machine stand alone.
TRIALS: dict[str, tuple[Trial, ...]] = {}

if __name__ == "__main__":
    sys.exit(tried(TRIALS, sys.argv[1:]))
