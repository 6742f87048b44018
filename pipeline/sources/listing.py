"""What `input.path` names: files, folders and globs, as one list in a stable order."""

import glob
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import SourceError

FORMATS = (".parquet", ".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz")
_MAGIC = "*?["


def list_files(paths: Sequence[str]) -> list[Path]:
    """Give the files, in the order of `paths`, within a folder or glob by name; each once.

    Hidden files and rowcall's own records are passed over, as are other formats within folders and globs. An empty list
    means that folders and globs match nothing. Raises SourceError for a file that is named and cannot be input.
    """
    found: dict[Path, None] = {}
    for each in paths:
        for path in _expanded(each):
            found.setdefault(path)
    return list(found)


def format_of(path: Path) -> str | None:
    """Give the format by the name's end: `.csv` also for `.csv.gz`; None for what is no input."""
    name = path.name.lower().removesuffix(".gz")
    return next((each for each in FORMATS if name.endswith(each) and (each != ".parquet" or name == path.name.lower())), None)


def is_parquet(path: Path) -> bool:
    """Tell whether a file is read as it is; others are staged."""
    return format_of(path) == ".parquet"


def _expanded(text: str) -> Iterator[Path]:
    path = Path(text)
    if path.is_dir():
        yield from _below(path)
    elif path.exists() or not any(char in text for char in _MAGIC):
        yield _named(path)
    else:
        # A name like `set[1].csv` is taken as it stands if it exists; only else is it a pattern.
        for match in sorted(glob.iglob(text, recursive=True)):  # noqa: PTH207 -- Path.glob takes no absolute pattern
            there = Path(match)
            if there.is_dir():
                continue
            if _usable(there, _fixed(path)):
                yield _regular(there)


def _below(folder: Path) -> Iterator[Path]:
    matches = [path for path in folder.rglob("*") if path.is_file() and _usable(path, folder.parts)]
    yield from sorted(matches, key=lambda path: path.relative_to(folder).parts)


def _usable(path: Path, asked: tuple[str, ...]) -> bool:
    """Whether a match is data: of a known format, and neither hidden nor within a record, unless below `asked`, which was."""
    inner = path.parts[len(asked) :]
    return format_of(path) is not None and not any(part.startswith(".") or part.endswith(".rowcall") for part in inner)


def _fixed(pattern: Path) -> tuple[str, ...]:
    """Give the folders of a pattern that stand there by name."""
    parts = pattern.parts
    return parts[: next(number for number, part in enumerate(parts) if any(char in part for char in _MAGIC))]


def _named(path: Path) -> Path:
    if format_of(path) is None:
        raise SourceError(f"{path}: not an input format; allowed: {', '.join(FORMATS)}, or a folder or glob of such files")
    return _regular(path)


def _regular(path: Path) -> Path:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path}: not a regular file")
    return path
