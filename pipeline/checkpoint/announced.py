"""The second half of publishing: what was announced is renamed into its place, by the run itself or after a crash by the next.

Every file of an announcement lies on disk, or already has its name: finishing needs no request, and may be repeated.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from pipeline.checkpoint import files, job_file, sealing
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.rows import changed, output_path
from pipeline.core.errors import OutputError

MANIFEST = "_manifest.json"


def finish_announced(book: Book, layout: Layout) -> None:
    """Bring a publish that was broken off to its end, or call it off if its files are gone: the parts are all still there."""
    announced = book.announced
    if announced is None:
        return
    waiting = _temporary_files(layout, announced)
    there = [(temporary, file) for temporary, file in waiting if temporary is not None and _matches(temporary, file)]
    renamed = [file for _, file in waiting if _matches(output_path(layout, file), file)]
    _refuse_overwriting(book, layout, announced, renamed)
    if len({file.name for _, file in there} | {file.name for file in renamed}) == len(waiting):
        finish(book, layout, announced)
    else:
        book.put_outputs([_as_seen(layout, file) for file in renamed], [], only=False, finished=True)


def finish(book: Book, layout: Layout, announced: Announced) -> None:
    """Rename what was announced, write the manifest, mark the parts as published, and drop their files. May be repeated."""
    if announced.folder is not None:
        temporary = layout.output.with_name(announced.folder)
        if temporary.exists():
            temporary.replace(layout.output)
        book.step("publish: renamed")
    for temporary_file, file in _temporary_files(layout, announced):
        if temporary_file is not None and temporary_file.exists():
            temporary_file.replace(output_path(layout, file))
            book.step("publish: renamed")
    if layout.is_directory:
        files.sync_folder(layout.output)
    files.sync_folder(layout.output.parent)
    book.step("publish: folder synced")
    if announced.manifest is not None and announced.folder is None:
        temporary = layout.output / temporary_name(book)
        files.write_durably(layout.output / MANIFEST, announced.manifest.encode(), private=False, temporary=temporary)
        book.step("publish: manifest")
    done = [each for each in book.parts if each.state == "sealed"]
    outputs = [_as_seen(layout, file) for _, file in announced.files]
    marked = [replace(each, state="published", file=None) for each in done]
    book.put_outputs(outputs, marked, only=not layout.is_directory, finished=True)
    book.step("publish: marked")
    job_file.keep(book, layout)
    for entry in done:
        sealing.remove_older(layout, entry)
        book.step("publish: part removed")


def remove_leftovers(book: Book, layout: Layout) -> None:
    """Remove temporary files of publishes that never came to be announced."""
    if book.announced is None:
        folders = (layout.output.parent, *([layout.output] if layout.is_directory and layout.output.is_dir() else []))
        for path in [each for folder in folders for each in folder.glob(f".rowcall-{book.id[:8]}-*.tmp")]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def temporary_name(book: Book) -> str:
    # The record's id tells a later run which leftovers are its own; the output's name could make this one too long.
    return f".rowcall-{book.id[:8]}-{files.random_name()}.tmp"


def _temporary_files(layout: Layout, announced: Announced) -> list[tuple[Path | None, OutputFile]]:
    """Give each announced file with the path at which it lies until it is renamed, None once its folder was."""
    if announced.folder is not None:
        folder = layout.output.with_name(announced.folder)
        return [(folder / file.name, file) for _, file in announced.files]
    folder = layout.output if layout.is_directory else layout.output.parent
    return [(folder / name if name else None, file) for name, file in announced.files]


def _refuse_overwriting(book: Book, layout: Layout, announced: Announced, renamed: list[OutputFile]) -> None:
    """See that what lies where announced files go is the old output or the new one, and nobody else's."""
    if announced.folder is not None and not renamed and layout.output.is_dir() and any(layout.output.iterdir()):
        raise OutputError(f"{layout.output}: somebody put files where the output goes; move them, then run again")
    for _, file in announced.files:
        path, old = output_path(layout, file), book.outputs.get(file.name)
        if os.path.lexists(path) and file not in renamed and (old is None or not _matches(path, old)):
            raise changed(layout, path)


def _matches(path: Path, file: OutputFile) -> bool:
    try:
        return not path.is_symlink() and path.stat().st_size == file.size and files.sha256_of(path) == file.sha256
    except OSError:
        return False


def _as_seen(layout: Layout, file: OutputFile) -> OutputFile:
    seen = output_path(layout, file).stat()
    return replace(file, mtime_ns=seen.st_mtime_ns, inode=seen.st_ino)
