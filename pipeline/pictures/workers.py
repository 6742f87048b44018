"""The processes that shrink pictures, from the side of the run: bytes in, bytes out, and what they die of is a picture's.

Neither `concurrent.futures` nor `multiprocessing` nor pebble, good as that is. A broken pool of the first takes pictures along
that did nothing. The others start their processes with all of our environment, the key in it, run the caller's main module
again in each (a script without `__main__` guard would start its job anew), and speak pickle. A program of its own, asked over
a pair of pipes, does none of that: it has the environment it is given, ends when its input does, also if we are killed, sits
in a session of its own where no Ctrl-C reaches it, and its death says which picture it died of.
"""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pipeline
from pipeline.core.errors import BadRowError, StoppedError
from pipeline.pictures.wanted import Wanted
from pipeline.pictures.worker import AS_IT_IS, LENGTH, MADE, READY, TOO_BIG, UNREADABLE

MOST_WORKERS = 4
# A worker holds decoders' buffers besides pixels. An animated WebP keeps three canvases of 4 bytes a pixel, 16 bits that are
# scaled 11 bytes a pixel, a progressive JPEG 6 before it is shrunk.
_LEAST_MEMORY = 256 * 2**20
_BYTES_PER_PIXEL = 20
# Forty times what the slowest honest picture takes here: a picture that takes longer was made to.
_SECONDS, _SECONDS_PER_MEGAPIXEL = 10.0, 1.0
# What is waited for is counted in seconds that passed while we looked: a run that was stopped for an hour times nothing out.
_PATIENCE = 300
_CHUNK = 1 << 20
_LAST_BREATH = 10.0  # seconds from a closed pipe to a process that is gone
# Where Python's own libraries lie, if anywhere unusual. Nothing else of our environment is a worker's business.
_HANDED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")
_CLOSED = "the run has ended, and no more pictures are shrunk"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may cost: bytes of memory, seconds of processor time, and seconds that are waited at all."""

    memory: int
    seconds: float
    patience: int = _PATIENCE

    @classmethod
    def of(cls, max_pixels: int) -> "Limits":
        return cls(
            _LEAST_MEMORY + _BYTES_PER_PIXEL * max_pixels,
            _SECONDS + _SECONDS_PER_MEGAPIXEL * max_pixels / 1e6,
        )


def processors() -> int:
    """Give how many workers are of use: one a processor we may use, four at most for the memory of each."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, MOST_WORKERS))


def command_of(wanted: Wanted, limits: Limits) -> Sequence[str]:
    """Give the worker's command line. -P: the folder we were called in is no place to import from."""
    settings = json.dumps({"wanted": asdict(wanted), "memory": limits.memory, "seconds": limits.seconds})
    return (sys.executable, "-P", "-m", "pipeline.pictures.worker", settings)


