"""Several Parquet files as one Source: rows for prompts, columns for the output, in bounded memory."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from pipeline.core.errors import SourceError
from pipeline.core.interfaces import ReadSlice
from pipeline.core.types import Row
from pipeline.sources.cells import cells_of, sizes_of
from pipeline.sources.cursor import BATCH_BYTES, Cursor
from pipeline.sources.footers import UNREADABLE, footers_of, open_parquet, stat_tuple, unreadable
from pipeline.sources.input_file import InputFile
from pipeline.sources.schema import agreed_schema, checked_columns, conformed, no_columns
from pipeline.sources.slices import Index, Stat, filled, is_slices, presented, sizes_of_slices, slices_of
from pipeline.sources.smalls import Smalls
from pipeline.sources.wording import reason, shown
from pipeline.storage import AnyFile, RemoteFile

_PROMPT_ROWS = 1024
_COLUMN_ROWS = 8192


class ParquetSource:
    """Implements core.interfaces.Source over files in their order. Use from one thread at a time.

    `schema` is the job's, if it has one already: `columns` then gives these types even where the files have others that
    hold the same values. `read` is needed where kept columns lie in other files. Raises SourceError for files that cannot be
    read or disagree, and for columns they have not.
    """

    def __init__(
        self,
        files: Sequence[AnyFile | Index],
        *,
        prompt_columns: Sequence[str],
        kept_columns: Sequence[str],
        schema: pa.Schema | None = None,
        read: ReadSlice | None = None,
    ) -> None:
        self._files = opened(files)
        agreed = agreed_schema((each.path, each.schema) for each in self._files)
        if schema is not None:
            agreed = agreed_schema([(Path("the job on record"), schema), *((each.path, each.schema) for each in self._files)])
        self._schema = agreed
        self._prompt = checked_columns(prompt_columns, agreed)
        kept = checked_columns(kept_columns, agreed)
        self.kept_schema = pa.schema([agreed.field(name) for name in kept])
        self._read = read
        self._smalls = Smalls([each for each in self._files if each.stop > each.first])
        self._rows = Cursor(self._files, self._prompt, most_rows=_PROMPT_ROWS, smalls=self._smalls)
        self._kept = Cursor(self._files, kept, most_rows=_COLUMN_ROWS, smalls=self._smalls)

    def schema(self) -> pa.Schema:
        """Give the schema that all files agree on, with every column."""
        return self._schema

    def count(self) -> int:
        return self._files[-1].stop if self._files else 0

    def rows(self, ranges: Sequence[range]) -> Iterator[Sequence[Row]]:
        batch: list[Row] = []
        size = 0
        for each in ranges:
            for row in self._each_row(each):
                batch.append(row)
                size += row.size
                if len(batch) == _PROMPT_ROWS or size >= BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def columns(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        self._check_range(start, stop)
        if not self.kept_schema.names:
            # Not read at all: rows without columns still count.
            for low, high in pairwise([*range(start, stop, _COLUMN_ROWS), stop]):
                yield no_columns(high - low)
            return
        for _, file, piece in self._kept.read(start, stop):
            for each in self._with_bytes(file, piece):
                yield conformed(each, self.kept_schema, file.path)

    def close(self) -> None:
        self._rows.close()
        self._kept.close()
        self._smalls.close()

    def _with_bytes(self, file: InputFile, piece: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        if file.index is None or file.original is None:
            return iter((piece,))
        return filled(piece, file.index, file.original, self._read, most_bytes=BATCH_BYTES)

    def _each_row(self, wanted: range) -> Iterator[Row]:
        self._check_range(wanted.start, wanted.stop)
        if not self._prompt:
            yield from (Row(index, {}) for index in wanted)
            return
        for first, file, piece in self._rows.read(wanted.start, wanted.stop):
            yield from rows_of(first, piece, file)

    def _check_range(self, start: int, stop: int) -> None:
        if start < stop and not 0 <= start < stop <= self.count():
            raise SourceError(f"rows {start} to {stop - 1} were asked for, and the input has {self.count()}")


def count_rows(path: AnyFile | Index) -> int:
    """Give the number of rows of a Parquet file, from its footer."""
    return opened([path])[0].stop


def schema_of(files: Sequence[AnyFile | Index], *, names: Sequence[AnyFile] | None = None) -> pa.Schema:
    """Give the schema that these Parquet files agree on. Raises SourceError naming the file and column that do not.

    `names` are the files as their owner knows them, where these are staged copies.
    """
    found = opened(files)
    return agreed_schema(zip(names or [each.path for each in found], (each.schema for each in found), strict=True))


def opened(paths: Sequence[AnyFile | Index]) -> list[InputFile]:
    """Look at files as one sequence of rows. Raises for the first in their order that cannot be read."""
    remote = iter(footers_of([each for each in paths if isinstance(each, RemoteFile)]))
    files: list[InputFile] = []
    first = 0
    for each in paths:
        index, path = (each, each.path) if isinstance(each, Index) else (None, each)
        if isinstance(path, RemoteFile):
            footer = next(remote)
            stat, rows, schema = footer.stat, footer.rows, footer.schema
        else:
            stat, rows, schema = _looked_at(path)
        if rows < 0:
            raise SourceError(f"{shown(path)}: its footer promises {rows} rows; the file is damaged")
        original = _stat_of_original(index) if index is not None else None
        files.append(InputFile(path, first, first + rows, stat, presented(schema, index=index is not None), index, original))
        first += rows
    return files


def _looked_at(path: Path) -> tuple[Stat, int, pa.Schema]:
    try:
        stat = stat_tuple(path)
        with open_parquet(path) as file:
            return stat, file.metadata.num_rows, file.schema_arrow
    except FileNotFoundError:
        raise SourceError(f"{shown(path)}: there is no such file") from None
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def _stat_of_original(index: Index) -> Stat:
    try:
        return stat_tuple(index.original)
    except OSError as error:
        raise SourceError(f"{shown(index.original)}: cannot be looked at: {reason(error)}") from error


def rows_of(first: int, piece: pa.RecordBatch, file: InputFile | None = None) -> Iterator[Row]:
    """Give a batch's rows, numbered from `first`. A batch without columns has none to give."""
    cells: list[Sequence[object]] = []
    sizes: list[Sequence[int]] = []
    for field, column in zip(piece.schema, piece.columns, strict=True):
        if file is not None and file.index is not None and file.original is not None and is_slices(field):
            cells.append(slices_of(column, file.index, file.original))
            sizes.append(sizes_of_slices(cells[-1]))
        else:
            cells.append(cells_of(column))
            sizes.append(sizes_of(column, cells[-1]))
    names = piece.schema.names
    for index, values, size in zip(
        range(first, first + piece.num_rows), zip(*cells, strict=True), zip(*sizes, strict=True), strict=True
    ):
        yield Row(index, dict(zip(names, values, strict=True)), sum(size))
