"""Showing a run under way: a bar on a terminal, a line now and then elsewhere, or nothing."""

import sys
import time
from collections.abc import Callable
from typing import Literal, NoReturn, Protocol, TextIO

from tqdm import tqdm

from pipeline.core.interfaces import Observer
from pipeline.core.redact import harmless
from pipeline.core.tally import Progress
from pipeline.observe.wording import line

LINE_EVERY_S = 30.0
Mode = Literal["auto", "bar", "log", "none"]


class Stream(Protocol):
    """As much of a text stream as is needed here."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Bar:
    """A tqdm bar, redrawn as often as the run reports; notices go above it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._bar: tqdm[NoReturn] | None = None

    def progress(self, now: Progress) -> None:
        bar = self._bar or self._begin(now)
        bar.n = now.done
        bar.set_description_str(harmless(line(now)), refresh=True)
        if now.finished:
            bar.close()
        self._bar = None if now.finished else bar

    def _begin(self, now: Progress) -> "tqdm[NoReturn]":
        return tqdm(
            total=now.rows,
            initial=now.resumed,
            file=self._stream,
            bar_format="{percentage:3.0f}%|{bar:16}| {desc}",
            dynamic_ncols=True,
        )

    def notice(self, text: str) -> None:
        tqdm.write(f"rowcall: {harmless(text)}", file=self._stream)


class Log:
    """One plain line every half minute, and at the end; notices as they come."""

    def __init__(self, stream: Stream, *, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._last = now()

    def progress(self, now: Progress) -> None:
        if now.finished or self._now() - self._last >= LINE_EVERY_S:
            self._last = self._now()
            self._say(line(now))

    def notice(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        print(f"rowcall: {harmless(text)}", file=self._stream, flush=True)


class Notices:
    """No progress, only what a person should read."""

    def __init__(self, stream: Stream) -> None:
        self._log = Log(stream)

    def progress(self, now: Progress) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        self._log.notice(text)


class Silent:
    """Nothing at all."""

    def progress(self, now: Progress) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Say nothing."""


class Several:
    """Tells several observers, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def progress(self, now: Progress) -> None:
        for observer in self._observers:
            observer.progress(now)

    def notice(self, text: str) -> None:
        for observer in self._observers:
            observer.notice(text)


class Outlet:
    """A text stream whose reader may go, as when a terminal is closed or `head` has had enough: the run matters more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        self._unless_gone(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._unless_gone(self._stream.flush)

    def _unless_gone(self, act: Callable[[], object]) -> None:
        try:
            if not self._gone:
                act()
        except OSError:
            self._gone = True


def choose(mode: Mode, *, quiet: bool = False, stream: TextIO | None = None) -> Observer:
    """Give the observer for a command line: `auto` is a bar on a terminal and lines elsewhere; quiet leaves nothing."""
    # A process that was started without a stderr, as by `2>&-`, has None there.
    target: TextIO | None = stream or getattr(sys, "stderr", None)
    if quiet or target is None:
        return Silent()
    if mode == "auto":
        mode = "bar" if target.isatty() else "log"
    match mode:
        case "bar":
            return Bar(Outlet(target))
        case "log":
            return Log(Outlet(target))
    return Notices(Outlet(target))
