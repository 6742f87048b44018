"""What `input.path` names: files, folders (searched to the bottom), globs, or a list of these, in a stable order.

What lies in an object store is found by remote_listing.py, by the same rules.

One job reads tables or pictures. A folder or glob that holds tables means these: a list of pictures, such as metadata.csv,
often lies beside them. Absent on purpose: whether a file has been seen before (joining.py), and what is in it.
"""

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import SourceError
from pipeline.core.locations import Location, is_remote
from pipeline.sources.naming import PACKED_TARS, format_of, format_of_name, passed_over, unread
from pipeline.sources.pictures import Gathering, PictureFolder, is_picture, notices_of, without
from pipeline.sources.remote_listing import remotely_named
from pipeline.sources.wording import reason, shown
from pipeline.storage import AnyFile


@dataclass(frozen=True, slots=True)
class Found:
    """What an input names now: `tables`, or `pictures` by the folder they were found in. `notices` are for the user's ears."""

    tables: tuple[AnyFile, ...] = ()
    pictures: tuple[PictureFolder, ...] = ()
    notices: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tables or self.pictures)


def find(paths: str | Sequence[str], *, exclude: Sequence[Path | Location] = ()) -> Found:
    """Find the tables or pictures that these paths name: absolute, each once.

    The order is that of `paths`; within a folder or glob, that of the names relative to it. A folder gives what lies
    below it, links to folders excepted. Names that start with a dot or underscore (`_SUCCESS`, `_manifest.json`) and
    folders that end with .rowcall are passed over, like files of other formats; what lies at or below `exclude` too.
    A glob or folder may give nothing. Raises SourceError for a named file that is missing or of no known format, for
    tables that are pipes or devices, and for tables and pictures side by side in `paths`; for what lies in a store also
    what storage.trouble gives.
    """
    kept_out = [os.path.realpath(each) for each in exclude if isinstance(each, Path)]
    kept_out_remotely = [each for each in exclude if isinstance(each, Location)]
    tables: dict[str, AnyFile] = {}
    pictures: list[PictureFolder] = []
    notices: list[str] = []
    first_table: AnyFile | None
    for path in [paths] if isinstance(paths, str) else paths:
        # Before tables are preferred to pictures: a job's own output beside its pictures says nothing about them.
        if is_remote(path):
            remote = remotely_named(path, exclude=kept_out_remotely)
            for each in remote.tables:
                tables.setdefault(str(each), each)
            first_table, gathered = next(iter(remote.tables), None), remote.pictures
        else:
            named = _named_by(Path(path).absolute())
            real = {file: os.path.realpath(file) for file in named.tables}
            named.tables = [file for file in named.tables if not _lies_in(real[file], kept_out)]
            for file in named.tables:
                tables.setdefault(real[file], _checked(file))
            first_table, gathered = next(iter(named.tables), None), named.pictures
        if first_table is not None and gathered:
            notices.append(_tables_meant(path, first_table))
        elif gathered:
            pictures.append(without(gathered.folder(), pictures))
            notices += notices_of(gathered)
    pictures = [each for each in pictures if len(each)]
    if tables and pictures:
        first_table = next(iter(tables.values()))
        raise SourceError(
            f"input.path: {shown(first_table)} is a table and {shown(pictures[0].root)} holds pictures; one job reads one kind: "
            "name them in two jobs, or the pictures in a column of a table"
        )
    return Found(tuple(tables.values()), tuple(pictures), tuple(notices))


def list_files(paths: str | Sequence[str], *, exclude: Sequence[Path | Location] = ()) -> list[AnyFile]:
    """List the tables that these paths name, as find() does."""
    return list(find(paths, exclude=exclude).tables)


@dataclass(slots=True)
class _Named:
    """What one path names; pictures only matter where there are no tables."""

    pictures: Gathering
    tables: list[Path] = field(default_factory=list)


def _lies_in(real: str, places: Sequence[str]) -> bool:
    return any(real == each or real.startswith(each + os.sep) for each in places)


