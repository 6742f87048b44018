"""Observers: one that is silent, one that keeps progress.json, one timeline.json, and one that is several at once."""

import math
import time
from collections.abc import Callable
from contextlib import suppress

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.record import Record
from pipeline.checkpoint.timeline_file import TimelineFile
from pipeline.core.interfaces import Observer
from pipeline.core.tally import Progress, Summary, summarize
from pipeline.core.timeline import Timeline

TIMELINE_EVERY_S = 10.0


class Unwatched:
    """The observer of a run that nobody watches."""

    def progress(self, now: Progress) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Say nothing."""


class ProgressFile:
    """An observer that keeps progress.json up to date, for `status` and for other hosts."""

    def __init__(self, layout: Layout, record: Record, limit: int | None, priced: bool) -> None:
        self._layout = layout
        self._record = record
        self._limit = limit
        self._priced = priced
        self._credits: float | None = None

    def progress(self, now: Progress) -> None:
        summary = summarize(
            now.tally,
            now.traffic,
            rows=now.rows,
            resumed=now.resumed,
            seconds=now.seconds,
            priced=self._priced,
            limit=self._limit,
            stopped=now.stopping,
        )
        live: dict[str, object] = {
            **{"limit": now.limit, "limits": now.limits, "requests_per_minute": now.requests_per_minute},
            **{"in_flight": now.in_flight, "waiting": now.waiting, "per_minute": now.per_minute, "eta_s": now.eta_s},
            **{"held_until": now.held_until, "held_by": now.held_by, "rate": now.rows_per_second},
            "credits": now.traffic.credits,
        }
        self._credits = now.traffic.credits
        self._write(summary, live)

    def notice(self, text: str) -> None:
        """Say nothing."""

    def end(self, summary: Summary) -> None:
        """Note that the run is over."""
        self._write(summary, {"credits": self._credits})

    def _write(self, summary: Summary, live: dict[str, object]) -> None:
        content = {**summary.to_json(), "live": live, "written": time.time(), **self._record.mark()}
        try:
            progress_file.write(self._layout, content)
        except OSError:
            # The journal decides whether the disk is fit to go on; this file only speaks of it.
            return


class OverTime:
    """An observer that keeps timeline.json up to date, for the report."""

    def __init__(self, layout: Layout, run: int, *, wall: Callable[[], float] = time.time) -> None:
        self._file = TimelineFile(layout, run)
        self._wall = wall
        self._timeline = Timeline()
        self._written = -math.inf

    def progress(self, now: Progress) -> None:
        wall = self._wall()
        self._timeline.add(now, wall)
        # By the distance: a clock that is set back does not keep it from being written.
        if now.finished or abs(wall - self._written) >= TIMELINE_EVERY_S:
            self._written = wall
            self.end()

    def notice(self, text: str) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Write down what there is, however the run ended."""
        if self._timeline.moments:
            with suppress(OSError):  # the journal decides whether the disk is fit to go on
                self._file.write(self._timeline.moments)


class Both:
    """Tells each of several observers."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def progress(self, now: Progress) -> None:
        for each in self._observers:
            each.progress(now)

    def notice(self, text: str) -> None:
        for each in self._observers:
            each.notice(text)
