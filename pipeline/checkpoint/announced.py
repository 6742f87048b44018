"""The second half of publishing: what was announced comes to its place, by the run itself or after a crash by the next.

Every file of an announcement lies on disk, or already has its place: finishing needs no request, and may be repeated.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from pipeline.checkpoint import job_file, sealing
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.shelf import Notice, Shelf, Stamp, changed, gone, shelf_of
from pipeline.core.errors import OutputError


def finish_announced(book: Book, layout: Layout, notice: Notice) -> None:
    """Bring a publish that was broken off to its end, or call it off if its files are gone: the parts are all still there."""
    announced = book.announced
    if announced is None:
        return
    shelf = shelf_of(layout)
    wanted = [file for _, file in announced.files]
    drafted, placed = shelf.drafted(announced), shelf.matching(wanted)
    _refuse_overwriting(book, layout, shelf, announced, placed)
    if {file.name for file in wanted} <= drafted | placed:
        finish(book, layout, announced, placed=placed, notice=notice)
    else:
        there = _as_seen(layout, shelf, (file for file in wanted if file.name in placed))
        book.put_outputs(there, [], only=False, finished=True)


def finish(book: Book, layout: Layout, announced: Announced, *, placed: Collection[str] = (), notice: Notice) -> None:
    """Put what was announced in its place, with the manifest; mark the parts as published, and drop their files.

    Those in `placed` are in their places already. May be repeated.
    """
    shelf = shelf_of(layout)
    shelf.put(book, announced, placed, notice)
    done = [each for each in book.parts if each.state == "sealed"]
    outputs = _as_seen(layout, shelf, (file for _, file in announced.files))
    marked = [replace(each, state="published", file=None) for each in done]
    book.put_outputs(outputs, marked, only=not layout.is_directory, finished=True)
    book.step("publish: marked")
    job_file.keep(book, layout)
    for entry in done:
        sealing.remove_older(layout, entry)
        book.step("publish: part removed")
    shelf.clear(book)


def _refuse_overwriting(book: Book, layout: Layout, shelf: Shelf, announced: Announced, placed: set[str]) -> None:
    """See that what lies where announced files go is the old output or the new one, and nobody else's."""
    seen = shelf.seen()
    if announced.folder is not None and not placed and seen:
        raise OutputError(f"{layout.output}: somebody put files where the output goes; move them, then run again")
    for _, file in announced.files:
        old, now = book.outputs.get(file.name), layout.name_now(file.name)
        if now in seen and file.name not in placed and not (old and _is_old(shelf, old, seen[now])):
            raise changed(shelf.place(file.name))


def _is_old(shelf: Shelf, old: OutputFile, seen: Stamp | None) -> bool:
    return seen == Stamp(old.size, old.mtime_ns, old.inode) or bool(shelf.matching([old]))


def _as_seen(layout: Layout, shelf: Shelf, files: Iterable[OutputFile]) -> list[OutputFile]:
    """Give these files with the looks they have now in their places. Raises MismatchError for one that is not there."""
    seen, found = shelf.seen(), []
    for file in files:
        stamp = seen.get(layout.name_now(file.name))
        if stamp is None:
            raise gone(shelf.place(file.name))
        if stamp.size != file.size:
            raise changed(shelf.place(file.name))
        found.append(replace(file, mtime_ns=stamp.mtime_ns, inode=stamp.inode))
    return found