class Workers:
    """Implements core.interfaces.Shrink. A process starts when the first picture needs it; `close` ends them all.

    How many wait is the callers' to bound. `command` is what a worker runs.
    """

    def __init__(self, command: Sequence[str], limits: Limits, count: int) -> None:
        self._command = command
        self._limits = limits
        # One thread a worker: it waits at the worker's pipe, and the worker is its own.
        self._threads = ThreadPoolExecutor(count, "rowcall-pictures")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._alive: set[_Worker] = set()
        self._closed = False

    async def __call__(self, data: bytes) -> bytes:
        """Give equal bytes for equal bytes. Raise BadRowError if it is no picture that can be read."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self.shrunk, data)
        except RuntimeError:  # closed
            raise StoppedError(_CLOSED) from None

    def close(self) -> None:
        """End the processes, whatever they are at, and wait until they are gone."""
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        for worker in alive:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in alive:
            worker.reap()

    def shrunk(self, data: bytes) -> bytes:
        """Do the same, blocking; each thread that calls has a worker of its own."""
        try:
            return self._asked(data)
        except _KilledError:
            # Most likely for want of memory, perhaps somebody else's. Once may be chance, twice is the picture's doing.
            pass
        try:
            return self._asked(data)
        except _KilledError:
            raise BadRowError("the image's decoder was killed twice, perhaps for want of memory on this machine") from None

    def _asked(self, data: bytes) -> bytes:
        worker = self._worker()
        try:
            letter, said = worker.ask(data)
        except _DiedError as death:
            code = self._forget(worker, kill=death.waited)
            if self._closed:
                raise StoppedError(_CLOSED) from None
            raise self._verdict(code, death) from None
        match letter:
            case _ if letter == AS_IT_IS:
                return data
            case _ if letter == MADE:
                return said
            case _ if letter == UNREADABLE:
                raise BadRowError(f"the image cannot be prepared: {_printable(said)}")
            case _ if letter == TOO_BIG:
                # What ran out of memory may have left it in pieces.
                self._forget(worker)
                raise BadRowError(f"the image takes more than {self._limits.memory >> 20:,} MiB of memory to decode")
        self._forget(worker)
        raise BadRowError("the image's decoder said what it cannot have meant; it is not asked again")

    def _worker(self) -> "_Worker":
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._started()
            self._own.worker = worker
        return worker

    def _started(self) -> "_Worker":
        with self._lock:
            if self._closed:
                raise StoppedError(_CLOSED)
            try:
                worker = _Worker(self._command, self._limits)
            except OSError as error:
                raise StoppedError(f"images: no process can be started to shrink them: {error.strerror}") from error
            self._alive.add(worker)
        try:
            if worker.receive(len(READY)) == READY:
                return worker
        except _DiedError as death:
            if death.waited:
                worker.kill()
        code = worker.reap()
        with self._lock:
            self._alive.discard(worker)
        raise StoppedError(
            _CLOSED if self._closed else f"images: the process that shrinks them does not start (exit code {code})"
        )

    def _forget(self, worker: "_Worker", *, kill: bool = True) -> int:
        """Be rid of a worker, and give its exit code."""
        self._own.worker = None
        if kill:
            worker.kill()
        code = worker.reap()
        with self._lock:
            self._alive.discard(worker)
        return code

    def _verdict(self, code: int, death: "_DiedError") -> Exception:
        if death.waited:
            return BadRowError(f"the image's decoder hung; it was given up after {self._limits.patience} s")
        if code == -signal.SIGKILL:
            return _KilledError()
        if code == -signal.SIGPROF:
            return BadRowError(f"the image takes more than {self._limits.seconds:.0f} s of processor time to decode")
        how = signal.Signals(-code).name if -code in signal.valid_signals() else f"exit code {code}"
        return BadRowError(f"the image crashes its decoder ({how})")


class _KilledError(Exception):
    """Somebody else ended the worker, such as a system short of memory."""


class _DiedError(Exception):
    """The worker's pipe broke or, with `waited`, it was silent for too long."""

    def __init__(self, *, waited: bool) -> None:
        super().__init__()
        self.waited = waited


class _Worker:
    """A worker's process and pipes. Blocking; for one thread, but that any may kill it."""

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        self._patience = limits.patience
        self._most = limits.memory  # nothing that was made in it is larger
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders talk about damaged pictures
            env=_environment(),
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)  # or a write waits until the last byte is taken, for ever if need be

    def ask(self, data: bytes) -> tuple[bytes, bytes]:
        """Send a picture and give the answer's letter and what belongs to it. Raises _DiedError."""
        self._send(len(data).to_bytes(LENGTH, "big"))
        self._send(data)
        head = self.receive(1 + LENGTH)
        size = int.from_bytes(head[1:], "big")
        return (head[:1], self.receive(size)) if size <= self._most else (b"?", b"")

    def receive(self, size: int) -> bytes:
        """Read so many bytes. Raises _DiedError."""
        chunks: list[bytes] = []
        while size > 0:
            self._wait(self._out, select.POLLIN)
            chunk = os.read(self._out, min(size, _CHUNK))
            if not chunk:
                raise _DiedError(waited=False)
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def kill(self) -> None:
        self._process.kill()

    def reap(self) -> int:
        """Wait until it is gone, and give its exit code: minus the signal that ended it."""
        try:
            code = self._process.wait(_LAST_BREATH)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        return code

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._in, select.POLLOUT)
            try:
                left = left[os.write(self._in, left) :]
            except BrokenPipeError:
                raise _DiedError(waited=False) from None

    def _wait(self, pipe: int, event: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not any(poll.poll(1000) for _ in range(self._patience)):
            raise _DiedError(waited=True)


def _environment() -> dict[str, str]:
    """Give what a worker needs to find Python's and our own modules, and nothing else: the key is in ours."""
    here = str(Path(pipeline.__file__).resolve().parents[1])
    # In our own order: before Python's own library, site-packages would give what old backports call pathlib or typing.
    places = dict.fromkeys([*(str(Path(each).absolute()) for each in sys.path), here])
    kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(places)}


def _printable(said: bytes) -> str:
    return "".join(each if each.isprintable() else "?" for each in said.decode("utf-8", "replace"))
