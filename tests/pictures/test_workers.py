"""The processes that shrink pictures: what a picture can do to them, and what that does to the others."""

import asyncio
import io
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import pipeline
from pipeline.core.errors import BadRowError, StoppedError
from pipeline.pictures.wanted import Wanted
from pipeline.pictures.workers import Limits, Workers, command_of
from tests.pictures.bombs import bombs, encoded, photo

WANTED = Wanted(256, None, 85, 40_000_000)
GOOD = photo(900, 600)
pytestmark = pytest.mark.network  # the real clock, real processes
ONLY_LINUX = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks processes up in /proc")


@contextmanager
def workers(count: int = 1, limits: Limits | None = None, command: Sequence[str] | None = None) -> Iterator[Workers]:
    limits = limits or Limits.of(WANTED.max_pixels)
    made = Workers(command or command_of(WANTED, limits), limits, count)
    try:
        yield made
    finally:
        made.close()


def played(*steps: str) -> Sequence[str]:
    """Give the command of a worker that is ready, and then does these steps of Python with each picture."""
    lines = ["import os, signal, sys", "os.write(1, b'R')", "while head := sys.stdin.buffer.read(8):"]
    lines += ["    data = sys.stdin.buffer.read(int.from_bytes(head, 'big'))", *(f"    {step}" for step in steps)]
    return (sys.executable, "-c", "\n".join(lines))


async def result(made: Workers, data: bytes) -> bytes | Exception:
    try:
        return await made(data)
    except (BadRowError, StoppedError) as error:
        return error


def results(made: Workers, *pictures: bytes) -> list[bytes | Exception]:
    async def all_at_once() -> list[bytes | Exception]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(result(made, each)) for each in pictures]
        return [task.result() for task in tasks]

    return asyncio.run(all_at_once())


