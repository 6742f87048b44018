"""Publishing: sealed parts become the output, which appears whole or not at all; and proving later that it is still that.

Every new file lies on disk under a temporary name before its size and checksum are announced in the journal; only then
does it come to its place. So after a crash each file is the old one or the announced one, and finishing needs no request.
"""

import itertools
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from pipeline.checkpoint import files, job_file, parquet, sealing
from pipeline.checkpoint.announced import finish
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile
from pipeline.checkpoint.layout import Layout, check_output_kind
from pipeline.checkpoint.rows import job_of, part_batches
from pipeline.checkpoint.shelf import MANIFEST, Notice, Shelf, Stamp, changed, gone, shelf_of, temporary_name, unheard
from pipeline.core.errors import FullError, OutputError, StoppedError
from pipeline.core.locations import Location

if TYPE_CHECKING:
    from pipeline.checkpoint.record import Record


def publish(record: "Record", *, metadata: Mapping[str, object], notice: Notice = unheard) -> None:
    """Make the output from all parts, each of which must be sealed; then drop the parts. `metadata` goes into each new file.

    A single file is written anew; in a folder only files of changed and new parts are. Raises StoppedError if the disk
    refuses or a store is away (everything stays as it was, and publishing again is free), OutputError or MismatchError as
    verify_output().
    """
    book, layout = record.book, record.layout
    shelf = shelf_of(layout)
    if unsealed := [state.part.id for state in record.parts() if not state.sealed]:
        raise ValueError(f"parts {unsealed} are not sealed")
    verify_output(record)
    for entry in [each for each in book.parts if each.state == "sealed"]:
        # Checksums of pages cover their content; what stands between pages, and the footer, only this does.
        sealing.check(book, layout, entry, deep=True)
    record.ballast.put_down()  # no reply is to come any more: its room is better used here
    try:
        announced = _write_folder(book, layout, metadata) if layout.is_directory else _write_file(book, layout, metadata)
        verify_output(record)  # once more: writing took its time, and another machine may publish to the same place
        book.announce(announced)
        job_file.keep(book, layout)
        book.step("publish: announced")
        finish(book, layout, announced, notice=notice)
    except FullError:  # the journal's own: a finished file that was not announced is one in the way
        with suppress(OSError):
            shelf.clear(book)
        raise
    except OSError as error:
        with suppress(OSError):
            shelf.clear(book)
        raise StoppedError(
            f"{layout.written_to}: cannot be written ({error.strerror or error}); every row is recorded: "
            "see that the disk is sound and has room, then run the same command again"
        ) from error


def verify_output(record: "Record", *, deep: bool = False) -> None:
    """See that what lies at the output's place is what this record put there, or nothing if it never did.

    A file whose size, time and inode are as they were is believed, unless `deep`; any other has to match its sha256.
    Raises MismatchError naming a missing or changed file, OutputError for what is not ours.
    """
    book, layout = record.book, record.layout
    check_output_kind(layout)
    if book.announced is not None:  # only a reader sees this; the next run finishes the publish and then looks
        return
    shelf = shelf_of(layout)
    seen = shelf.seen()
    if not book.outputs:
        if seen:
            ways = "give another output.path, or set it aside with --fresh"
            if book.committed:
                ways = "and run the same command again: the rows on record are not asked again"
            raise OutputError(f"{layout.output}: exists, and no record here says that it is this job's; move it, {ways}")
        return
    _refuse_changed(record, shelf, seen, deep=deep)
    _refuse_strangers(record, shelf, seen)


def manifest_stands(record: "Record") -> bool:
    """Tell whether the manifest of a published folder is there and lists the files on record. A single file has none."""
    book, layout = record.book, record.layout
    if not layout.is_directory or not book.outputs or book.announced is not None:
        return True
    try:
        found = orjson.loads(shelf_of(layout).manifest() or b"")
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("files") == _listed(book.outputs)


