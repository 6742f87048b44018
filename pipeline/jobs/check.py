"""What a job would send, without sending it: for `rowcall check`. Writes nothing, stages nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.progress_file import read as read_progress
from pipeline.checkpoint.recovery import lost_journal
from pipeline.checkpoint.repair import way_on
from pipeline.checkpoint.schema import output_schema
from pipeline.config import Config
from pipeline.core.errors import BadRowError, BusyError, DamagedError, SourceError
from pipeline.core.keys import changes
from pipeline.core.locations import Location
from pipeline.core.pricing import Pricing
from pipeline.core.redact import HIDDEN
from pipeline.core.tokens import most_completion
from pipeline.core.types import Image, Prompt, Request, Usage
from pipeline.jobs import inputs
from pipeline.jobs.albums import suited
from pipeline.jobs.columns import kept_schema, tell_of_unsent
from pipeline.jobs.job import Job
from pipeline.jobs.look import opened
from pipeline.jobs.machine import check_ray
from pipeline.jobs.pictures import check_pillow, picture_sizes, pictures_to_fetch, shrunk
from pipeline.jobs.place import layout_of
from pipeline.jobs.text import dumps
from pipeline.jobs.wiring import Endpoint, build_endpoint, build_renderer, most_picture_bytes
from pipeline.prompts import SliceReader
from pipeline.sources import Found
from pipeline.sources.pictures import number_and_bytes
from pipeline.storage import check_writer

ROWS = 100
_SHOWN_CHARS = 2000
_ELIDED_FROM = 200  # characters of base64 that are worth nobody's eyes


@dataclass(frozen=True, slots=True)
class Preview:
    """What `check` found out. `bad_rows` are those of the first `looked_at` that could not be asked, with the reason.

    `pictures` are their number and bytes in all, where these are the input; `images`, `by_url` (of these), `image_bytes` of
    the others, `fetched` (those that a run would fetch) and `tokens` are of the rows looked at. `smaller` are the bytes of
    each picture of the first request as it came and as it is sent, where pictures are made smaller. `done` and `failed` are
    None where nothing is on record, or where `damage` says why it cannot be told; `left` and `cost`, an estimate for all rows
    to do, are then of all rows. `changed` names what makes it another job than the one on record.
    """

    files: int
    pictures: tuple[int, int] | None
    rows: int
    rows_complete: bool
    looked_at: int
    url: str
    headers: Mapping[str, str]
    body: str | None
    bad_rows: Sequence[str]
    images: int
    by_url: int
    image_bytes: int
    fetched: int
    tokens: int
    smaller: Sequence[tuple[int, int]]
    done: int | None
    failed: int | None
    left: int
    cost: float | None
    columns: Sequence[str]
    changed: Sequence[str]
    held_by: str | None
    damage: str | None
    notices: Sequence[str]


def check_job(job: Job) -> Preview:
    """Read config and input, render the first rows, and say what a run would do. Raises RowcallError as a run would."""
    notices: list[str] = []
    endpoint = build_endpoint(job.config, warn=notices.append)
    check_pillow(job.config)
    check_ray(job.config)
    if isinstance(job.config.output.place, Location):
        check_writer(job.config.output.place)
    found = inputs.find_files(job.config)
    notices += found.notices
    config = suited(job.config, pictures=bool(found.pictures))
    layout = layout_of(config)
    if not found and not layout.has_record:
        raise SourceError(f"input.path: {', '.join(config.input.path)} matches no file")
    seen = inputs.first_rows(found, config, ROWS)
    tell_of_unsent(config, seen.schema, notices.append)
    read = SliceReader(most_picture_bytes=most_picture_bytes(config))
    renderer = build_renderer(config, seen.schema, read) if found else None
    columns = output_schema(kept_schema(config, seen.schema), config.output.prefix).names if found else []
    rendered = _Rendered(endpoint, config)
    with read:
        for row in seen.rows[: job.limit]:
            assert renderer is not None
            try:
                rendered.add(renderer(row))
            except BadRowError as error:
                rendered.bad.append(f"row {row.index}: {endpoint.redactor.text(str(error))}")
    on_record = _on_record(job, endpoint, found)
    total = seen.counted + on_record.vanished
    total = total if job.limit is None else min(job.limit, total)
    left = max(total - (on_record.done or 0), 0)
    return Preview(
        files=seen.files,
        pictures=number_and_bytes(found.pictures) if found.pictures else None,
        rows=total,
        rows_complete=seen.complete,
        looked_at=len(seen.rows[: job.limit]),
        url=endpoint.redactor.text(endpoint.provider.url, 1000),
        headers=_headers(rendered.first, endpoint),
        body=_body(rendered.first, endpoint),
        bad_rows=rendered.bad,
        images=rendered.images,
        by_url=rendered.by_url,
        image_bytes=rendered.image_bytes,
        fetched=rendered.fetched,
        tokens=rendered.tokens,
        smaller=rendered.smaller,
        done=on_record.done,
        failed=on_record.failed,
        left=left,
        cost=_cost(job, rendered, left),
        columns=columns,
        changed=on_record.changed,
        held_by=on_record.holder,
        damage=on_record.damage,
        notices=notices,
    )


class _Rendered:
    """Sums over the rows that were looked at."""

    def __init__(self, endpoint: Endpoint, config: Config) -> None:
        self.first: Request | None = None
        self.smaller: Sequence[tuple[int, int]] = ()
        self.bad: list[str] = []
        self.asked = 0
        self.images = 0
        self.by_url = 0
        self.image_bytes = 0
        self.fetched = 0
        self.tokens = 0
        self._provider = endpoint.provider
        self._config = config

    def add(self, prompt: Prompt) -> None:
        sent = prompt
        if self.first is None and self._config.images.are_prepared:  # of the others nothing is shown that would change
            sent = shrunk(self._config, prompt)
            self.smaller = tuple(zip(picture_sizes(prompt), picture_sizes(sent), strict=True))
        request = self._provider.encode(sent)
        self.first = self.first or request
        self.asked += 1
        self.tokens += request.tokens
        self.fetched += pictures_to_fetch(self._config, prompt)
        for message in prompt.messages:
            for part in message.parts:
                if isinstance(part, Image):
                    self.images += 1
                    self.by_url += part.data is None
                    self.image_bytes += len(part.data or b"")


@dataclass(frozen=True, slots=True)
class _OnRecord:
    """Rows done and failed, None where nothing is known; what changed; who holds the job; rows whose file is gone; what is
    damaged."""

    done: int | None = None
    failed: int | None = None
    changed: Sequence[str] = ()
    holder: str | None = None
    vanished: int = 0
    damage: str | None = None


def _on_record(job: Job, endpoint: Endpoint, found: Found) -> _OnRecord:
    layout = layout_of(job.config)
    if not layout.journal.exists() and not lost_journal(layout):
        return _OnRecord()
    try:
        with hold(layout, "check"), way_on(layout), opened(layout) as record:
            tally, stored = record.tally(), record.job
            # A blank record binds nobody to the files that a first try met.
            vanished = 0 if record.blank else inputs.vanished_rows(record, layout, found)
    except DamagedError as error:
        return _OnRecord(damage=str(error))
    except BusyError as error:
        live = read_progress(layout) or {}
        ok, failed = live.get("ok"), live.get("failed")
        if isinstance(ok, int) and isinstance(failed, int):
            return _OnRecord(ok + failed, failed, holder=str(error))
        return _OnRecord(holder=str(error))
    changed = changes(stored.fingerprint, endpoint.facts) if stored is not None and tally.done else []
    return _OnRecord(tally.done, tally.failed, [endpoint.redactor.text(str(each)) for each in changed], vanished=vanished)


def _headers(request: Request | None, endpoint: Endpoint) -> dict[str, str]:
    if request is None:
        return {}
    secret = {"authorization", "x-api-key", "proxy-authorization"}
    shown = {name: endpoint.redactor.text(value) for name, value in request.headers.items()}
    return {name: (HIDDEN if name.lower() in secret else value) for name, value in shown.items()}


def _body(request: Request | None, endpoint: Endpoint) -> str | None:
    """Give the first request's body as indented JSON, its image data elided."""
    if request is None:
        return None
    return endpoint.redactor.reply(dumps(_elided(orjson.loads(request.body))))


def _elided(value: object) -> object:
    if isinstance(value, dict):
        return {key: _elided(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_elided(item) for item in value]
    if isinstance(value, str) and value.startswith("data:") and len(value) > _ELIDED_FROM:
        return f"{value[: value.find(',') + 1]}… ({len(value):,} characters)"
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        return f"{value[:_SHOWN_CHARS]}… ({len(value):,} characters)"
    return value


def _cost(job: Job, rendered: _Rendered, left: int) -> float | None:
    """Estimate what the rows to do would cost, every reply as long as `max_tokens` allows; None without prices."""
    pricing = Pricing(**job.config.pricing.model_dump())
    if not pricing.known or not rendered.asked:
        return None
    completion = most_completion(job.config.request) or 0
    prompt = max(rendered.tokens // rendered.asked - completion, 0)
    one = pricing.cost(Usage(prompt, completion))
    return None if one is None else one * left
