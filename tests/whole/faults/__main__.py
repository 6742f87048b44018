"""The table of faults: prints claim, goal and what was seen, and exits 1 on a miss.

    python -m tests.whole.faults [NAME ...]

Everything runs over real sockets, files and signals, on this machine alone.
"""

import sys

from tests.whole.faults import crash, damage, disk, fleet, power, remote, syscalls
from tests.whole.faults.endpoints import ambient, cuts, poison, raced, stale, width
from tests.whole.faults.mutations import mutations
from tests.whole.faults.outages import OUTAGES
from tests.whole.faults.pace import PACES
from tests.whole.faults.refusals import at_start, days, fatal, hints, single
from tests.whole.faults.secrets import secrets
from tests.whole.nights import TRIALS as NIGHTS
from tests.whole.table import Trial, tried

# Name -> trials that may run at the same time. Those that saturate the machine stand alone.
TRIALS: dict[str, tuple[Trial, ...]] = {
    "full-disk": (disk.full_while_recording, disk.stopped_for_a_minute),
    "room-again": (disk.full_for_a_while, disk.outgrown),
    "publish": (disk.full_at_publish, disk.read_only_at_the_start),
    "child": (disk.outlived_by_a_child,),
    "mutations": (mutations,),
    "secrets": (secrets,),
    "ambient": (ambient, poison),
    "connections": (stale, raced),
    "width": (width,),
    "cuts": (cuts,),
    "hints": (hints, days),
    "fatal": (fatal, single),
    "start": (at_start,),
    "outages": OUTAGES,
    "pace": PACES,
    "kills": (crash.kills,),
    "lost-workers": (fleet.losses,),
    "one-limit": (fleet.one_limit,),
    "four-workers": (fleet.four_beside_one,),
    "terms": (crash.terms,),
    "remote-kills": remote.KILLS,
    "nights": NIGHTS,
    "killed-at": (syscalls.killed_at_every_call,),
    "full-at": (syscalls.full_disk_at_every_call,),
    "failing-at": (syscalls.failing_disk_at_every_call,),
    "power": (power.power_cuts,),
    "damage": (damage.damaged_records,),
}

if __name__ == "__main__":
    sys.exit(tried(TRIALS, sys.argv[1:]))
