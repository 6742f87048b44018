"""Reading Parquet files from where the last read stopped, in batches bounded by bytes, however large a row group is.

A row group can hold millions of rows and be read from its start only. So a cursor keeps its place inside one, and reads
with a small buffer: by default Arrow takes a whole column of a group into memory at once.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import sub
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import SourceError, StoppedError
from pipeline.sources.footers import UNREADABLE, open_parquet, unreadable
from pipeline.sources.input_file import InputFile
from pipeline.sources.smalls import Smalls
from pipeline.sources.wording import shown
from pipeline.storage import RemoteFile

# A row leaves its batch as it is asked, and a batch of pictures is held several times over on the way: as Arrow's, as Python's,
# in the feed. With 8 MB a run over pictures took 350 MB, with 2 MB 250, in the same time.
BATCH_BYTES = 2 << 20
# What a batch may come to at worst by a file's metadata, before its dictionaries are looked at: for pictures that look costs
# as much as reading them, and a group of a hundred of them stays below.
_MOST_UNSEEN_BYTES = 256 << 20
_BUFFER_BYTES = 1 << 20
# From a store a column is read in larger pieces, for each costs its time to answer; of many columns, in smaller ones, for each
# has a buffer of its own: together they stay below the first figure, or as small as from a disk.
_REMOTE_BUFFERS_BYTES, _MOST_REMOTE_BYTES = 24 << 20, 8 << 20
# How often at most a store is asked whether a file is still the same, while it is read: a disk is asked before every batch.
ASKED_EVERY_S = 5.0
_CELL_BYTES = 4
_OFFSET_BYTES = {pa.string().id: 4, pa.binary().id: 4, pa.large_string().id: 8, pa.large_binary().id: 8}


class Cursor:
    """Reads some columns of several files as one sequence of rows. Going forward is cheap, going back starts a group over."""

    def __init__(
        self,
        files: Sequence[InputFile],
        columns: Sequence[str],
        *,
        most_rows: int,
        smalls: Smalls | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = [each for each in files if each.stop > each.first]
        self._starts = [each.first for each in self._files]
        self._columns = list(columns)
        self._most_rows = most_rows
        self._at: _Opened | None = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._next = self._end = 0  # what `_batches` still gives: rows _next to _end
        self._held: tuple[int, pa.RecordBatch] | None = None
        self._smalls = smalls or Smalls(self._files)
        self._now = now
        self._checked: tuple[InputFile, float] | None = None

    def read(self, start: int, stop: int) -> Iterator[tuple[int, InputFile, pa.RecordBatch]]:
        """Give rows start..stop-1 in pieces, each with its first row and its file.

        Raises InputChangedError for a file that changed since the source was made, SourceError for what cannot be read.
        """
        while start < stop:
            first, file, batch = self._holding(start)
            piece = batch.slice(start - first, min(stop - first, batch.num_rows) - (start - first))
            yield start, file, piece
            start += piece.num_rows

    def close(self) -> None:
        self._held, self._batches, self._next, self._end = None, iter(()), 0, 0
        if self._at is not None:
            self._at.close()
            self._at = None

    def _holding(self, row: int) -> tuple[int, InputFile, pa.RecordBatch]:
        """Give the batch that holds this row, read now unless it is the last one read."""
        if self._held is None or not self._held[0] <= row < self._held[0] + self._held[1].num_rows:
            self._held = None  # before the next is read: two batches need not fit
            self._held = self._found(row)
        assert self._at is not None
        return self._held[0], self._at.file, self._held[1]

    def _found(self, row: int) -> tuple[int, pa.RecordBatch]:
        place = bisect_right(self._starts, row) - 1
        file = self._files[place]
        self._check(place)
        try:
            if not self._next <= row < self._end:
                self._seek(place, row)
            for batch in self._batches:
                first, self._next = self._next, self._next + batch.num_rows
                if row < self._next:
                    return first, _completed(batch, self._columns)
        except UNREADABLE as error:
            self.close()
            meant = unreadable(file.path, error)
            if not isinstance(meant, StoppedError):  # a store that is away need not be asked for another minute
                file.check()  # a file overwritten in place reads as a broken one
            raise meant from error
        raise SourceError(
            f"{shown(file.path)}: ends before row {row - file.first}, which its footer promises; the file is damaged"
        )

    def _check(self, place: int) -> None:
        file = self._files[place]
        if self._smalls.has(place):
            return  # it is checked when it has been fetched, and what is here does not change
        if isinstance(file.path, RemoteFile):
            if self._checked is not None and self._checked[0] is file and self._now() - self._checked[1] < ASKED_EVERY_S:
                return
            self._checked = (file, self._now())
        file.check()

    def _seek(self, place: int, row: int) -> None:
        """Start reading at the row group that holds this row."""
        file = self._files[place]
        self._batches = iter(())  # what the last group's reader holds goes before the next one's comes
        if self._at is None or self._at.file is not file:
            self.close()
            here = [each for each in self._columns if each in file.schema.names] or file.schema.names[:1]
            source = pa.BufferReader(self._smalls.read(place)) if self._smalls.has(place) else file.path
            self._at = _Opened(file, open_parquet(source, buffer_bytes=_buffer_bytes(file, here)), here)
        first, groups, rows, row_bytes = self._at.groups_at(row - file.first, self._most_rows)
        size = max(1, min(self._most_rows, BATCH_BYTES // max(row_bytes, 1)))
        self._batches = self._at.parquet.iter_batches(size, row_groups=groups, columns=self._at.columns, use_threads=False)
        self._next, self._end = file.first + first, file.first + first + rows


class _Opened:
    """A file that is open, with the places of its row groups."""

    def __init__(self, file: InputFile, parquet: pq.ParquetFile, columns: Sequence[str]) -> None:
        self.file = file
        self.parquet = parquet
        self._as_stored: pq.ParquetFile | None = None
        self.columns = list(columns)
        metadata = parquet.metadata
        self._ends = list(accumulate(metadata.row_group(each).num_rows for each in range(metadata.num_row_groups)))
        # Names of columns may hold dots, and then look like a path inside another; one leaf too many does no harm here.
        self._leaves = [
            place
            for place in range(metadata.num_columns)
            if any((parquet.schema.column(place).path + ".").startswith(name + ".") for name in columns)
        ]

    def close(self) -> None:
        self.parquet.close()
        if self._as_stored is not None:
            self._as_stored.close()

    def groups_at(self, row: int, most_rows: int) -> tuple[int, list[int], int, int]:
        """Give the row group that holds this row, its first row, its rows, and about how many bytes its widest rows take.

        Small groups that follow come along, so that a file of many tiny ones is not opened for each.
        """
        group = bisect_right(self._ends, row)
        first = self._ends[group - 1] if group else 0
        stop, row_bytes = group + 1, self._row_bytes(group)
        while stop < len(self._ends) and self._ends[stop] - first <= most_rows:
            row_bytes = max(row_bytes, self._row_bytes(stop))
            stop += 1
        return first, list(range(group, stop)), self._ends[stop - 1] - first, row_bytes

    def _row_bytes(self, group: int) -> int:
        metadata = self.parquet.metadata.row_group(group)
        rows = max(metadata.num_rows, 1)
        total = 0
        repeated = 0
        for leaf in self._leaves:
            chunk = metadata.column(leaf)
            total += max(chunk.total_uncompressed_size, chunk.num_values * _CELL_BYTES)
            if chunk.has_dictionary_page and chunk.physical_type.endswith("BYTE_ARRAY"):
                repeated += chunk.total_uncompressed_size * -(-chunk.num_values // rows)
        if repeated * min(self._batch_rows(total // rows), rows) > _MOST_UNSEEN_BYTES:
            return total // rows + self._widest(group)
        return total // rows

    def _batch_rows(self, row_bytes: int) -> int:
        return max(1, BATCH_BYTES // max(row_bytes, 1))

    def _widest(self, group: int) -> int:
        """Give the bytes a row takes if it holds the longest entry of each dictionary.

        A dictionary stores a value once, and rows that repeat it next to nothing: a megabyte of file may hold gigabytes.
        """
        metadata = self.parquet.metadata.row_group(group)
        per_row = max(-(-metadata.column(leaf).num_values // max(metadata.num_rows, 1)) for leaf in self._leaves)
        if self._as_stored is None:
            names = [self.parquet.schema.column(leaf).path for leaf in self._leaves]
            # Once a file, and with the footer as read: it names every group, so a look at each would cost their square.
            size = _buffer_bytes(self.file, self.columns)
            known = self.parquet.metadata
            self._as_stored = open_parquet(self.file.path, buffer_bytes=size, read_dictionary=names, metadata=known)
        batch = next(self._as_stored.iter_batches(1, row_groups=[group], columns=self.columns, use_threads=False))
        return sum(_longest(each) for column in batch.columns for each in _dictionaries(column)) * per_row


def _buffer_bytes(file: InputFile, columns: Sequence[str]) -> int:
    if not isinstance(file.path, RemoteFile):
        return _BUFFER_BYTES
    leaves = sum(_leaves(file.schema.field(each).type) for each in columns)
    return max(_BUFFER_BYTES, min(_MOST_REMOTE_BYTES, _REMOTE_BUFFERS_BYTES // max(leaves, 1)))


def _leaves(type_: pa.DataType) -> int:
    return sum(_leaves(type_.field(place).type) for place in range(type_.num_fields)) if type_.num_fields else 1


def _completed(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """Give these columns of a batch, in their order; nulls for those that its file lacks."""
    if all(name in batch.schema.names for name in columns):
        return batch.select(columns)
    fields = [batch.schema.field(name) if name in batch.schema.names else pa.field(name, pa.null()) for name in columns]
    arrays = [batch.column(each.name) if each.name in batch.schema.names else pa.nulls(batch.num_rows) for each in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _dictionaries(array: "pa.Array[Any]") -> "Iterator[pa.Array[Any]]":
    match array:
        case pa.DictionaryArray():
            yield array.dictionary
        case pa.StructArray():
            for place in range(array.type.num_fields):
                yield from _dictionaries(array.field(place))
        case pa.MapArray():
            yield from _dictionaries(array.keys)
            yield from _dictionaries(array.items)
        case pa.ListArray() | pa.LargeListArray() | pa.FixedSizeListArray():
            yield from _dictionaries(array.values)


def _longest(array: "pa.Array[Any]") -> int:
    """Give the bytes of the longest text or bytes in an array; 0 for numbers, none of which is wider than another."""
    if isinstance(array.type, pa.FixedSizeBinaryType):
        return array.type.byte_width
    width = _OFFSET_BYTES.get(array.type.id)
    offsets = array.buffers()[1] if width else None
    if offsets is None:
        return 0
    # Not by pyarrow.compute: importing it takes 30 ms of a run's start, and a dictionary is at most a megabyte or so.
    ends = memoryview(offsets).cast("B").cast("i" if width == 4 else "q")[array.offset : array.offset + len(array) + 1]
    return max(map(sub, ends[1:], ends), default=0)
