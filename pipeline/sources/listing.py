"""What `input.path` names: files, folders (searched to the bottom), globs, or a list of these, in a stable order.

Absent on purpose: whether a file has been seen before (joining.py), and what is in it.
"""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import SourceError
from pipeline.sources.wording import reason, shown

_TEXT = (".csv", ".tsv", ".jsonl")
SUFFIXES = (".parquet", ".tar", *_TEXT, *(f"{each}.gz" for each in _TEXT))
_PACKED_TARS = (".tgz", ".tbz2", ".txz", ".tzst", *(f".tar.{each}" for each in ("gz", "bz2", "xz", "zst", "lz4")))


def format_of(path: Path) -> str | None:
    """Give `parquet`, `tar`, `csv`, `tsv` or `jsonl` by the name, whatever its case, text also with .gz; None for others."""
    name = path.name.lower()
    suffix = next((each for each in SUFFIXES if name.endswith(each) and len(name) > len(each)), None)
    return suffix.split(".")[1] if suffix else None


def is_parquet(path: Path) -> bool:
    return format_of(path) == "parquet"


def list_files(paths: str | Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path]:
    """List the input files that these paths name: absolute, each once.

    The order is that of `paths`; within a folder or glob, that of the names relative to it. A folder gives what lies
    below it, links to folders excepted. Names that start with a dot or underscore (`_SUCCESS`, `_manifest.json`) and
    folders that end with .rowcall are passed over, like files of other formats; what lies at or below `exclude` too.
    A glob or folder may give nothing. Raises SourceError for a named file that is missing or of no known format, and
    for pipes and devices.
    """
    kept_out = [os.path.realpath(each) for each in exclude]
    found: dict[str, Path] = {}
    for path in [paths] if isinstance(paths, str) else paths:
        for file in _named_by(Path(path).absolute()):
            real = os.path.realpath(file)
            if not any(real == each or real.startswith(each + os.sep) for each in kept_out):
                found.setdefault(real, _checked(file))
    return list(found.values())


def _named_by(path: Path) -> Iterable[Path]:
    # A file whose own name holds [ or * is meant before the pattern it could be.
    if path.is_dir():
        return _below(path)
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        if path.exists() and format_of(path) is None:
            raise SourceError(f"{shown(path)}: {_unread(path)}")
        return [path]
    return _matching(path)


def _below(folder: Path) -> list[Path]:
    files = []
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [each for each in folders if not _passed_over(each)]
        files += [Path(parent, each) for each in names if not _passed_over(each)]
    known = [each for each in files if format_of(each)]
    if not known and (packed := [each for each in files if each.name.lower().endswith(_PACKED_TARS)]):
        raise SourceError(f"{shown(packed[0])}: {_unread(packed[0])}")
    return sorted(known, key=lambda each: each.relative_to(folder).as_posix())


def _matching(pattern: Path) -> list[Path]:
    fixed = _fixed_part(pattern)
    # Who writes _name*.csv means the files that are passed over otherwise.
    meant = any(each.startswith("_") for each in pattern.relative_to(fixed).parts)
    matches = sorted(Path(each) for each in glob.glob(str(pattern), recursive=True))  # noqa: PTH207 -- Path.glob takes no absolute pattern
    inside = [each for each in matches if meant or not any(map(_passed_over, each.relative_to(fixed).parts))]
    files = [each for each in inside if not each.is_dir()]
    known = [each for each in files if format_of(each)]
    known += [file for each in inside if each.is_dir() and not each.is_symlink() for file in _below(each)]
    if files and not known:
        raise SourceError(f"{shown(pattern)}: matches {shown(files[0].name)}: {_unread(files[0])}")
    return sorted(known, key=lambda each: each.relative_to(fixed).as_posix())


def _unread(path: Path) -> str:
    if path.name.lower().endswith(_PACKED_TARS):
        return "a compressed tar, of which no member can be read by itself; unpack it to a .tar first"
    return f"not a format that is read; the name must end in {' '.join(SUFFIXES)}"


def _fixed_part(pattern: Path) -> Path:
    """Give the deepest folder above the first wildcard."""
    return next((each for each in pattern.parents if not glob.has_magic(str(each))), Path(pattern.anchor))


def _passed_over(name: str) -> bool:
    return name.startswith((".", "_")) or name.endswith(".rowcall")


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


def _refuse_folder(error: OSError) -> Iterator[None]:
    raise SourceError(f"{shown(error.filename)}: this folder cannot be read: {reason(error)}") from error
