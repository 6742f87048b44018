"""Ctrl-C, SIGTERM and SIGHUP: the first asks a run to end well, the second ends it at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pipeline.core.errors import StoppedError

EXIT_AT_ONCE = 130
_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Counts signals. While `ask` is set the first one calls it; else it raises StoppedError in the main thread.

    Raising is safe wherever it happens: what is on disk is made for kill -9.
    """

    def __init__(self) -> None:
        self.ask: Callable[[str], None] | None = None
        self.count = 0
        self._raised: str | None = None

    def heed(self, number: int, frame: FrameType | None = None) -> None:
        self.count += 1
        name = signal.Signals(number).name
        if self.count > 1:
            # Nothing is lost: what was recorded is on disk, and what is in flight cannot be called back.
            _say_at_once("rowcall: stopped at once; the same command goes on where this one left off\n")
            os._exit(EXIT_AT_ONCE)
        if self.ask is None:
            self._raised = name
            self.check()
        else:
            self.ask(name)

    def check(self) -> None:
        """Raise what the first signal raised once more: a library that was at work then may have taken it for a failure of its
        own, and tried again. boto3 does so."""
        if self._raised is not None:
            raise StoppedError(f"interrupted by {self._raised}; the same command goes on")


def _say_at_once(text: str) -> None:
    """Write to stderr past Python's buffer: the signal may have come while that was being written to."""
    with suppress(OSError):
        after_the_bar = "\n" if os.isatty(2) else ""
        os.write(2, (after_the_bar + text).encode())


@contextmanager
def heeded() -> Iterator[Interrupts]:
    """Heed signals for as long as the block lasts, in a process's main thread; elsewhere they are its owner's."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    # A job started by nohup has SIGHUP ignored, and means it.
    heeding = [each for each in _HEEDED if not (each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN)]
    before = {each: signal.signal(each, interrupts.heed) for each in heeding}
    try:
        yield interrupts
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
