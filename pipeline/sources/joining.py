"""Files on record against files found: which are new, which vanished, which only moved, and which changed.

A file joins a job once. What was paid for under one name is not paid for again under another.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import SourceError
from pipeline.sources.footers import footers_of
from pipeline.sources.identity import FileIdentity, Proof
from pipeline.storage import AnyFile, RemoteFile


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that has joined the job. `path` is its key, by key_of()."""

    id: int
    path: str
    rows: int
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class Joined:
    """How known and found files relate. `new` is in the order found; `moved` pairs a known file with its new key.

    `touched` are as they were but for what the file system says of them, which stands beside: from now on that proves them.
    A file in `changed` still has its key and no longer its content. What is in none of these is as it was.
    """

    new: tuple[tuple[str, AnyFile], ...] = ()
    vanished: tuple[KnownFile, ...] = ()
    moved: tuple[tuple[KnownFile, str], ...] = ()
    changed: tuple[KnownFile, ...] = ()
    touched: tuple[tuple[KnownFile, FileIdentity], ...] = ()


def key_of(path: AnyFile, anchor: Path) -> str:
    """Give a file's key: its place relative to `anchor`, so that a project folder can be moved as a whole; its location in a
    store as it is."""
    if isinstance(path, RemoteFile):
        return str(path)
    return Path(os.path.relpath(path, anchor)).as_posix()


def join(known: Sequence[KnownFile], found: Sequence[tuple[str, AnyFile]]) -> Joined:
    """Compare the files on record with those found now, as (key, path).

    A known file that is not in its place is looked for among the files that are not accounted for: equal content, by
    the rules of identity.py, is the same file. So a rotated log (a.csv -> a.1.csv, and a new a.csv) is one move and one
    new file. Raises SourceError for a file that cannot be read.
    """
    proofs = {key: Proof(path) for key, path in found}
    _read_footers([file for file in known if file.path in proofs and proofs[file.path].is_open(file.identity)], dict(found))
    absent = [each for each in known if each.path not in proofs or not proofs[each.path].proves(each.identity)]
    settled = {each.path for each in known} - {each.path for each in absent}
    touched = [
        (each, proofs[each.path].now) for each in known if each.path in settled and proofs[each.path].is_open(each.identity)
    ]
    open_ = {key: proof for key, proof in proofs.items() if key not in settled}
    moved = _moves(absent, open_)
    lost = [each for each in absent if each.id not in {known.id for known, _ in moved}]
    changed = [each for each in lost if each.path in open_]
    taken = {each.path for each in changed}
    return Joined(
        new=tuple((key, path) for key, path in found if key in open_ and key not in taken),
        vanished=tuple(each for each in lost if each.path not in taken),
        moved=tuple(moved),
        changed=tuple(changed),
        touched=tuple(touched),
    )


def _read_footers(known: Sequence[KnownFile], found: Mapping[str, AnyFile]) -> None:
    """Read the footers that are to prove these files many at once, where they lie in a store: they are remembered."""
    files = [found[each.path] for each in known if each.identity.footer is not None]
    with suppress(SourceError):  # what is no Parquet file any more is no proof, and each is looked at once more
        footers_of([each for each in files if isinstance(each, RemoteFile)])


def _moves(absent: Sequence[KnownFile], open_: dict[str, Proof]) -> list[tuple[KnownFile, str]]:
    """Find the known files under their new keys, and strike these from `open_`."""
    by_size: dict[int, list[str]] = {}
    for key, proof in open_.items():
        by_size.setdefault(proof.now.size, []).append(key)
    moves = []
    for each in absent:
        found = _match(each.identity, by_size.get(each.identity.size, ()), open_)
        if found is not None:
            moves.append((each, found))
            del open_[found]
    return moves


def _match(old: FileIdentity, keys: Sequence[str], open_: Mapping[str, Proof]) -> str | None:
    here = [key for key in keys if key in open_]
    # By inode first: of several copies the renamed original is meant, and no byte needs to be read.
    here.sort(key=lambda key: open_[key].now.inode != old.inode)
    return next((key for key in here if open_[key].proves(old, moved=True)), None)
