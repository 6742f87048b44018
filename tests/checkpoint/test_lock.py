import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.checkpoint import lock, progress_file
from pipeline.checkpoint.layout import Layout, make_folder
from pipeline.core.errors import BusyError, OutputError, StoppedError

HOLD = """
import sys, time
from pathlib import Path
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
with hold(Layout.of(Path(sys.argv[1]), is_directory=False), what=sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)
    make_folder(layout)
    return layout


def other_process(layout: Layout, what: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(layout.output), what], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_told_at_once_who_holds_the_job(layout: Layout) -> None:
    other = other_process(layout, "run")
    began = time.monotonic()
    with pytest.raises(BusyError, match=rf"process {other.pid} on \S+ \(run, since"), lock.hold(layout):
        pass
    assert time.monotonic() - began < 1
    other.kill()
    other.communicate()


def test_a_run_that_was_killed_blocks_nobody(layout: Layout) -> None:
    other = other_process(layout, "run")
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with lock.hold(layout) as holder:
        assert holder.pid == os.getpid()


HOLD_AND_FORK = """
import os, sys, time
from pathlib import Path
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
with hold(Layout.of(Path(sys.argv[1]), is_directory=False)):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""


def test_a_child_that_outlives_a_killed_run_blocks_nobody(layout: Layout) -> None:
    parent = subprocess.Popen([sys.executable, "-c", HOLD_AND_FORK, str(layout.output)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        with pytest.raises(BusyError), lock.hold(layout):
            pass
        parent.kill()
        parent.wait()
        os.kill(child, 0)
        with lock.hold(layout):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_a_child_that_leaves_the_block_frees_and_empties_nothing(layout: Layout) -> None:
    (precious := layout.folder.parent / "precious").write_text("mine")
    try:
        with lock.hold(layout):
            child = os.fork()
            if child == 0:
                os.open(precious, os.O_RDWR)  # takes the lock's number, which is free here
                raise KeyError
            os.waitpid(child, 0)
            assert layout.lock.stat().st_size > 0
            other = other_process_refused(layout)
    except KeyError:
        os._exit(0)
    assert "held by" in other
    assert precious.read_text() == "mine"


def other_process_refused(layout: Layout) -> str:
    done = subprocess.run([sys.executable, "-c", HOLD, str(layout.output), "run"], capture_output=True, text=True, timeout=60)
    return done.stderr


def test_a_run_waits_for_a_reader_and_gives_up_in_the_end(layout: Layout) -> None:
    with lock.hold(layout, what="status"):
        began = time.monotonic()
        with pytest.raises(BusyError, match="status"), lock.hold(layout, wait=0.8):
            pass
        assert 0.8 <= time.monotonic() - began < 5


def test_a_reader_that_leaves_lets_the_run_in(layout: Layout) -> None:
    other = other_process(layout, "status")
    other.send_signal(signal.SIGKILL)
    with lock.hold(layout, wait=10):
        pass
    other.communicate()


def test_the_lock_is_free_and_silent_afterwards_and_never_removed(layout: Layout) -> None:
    with lock.hold(layout):
        assert layout.lock.stat().st_size > 0
    assert layout.lock.read_bytes() == b""
    assert layout.lock.stat().st_mode & 0o777 == 0o600
    with lock.hold(layout):
        pass


def test_an_exception_inside_frees_it(layout: Layout) -> None:
    with pytest.raises(KeyError), lock.hold(layout):
        raise KeyError
    with lock.hold(layout):
        pass


def test_a_lock_that_is_a_symlink_is_refused(layout: Layout) -> None:
    target = layout.folder.parent / "precious"
    target.write_text("mine")
    layout.lock.symlink_to(target)
    with pytest.raises(OutputError), lock.hold(layout):
        pass
    assert target.read_text() == "mine"


HEARTBEAT = {"pid": 7, "host": "elsewhere", "boot_id": "another", "ended": False}


@pytest.mark.parametrize(
    ("written", "silent_s"),
    [
        (HEARTBEAT | {"ended": True}, 0),
        (HEARTBEAT, 61),
        (HEARTBEAT | {"host": lock.this_process("run").host}, 0),
        (HEARTBEAT | {"boot_id": lock.boot_id() or "another", "host": "container"}, 0 if lock.boot_id() else 61),
        ({}, 0),
    ],
    ids=["it ended", "silent for a minute", "this machine before it was started anew", "a container beside us", "says nothing"],
)
def test_a_dead_run_elsewhere_is_no_obstacle(layout: Layout, written: dict[str, object], silent_s: float) -> None:
    progress_file.write(layout, written)
    seen = layout.progress.stat().st_mtime - silent_s
    os.utime(layout.progress, (seen, seen))
    with lock.hold(layout):
        pass


def test_a_live_run_on_another_host_holds_the_job_and_readers_may_still_look(layout: Layout) -> None:
    progress_file.write(layout, HEARTBEAT)
    with pytest.raises(BusyError, match=r"process 7 on elsewhere .* dead after 60 s"), lock.hold(layout):
        pass
    with lock.hold(layout, what="status"):
        pass


def test_who_waited_while_the_record_was_set_aside_does_not_hold_the_old_one(layout: Layout) -> None:
    with lock.hold(layout):
        layout.folder.rename(layout.folder.with_name("aside"))
        make_folder(layout)
        with lock.hold(layout):
            assert os.path.samefile(layout.lock, layout.folder / "lock")


def test_a_disk_that_fails_at_the_end_does_not_hide_how_the_run_ended(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(StoppedError, match="how it ended"), lock.hold(layout):
        monkeypatch.setattr(os, "ftruncate", failing)
        raise StoppedError("how it ended")
    with lock.hold(layout):
        pass
