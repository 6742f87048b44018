"""Pictures as input: which image files a folder or a glob holds, and how large they are. None of them is opened here.

There may be millions, so they are held as Arrow holds text, at little more than their names. The names are anybody's: what one
leads to is looked at when its row is asked, with the care that takes (prompts/files.py).
"""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.errors import SourceError
from pipeline.core.locations import Location
from pipeline.sources.wording import reason, shown

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
_AT_ONCE = 65_536  # names as Python's strings take four times the room

NAMES = pa.large_string()


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The pictures below `root`, an absolute folder or a location: their `names` relative to it in order, `sizes` in bytes.

    A link's size is that of the file it leads to, 0 where it leads to none.
    """

    root: Path | Location
    names: "pa.Array[Any]"
    sizes: "pa.Array[Any]"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def size(self) -> int:
        """Bytes of all."""
        return int(compute().sum(self.sizes).as_py() or 0)

    def only(self, wanted: "pa.Array[Any]") -> "PictureFolder":
        """Give the pictures where `wanted` is true."""
        return PictureFolder(self.root, self.names.filter(wanted), self.sizes.filter(wanted))

    def first(self, number: int) -> list[tuple[str, int]]:
        """Give name and size of the first ones."""
        return [(name.as_py(), size.as_py()) for name, size in zip(self.names[:number], self.sizes[:number], strict=True)]


class Gathering:
    """Takes the names found below one root, in any order."""

    def __init__(self, root: Path | Location) -> None:
        self.root = root
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._chunks: list[tuple[pa.Array[Any], pa.Array[Any]]] = []
        self.no_files: list[str] = []  # folders, pipes and devices that are called like pictures
        self.no_text: list[str] = []  # names that are not UTF-8, which no column of text holds

    def add(self, name: str, entry: "os.DirEntry[str] | Path") -> None:
        """Take a file by its name below the root; what plainly is no file is passed over."""
        size = _size(entry)
        if size is None:
            self.no_files.append(name)
            return
        self.put(name, size)

    def put(self, name: str, size: int) -> None:
        """Take a picture of a known size."""
        self._names.append(name)
        self._sizes.append(size)
        if len(self._names) == _AT_ONCE:
            self._pack()

    def folder(self) -> PictureFolder:
        """Give what was gathered, sorted by name, each name once."""
        self._pack()
        pc = compute()
        names = pa.chunked_array([each for each, _ in self._chunks], NAMES).combine_chunks()
        sizes = pa.chunked_array([each for _, each in self._chunks], pa.int64()).combine_chunks()
        order = pc.sort_indices(names)
        names, sizes = names.take(order), sizes.take(order)
        if len(names) > 1:  # a glob may match a folder and what lies in it
            first = pa.concat_arrays([pa.array([True], pa.bool_()), pc.not_equal(names[1:], names[:-1])])
            names, sizes = names.filter(first), sizes.filter(first)
        return PictureFolder(self.root, names, sizes)

    def __bool__(self) -> bool:
        return bool(self._names or self._chunks)

    def _pack(self) -> None:
        try:
            names = pa.array(self._names, NAMES)
        except UnicodeEncodeError:
            kept = [(name, size) for name, size in zip(self._names, self._sizes, strict=True) if _is_text(name)]
            self.no_text += [name for name in self._names if not _is_text(name)]
            self._names, self._sizes = [name for name, _ in kept], [size for _, size in kept]
            names = pa.array(self._names, NAMES)
        if len(names):
            self._chunks.append((names, pa.array(self._sizes, pa.int64())))
        self._names, self._sizes = [], []


def is_picture(name: str) -> bool:
    """Whether a file is called like a picture, whatever the case."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and f"{dot}{suffix.lower()}" in PICTURE_SUFFIXES


def notices_of(gathered: Gathering) -> list[str]:
    """Say what was passed over although it is called like a picture."""
    root = shown(gathered.root)
    said = []
    if gathered.no_files:
        said.append(
            f"{root}: {len(gathered.no_files)} names end like a picture's and are no files, such as "
            f"{shown(gathered.no_files[0])}; they are passed over"
        )
    if gathered.no_text:
        said.append(
            f"{root}: {len(gathered.no_text)} pictures have names that are not UTF-8, such as {shown(gathered.no_text[0])}; "
            "they are passed over until they are renamed"
        )
    return said


def without(folder: PictureFolder, others: Sequence[PictureFolder]) -> PictureFolder:
    """Give the pictures that none of the others names, whichever of two folders lies in the other."""
    pc = compute()
    paths = _absolute(folder)
    for other in others:
        known = pc.is_in(paths, value_set=_absolute(other))
        if known.true_count:
            folder = folder.only(pc.invert(known))
            paths = _absolute(folder)
    return folder


def paths_of(folder: PictureFolder, anchor: Path) -> "pa.Array[Any]":
    """Give where each picture lies from `anchor`: what tells one picture from another, wherever a project was moved."""
    return prefixed(folder.names, root_of(folder, anchor))


def root_of(folder: PictureFolder, anchor: Path) -> str:
    """Give what a job's record calls the folder: a path from its anchor, or a location."""
    if isinstance(folder.root, Location):
        return str(folder.root).rstrip("/")
    return Path(os.path.relpath(folder.root, anchor)).as_posix()


def prefixed(names: "pa.Array[Any]", root: str) -> "pa.Array[Any]":
    """Give each name with the folder `root` before it, and nothing where that is the anchor itself."""
    if root == ".":
        return names
    joined: pa.Array[Any] = compute().binary_join_element_wise(scalar(root, NAMES), names, scalar("/", NAMES))
    return joined


def number_and_bytes(folders: Iterable[PictureFolder]) -> tuple[int, int]:
    """Give the number of pictures and their bytes."""
    folders = list(folders)
    return sum(map(len, folders)), sum(each.size for each in folders)


def scalar(value: object, kind: pa.DataType) -> Any:
    """Give an Arrow scalar. Not by pyarrow.scalar(), which imports pandas: 0.2 s and 47 MB for nothing."""
    return pa.array([value], kind)[0]


def compute() -> Any:
    """Give Arrow's functions: importing them takes 30 ms that jobs over tables need not spend."""
    import pyarrow.compute

    return pyarrow.compute


def _absolute(folder: PictureFolder) -> "pa.Array[Any]":
    if isinstance(folder.root, Location):
        return prefixed(folder.names, str(folder.root).rstrip("/"))
    # Not seen from one of the two: `..` would give the picture of an inner folder two paths.
    return prefixed(folder.names, os.path.abspath(folder.root).rstrip("/"))  # noqa: PTH100 -- links are not followed


def _size(entry: "os.DirEntry[str] | Path") -> int | None:
    """Give the size of a file, None for what is none. A link counts as a file, unless it leads to a folder."""
    try:
        seen = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # taken away since the folder was listed
        return None
    except OSError as error:
        raise SourceError(f"{shown(os.fspath(entry))}: cannot be looked at: {reason(error)}") from error
    if stat.S_ISLNK(seen.st_mode):
        return _size_behind(entry)
    return seen.st_size if stat.S_ISREG(seen.st_mode) else None


def _size_behind(link: "os.DirEntry[str] | Path") -> int | None:
    try:
        seen = link.stat()
    except OSError:  # it leads nowhere or in a circle: its row says so
        return 0
    if stat.S_ISDIR(seen.st_mode):
        return None
    return seen.st_size if stat.S_ISREG(seen.st_mode) else 0


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
