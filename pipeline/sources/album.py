"""Which pictures joined a job, a row each: a Parquet file of our own that is staged once a run, for those that are new then.

It says where a picture lies, from the job's anchor, and how large it is: enough to tell it from others next time, and to
notice that it was exchanged. What a picture holds is nowhere kept; it is read when its row is asked.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from pipeline.core.errors import MismatchError
from pipeline.core.locations import is_remote
from pipeline.sources.footers import UNREADABLE, open_parquet
from pipeline.sources.pictures import NAMES, PictureFolder, compute, paths_of, prefixed, root_of, scalar
from pipeline.sources.roots import prefix_in, prefixes_of, tree_path
from pipeline.sources.slices import slice_field
from pipeline.sources.staging import replacing, writing
from pipeline.sources.wording import shown

PATH, IMAGE = "path", "image"
SCHEMA = pa.schema([pa.field(PATH, pa.string(), nullable=False), slice_field(IMAGE)])
_GROUP_ROWS = 50_000
_READ = [PATH, *(f"{IMAGE}.{name}" for name in ("file", "root", "size"))]


@dataclass(frozen=True, slots=True)
class Album:
    """Pictures that joined: their `paths` from the anchor, their `sizes` then, and the folders they were found in, each with
    how many follow of it. `prefixes` stand before the names of a folder's pictures in the column `path`."""

    paths: "pa.Array[Any]"
    sizes: "pa.Array[Any]"
    folders: tuple[tuple[str, int], ...]
    prefixes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of pictures that joined, in their order: their `sizes` now, null where they are gone; where they `changed`.

    `new` are those found that have not joined yet.
    """

    sizes: "pa.Array[Any]"
    changed: pa.BooleanArray
    new: tuple[PictureFolder, ...]

    @property
    def gone(self) -> int:
        return int(self.sizes.null_count)


def write_album(
    folders: Sequence[PictureFolder], target: Path, anchor: Path, prefixes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write the pictures to `target`, in their order, durably, replacing what is there. Raises StoppedError for a full disk.

    `prefixes` are those of the job's albums so far.
    """
    places = {root_of(each, anchor): _absolute(root_of(each, anchor), anchor) for each in folders}
    before = prefixes_of(list(places.values()), {_absolute(root, anchor): each for root, each in prefixes.items()})
    with replacing(target) as out, writing(out, SCHEMA) as writer:
        for folder in folders:
            for start in range(0, len(folder), _GROUP_ROWS):
                names, root = folder.names[start : start + _GROUP_ROWS], root_of(folder, anchor)
                paths = prefixed(names, before[places[root]]).cast(pa.string())
                roots = pa.repeat(scalar(root, pa.string()), len(names))
                writer.write_batch(_batch(paths, names.cast(pa.string()), roots, folder.sizes[start : start + _GROUP_ROWS]))
        writer.close()


def resize_album(target: Path, sizes: "pa.Array[Any]") -> None:
    """Write an album anew with other sizes; where one is null the old one stays."""
    with open_parquet(target) as old, replacing(target) as out, writing(out, SCHEMA) as writer:
        start = 0
        for group in range(old.metadata.num_row_groups):
            table = old.read_row_group(group).combine_chunks()
            image: Any = table.column(IMAGE).combine_chunks()
            now = compute().coalesce(sizes[start : start + len(image)], image.field("size"))
            writer.write_batch(_batch(table.column(PATH).combine_chunks(), image.field("file"), image.field("root"), now))
            start += len(image)
        writer.close()


def read_album(path: Path) -> Album:
    """Read a whole album back. Raises MismatchError if it is gone or damaged: nothing else says which pictures joined."""
    try:
        with open_parquet(path) as file:
            groups = [_pictures(file.read_row_group(each, _READ)) for each in range(file.metadata.num_row_groups)]
    except (*UNREADABLE, KeyError) as error:
        raise MismatchError(
            f"{shown(path)}: this list of the pictures that joined the job is gone or damaged; put the record folder back from a"
            " copy, or start over with --fresh"
        ) from error
    return joined_albums(groups)


def joined_albums(albums: Sequence[Album]) -> Album:
    """Give several as one, in their order."""
    return Album(
        pa.concat_arrays([pa.array([], NAMES), *(each.paths for each in albums)]),
        pa.concat_arrays([pa.array([], pa.int64()), *(each.sizes for each in albums)]),
        tuple(folder for each in albums for folder in each.folders),
        {root: prefix for each in reversed(albums) for root, prefix in each.prefixes.items()},
    )


def compare(known: Album, found: Sequence[PictureFolder], anchor: Path) -> Compared:
    """Look for the pictures that joined among those found. A picture is known by its path, and by nothing else.

    Its size alone says whether it changed: times are new after each copy, and to read millions would take hours.
    """
    pc = compute()
    paths = [paths_of(each, anchor) for each in found]
    where = pc.index_in(known.paths, value_set=pa.concat_arrays([pa.array([], NAMES), *paths]))
    sizes = pa.concat_arrays([pa.array([], pa.int64()), *(each.sizes for each in found)]).take(where)
    changed = pc.fill_null(pc.not_equal(sizes, known.sizes), False)
    new = [
        folder.only(pc.invert(pc.is_in(mine, value_set=known.paths))) if len(known.paths) else folder
        for folder, mine in zip(found, paths, strict=True)
    ]
    return Compared(sizes, changed, tuple(each for each in new if len(each)))


def places_of(mask: pa.BooleanArray) -> list[int]:
    """Give the places where it is true."""
    return [int(each.as_py()) for each in compute().indices_nonzero(mask)]


def _absolute(root: str, anchor: Path) -> Path:
    if is_remote(root):
        return tree_path(root)
    return Path(os.path.abspath(anchor / root))  # noqa: PTH100 -- links are not followed


def _batch(paths: "pa.Array[Any]", names: "pa.Array[Any]", roots: "pa.Array[Any]", sizes: "pa.Array[Any]") -> pa.RecordBatch:
    image: Any = SCHEMA.field(IMAGE).type
    offsets, unknown = pa.repeat(scalar(0, pa.int64()), len(names)), pa.nulls(len(names), pa.int64())
    cells = pa.StructArray.from_arrays([names, roots, offsets, sizes, unknown, unknown], fields=list(image))
    return pa.RecordBatch.from_arrays([paths, cells], schema=SCHEMA)


def _pictures(table: pa.Table) -> Album:
    image: Any = table.column(IMAGE).combine_chunks()
    paths: Any = table.column(PATH)
    names, roots = image.field("file").cast(NAMES), image.field("root")
    runs = compute().run_end_encode(roots)
    pieces, folders, prefixes, start = [], [], dict[str, str](), 0
    for end, root in _runs(runs):
        pieces.append(prefixed(names[start:end], root))
        folders.append((root, end - start))
        prefixes.setdefault(root, prefix_in(paths[start].as_py(), names[start].as_py()))
        start = end
    return Album(pa.concat_arrays([pa.array([], NAMES), *pieces]), image.field("size"), tuple(folders), prefixes)


def _runs(encoded: Any) -> Iterator[tuple[int, str]]:
    for end, root in zip(encoded.run_ends, encoded.values, strict=True):
        yield end.as_py(), root.as_py()
