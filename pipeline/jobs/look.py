"""Where a job stands, for `status` and `export`: from the record, or beside a run from what it writes every second."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.entries import StoredJob, StoredRun
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.checkpoint.publish import manifest_stands, verify_output
from pipeline.checkpoint.record import Record, open_record
from pipeline.checkpoint.repair import way_on
from pipeline.checkpoint.shelf import MANIFEST, shelf_of
from pipeline.config import load_config
from pipeline.core.errors import BusyError, ConfigError, DamagedError, MismatchError
from pipeline.core.tally import Tally, Traffic, summarize
from pipeline.jobs import albums, inputs
from pipeline.jobs.captions import on_record
from pipeline.jobs.columns import input_schema
from pipeline.jobs.input_files import file_of
from pipeline.jobs.place import layout_of
from pipeline.prompts import SliceReader
from pipeline.sources import Index

_ROWS = "a file of rows"
_NEITHER = {
    **dict.fromkeys((".html", ".htm"), "a page, as `rowcall report` writes them"),
    **dict.fromkeys((".csv", ".tsv", ".jsonl", ".gz", ".tar"), _ROWS),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands. `summary` has Summary's keys; `live` what only a run under way knows, and the credits it last saw.

    `holder` says who runs it now, None if nobody. `proven` rows were read back whole, None unless asked for.
    """

    summary: dict[str, object]
    live: dict[str, object]
    holder: str | None
    runs: tuple[StoredRun, ...]
    proven: int | None = None


def find_layout(target: Path) -> Layout:
    """Give the layout of a job named by its config or its output. Raises ConfigError if it is neither."""
    _refuse_other_kinds(target)
    name = str(target).rstrip("/").removesuffix(".rowcall") if str(target).rstrip("/").endswith(".rowcall") else str(target)
    layout = Layout.of(Path(name), is_directory=Path(name).suffix != ".parquet" or Path(name).is_dir())
    # A config may have any name; but no output is a file without the suffix .parquet.
    if target.suffix in (".yaml", ".yml") or (target.is_file() and target.suffix != ".parquet"):
        return layout_of(load_config(target))
    if not layout.has_record:
        raise ConfigError(
            f"{target}: no record of a job beside it ({layout.folder} is not there); name the config, or the output of a job"
        )
    return layout


def _refuse_other_kinds(target: Path) -> None:
    """Say what was named by mistake, of which a reader of YAML would only say that it is none."""
    kind = _NEITHER.get(target.suffix.lower())
    if kind is None or not target.is_file():
        return
    beside = [target.with_suffix(".parquet"), target.with_suffix("")]
    jobs = [each for each in beside if Layout.of(each, is_directory=not each.suffix).has_record]
    such = f", such as {jobs[0]}" if jobs else ""
    raise ConfigError(f"{target}: is {kind}, not a job; name the job's config or its output{such}")


def find_recorded(target: Path) -> Layout:
    """Give the layout of a job that has a record. Raises ConfigError where there is none."""
    layout = find_layout(target)
    if not layout.has_record:
        raise ConfigError(f"{target}: this job has no record yet; `rowcall run` begins it")
    return layout


def standing(target: Path, *, verify: bool = False) -> Standing:
    """Tell where the job stands. With `verify` every recorded row and the output are read and proven.

    Raises ConfigError where there is no job, DamagedError if something is not as it was recorded, BusyError for
    `verify` beside a run.
    """
    layout = find_recorded(target)
    try:
        with hold(layout, "status"), way_on(layout), opened(layout) as record:
            proven = _proven(record) if verify else None
            if not isinstance(proven, str):
                return _from_record(record, layout, proven)
        raise DamagedError(proven)  # out here: the record is sound, and the way on is another than for one that is not
    except BusyError as error:
        if verify:
            raise
        return _from_progress(layout, holder=str(error))
    except DamagedError as error:
        if verify:
            raise
        found = _from_progress(layout, holder=None)
        return replace(found, summary=found.summary | {"stopped": str(error), "exit_code": error.exit_code})


@contextmanager
def opened(layout: Layout) -> Iterator[Record]:
    """Open a record to read it; hold the lock."""
    record = open_record(layout, create=False, read_only=True)
    try:
        yield record
    finally:
        record.close()


@contextmanager
def reading(layout: Layout, what: str) -> Iterator[tuple[Record, StoredJob]]:
    """Open the record of a job to read its rows, under its lock. Raises BusyError beside a run, DamagedError with the way on."""
    with hold(layout, what), way_on(layout), opened(layout) as record:
        if record.job is None:
            raise ConfigError(f"{layout.output}: the record holds no job yet; `rowcall run` begins it")
        yield record, record.job