def _tables_meant(path: str, table: AnyFile) -> str:
    return (
        f"{shown(path)}: {shown(table.name)} is read, and the pictures beside it are not input by themselves;"
        " if they are meant, name them by a glob such as *.jpg"
    )


def _named_by(path: Path) -> _Named:
    # A file whose own name holds [ or * is meant before the pattern it could be.
    if path.is_dir():
        named = _Named(Gathering(path))
        _search(path, named)
        return named
    if not os.path.lexists(path) and glob.has_magic(str(path)):
        return _matching(path)
    if is_picture(path.name) and path.exists():
        named = _Named(Gathering(path.parent))
        named.pictures.add(path.name, path)
        return named
    if path.exists() and format_of(path) is None:
        raise SourceError(f"{shown(path)}: {unread(path.name)}")
    return _Named(Gathering(path.parent), [path])


def _search(folder: Path, named: _Named) -> list[str]:
    """Search a folder to its bottom, without following links to other folders; give all folders that were. Tables come sorted."""
    root = str(named.pictures.root)
    tables: list[Path] = []
    waiting = [str(folder)]
    searched = []
    packed: list[str] = []
    while waiting:
        place = waiting.pop()
        searched.append(place)
        inside = os.path.relpath(place, root) + "/" if place != root else ""
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if passed_over(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif is_picture(entry.name):
                        named.pictures.add(inside + entry.name, entry)
                    elif format_of_name(entry.name) and not entry.is_dir():
                        tables.append(Path(entry.path))
                    elif entry.name.lower().endswith(PACKED_TARS):
                        packed.append(entry.path)
        except OSError as error:
            raise SourceError(f"{shown(place)}: this folder cannot be read: {reason(error)}") from error
    if packed and not (tables or named.pictures):
        raise SourceError(f"{shown(min(packed))}: {unread(packed[0])}")
    named.tables += sorted(tables, key=lambda each: each.relative_to(folder).as_posix())
    return searched


def _matching(pattern: Path) -> _Named:
    fixed = _fixed_part(pattern)
    named = _Named(Gathering(fixed))
    # Who writes _name*.csv means the files that are passed over otherwise.
    meant = any(each.startswith("_") for each in pattern.relative_to(fixed).parts)
    start = len(str(fixed).rstrip("/")) + 1
    others: list[str] = []
    searched: set[str] = set()
    for match in glob.iglob(str(pattern), recursive=True):  # noqa: PTH207 -- Path.glob takes no absolute pattern
        match = match.rstrip("/")
        if match in searched or match.rpartition("/")[0] in searched:
            continue  # ** gives a folder and all that is in it
        inside = match[start:]
        parts = inside.split("/")
        if not meant and any(map(passed_over, parts)):
            continue
        if os.path.isdir(match):  # noqa: PTH112 -- by the million, like the rest here
            if not os.path.islink(match):  # noqa: PTH114
                searched.update(_search(Path(match), named))
        elif is_picture(parts[-1]):
            named.pictures.add(inside, Path(match))
        elif format_of_name(parts[-1]):
            named.tables.append(Path(match))
        else:
            others.append(parts[-1])
    if others and not (named.tables or named.pictures):
        raise SourceError(f"{shown(pattern)}: matches {shown(min(others))}: {unread(min(others))}")
    named.tables.sort(key=lambda each: each.relative_to(fixed).as_posix())
    return named


def _fixed_part(pattern: Path) -> Path:
    """Give the deepest folder above the first wildcard."""
    return next((each for each in pattern.parents if not glob.has_magic(str(each))), Path(pattern.anchor))


def _checked(file: Path) -> Path:
    """Give the file if it is one that can be read, by its name and kind; its content is looked at later."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise SourceError(f"{shown(file)}: the name is not UTF-8; rename the file") from None
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        what = "a link to nowhere" if file.is_symlink() else "there is no such file"
        raise SourceError(f"{shown(file)}: {what}; check input.path") from None
    except OSError as error:
        raise SourceError(f"{shown(file)}: cannot be looked at: {reason(error)}") from error
    if not stat.S_ISREG(mode):
        raise SourceError(f"{shown(file)}: not a regular file; pipes and devices are not read")
    return file
