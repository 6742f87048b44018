"""A job whose input is pictures: which of them joined when, and what has become of them since.

Each run's new pictures join as one file, an album in the record (sources/album.py), not as a million. So a job of pictures
has albums only, and a row's number is its picture's place in them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.checkpoint.entries import PICTURES, StoredFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.record import Record
from pipeline.config import Config
from pipeline.core.errors import MismatchError, SourceError
from pipeline.core.types import Reply
from pipeline.sources.album import (
    IMAGE,
    Album,
    Compared,
    compare,
    joined_albums,
    places_of,
    read_album,
    resize_album,
    write_album,
)
from pipeline.sources.listing import Found
from pipeline.sources.pictures import PictureFolder, root_of
from pipeline.sources.slices import Index
from pipeline.sources.wording import shown

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows `start` to `stop`, whose pictures lay in `folder`, where not one picture of the job is left."""

    folder: str
    start: int
    stop: int


def are_meant(record: Record, found: Found) -> bool:
    """Whether the job's input is pictures. Raises SourceError if it was and is not any more, or the other way round."""
    stored = record.files()
    known = any(each.kind == PICTURES for each in stored)
    if known and found.tables:
        raise SourceError(
            f"input.path: the job's input is pictures, and now {shown(found.tables[0])} is found, which would be read instead;"
            " name the pictures by a glob such as *.jpg, or move the table away"
        )
    if stored and not known and found.pictures:
        raise SourceError(
            f"input.path: the job's input is tables, and now {shown(found.pictures[0].root)} gives pictures;"
            " give another output.path for these"
        )
    return known or bool(found.pictures)


def suited(config: Config, *, pictures: bool) -> Config:
    """Give the config as it is meant where the input is pictures: they are sent, unless it says which columns are."""
    if not pictures or config.prompt.images:
        return config
    return config.model_copy(update={"prompt": config.prompt.model_copy(update={"images": (IMAGE,)})})


def album_of(layout: Layout, id_: int) -> Path:
    return layout.staged / f"file-{id_:06d}.parquet"


def index_of(layout: Layout, id_: int) -> Index:
    """Give an album as the source reads it; it was made from nothing but a listing, so it is its own original."""
    return Index(album_of(layout, id_), album_of(layout, id_), layout.anchor)


def join_pictures(
    record: Record, layout: Layout, found: Sequence[PictureFolder], *, notice: Callable[[str], None]
) -> tuple[list[StoredFile], list[Lost]]:
    """Give the new album, if there are new pictures, written but not on record yet; and rows whose folder lost everything.

    Raises MismatchError for a picture that has another size than when a reply to it was recorded.
    """
    stored = record.files()
    known, anchor = _known(stored, layout), layout.anchor
    seen = compare(known, found, anchor)
    _heed_moved(known, seen)
    _heed_changed(record, layout, stored, known, seen)
    if seen.gone:
        first = known.paths[places_of(seen.sizes.is_null())[0]].as_py()
        notice(f"gone: {seen.gone} of the job's pictures, such as {shown(first)}; their recorded rows stay")
    added = []
    if seen.new:
        write_album(seen.new, album_of(layout, len(stored)), anchor, known.prefixes)
        roots = ", ".join(dict.fromkeys(root_of(each, anchor) for each in seen.new))
        added = [StoredFile(len(stored), roots, sum(map(len, seen.new)), 0, 0, 0, kind=PICTURES)]
    alive = {root_of(each, anchor) for each in found}
    return added, [each for each in _folders(known) if each.folder not in alive and _all_gone(seen, known, each.folder)]


def gone(record: Record, layout: Layout, found: Sequence[PictureFolder]) -> int:
    """Count the pictures that joined and are not there any more."""
    return compare(_known(record.files(), layout), found, layout.anchor).gone


def have_changed(record: Record, layout: Layout, found: Sequence[PictureFolder]) -> bool:
    """Tell whether any picture that joined is gone or has another size."""
    seen = compare(_known(record.files(), layout), found, layout.anchor)
    return bool(seen.gone or seen.changed.true_count)


def _known(stored: Sequence[StoredFile], layout: Layout) -> Album:
    return joined_albums([read_album(album_of(layout, each.id)) for each in stored])


def _heed_moved(known: Album, seen: Compared) -> None:
    """Refuse if all pictures are gone from where they were and new ones are just as many, of the same names and sizes.

    Then folder or output was moved, or is reached by another path: they would all be asked, and paid for, once more.
    """
    if not known.folders or seen.gone < len(known.paths) or sum(map(len, seen.new)) < len(known.paths):
        return
    here = {pair for each in seen.new for pair in zip(each.names.to_pylist(), each.sizes.to_pylist(), strict=True)}
    start = 0
    for folder, rows in known.folders:
        inside = 0 if folder == "." else len(folder) + 1
        for row in range(start, start + rows):
            if (known.paths[row].as_py()[inside:], known.sizes[row].as_py()) not in here:
                return
        start += rows
    first = known.folders[0][0]
    raise MismatchError(
        f"input.path: none of the job's pictures is in {shown(first)} any more (seen from the output), and all are in"
        f" {shown(str(seen.new[0].root))}: the folder or the output was moved, or is reached by another path, and each would be"
        " asked again; put it back, or start over with --fresh"
    )


def _heed_changed(record: Record, layout: Layout, stored: Sequence[StoredFile], known: Album, seen: Compared) -> None:
    """Take over other sizes, unless a reply was given to what the picture was before."""
    if not seen.changed.true_count:
        return
    changed = places_of(seen.changed)
    answered = _answered(record, changed)
    if answered:
        names = ", ".join(shown(known.paths[row].as_py()) for row in answered[:_MOST_NAMED])
        raise MismatchError(
            f"{names}: the picture has another size than when its reply was recorded; put the old one back, give the new one a"
            " name of its own, start over with --fresh, or give another output.path"
        )
    start = 0
    for each in stored:
        if any(start <= row < start + each.rows for row in changed):
            resize_album(album_of(layout, each.id), seen.sizes[start : start + each.rows])
        start += each.rows


def _answered(record: Record, rows: Sequence[int]) -> list[int]:
    """Give those of these rows, ascending, that have a reply and are not to be asked again: of the first part that has any."""
    for state in record.parts():
        mine = {row for row in rows if state.part.start <= row < state.part.stop}
        if not mine or not state.tally.ok:
            continue
        mine.difference_update(row for each in record.missing(state.part) for row in each if row in mine)
        found = [each.row for each in record.outcomes(state.part) if each.row in mine and isinstance(each.result, Reply)]
        if found:
            return found
    return []


def _folders(known: Album) -> Iterator[Lost]:
    start = 0
    for folder, rows in known.folders:
        yield Lost(folder, start, start + rows)
        start += rows


def _all_gone(seen: Compared, known: Album, folder: str) -> bool:
    return all(
        seen.sizes[each.start : each.stop].null_count == each.stop - each.start
        for each in _folders(known)
        if each.folder == folder
    )