def _from_progress(layout: Layout, *, holder: str | None) -> Standing:
    content = progress_file.read(layout) or {}  # a run that reads its input still has written nothing
    live = content.pop("live", None)
    summary = summarize(Tally(), Traffic(), rows=0, resumed=0, seconds=0.0, priced=False).to_json()
    summary |= {key: content[key] for key in summary if key in content}
    return Standing(summary, live if isinstance(live, dict) and holder else {}, holder, ())


def _from_record(record: Record, layout: Layout, proven: int | None) -> Standing:
    if record.job is None:
        raise ConfigError(f"{layout.output}: the record holds no job yet; `rowcall run` begins it")
    runs = tuple(record.runs())
    said = (progress_file.read(layout) or {}).get("live")
    credits_ = said.get("credits") if isinstance(said, dict) else None
    live = {} if credits_ is None else {"credits": credits_}
    return Standing(summary_of(record, layout, runs), live, None, runs, proven)


def _proven(record: Record) -> int | str:
    """Read output and record whole; give the rows that are proven, or say what of the output is not as it was published."""
    try:
        verify_output(record, deep=True)
        proven = record.verify()
    except MismatchError as error:
        return str(error)
    if not manifest_stands(record):
        place = shelf_of(record.layout).place(MANIFEST)
        return f"{place}: is missing or does not list the output's files; `rowcall run` writes it anew"
    return proven


def summary_of(record: Record, layout: Layout, runs: Sequence[StoredRun]) -> dict[str, object]:
    """Make the job's summary from the record; what the last run did is as it said, or unknown if it died."""
    tally = record.tally()
    last = dict(runs[-1].summary or {}) if runs else {}
    limit = last.get("limit") if last else (runs[-1].note.get("limit") if runs else None)
    total = sum(each.rows for each in record.files())
    rows = max(min(limit, total) if isinstance(limit, int) else total, record.planned)
    made = summarize(
        tally,
        Traffic(),
        rows=rows,
        resumed=0,
        seconds=0.0,
        priced=tally.cost != 0,
        limit=limit if isinstance(limit, int) else None,
        stopped="the last run died without a word" if runs and runs[-1].ended is None else None,
        output=str(layout.output) if record.published_rows is not None else None,
        captions=on_record(record),
    ).to_json()
    if last:
        kept = ("resumed", "requests", "retries", "throttled", "ambiguous", "seconds", "rows_per_second", "stopped", "cost")
        made |= {key: last[key] for key in kept if key in last}
        if made["stopped"]:
            made["exit_code"] = last.get("exit_code", made["exit_code"])
    return made


# -- export


def export_batches(target: Path, file: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Give the rows of a job as its output would show them, in order, undone rows `pending`: a schema and batches.

    Hold on to the iterator only while it is read: it keeps the job's lock. Raises BusyError beside a run, ConfigError if
    the `file` they are meant for is one of the job's own.
    """
    layout = find_recorded(target)
    batches = _locked_batches(layout, file)
    schema = next(batches)
    assert isinstance(schema, pa.Schema)
    return schema, (each for each in batches if isinstance(each, pa.RecordBatch))


def _locked_batches(layout: Layout, file: Path) -> Iterator[pa.Schema | pa.RecordBatch]:
    with reading(layout, "export") as (record, job):
        refuse_own(record, layout, file)
        yield job.output_schema
        for state in record.parts():
            yield from record.batches(state.part)
        yield from _never_asked(record, layout)


def refuse_own(record: Record, layout: Layout, file: Path) -> None:
    """Raise ConfigError if what is to be written there is one of the job's own files."""
    place = file.resolve()
    files = [file_of(each, layout) for each in record.files() if each.kind is None]
    inputs_of_it = {each.resolve() for each in files if isinstance(each, Path)}
    places = (each.resolve() for each in (layout.output, layout.folder) if isinstance(each, Path))
    if place in inputs_of_it or any(place.is_relative_to(each) for each in places):
        raise ConfigError(f"{file}: belongs to the job itself; write to another place")


def _never_asked(record: Record, layout: Layout) -> Iterator[pa.RecordBatch]:
    """Read the rows behind the last known part from the input, as far as it can be read without staging."""
    assert record.job is not None
    start = 0
    for stored in record.files():
        stop = start + stored.rows
        if stop > record.planned:
            path, kept = file_of(stored, layout), record.job.schema.names
            readable = inputs.as_parquet(path, layout, stored.id) if stored.kind is None else albums.index_of(layout, stored.id)
            lies_in = [readable.original, readable.path] if isinstance(readable, Index) else [readable]
            if all(each.exists() for each in lies_in):
                file = inputs.JoinedFile(stored, 0, stored.rows, path, readable)
                schema = input_schema(record.job, [file])
                with SliceReader() as read:
                    source = inputs.JoinedSource([file], prompt_columns=[], kept_columns=kept, schema=schema, read=read)
                    for batch in source.columns(max(record.planned - start, 0), stored.rows):
                        yield record.pending(batch)
        start = stop
