"""One process at a time: flock on the record's lock file, which the kernel frees whatever the holder dies of.

A forked child would share the lock and keep it after its parent's death, so children give up their share when they start.

The file's content says who holds it; it informs, and decides nothing. The file is never removed: two processes could
then hold two files of one name. It is not the journal itself, because closing any descriptor of a SQLite file drops
the locks this process has on it.
"""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import BusyError, OutputError

READER_PATIENCE_S = 10.0
# The file may still name a dead run while a reader that just took the lock writes its own name; past this it is believed.
RUN_PATIENCE_S = 0.2
# A run on another host rewrites progress.json every second: silent for this long, it is dead.
HEARTBEAT_S = 60.0

_POLL_S = 0.02
_held: set[int] = set()  # descriptors of this process


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a job. `boot_id` tells one kernel's life from another's; `what` is `run`, or the reader's verb."""

    pid: int
    host: str
    boot_id: str
    started: float
    what: str

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))
        return f"process {self.pid} on {self.host} ({self.what}, since {since})"


@contextmanager
def hold(layout: Layout, what: str = "run", wait: float = READER_PATIENCE_S) -> Iterator[Holder]:
    """Hold the job's lock; the record's folder must exist.

    `what` is `run` for whoever may send or write, anything else for a reader that leaves soon. A reader in the way is
    waited for up to `wait` seconds, a run never longer than RUN_PATIENCE_S. Raises BusyError naming the holder, also
    for a run on another host whose heartbeat in progress.json is fresh.
    """
    descriptor = _acquire(layout, wait)
    _held.add(descriptor)
    holder = this_process(what)
    try:
        _write(descriptor, holder)
        if what == "run":
            _check_other_hosts(layout, holder, os.fstat(descriptor).st_mtime)
        yield holder
    finally:
        if descriptor in _held:  # not in a child: there it is closed, and the number may be another file's
            _held.discard(descriptor)
            _free(descriptor)


def _free(descriptor: int) -> None:
    try:
        with suppress(OSError):  # the name in it only informs; a failing disk must not hide how the run ended
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _let_go_in_a_child() -> None:
    # Closing leaves the parent's lock as it is; unlocking would not.
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go_in_a_child)


def this_process(what: str) -> Holder:
    return Holder(os.getpid(), socket.gethostname(), boot_id(), time.time(), what)


def boot_id() -> str:
    """Name this kernel's life, the same in every container on it; empty where the system has no such name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _acquire(layout: Layout, wait: float) -> int:
    began = time.monotonic()
    while True:
        descriptor = _open(layout.lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_named(descriptor, layout.lock):
                return descriptor
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(descriptor)
                raise OutputError(f"{layout.lock}: this disk cannot lock files ({error.strerror}); set checkpoint.dir") from error
            holder = _read(descriptor)
            waited = time.monotonic() - began
            if waited >= min(wait, RUN_PATIENCE_S if holder is None or holder.what == "run" else wait):
                os.close(descriptor)
                raise BusyError(
                    f"{layout.output}: the job is held by {holder or 'another process'}; wait for it or stop it"
                ) from None
        os.close(descriptor)
        time.sleep(_POLL_S)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        return descriptor
    except OSError as error:
        raise OutputError(f"{path}: the job's lock cannot be opened ({error.strerror}); is the record yours?") from error


def _still_named(descriptor: int, path: Path) -> bool:
    """Whether the locked file is the one of that name: --fresh may have renamed its folder while we waited."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write(descriptor: int, holder: Holder) -> None:
    with suppress(OSError):  # a full disk must not keep anybody from holding the lock
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, orjson.dumps(asdict(holder)), 0)


def _read(descriptor: int) -> Holder | None:
    try:
        return Holder(**orjson.loads(os.pread(descriptor, 4096, 0)))
    except (OSError, TypeError, orjson.JSONDecodeError):
        return None


def _check_other_hosts(layout: Layout, us: Holder, now: float) -> None:
    """Refuse if a run elsewhere was alive just now.

    flock is sure within one kernel only. Both times are the file system's own: `now` is when it took our lock's content,
    the heartbeat's age when it took progress.json, so the hosts' clocks need not agree.
    """
    last = progress_file.read(layout)
    if last is None or last.get("ended", True) or last.get("host") == us.host:
        return
    if us.boot_id and last.get("boot_id") == us.boot_id:  # a container beside us: the same kernel, whose flock we hold
        return
    try:
        age = now - layout.progress.stat().st_mtime
    except FileNotFoundError:
        return
    if age < HEARTBEAT_S:
        raise BusyError(
            f"{layout.output}: process {last.get('pid')} on {last.get('host')} ran this job {max(age, 0):.0f} s ago; "
            f"it counts as dead after {HEARTBEAT_S:.0f} s of silence"
        )
