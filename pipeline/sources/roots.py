"""What stands before a picture's name in `path`, so that pictures of the same name in several folders are told apart.

Names start from the folder that is common to those which the first pictures of a job were found in, and keep doing so
whatever joins later. Jobs begun by an older version let each folder's names start from itself: those go on as they began.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

NOTHING = "."


def tree_path(root: object) -> Path:
    """Give an absolute path that stands for a location in a store: folders there are seen from one another as local ones are."""
    return Path(f"/{root}")


def prefixes_of(roots: Sequence[Path], known: Mapping[Path, str]) -> dict[Path, str]:
    """Give the prefix of each of these folders, and of those in whose pictures' paths one is `known`. All are absolute."""
    new = [each for each in roots if each not in known]
    if not new:
        return dict(known)
    start = _start(known) if known else Path(os.path.commonpath(new))
    return {**known, **{each: NOTHING if start is None else _text(os.path.relpath(each, start)) for each in new}}


def path_of(name: str, prefix: str) -> str:
    return name if prefix == NOTHING else f"{prefix}/{name}"


def prefix_in(path: str, name: str) -> str:
    """Give the prefix under which a picture of this name, from its own folder, got this `path`."""
    return path.removesuffix(name).rstrip("/") or NOTHING


def _start(known: Mapping[Path, str]) -> Path | None:
    """Give the folder that names start from; None if there are several, as older versions had it."""
    starts = {start for root, prefix in known.items() if (start := _above(root, prefix)) is not None}
    return starts.pop() if len(starts) == 1 else None


def _above(root: Path, prefix: str) -> Path | None:
    """Give the folder from which `root` is called by its prefix; None where this does not tell it."""
    below = Path(prefix).parts
    above = len(root.parts) - len(below)
    return Path(*root.parts[:above]) if above > 0 and root.parts[above:] == below else None


def _text(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")
