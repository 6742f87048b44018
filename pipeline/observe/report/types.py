"""What a report shows, gathered and ready: no file is read and no figure made up behind this line.

All text in here may be hostile (completions, prompts, errors, file names): whoever writes the page escapes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field

from pipeline.core.scores import Comparison, Evaluation
from pipeline.core.timeline import Moment
from pipeline.core.values import value


@value(frozen=True, slots=True)
class Bin:
    """One bar of a histogram: `count` values from `low` up to, not including, `high`."""

    low: float
    high: float
    count: int


@value(frozen=True, slots=True)
class ShownRow:
    """One row of the gallery. `pictures` are thumbnails (JPEG, at most 320 pixels a side); `no_picture` says why there is none.

    `prompt` is the rendered text, cut; `marks` is what the checks of core/captions.py found, such as `truncated`. `name` is
    that of the file that the row was made of, None for rows of tables.
    """

    index: int
    status: str
    prompt: str = field(repr=False)
    completion: str | None = field(default=None, repr=False)
    finish_reason: str | None = None
    references: tuple[str, ...] = field(default=(), repr=False)
    error_kind: str | None = None
    error: str | None = None
    http_status: int | None = None
    pictures: tuple[bytes, ...] = field(default=(), repr=False)
    no_picture: str | None = None
    completion_tokens: int | None = None
    latency_s: float | None = None
    cost: float | None = None
    marks: tuple[str, ...] = ()
    name: str | None = field(default=None, repr=False)


@value(frozen=True, slots=True)
class PastRun:
    """One run of the job: when it began (seconds since the epoch), for how long it sent (None if it died), what it did."""

    number: int
    started: float
    seconds: float | None
    rows: int
    requests: int
    ended_because: str


@value(frozen=True, slots=True)
class Failures:
    """One error kind: how many rows, and some of their messages with the rows' numbers; `names` of those that have one."""

    kind: str
    count: int
    examples: Sequence[tuple[int, str]] = field(repr=False)
    names: Mapping[int, str] = field(default_factory=dict, repr=False)


@value(frozen=True, slots=True)
class Report:
    """Everything on the page.

    `summary` has Summary.to_json's keys, `captions` those of core/captions.py or core/lengths.py, `config` is redacted.
    `timelines` holds each run's moments. `pictured`: rows carry pictures, so the gallery shows them; else it is a table of
    prompt and completion. `chosen` says in a sentence which rows of all the gallery shows, None if it shows all.
    `evaluation` is what was made of the job's output, if it was.
    """

    title: str
    made: float
    version: str
    summary: Mapping[str, object]
    config: Mapping[str, object]
    captions: Mapping[str, object]
    runs: Sequence[PastRun]
    timelines: Sequence[Sequence[Moment]]
    latencies: Sequence[Bin]
    prompt_tokens: Sequence[Bin]
    completion_tokens: Sequence[Bin]
    words: Sequence[Bin]
    failures: Sequence[Failures]
    pictured: bool
    gallery: Sequence[ShownRow] = field(repr=False)
    chosen: str | None = None
    evaluation: Evaluation | Comparison | None = field(default=None, repr=False)
