"""What `rowcall report` shows of a job, gathered from its record, output and input. The page itself is observe/report's."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from pipeline.checkpoint import parquet, timeline_file
from pipeline.checkpoint.entries import PICTURES, StoredJob, StoredRun
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.record import Record
from pipeline.checkpoint.shelf import shelf_of
from pipeline.config import load_config
from pipeline.core.captions import CaptionChecks
from pipeline.core.errors import ConfigError
from pipeline.core.extras import missing_extra
from pipeline.core.keys import digest
from pipeline.core.locations import Location
from pipeline.jobs.asked_again import AskedAgain, config_asked
from pipeline.jobs.gallery import Gallery, Thumbnail
from pipeline.jobs.look import find_recorded, reading, refuse_own, summary_of
from pipeline.jobs.pictures import thumbnails
from pipeline.jobs.scores_file import read_scores, refuse_others
from pipeline.observe.report.bins import latency_bins
from pipeline.observe.report.scan import Scan
from pipeline.observe.report.types import Bin, PastRun, Report
from pipeline.sources.album import PATH
from pipeline.sources.shards import KEY
from pipeline.version import __version__

SAMPLE = 400
SUFFIXES = (".html", ".htm")
_NEEDED = ("PIL", "matplotlib")
_BEGINS = (b"<!doctype html", b"<html")


def make_report(
    target: Path,
    file: Path | None = None,
    *,
    sample: int = SAMPLE,
    references: Sequence[str] = (),
    evaluation: Path | None = None,
    now: Callable[[], float] = time.time,
    small: Callable[[], AbstractContextManager[Thumbnail]] = thumbnails,
) -> tuple[Report, Path]:
    """Gather what a page about the job shows, and say where it goes: to `file`, or beside the output.

    At most `sample` rows are shown, with these input columns as `references`; `evaluation` is a file of scores of this
    output. Holds the job's lock meanwhile. Raises ConfigError where there is no job, for a column the output does not
    keep, for scores of something else and for a file that is none of ours to write; BusyError beside a run,
    DamagedError for damage.
    """
    layout = find_recorded(target)
    file = file or place_beside(layout)
    check_page(file)
    if any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError(f"a report needs Pillow and matplotlib: {missing_extra('report')}")
    scores = None if evaluation is None else read_scores(evaluation)
    root = load_config(target).images.root if target.suffix in (".yaml", ".yml") else None
    with reading(layout, "report") as (record, job), small() as thumbnail:
        refuse_own(record, layout, file)
        _check_references(references, job.schema)
        report = _gathered(record, layout, job, sample, references, root, now(), thumbnail)
        if scores is None or evaluation is None:
            return report, file
        last_run = max((each.ended or each.started for each in record.runs()), default=None)
        rows = int(str(report.summary["rows"]))
        refuse_others(scores, evaluation, jobs=_names(job, record, layout), rows=rows, last_run=last_run)
        return replace(report, evaluation=scores), file


def _names(job: StoredJob, record: Record, layout: Layout) -> set[str]:
    """Give the names that this job's output may bear: by its facts as they stand, and as they were when a file was written."""
    shelf = shelf_of(layout)
    said = [parquet.facts(shelf.readable(each)) for each in record.outputs[:1]]
    return {digest(job.fingerprint), *(str(each[1].get("job")) for each in said if each is not None)}


def place_beside(layout: Layout) -> Path:
    """Give where a job's page goes unless told otherwise: captions.parquet -> captions.html beside it.

    Of an output in a store it goes beside the record.
    """
    output = layout.anchor / layout.output.name
    return output.with_name(output.name + ".html") if layout.is_directory else output.with_suffix(".html")


