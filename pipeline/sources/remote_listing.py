"""What a location in an object store names: an object, all below a prefix, or what a pattern matches, as locally.

A store has keys and no folders: a prefix is taken for one where anything lies below it.
"""

import glob
import posixpath
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

from pipeline.core.errors import SourceError
from pipeline.core.locations import Location
from pipeline.sources.naming import PACKED_TARS, format_of, format_of_name, passed_over, unread
from pipeline.sources.pictures import is_picture
from pipeline.sources.wording import shown
from pipeline.storage import RemoteFile, Seen, store_of

_RECURSIVE = "**"


def remote_tables(text: str, *, exclude: Sequence[Location] = ()) -> tuple[list[RemoteFile], str | None]:
    """Give the tables at a location by key in order, as they were listed, and the key of a picture that lies beside them.

    What lies at or below `exclude` is passed over. Raises SourceError for a named object that is missing or of no known
    format, and what storage.trouble gives.
    """
    try:
        location = Location.parse(text)
    except ValueError as error:
        raise SourceError(f"input.path: {shown(text)}: {error}") from None
    found, refused = _found(location)
    store = store_of(location)
    found = [each for each in found if not any(store.at(each[0]).is_below(place) for place in exclude)]
    formats = [format_of_name(posixpath.basename(key)) for key, _ in found]
    tables = [RemoteFile(store.at(key), seen) for (key, seen), format_ in zip(found, formats, strict=True) if format_]
    picture = next((key for key, _ in found if is_picture(posixpath.basename(key))), None)
    if "tar" in formats or (picture is not None and not tables):
        raise _no_tables(next((each for each in tables if format_of(each) == "tar"), store.at(picture or "")))
    others = [] if tables else [key for key, _ in found if refused(key)]
    if others:
        raise SourceError(f"{shown(store.at(min(others)))}: {unread(min(others))}")
    return tables, picture


def _found(location: Location) -> tuple[list[tuple[str, Seen]], Callable[[str], bool]]:
    """Give the objects that are named, and which of these names are worth an error if none of them is of a known format."""
    # An object or prefix whose own name holds [ or * is meant before the pattern it could be.
    store, folder = store_of(location), location.folder
    if location != folder and (seen := store.info(location.key)) is not None:
        return [(location.key, seen)], lambda name: True
    if below := store.listed(folder.key):
        kept = [(key, seen) for key, seen in below if not _is_passed_over(key[len(folder.key) :].split("/"))]
        return kept, lambda name: name.lower().endswith(PACKED_TARS)
    if glob.has_magic(location.key):
        return list(_matching(location)), lambda name: True
    if location != folder:
        raise SourceError(f"{shown(location)}: there is no such object, and nothing below it; check input.path")
    return [], lambda name: False


def _no_tables(found: RemoteFile | Location) -> SourceError:
    return SourceError(
        f"{shown(found)}: pictures and tars in an object store are not read by themselves; fetch them to a local disk, or name"
        " the pictures in a column of a table"
    )


def _matching(pattern: Location) -> Iterator[tuple[str, Seen]]:
    """Give the objects that a pattern matches, and those below a prefix that it matches."""
    parts = pattern.key.rstrip("/").split("/")
    magic = next(place for place, each in enumerate(parts) if glob.has_magic(each))
    fixed, wanted = "".join(f"{each}/" for each in parts[:magic]), parts[magic:]
    # Who writes _name*.csv means the objects that are passed over otherwise.
    meant = any(each.startswith("_") for each in wanted)
    for key, seen in store_of(pattern).listed(fixed):
        inside = key[len(fixed) :].split("/")
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
