"""What a location in an object store names: an object, all below a prefix, or what a pattern matches, as locally.

A store has keys and no folders: a prefix is taken for one where anything lies below it.
"""

import glob
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain

from pipeline.core.errors import SourceError
from pipeline.core.locations import Location
from pipeline.sources.naming import PACKED_TARS, format_of, format_of_name, passed_over, unread
from pipeline.sources.pictures import Gathering, is_picture
from pipeline.sources.wording import shown
from pipeline.storage import RemoteFile, Seen, store_of

_RECURSIVE = "**"


@dataclass(slots=True)
class RemotelyNamed:
    """What one location names; pictures only matter where there are no tables."""

    pictures: Gathering
    tables: list[RemoteFile]


def remotely_named(text: str, *, exclude: Sequence[Location] = ()) -> RemotelyNamed:
    """Give the tables at a location by key in order, as they were listed, and the pictures.

    What lies at or below `exclude` is passed over. Raises SourceError for a named object that is missing or of no known
    format, and what storage.trouble gives. There may be millions of pictures: their keys are held as Arrow holds text.
    """
    try:
        location = Location.parse(text)
    except ValueError as error:
        raise SourceError(f"input.path: {shown(text)}: {error}") from None
    root, found, refused = _found(location)
    store = store_of(location)
    named = RemotelyNamed(Gathering(root), [])
    unknown: str | None = None
    for key, seen in found:
        name = posixpath.basename(key)
        if any(store.at(key).is_below(place) for place in exclude):
            continue
        if format_of_name(name):
            named.tables.append(RemoteFile(_checked(store.at(key)), seen))
        elif is_picture(name):
            named.pictures.put(key[len(root.key) :], seen.size)
        elif refused(key) and (unknown is None or key < unknown):
            unknown = key
    named.tables.sort(key=lambda each: each.location)
    if (tar := next((each for each in named.tables if format_of(each) == "tar"), None)) is not None:
        raise SourceError(f"{shown(tar)}: tars in an object store are not read yet; fetch them to a local disk")
    if unknown is not None and not (named.tables or named.pictures):
        raise SourceError(f"{shown(store.at(unknown))}: {unread(unknown)}")
    return named


def _checked(table: Location) -> Location:
    """Give a location if the record can hold it as text: keys are anybody's."""
    try:
        return Location.parse(str(table))
    except ValueError as error:
        raise SourceError(f"{shown(table)}: {error}; give the object another key, or name others by a pattern") from None


def _found(location: Location) -> tuple[Location, Iterable[tuple[str, Seen]], Callable[[str], bool]]:
    """Give the deepest folder above the objects that are named, these, and which of their names are worth an error if none of
    them is of a known format."""
    # An object or prefix whose own name holds [ or * is meant before the pattern it could be.
    store, folder = store_of(location), location.folder
    if location != folder and (seen := store.info(location.key)) is not None:
        return location.parent, [(location.key, seen)], lambda name: True
    below = store.scan(folder.key)
    if (first := next(below, None)) is not None:
        kept = (each for each in chain([first], below) if not _is_passed_over(each[0][len(folder.key) :].split("/")))
        return folder, kept, lambda name: name.lower().endswith(PACKED_TARS)
    if glob.has_magic(location.key):
        fixed = _fixed_part(location)
        return fixed, _matching(location, fixed), lambda name: True
    if location != folder:
        raise SourceError(f"{shown(location)}: there is no such object, and nothing below it; check input.path")
    return folder, [], lambda name: False


def _fixed_part(pattern: Location) -> Location:
    """Give the deepest folder above the first wildcard."""
    parts = pattern.key.split("/")
    magic = next(place for place, each in enumerate(parts) if glob.has_magic(each))
    return Location(pattern.scheme, pattern.bucket, "".join(f"{each}/" for each in parts[:magic]))


def _matching(pattern: Location, fixed: Location) -> Iterator[tuple[str, Seen]]:
    """Give the objects that a pattern matches, and those below a prefix that it matches."""
    wanted = pattern.key.rstrip("/").removeprefix(fixed.key).split("/")
    # Who writes _name*.csv means the objects that are passed over otherwise.
    meant = any(each.startswith("_") for each in wanted)
    for key, seen in store_of(pattern).scan(fixed.key):
        inside = key[len(fixed.key) :].split("/")
        if any(not _is_passed_over(inside[end if meant else 0 :]) for end in _ends(wanted, inside, 0)):
            yield key, seen


def _ends(pattern: Sequence[str], parts: Sequence[str], at: int) -> Iterator[int]:
    """Give how many parts of a key the pattern may match from its start: the rest lies below what it matches.

    As in the shell, and in Python's glob: no wildcard matches a slash or a dot at a name's start, and ** any number of folders.
    """
    if not pattern:
        yield at
    elif pattern[0] == _RECURSIVE:
        yield from _ends(pattern[1:], parts, at)
        if at < len(parts) and not parts[at].startswith("."):
            yield from _ends(pattern, parts, at + 1)
    elif at < len(parts) and fnmatchcase(parts[at], pattern[0]) and (pattern[0][0] == "." or parts[at][0] != "."):
        yield from _ends(pattern[1:], parts, at + 1)


def _is_passed_over(parts: Sequence[str]) -> bool:
    return any(map(passed_over, parts))
