"""A table to be scored: a run's output, what an unfinished job has so far, or any Parquet, CSV or JSON Lines file."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.checkpoint import parquet
from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import ConfigError, SourceError
from pipeline.core.scores import Table
from pipeline.jobs.look import export_batches, find_recorded
from pipeline.observe.export import export
from pipeline.sources import CsvOptions, ParquetSource, find, format_of, stage


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table whose columns can be read, in batches, as often as one likes. `files` are those named by the user."""

    about: Table
    schema: pa.Schema
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    files: Sequence[Path]


@contextmanager
def open_table(target: Path, completion: str | None = None) -> Iterator[OpenTable]:
    """Open a table by its path, or a job by its config; `completion` names the column of replies, None: as the job calls it.

    Text files, and the rows of a job that has no output yet, are made Parquet in a temporary folder first. Raises
    SourceError for what cannot be read, ConfigError for what is no table or has no rows.
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
            completion=completion or f"{_prefix(metadata)}completion",
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


def _files_of(target: Path, room: Path) -> tuple[list[Path], list[Path]]:
    """Give the files that a target names, and where they are readable as Parquet."""
    if target.suffix in (".yaml", ".yml") or not target.exists():
        if target.suffix not in (".yaml", ".yml") and not Layout.of(target, is_directory=target.suffix != ".parquet").has_record:
            raise SourceError(f"{target}: there is no such file or folder")
        output = find_recorded(target).output
        if not output.exists():
            exported = room / "rows.parquet"
            export(*export_batches(target, exported), exported)
            return [output], [exported]
        target = output
    found = find(str(target))
    if found.pictures or any(format_of(each) == "tar" for each in found.tables):
        raise ConfigError(f"{target}: holds pictures; a table with a completion and a reference in each row is scored")
    if not found.tables:
        raise ConfigError(f"{target}: no table is in it; .parquet, .csv, .tsv and .jsonl can be scored")
    readable = []
    for number, each in enumerate(found.tables):
        path = each
        if format_of(each) != "parquet":
            path = room / f"table-{number}.parquet"
            stage(each, path, CsvOptions())
        readable.append(path)
    return [target], readable


def _prefix(metadata: Mapping[str, Any]) -> str:
    config = metadata.get("config")
    output = config.get("output") if isinstance(config, dict) else None
    prefix = output.get("prefix") if isinstance(output, dict) else None
    return prefix if isinstance(prefix, str) else ""