def _gathered(
    record: Record,
    layout: Layout,
    job: StoredJob,
    sample: int,
    references: Sequence[str],
    root: Path | Location | None,
    made: float,
    thumbnail: Thumbnail,
) -> Report:
    runs = record.runs()
    summary = summary_of(record, layout, tuple(runs))
    tally = record.tally()
    named = _names_in(record, job)
    again = AskedAgain(record, layout, job, config_asked(job, root), [*references, *filter(None, [named])])
    captions = summary.get("captions")
    checks = CaptionChecks(tally.done) if again.pictured and captions is None else None
    scan = Scan(sample, tally.done, checks)
    for state in record.parts():
        at = state.part.start
        for batch in record.columns(state.part, () if named is None else (named,)):
            scan.add(at, batch)
            at += batch.num_rows
    choice = scan.sample.choose(int(str(summary["rows"])))
    if not isinstance(captions, Mapping):
        captions = (checks or scan.lengths).to_json()  # of answers to text only their lengths are of interest
    return Report(
        title=layout.output.name,
        made=made,
        version=__version__,
        summary=summary,
        config=job.config,
        captions=captions,
        runs=[_past(each) for each in runs],
        timelines=list(timeline_file.read(layout).values()),
        latencies=latency_bins(tally.latencies),
        prompt_tokens=scan.prompt_tokens.bins(),
        completion_tokens=scan.completion_tokens.bins(),
        words=_words(captions),
        failures=scan.failures(tally.errors),
        pictured=again.pictured,
        gallery=Gallery(record, again, references, thumbnail, scan.duplicates, named).show(choice.rows),
        chosen=choice.said,
    )


def _names_in(record: Record, job: StoredJob) -> str | None:
    """Give the column in which the output keeps the name of what each row was made of, where that is a file of its own."""
    name = PATH if any(each.kind == PICTURES for each in record.files()) else KEY
    return name if name in job.schema.names else None


def _words(captions: Mapping[str, object]) -> list[Bin]:
    bins = captions.get("bins")
    return [Bin(*each) for each in bins] if isinstance(bins, list) else []


def _past(run: StoredRun) -> PastRun:
    said = run.summary or {}

    def number(key: str) -> int:
        value = said.get(key)
        return value if isinstance(value, int) else 0

    # Nobody runs it now, for we hold its lock.
    because = "died without a word" if run.ended is None else str(said.get("stopped") or "finished")
    rows = number("ok") + number("failed") - number("resumed")
    sent_for, seconds = said.get("seconds"), None
    if run.ended is not None:  # one that only published says that it sent for no time
        seconds = sent_for if isinstance(sent_for, float) and sent_for > 0 else max(run.ended - run.started, 0.0)
    return PastRun(run.id, run.started, seconds, max(rows, 0), number("requests"), because)


def check_page(file: Path) -> None:
    """See that a page may be written there: over nothing but a page. Raises ConfigError."""
    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{file}: a report is one HTML page; give a name that ends in .html")
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"{file}: its folder does not exist")
    if not file.exists():
        return
    if not file.is_file():
        raise ConfigError(f"{file}: is not a regular file; write to another place")
    try:
        with file.open("rb") as there:
            begins = there.read(64).lstrip().lower()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {(error.strerror or 'unknown').lower()}") from None
    if begins and not begins.startswith(_BEGINS):
        raise ConfigError(f"{file}: holds something else than an HTML page; move it, or write to another place")


def _check_references(names: Sequence[str], schema: pa.Schema) -> None:
    for name in names:
        if name not in schema.names:
            kept = ", ".join(schema.names[:20]) or "none"
            raise ConfigError(f"--reference {name}: the output keeps no such input column (it keeps: {kept})")
        if not _holds_text(schema.field(name).type):
            raise ConfigError(f"--reference {name}: the column holds {schema.field(name).type}, not text or lists of it")


def _holds_text(kind: pa.DataType) -> bool:
    match kind:
        case pa.DictionaryType():
            return _holds_text(kind.value_type)
        case pa.ListType() | pa.LargeListType() | pa.FixedSizeListType():
            return _holds_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
