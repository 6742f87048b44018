"""A part's rows as the output shows them, wherever they lie: journal and kept columns, its own file, or the output.

A newer outcome in the journal always covers what a file says. Sealing, publishing and export all read through here.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.checkpoint import kept, parquet
from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.book import CHUNK_ROWS, Book
from pipeline.checkpoint.entries import OutputFile, PartEntry, StoredJob
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.schema import Arrays, joined, outcomes_of, overlaid, stored_arrays
from pipeline.checkpoint.shelf import Shelf, Stamp, changed, gone, shelf_of
from pipeline.core.errors import DamagedError
from pipeline.core.tally import Tally
from pipeline.core.types import RESULT_COLUMNS, Outcome

if TYPE_CHECKING:
    from pipeline.storage import AnyFile


def job_of(book: Book) -> StoredJob:
    """Give the job on record, which every part needs."""
    if book.job is None:
        raise ValueError("no job is stored in this record yet")
    return book.job


def part_batches(
    book: Book, layout: Layout, entry: PartEntry, *, pending: bool = False, tally: Tally | None = None
) -> Iterator[pa.RecordBatch]:
    """Read a part in bounded batches of the output's schema, in row order.

    A row without an outcome is DamagedError, or shown as pending if `pending`; then also kept columns that are gone
    read as null instead of stopping everything. Raises MismatchError if the output that should hold the rows was changed.
    The outcomes of an open part are counted in `tally` on the way.
    """
    if entry.state == "open":
        return _open_batches(book, layout, entry, pending, tally)
    return _with_newer(book, entry, _file_batches(book, layout, entry, job_of(book).output_schema))


def part_columns(book: Book, layout: Layout, entry: PartEntry, kept: Collection[str]) -> Iterator[pa.RecordBatch]:
    """Read a part as `part_batches` does with `pending`, but of its kept columns only these: first they, then the results."""
    job = job_of(book)
    wanted = pa.schema([each for at, each in enumerate(job.output_schema) if at >= len(job.schema) or each.name in kept])
    if entry.state == "open":
        for batch in _open_batches(book, layout, entry, True, None):
            yield batch.select(wanted.names)
    else:
        yield from _with_newer(book, entry, _file_batches(book, layout, entry, wanted))


def part_outcomes(book: Book, layout: Layout, entry: PartEntry) -> Iterator[Outcome]:
    """Read the recorded outcomes of a part in row order, the newest of each row."""
    if entry.state == "open":
        yield from book.each_outcome(entry.part)
        return
    newer = {each.row: each for each in book.each_outcome(entry.part)} if book.holds_outcomes(entry.part) else {}
    at = entry.part.start
    schema = job_of(book).output_schema
    results = pa.schema(list(schema)[len(job_of(book).schema) :])
    for batch in _file_batches(book, layout, entry, results):
        for outcome in outcomes_of(batch, at):
            if outcome is not None:
                yield newer.get(outcome.row, outcome)
        at += batch.num_rows


def published_batches(book: Book, layout: Layout, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read these result columns of the published output, in row order and bounded batches; named without the job's prefix.

    Raises MismatchError if the output was changed, DamagedError if it cannot be read back.
    """
    job = job_of(book)
    names = [each for each in RESULT_COLUMNS if each in columns]  # in the file's order, as they are read
    schema = pa.schema([job.output_schema.field(job.prefix + each) for each in names])
    shelf = shelf_of(layout)
    for file in sorted(book.outputs.values(), key=lambda each: each.name):
        for batch in parquet.read_rows(_unchanged(shelf, file), 0, file.rows, schema):
            yield pa.RecordBatch.from_arrays(batch.columns, names=names)


def _file_batches(book: Book, layout: Layout, entry: PartEntry, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read these columns of a sealed or published part, without the journal's newer outcomes."""
    if entry.file is not None:
        return parquet.read_rows(layout.parts / entry.file.name, 0, len(entry.part), schema)
    file, first = _output_place(book, layout, entry)
    return parquet.read_rows(_unchanged(shelf_of(layout), file), first, first + len(entry.part), schema)


def _output_place(book: Book, layout: Layout, entry: PartEntry) -> tuple[OutputFile, int]:
    """Give the output file that holds a published part, and the part's first row in it."""
    for file in book.outputs.values():
        if not layout.is_directory or file.part == entry.part.id:
            return file, 0 if layout.is_directory else entry.part.start
    raise DamagedError(f"{layout.folder}: part {entry.part.id} counts as published, but the record names no output file for it")


def _unchanged(shelf: Shelf, file: OutputFile) -> "AnyFile":
    """Give an output file to read from, seen to be the one that was verified when the record was opened."""
    if (copy := shelf.copied(file)) is not None:
        return copy
    seen = shelf.stamp(file.name)
    if seen is None:
        raise gone(shelf.place(file.name))
    if seen != Stamp(file.size, file.mtime_ns, file.inode):
        raise changed(shelf.place(file.name))
    return shelf.readable(file)


def _open_batches(book: Book, layout: Layout, entry: PartEntry, pending: bool, tally: Tally | None) -> Iterator[pa.RecordBatch]:
    schema = job_of(book).output_schema
    at = entry.part.start
    for columns, rows in _kept_chunks(book, layout, entry, lenient=pending):
        found = book.stored_outcomes(at, at + rows)
        values = codec.parse(found)
        if len(found) < rows and not pending:
            raise DamagedError(
                f"{book.journal.path}: {rows - len(found)} recorded rows of part {entry.part.id} are gone from the journal"
            )
        if tally is not None:
            codec.count(tally, values)
        if len(found) < rows:
            by_row = {row: each for (row, *_), each in zip(found, values, strict=True)}
            values = [by_row.get(row, codec.PENDING) for row in range(at, at + rows)]
        yield joined(schema, columns, stored_arrays(values))
        at += rows


def _kept_chunks(book: Book, layout: Layout, entry: PartEntry, *, lenient: bool) -> Iterator[tuple[Arrays, int]]:
    """Give a part's kept columns in pieces of at most CHUNK_ROWS rows, each with its length."""
    types = job_of(book).schema.types
    if not types or (lenient and not kept_intact(layout, entry)):
        for start in range(0, len(entry.part), CHUNK_ROWS):
            rows = min(CHUNK_ROWS, len(entry.part) - start)
            yield [pa.array([None] * rows, each) for each in types], rows
        return
    if entry.kept is None or not kept_intact(layout, entry):
        raise DamagedError(
            f"{layout.kept}: the input columns kept for part {entry.part.id} are gone or damaged; run again to read them anew"
        )
    for batch in kept.read(layout, entry.kept):
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            piece = batch.slice(start, CHUNK_ROWS)
            yield piece.columns, piece.num_rows


def kept_intact(layout: Layout, entry: PartEntry) -> bool:
    """Whether an open part's kept columns are there as they were written."""
    return entry.kept is not None and kept.intact(layout, entry.kept)


def _with_newer(book: Book, entry: PartEntry, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Lay the journal's outcomes of a retry over what a file says."""
    if not book.holds_outcomes(entry.part):
        yield from batches
        return
    at = entry.part.start
    for batch in batches:
        newer: dict[int, Outcome] = {}
        for start in range(at, at + batch.num_rows, CHUNK_ROWS):
            newer |= book.outcomes(start, min(start + CHUNK_ROWS, at + batch.num_rows))
        yield overlaid(batch, {row - at: outcome for row, outcome in newer.items()})
        at += batch.num_rows
