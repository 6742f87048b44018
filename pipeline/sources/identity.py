"""Whether a file is still the one that joined the job. A name and a time are hints; content is proof."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import SourceError
from pipeline.sources.listing import is_parquet

_PARQUET_TAIL = 8
_MOST_FOOTER = 256 * 2**20


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What is known of a file. `footer` is a hash of a Parquet file's footer, `sha256` of all bytes; None while unknown."""

    size: int
    mtime_ns: int
    inode: int
    footer: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that joined the job: `id` is the order of joining, `path` its key (see key_of)."""

    id: int
    path: str
    rows: int
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class Joined:
    """Found files against known ones. `new` files are in the order found; `moved` gives a known file its new key."""

    new: tuple[tuple[str, Path], ...]
    vanished: tuple[KnownFile, ...]
    moved: tuple[tuple[KnownFile, str], ...]
    changed: tuple[KnownFile, ...]


def key_of(path: Path, anchor: Path) -> str:
    """Name a file relative to a folder of the job, so that the two may move together."""
    return os.path.relpath(path, anchor)


def identify(path: Path) -> FileIdentity:
    """Look at a file: size, time, inode, and for Parquet its footer. Text files are hashed whole: they are read whole anyway."""
    try:
        seen = path.stat()
        footer = _footer(path, seen.st_size) if is_parquet(path) else None
        whole = None if is_parquet(path) else sha256_of(path)
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    return FileIdentity(seen.st_size, seen.st_mtime_ns, seen.st_ino, footer, whole)


def sha256_of(path: Path) -> str:
    """Hash all bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same(old: FileIdentity, path: Path) -> bool:
    """Tell whether the file is the one known as `old`.

    Equal size, time and inode are believed. Else the content has to prove it: all bytes if their hash is known, the
    footer if not (it holds every column's offsets and sizes); without either it counts as changed.
    """
    try:
        seen = path.stat()
        if seen.st_size != old.size:
            return False
        if (seen.st_mtime_ns, seen.st_ino) == (old.mtime_ns, old.inode):
            return True
        if old.sha256 is not None:
            return sha256_of(path) == old.sha256
        return old.footer is not None and _footer(path, seen.st_size) == old.footer
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None


def join(known: Sequence[KnownFile], found: Sequence[tuple[str, Path]]) -> Joined:
    """Compare what is known with what is there now.

    A known file that is gone, and a new name with the same content, are one file that moved: its rows are not asked again.
    """
    here = dict(found)
    by_key = {each.path: each for each in known}
    changed = tuple(each for each in known if each.path in here and not same(each.identity, here[each.path]))
    gone = {each.id: each for each in known if each.path not in here}
    new: list[tuple[str, Path]] = []
    moved: list[tuple[KnownFile, str]] = []
    for key, path in found:
        if key in by_key:
            continue
        before = next((each for each in gone.values() if same(each.identity, path)), None)
        if before is None:
            new.append((key, path))
        else:
            moved.append((gone.pop(before.id), key))
    return Joined(tuple(new), tuple(gone.values()), tuple(moved), changed)


def _footer(path: Path, size: int) -> str | None:
    """Hash the footer of a Parquet file; None if there is none, which reading it will tell."""
    with path.open("rb") as file:
        file.seek(max(0, size - _PARQUET_TAIL))
        tail = file.read(_PARQUET_TAIL)
        if len(tail) < _PARQUET_TAIL or tail[4:] != b"PAR1":
            return None
        length = int.from_bytes(tail[:4], "little")
        if not 0 < length <= min(size, _MOST_FOOTER):
            return None
        file.seek(size - _PARQUET_TAIL - length)
        return hashlib.sha256(file.read(length)).hexdigest()
