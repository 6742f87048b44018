"""A table to be scored: a run's output, what an unfinished job has so far, or any Parquet, CSV or JSON Lines file."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.checkpoint import parquet
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.shelf import shelf_of
from pipeline.core.errors import ConfigError, SourceError
from pipeline.core.locations import Location
from pipeline.core.scores import Table
from pipeline.core.types import RESULT_COLUMNS
from pipeline.jobs.look import export_batches, find_recorded
from pipeline.observe.export import export
from pipeline.sources import CsvOptions, ParquetSource, find, format_of, stage
from pipeline.storage import store_of


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table whose columns can be read, in batches, as often as one likes. `files` are those named by the user."""

    about: Table
    schema: pa.Schema
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    files: Sequence[Path | Location]


@contextmanager
def open_table(target: Path | Location, completion: str | None = None) -> Iterator[OpenTable]:
    """Open a table by its place, or a job by its config; `completion` names the column of replies, None: as the job calls it.

    Text files, and the rows of a job that has no output yet, are made Parquet in a temporary folder first, and what lies in a
    store is fetched to it. Raises SourceError for what cannot be read, ConfigError for what is no table or has no rows.
    """
    with tempfile.TemporaryDirectory(prefix="rowcall-") as room:
        named, readable = _files_of(target, Path(room))
        source = ParquetSource(readable, prompt_columns=[], kept_columns=[])
        try:
            schema, rows = source.schema(), source.count()
        finally:
            source.close()
        if not rows:
            raise ConfigError(f"{target}: the table has no rows")
        _, metadata = parquet.facts(readable[0]) or (0, {})
        job = metadata.get("job")
        about = Table(
            name=named[0].name if len(named) == 1 else target.name,
            rows=rows,
            job=job if isinstance(job, str) else None,
            completion=completion or f"{_prefix(schema)}completion",
        )
        yield OpenTable(about, schema, _reader(readable, rows), named)


def _reader(files: Sequence[Path], rows: int) -> Callable[[Sequence[str]], Iterator[pa.RecordBatch]]:
    def batches(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        source = ParquetSource(files, prompt_columns=[], kept_columns=list(dict.fromkeys(columns)))
        try:
            yield from source.columns(0, rows)
        finally:
            source.close()

    return batches


def _files_of(target: Path | Location, room: Path) -> tuple[Sequence[Path | Location], list[Path]]:
    """Give the files that a target names, and where they are readable as Parquet."""
    if isinstance(target, Location):
        return [target], _fetched(target, room)
    if target.suffix in (".yaml", ".yml") or not target.exists():
        if target.suffix not in (".yaml", ".yml") and not Layout.of(target, is_directory=target.suffix != ".parquet").has_record:
            raise SourceError(f"{target}: there is no such file or folder")
        layout = find_recorded(target)
        output = layout.output
        if not shelf_of(layout).exists():
            exported = room / "rows.parquet"
            export(*export_batches(target, exported), exported)
            return [output], [exported]
        if isinstance(output, Location):
            return [output], _fetched(output, room)
        target = output
    found = find(str(target))
    if found.pictures or any(format_of(each) == "tar" for each in found.tables):
        raise ConfigError(f"{target}: holds pictures; a table with a completion and a reference in each row is scored")
    if not found.tables:
        raise ConfigError(f"{target}: no table is in it; .parquet, .csv, .tsv and .jsonl can be scored")
    readable = []
    for number, each in enumerate(found.tables):
        assert isinstance(each, Path)  # what a path names is no location
        path = each
        if format_of(each) != "parquet":
            path = room / f"table-{number}.parquet"
            _stage(each, path)
        readable.append(path)
    return [target], readable


def _fetched(place: Location, room: Path) -> list[Path]:
    """Copy the Parquet files at a location to a local folder: each metric reads them anew."""
    store = store_of(place)
    found = [place.key] if store.info(place.key) else [key for key, _ in store.listed(place.folder.key)]
    hidden = len(place.folder.key)  # as no reader of a folder takes what begins so for data
    keys = [each for each in found if each.endswith(".parquet") and not each[hidden:].startswith((".", "_"))]
    if not keys:
        raise SourceError(f"{place}: no .parquet file is there; in a store only these can be scored")
    files = []
    for number, key in enumerate(keys):
        files.append(room / f"table-{number:06d}.parquet")
        store.fetch(key, files[-1])
    return files


def _prefix(schema: pa.Schema) -> str:
    """Give what stands before the names of a run's result columns, which are the last ones of its output."""
    names = schema.names[-len(RESULT_COLUMNS) :]
    prefix = names[0].removesuffix(RESULT_COLUMNS[0]) if names else ""
    return prefix if names == [prefix + name for name in RESULT_COLUMNS] else ""


def _stage(path: Path, target: Path) -> None:
    try:
        stage(path, target, CsvOptions())
    except SourceError as error:
        if "input.csv" in str(error):  # there is no config to set this in
            raise SourceError(f"{path}: CSV that is scored is UTF-8 and has commas, or tabs in .tsv; convert it first") from None
        raise
