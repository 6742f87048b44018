"""job.json: what the journal says of the job besides its rows, once more outside it, should the journal be lost.

Rows lie in sealed parts and in the output, which prove themselves; but whose rows they are, what was asked and which
input files joined in which order would be gone with the journal. Written before the first row of a run is sent, and
about each publish; durable, and with a checksum. Sealed parts carry it too, as it was then, unless it is large.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from zlib import crc32

import orjson

from pipeline.checkpoint import files
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile, StoredFile, StoredJob
from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import StoppedError

NAME = "job.json"
_TEMPORARY = f"{NAME}.tmp"


@dataclass(frozen=True, slots=True)
class JobFile:
    """What job.json says. `announced` and `outputs` are as the journal's."""

    record: str
    job: StoredJob
    files: Sequence[StoredFile]
    outputs: Sequence[OutputFile]
    announced: Announced | None


def keep(book: Book, layout: Layout) -> None:
    """Write what the journal says now. Raises StoppedError if the disk refuses."""
    path = layout.folder / NAME
    try:
        remove_leftovers(layout)
        files.write_durably(path, content(book), private=True, temporary=layout.folder / _TEMPORARY)
    except OSError as error:
        raise StoppedError(
            f"{path}: cannot be written ({error.strerror or error}); what is recorded is intact: "
            "see that the disk is sound and has room, then run again"
        ) from error


def remove_leftovers(layout: Layout) -> None:
    """Remove what a kill in keep() left. Raises OSError."""
    (layout.folder / _TEMPORARY).unlink(missing_ok=True)


def content(book: Book) -> bytes:
    """Give the file's content as the journal stands, nothing if it knows no job yet."""
    if book.job is None:
        return b""
    body = orjson.dumps(
        {
            "record": book.id,
            "job": orjson.Fragment(book.job.to_bytes()),
            "files": [asdict(each) for each in book.files()],
            "outputs": [asdict(each) for each in book.outputs.values()],
            "announced": None if book.announced is None else orjson.Fragment(book.announced.to_bytes()),
        }
    )
    return b"%08x\n" % crc32(body) + body


def read(layout: Layout) -> JobFile | None:
    """Give what was last written, None if it is not there or not as it was written."""
    try:
        return parse((layout.folder / NAME).read_bytes())
    except OSError:
        return None


def parse(found: bytes) -> JobFile | None:
    """Read what content() gave, None if it is anything else."""
    checksum, _, body = found.partition(b"\n")
    if checksum != b"%08x" % crc32(body):
        return None
    stored = orjson.loads(body)
    return JobFile(
        stored["record"],
        StoredJob.from_bytes(orjson.dumps(stored["job"])),
        [StoredFile(**each) for each in stored["files"]],
        [OutputFile(**each) for each in stored["outputs"]],
        None if stored["announced"] is None else Announced.from_bytes(orjson.dumps(stored["announced"])),
    )