def children() -> list[int]:
    """Give our living child processes that shrink pictures."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, line = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if int(parent) == os.getpid() and state != "Z" and b"pipeline.pictures.worker" in line:
            found.append(int(folder.name))
    return found


def peak_of(pid: int) -> int:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def side_of(data: object) -> int:
    assert isinstance(data, bytes), data
    return max(Image.open(io.BytesIO(data)).size)


# -- what pictures do


@ONLY_LINUX
@pytest.mark.slow  # some take a while to make
def test_no_bomb_gets_far_and_the_pictures_beside_it_come_out() -> None:
    limits = Limits.of(WANTED.max_pixels)
    every = replace(WANTED, format="jpeg")  # or those that are small would not be decoded
    with workers(limits=limits, command=command_of(every, limits)) as made:
        for name, data, why in bombs():
            assert len(data) < 1_500_000, name
            found, good = results(made, data, GOOD)
            assert side_of(good) == 256
            peak = max(map(peak_of, children()))
            print(f"{name}: {len(data):,} bytes, peak {peak / 1e6:,.0f} MB: {found if isinstance(found, Exception) else 'made'}")
            assert peak < limits.memory
            if why is None:
                assert side_of(found) <= 256, name
            elif why:
                assert isinstance(found, BadRowError), name
                assert why in str(found)
            else:
                assert isinstance(found, BadRowError | bytes), name


def test_whatever_is_damaged_costs_its_own_row_only() -> None:
    draw = random.Random(7)
    whole = [photo(300, 200, form=form) for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")]
    damaged = []
    for number in range(70):
        data = bytearray(whole[number % len(whole)])
        for _ in range(draw.choice((1, 5, 50))):
            data[draw.randrange(12, len(data))] = draw.randrange(256)
        damaged.append(bytes(data[: draw.randrange(len(data) // 2, len(data))] if draw.random() < 0.3 else data))
    with workers(2) as made:
        found = results(made, *damaged, GOOD)
    assert side_of(found.pop()) == 256
    assert all(isinstance(each, BadRowError) or side_of(each) <= 256 for each in found)
    assert any(isinstance(each, BadRowError) for each in found)


def test_what_is_in_an_error_is_one_harmless_line() -> None:
    said = played("text = b'bad\\n\\x1b]0;pwn\\x07' * 20", "os.write(1, b'-' + len(text).to_bytes(8, 'big') + text)")
    with workers(command=said) as made:
        (found,) = results(made, b"x")
    assert isinstance(found, BadRowError)
    assert str(found).isprintable()


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashes its decoder (SIGSEGV)"),
        ("os.abort()", "crashes its decoder (SIGABRT)"),
        ("os._exit(3)", "crashes its decoder (exit code 3)"),
        ("os.kill(os.getpid(), signal.SIGPROF)", "more than 50 s of processor time"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed twice"),
        ("os.write(1, b'M' + bytes(8))", "MiB of memory"),
        ("os.write(1, b'+' + b'\\xff' * 8)", "cannot have meant"),
        ("os.write(1, b'?' + bytes(8))", "cannot have meant"),
    ],
)
def test_what_ends_a_worker_fails_one_row_with_the_reason(step: str, why: str) -> None:
    echo = "os.write(1, b'=' + bytes(8)) if data == b'good' else " + step
    with workers(2, command=played(echo)) as made:
        found = results(made, b"good", b"bad", b"good", b"good", b"bad", b"good")
    assert [each for each in found if isinstance(each, bytes)] == [b"good"] * 4
    bad = [each for each in found if isinstance(each, BadRowError)]
    assert len(bad) == 2
    assert all(why in str(each) for each in bad)


def test_a_worker_killed_by_somebody_else_costs_no_row(tmp_path: Path) -> None:
    once = f"os.kill(os.getpid(), signal.SIGKILL) if not os.path.exists({str(tmp_path / 'x')!r}) and not os.mkdir("
    once += f"{str(tmp_path / 'x')!r}) else os.write(1, b'=' + bytes(8))"
    with workers(command=played(once)) as made:
        assert results(made, b"good") == [b"good"]


@pytest.mark.parametrize("step", ["signal.pause()", "signal.pause() if data else None"])
def test_a_decoder_that_hangs_is_given_up(step: str) -> None:
    limits = Limits(2**30, 9.0, patience=1)
    with workers(limits=limits, command=played("os.write(1, b'=' + bytes(8)) if data == b'good' else " + step)) as made:
        hung, good = results(made, b"hang", b"good")
    assert isinstance(hung, BadRowError)
    assert "hung" in str(hung)
    assert good == b"good"


def test_a_picture_that_takes_too_long_is_given_up_by_the_clock_of_its_own_process() -> None:
    slow = encoded(Image.effect_noise((4000, 4000), 90).convert("RGB"), "PNG", compress_level=1)
    limits = Limits(Limits.of(WANTED.max_pixels).memory, 0.2)
    with workers(limits=limits, command=command_of(WANTED, limits)) as made:
        found, good = results(made, slow, GOOD)
    assert isinstance(found, BadRowError)
    assert "processor time" in str(found)
    assert side_of(good) == 256


@ONLY_LINUX
def test_a_picture_that_takes_too_much_memory_is_given_up() -> None:
    limits = Limits(60 * 2**20, 50.0)
    large = encoded(Image.new("RGB", (6000, 6000)), "PNG")
    with workers(limits=limits, command=command_of(WANTED, limits)) as made:
        found, good = results(made, large, GOOD)
    assert isinstance(found, BadRowError)
    assert "memory" in str(found)
    assert side_of(good) == 256


# -- the processes


@ONLY_LINUX
def test_nothing_starts_before_the_first_picture_and_nothing_is_left_behind() -> None:
    with workers(2) as made:
        assert children() == []
        results(made, GOOD, GOOD)
        assert 1 <= len(children()) <= 2
    assert children() == []
    assert isinstance(results(made, GOOD)[0], StoppedError)


@ONLY_LINUX
def test_a_worker_knows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMIND_API_KEY", "canary")
    with workers() as made:
        results(made, GOOD)
        (pid,) = children()
        known = dict(each.split(b"=", 1) for each in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if each)
    assert set(known) <= {b"PYTHONPATH", b"LD_LIBRARY_PATH", b"PYTHONHOME"}


@ONLY_LINUX
def test_a_worker_looks_for_modules_where_we_do_and_in_the_same_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As an old backport in the site-packages that rowcall itself is installed in: there it hides nothing from us.
    (tmp_path / "pathlib.py").write_text("raise ImportError")
    shutil.copytree(Path(pipeline.__file__).parent, tmp_path / "pipeline")
    monkeypatch.setattr(pipeline, "__file__", str(tmp_path / "pipeline" / "__init__.py"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with workers() as made:
        assert side_of(results(made, GOOD)[0]) == 256


@ONLY_LINUX
def test_a_worker_hears_no_ctrl_c_and_opens_hardly_a_file() -> None:
    with workers() as made:
        results(made, GOOD)
        (pid,) = children()
        assert os.getsid(pid) == pid != os.getsid(0)
        os.kill(pid, signal.SIGINT)
        assert side_of(results(made, GOOD)[0]) == 256
        assert children() == [pid]
        limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max file size             0 " in limits
    assert "Max core file size        0 " in limits


def test_a_worker_that_does_not_start_is_no_rows_fault() -> None:
    for command in ((sys.executable, "-c", "raise SystemExit(3)"), ("/nowhere/python",)):
        with workers(command=command) as made:
            (found,) = results(made, GOOD)
        assert isinstance(found, StoppedError)


def test_closing_ends_what_is_at_work() -> None:
    with workers(2, command=played("signal.pause()")) as made:

        async def close_meanwhile() -> list[bytes | Exception]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(result(made, b"x")) for _ in range(5)]
                while len(made._alive) < 2:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(made.close)
            return [task.result() for task in tasks if not task.cancelled()]

        begun = time.monotonic()
        found = asyncio.run(close_meanwhile())
        assert time.monotonic() - begun < 20
    assert found
    assert all(isinstance(each, StoppedError) for each in found)


SCRIPT = """
import asyncio, sys
from pipeline.pictures.wanted import Wanted
from pipeline.pictures.workers import Limits, Workers, command_of
print("begun", flush=True)
limits = Limits.of(40_000_000)
made = Workers(command_of(Wanted(64, None, 85, 40_000_000), limits), limits, 1)
small = asyncio.run(made(open(sys.argv[1], "rb").read()))
print(len(small), *(each._process.pid for each in made._alive), "PIL" in sys.modules, flush=True)
sys.stdin.read()
"""


@ONLY_LINUX
def test_a_script_without_a_main_guard_runs_once_and_leaves_nothing_when_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "photo.jpg").write_bytes(GOOD)
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the folder it is called in')")
    root = str(Path(__file__).parents[2])
    command = (sys.executable, "-P", str(tmp_path / "script.py"), "photo.jpg")
    caller = subprocess.Popen(
        command, cwd=tmp_path, env={"PYTHONPATH": root}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert caller.stdout is not None
    assert caller.stdin is not None
    assert caller.stdout.readline() == "begun\n"
    size, pid, imported = caller.stdout.readline().split()
    assert int(size) > 100
    assert imported == "False"
    worker = os.pidfd_open(int(pid))  # readable once it has ended
    ended = select.poll()
    ended.register(worker, select.POLLIN)
    assert not ended.poll(0)
    caller.kill()
    caller.wait()
    assert ended.poll(10_000), "the worker lives on"
    os.close(worker)
    caller.stdout.close()
    caller.stdin.close()
