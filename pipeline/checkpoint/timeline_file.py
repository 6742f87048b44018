"""timeline.json: how the latest runs went over time, for the report. Like progress.json it is not synced, and decides nothing."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import orjson

from pipeline.checkpoint import files
from pipeline.checkpoint.layout import Layout
from pipeline.core.timeline import Moment

# Of earlier runs the latest ones are kept: a job that cron calls every night is not to fill its record with them.
MOST_RUNS = 20


class TimelineFile:
    """Writes one run's moments into timeline.json, beside those of the runs before it. Hold the lock."""

    def __init__(self, layout: Layout, run: int) -> None:
        self._path = layout.timeline
        self._run = run
        earlier = [(number, moments) for number, moments in read(layout).items() if number < run]
        # Made once: only the run's own moments change.
        self._earlier = [_encoded(*each) for each in earlier[-(MOST_RUNS - 1) :]]

    def write(self, moments: Sequence[Moment]) -> None:
        """Replace the file; a reader sees the old or the new one whole. Raises OSError."""
        files.replace(self._path, b'{"runs": [\n' + b",\n".join([*self._earlier, _encoded(self._run, moments)]) + b"\n]}\n")


def read(layout: Layout) -> dict[int, list[Moment]]:
    """Give the moments of each run on file, by its number and in order; what is not readable is left out."""
    try:
        found = orjson.loads(layout.timeline.read_bytes())
        runs = {int(each["run"]): [_moment(fields) for fields in each["moments"]] for each in found["runs"]}
        return {run: runs[run] for run in sorted(runs)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _encoded(run: int, moments: Sequence[Moment]) -> bytes:
    return orjson.dumps({"run": run, "moments": [_fields(each) for each in moments]})


def _moment(fields: Any) -> Moment:
    moment = Moment(*fields)
    *numbers, held_by = _fields(moment)
    if not all(isinstance(each, int | float) for each in numbers) or not isinstance(held_by, str | None):
        raise ValueError("no moment")
    return moment


_fields = attrgetter(*Moment.__slots__)