def set_aside(layout: Layout, *, now: float | None = None) -> list[tuple[Path | Location, Path | Location]]:
    """Rename output and record under a dated name, for --fresh; give what was renamed to what. Nothing is deleted.

    The two still belong together: a record beside its output keeps that place. Hold the lock meanwhile; afterwards
    the job has no folder and no lock: make and take them again.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    target = _dated(layout, stamp)
    for again in itertools.count(2):
        if not shelf_of(target).exists() and not os.path.lexists(target.folder):
            break
        target = _dated(layout, f"{stamp}-{again}")
    renamed: list[tuple[Path | Location, Path | Location]] = []
    # The output first: a crash in between leaves a record without its output, which the next run refuses to go on with.
    if shelf_of(layout).exists():
        shelf_of(layout).move(target.output)
        renamed.append((layout.output, target.output))
    if os.path.lexists(layout.folder):
        layout.folder.rename(target.folder)
        files.sync_folder(layout.folder.parent)
        renamed.append((layout.folder, target.folder))
    return renamed


def part_name(part: int) -> str:
    return f"part-{part:06d}.parquet"


def _write_file(book: Book, layout: Layout, metadata: Mapping[str, object]) -> Announced:
    # The old file is about to go: what only it holds is copied first.
    shelf = shelf_of(layout)
    published = [each for each in book.parts if each.state == "published"]
    if published:
        shelf.copy_here(next(iter(book.outputs.values())))
    for entry in published:
        sealing.seal(book, layout, entry)
    shelf.clear(book)
    book.step("publish: carried")
    name = temporary_name(book)
    path = shelf.draft(book).folder / name
    parts = (part_batches(book, layout, entry) for entry in book.parts)
    file = _write_parquet(book, path, metadata, parts, name=layout.output.name, part=None)
    return Announced(((name, file),))


def _write_folder(book: Book, layout: Layout, metadata: Mapping[str, object]) -> Announced:
    draft = shelf_of(layout).draft(book)
    folder = draft.folder
    new: list[tuple[str | None, OutputFile]] = []

    def write(name: str, part: int | None, parts: Iterable[Iterable[pa.RecordBatch]]) -> None:
        temporary = None if draft.announced else temporary_name(book)
        new.append((temporary, _write_parquet(book, folder / (temporary or name), metadata, parts, name=name, part=part)))

    for entry in [each for each in book.parts if each.state == "sealed"]:
        write(part_name(entry.part.id), entry.part.id, [part_batches(book, layout, entry)])
    if not book.parts:
        write(part_name(0), None, ())
    outputs = {**book.outputs, **{file.name: file for _, file in new}}
    manifest = _manifest(metadata, outputs)
    if draft.announced:
        files.write_durably(folder / MANIFEST, manifest.encode(), private=False)
    files.sync_folder(folder)
    return Announced(tuple(new), draft.announced, manifest)


def _write_parquet(
    book: Book,
    path: Path,
    metadata: Mapping[str, object],
    parts: Iterable[Iterable[pa.RecordBatch]],
    *,
    name: str,
    part: int | None,
) -> OutputFile:
    with files.create(path, private=False) as file, parquet.Writer(file, job_of(book).output_schema) as writer:
        for batches in parts:
            for batch in batches:
                writer.write(batch)
            writer.end_of_part()
        writer.close(metadata)
        book.step("publish: written")
        files.sync(file)
    book.step("publish: synced")
    seen = path.stat()
    return OutputFile(name, part, writer.rows, seen.st_size, files.sha256_of(path), seen.st_mtime_ns, seen.st_ino)


def _refuse_changed(record: "Record", shelf: Shelf, seen: Mapping[str, Stamp | None], *, deep: bool) -> None:
    """See that every file on record is there as it was written, by its looks or by its bytes; put new looks on record."""
    outputs = list(record.book.outputs.values())
    now = {}
    for file in outputs:
        stamp = seen.get(record.layout.name_now(file.name))
        if stamp is None:
            raise gone(shelf.place(file.name))
        now[file.name] = replace(file, mtime_ns=stamp.mtime_ns, inode=stamp.inode)
        if stamp.size != file.size:
            raise changed(shelf.place(file.name))
    doubtful = [each for each in outputs if deep or now[each.name] != each]
    proven = shelf.matching(doubtful)
    for file in doubtful:
        if file.name not in proven:
            raise changed(shelf.place(file.name))
    if doubtful and not record.read_only:
        record.book.put_outputs([now[each.name] for each in doubtful], [], only=False, finished=True)


def _refuse_strangers(record: "Record", shelf: Shelf, seen: Mapping[str, Stamp | None]) -> None:
    if record.layout.is_directory:
        # Names with a dot are passed over: no reader of a folder takes them for data either.
        strange = sorted({each for each in seen if not each.startswith(".")} - {MANIFEST, *record.book.outputs})
        if strange:
            raise OutputError(f"{shelf.place(strange[0])}: is not part of this job's output; move it elsewhere and run again")


def _manifest(metadata: Mapping[str, object], outputs: Mapping[str, OutputFile]) -> str:
    rows = sum(each.rows for each in outputs.values())
    content = {"version": 1, "rows": rows, "files": _listed(outputs), "job": metadata}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _listed(outputs: Mapping[str, OutputFile]) -> list[dict[str, object]]:
    return [
        {"name": each.name, "rows": each.rows, "size": each.size, "sha256": each.sha256}
        for each in sorted(outputs.values(), key=lambda each: each.name)
    ]


def _dated(layout: Layout, stamp: str) -> Layout:
    """Give where output and record of a job lie once they are set aside."""
    output, folder = layout.output, layout.folder
    name = PurePath(output.name)
    aside = output.with_name(f"{name}.{stamp}" if layout.is_directory else f"{name.stem}.{stamp}{name.suffix}")
    if isinstance(output, Path) and folder == Layout.of(output, is_directory=layout.is_directory).folder:
        return Layout.of(aside, is_directory=layout.is_directory)
    return Layout.of(aside, is_directory=layout.is_directory, folder=folder.with_name(f"{folder.name}.{stamp}"))
