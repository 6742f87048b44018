"""An open part's kept input columns, set aside as an Arrow stream: so that sealing never depends on the input again.

On disk before the part's first row is sent, and checksummed: Arrow's own format would not notice a flipped bit.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from pipeline.checkpoint import files
from pipeline.checkpoint.entries import KeptFile
from pipeline.checkpoint.files import Steps
from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import InputChangedError, RowcallError
from pipeline.core.types import Part

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_READ_BYTES = 1 << 20


def write(layout: Layout, part: Part, schema: pa.Schema, batches: Iterable[pa.RecordBatch], step: Steps) -> KeptFile:
    """Set a part's kept columns aside, durably. Raises InputChangedError if they are not as many rows as the part has."""
    name = f"kept-{part.id:06d}.{files.random_name()}.arrow"
    temporary = layout.kept / f"{name}.tmp"
    try:
        with files.create(temporary, private=True) as file:
            counted = _Counted(file)
            rows = _write_stream(counted, schema, batches)
            if rows != len(part):
                raise InputChangedError(
                    f"the input gave {rows} rows where rows {part.start} to {part.stop - 1} were expected; run again"
                )
            step("keep: written")
            files.sync(file)
        step("keep: synced")
        temporary.rename(layout.kept / name)
    except (OSError, RowcallError):  # also when the input cannot be read to its end
        with suppress(OSError):  # what went wrong before is what counts
            temporary.unlink(missing_ok=True)
        raise
    step("keep: renamed")
    files.sync_folder(layout.kept)
    step("keep: folder synced")
    return KeptFile(name, counted.size, counted.crc)


def intact(layout: Layout, kept: KeptFile) -> bool:
    """Whether the file is there, byte for byte as it was written."""
    size = crc = 0
    try:
        with (layout.kept / kept.name).open("rb") as file:
            while block := file.read(_READ_BYTES):
                size, crc = size + len(block), zlib.crc32(block, crc)
    except OSError:
        return False
    return (size, crc) == (kept.size, kept.crc)


def read(layout: Layout, kept: KeptFile) -> Iterator[pa.RecordBatch]:
    """Read the batches back. The file must be intact: a torn Arrow stream is not safe to parse."""
    with pa.OSFile(str(layout.kept / kept.name), "r") as file, pa.ipc.open_stream(file) as stream:
        yield from stream


def remove(layout: Layout, kept: KeptFile | None) -> None:
    if kept is not None:
        files.remove(layout.kept / kept.name)


def names(layout: Layout) -> Iterator[Path]:
    """Give every file of this kind, named by the journal or not."""
    return layout.kept.glob("kept-*.arrow*")


def _write_stream(sink: "_Counted", schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    # A stream, not an Arrow file: only a stream may replace a dictionary from one batch to the next.
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.PythonFile(sink, "w") as out, pa.ipc.new_stream(out, schema, options=options) as stream:
        for batch in batches:
            stream.write_batch(batch if batch.schema.equals(schema) else pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            rows += batch.num_rows
    return rows


class _Counted(io.RawIOBase):
    """A file that counts and checksums what is written to it. Arrow closes this one, not the real one below."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.size = self.crc = 0

    def writable(self) -> bool:
        return True

    def write(self, block: "ReadableBuffer") -> int:
        view = memoryview(block)
        self._file.write(view)
        self.size += view.nbytes
        self.crc = zlib.crc32(view, self.crc)
        return view.nbytes
