"""Sealing: a part's outcomes and kept columns become one durable file, and only then leave the journal."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson

from pipeline.checkpoint import files, job_file, kept, parquet
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import PartEntry, SealedFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.rows import job_of, part_batches
from pipeline.core.errors import DamagedError
from pipeline.core.tally import Tally

# What a part carries of job.json at most: thousands of input files would make every part larger than its rows.
MOST_JOB_FILE_BYTES = 64 * 1024


def seal(book: Book, layout: Layout, entry: PartEntry) -> None:
    """Seal a part as its next generation: from the journal, or from its older file or the output and what a retry changed.

    The order is what makes it safe at every point: data on disk, name, folder, journal's commit, older copy gone.
    Raises FullError if the disk is full, StoppedError if it fails; the rows then stay in the journal.
    """
    name = f"part-{entry.part.id:06d}.g{entry.generation + 1}.{files.random_name()}.parquet"
    temporary, final = layout.parts / f"{name}.tmp", layout.parts / name
    try:
        tally = _write(book, layout, entry, temporary)
        digest = files.sha256_of(temporary)
        temporary.rename(final)
        book.step("seal: renamed")
        files.sync_folder(layout.parts)
        book.step("seal: folder synced")
        seen = final.stat()
    except OSError as error:
        with suppress(OSError):  # what went wrong before is what counts
            temporary.unlink(missing_ok=True)
        raise files.stopped(
            error,
            f"{layout.parts}: part {entry.part.id} cannot be written ({error.strerror or error}); the journal has its rows: "
            "see that the disk is sound and has room, then run again",
        ) from error
    file = SealedFile(name, seen.st_size, seen.st_mtime_ns, digest)
    book.put_sealed(PartEntry(entry.part, "sealed", entry.generation + 1, file=file, tally=tally))
    book.step("seal: committed")
    remove_older(layout, entry)
    book.step("seal: older removed")


def remove_older(layout: Layout, entry: PartEntry) -> None:
    """Remove the files of a part's entry that a later entry has replaced. Raises StoppedError."""
    kept.remove(layout, entry.kept)
    if entry.file is not None:
        files.remove(layout.parts / entry.file.name)


def check(book: Book, layout: Layout, entry: PartEntry, *, deep: bool = False) -> None:
    """Prove that a sealed part's file is the one the journal means; its bytes too if `deep`, or if it was touched since.

    Raises DamagedError, saying how many recorded rows are at stake.
    """
    assert entry.file is not None
    path = layout.parts / entry.file.name
    at_stake = f"it holds rows {entry.part.start} to {entry.part.stop - 1}, recorded and paid for"
    try:
        seen = path.stat()
    except OSError as error:
        raise DamagedError(f"{path}: a sealed part is gone: {at_stake}") from error
    rows, metadata = parquet.facts(path) or (-1, {})
    if seen.st_size != entry.file.size or rows != len(entry.part) or not metadata.items() >= _identity(book, entry).items():
        raise DamagedError(f"{path}: a sealed part is damaged: {at_stake}")
    if (deep or seen.st_mtime_ns != entry.file.mtime_ns) and files.sha256_of(path) != entry.file.sha256:
        raise DamagedError(f"{path}: a sealed part was changed: {at_stake}")


def names(layout: Layout) -> Iterator[Path]:
    """Give every file of this kind, named by the journal or not."""
    return layout.parts.glob("part-*.parquet*")


def _write(book: Book, layout: Layout, entry: PartEntry, path: Path) -> Tally:
    tally = Tally() if entry.tally is None else entry.tally
    batches = part_batches(book, layout, entry, tally=tally)
    with files.create(path, private=True) as file, parquet.Writer(file, job_of(book).output_schema) as writer:
        for batch in batches:
            writer.write(batch)
            book.step("seal: writing")
        if writer.rows != len(entry.part):
            raise DamagedError(
                f"part {entry.part.id} has {len(entry.part)} rows, but {writer.rows} could be read back; run again"
            )
        identity = _identity(book, entry, generation=entry.generation + 1)
        said = {"fingerprint": fingerprint_of(book), "tally": tally.to_json(), "job_file": _job_file(book)}
        writer.close({**identity, **said})
        book.step("seal: written")
        files.sync(file)
    book.step("seal: synced")
    return tally


def _job_file(book: Book) -> str | None:
    content = job_file.content(book)
    return content.decode() if len(content) <= MOST_JOB_FILE_BYTES else None


def fingerprint_of(book: Book) -> str:
    """Give a short name for the job's facts as they stand."""
    return hashlib.sha256(orjson.dumps(job_of(book).fingerprint, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _identity(book: Book, entry: PartEntry, generation: int | None = None) -> dict[str, object]:
    """Give what a part's file says of itself: whose it is, which rows it holds, the how-manieth version it is.

    The record's own id and not the job's fingerprint, which --keep-done may change while parts stay.
    """
    part = entry.part
    return {
        **{"version": 1, "record": book.id, "part": part.id, "start": part.start, "stop": part.stop},
        "generation": entry.generation if generation is None else generation,
    }
