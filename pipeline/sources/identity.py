"""What proves that a file is still the one that joined the job: its stat, its bytes' hash, or that of what describes them.

The modification time alone is never proof against a file, only for it: copying, touching and checking out change it.
"""

import hashlib
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import cast

from pipeline.core.errors import SourceError
from pipeline.sources.footers import footer_bytes, footers_of
from pipeline.sources.naming import format_of
from pipeline.sources.shards import scan
from pipeline.sources.wording import reason, shown
from pipeline.storage import AnyFile, RemoteFile


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file as it was when it joined. `footer` and `sha256` are hex digests.

    `footer` is of a Parquet file's footer or a tar's headers, None for text; `sha256` of all bytes, None: not known yet.
    """

    size: int
    mtime_ns: int
    inode: int
    footer: str | None = None
    sha256: str | None = None


def stat_of(path: AnyFile) -> FileIdentity:
    """Give what the file system says. Raises SourceError if it says nothing."""
    try:
        found = path.stat()
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be looked at: {reason(error)}") from error
    return FileIdentity(found.st_size, found.st_mtime_ns, found.st_ino)


def identify(path: AnyFile) -> FileIdentity:
    """Give a file's identity: Parquet and tar with the hash of footer or headers, so that they need not be read; text with its
    sha256.

    Nothing but its bytes could prove text later; who stages it has their hash from that (staging.py). Raises SourceError for a
    file that is empty, or not whole and of the format it is named after.
    """
    found = not_empty(path)
    if format_of(path) in ("parquet", "tar"):
        return replace(found, footer=footer_of(path))
    return replace(found, sha256=sha256_of(path))


def not_empty(path: AnyFile) -> FileIdentity:
    """Give what the file system says of a file that has anything in it. Raises SourceError for others."""
    found = stat_of(path)
    if found.size == 0:
        raise SourceError(f"{shown(path)}: the file is empty, zero bytes; take it away or put the data in")
    return found


def footer_of(path: AnyFile) -> str:
    """Hash the footer of a Parquet file, which holds the place and size of every piece of it, or the headers of a tar."""
    if isinstance(path, RemoteFile):
        return footers_of([path])[0].digest
    if format_of(path) == "tar":
        return scan(path).digest
    try:
        with path.open("rb") as file:
            return hashlib.sha256(footer_bytes(file, path)).hexdigest()
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be read: {reason(error)}") from error


def sha256_of(path: AnyFile) -> str:
    """Hash all bytes of a file, at more than a gigabyte a second. Raises SourceError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be read: {reason(error)}") from error


def same(old: FileIdentity, path: AnyFile) -> bool:
    """Whether the file at `path` is proved to be the one of old: no proof is a no."""
    return Proof(path).proves(old)


class Proof:
    """Compares one file with identities of old; each of its hashes is made once, and only if it can decide."""

    def __init__(self, path: AnyFile) -> None:
        self.now = stat_of(path)
        self._path = path
        self._footer: str | None = None
        self._sha256: str | None = None

    def proves(self, old: FileIdentity, *, moved: bool = False) -> bool:
        """Whether it is the one of old; `moved`: that one had another name."""
        now = self.now
        if now.size != old.size:
            return False
        # Stores have no inodes: under another name an equal time proves nothing there, for many are put in one second.
        if not self.is_open(old) and not (moved and isinstance(self._path, RemoteFile)):
            return True
        # What lies in a store is not fetched whole where its footer will do.
        if old.sha256 is not None and not (old.footer is not None and isinstance(self._path, RemoteFile)):
            return self._sha256_now() == old.sha256
        return old.footer is not None and self._footer_now() == old.footer

    def is_open(self, old: FileIdentity) -> bool:
        """Whether it has the size of the one of old, and not its time: only its content can tell."""
        return self.now.size == old.size and (self.now.mtime_ns, self.now.inode) != (old.mtime_ns, old.inode)

    def _footer_now(self) -> str:
        if self._footer is None:
            try:
                self._footer = footer_of(self._path)
            except SourceError:
                self._footer = ""  # torn or something else by now: the footer of nothing
        return self._footer

    def _sha256_now(self) -> str:
        if self._sha256 is None:
            self._sha256 = sha256_of(self._path)
        return self._sha256
