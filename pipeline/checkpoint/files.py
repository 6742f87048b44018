"""Files that must survive a power cut: created under a name nobody else has, synced, then given their real name."""

import errno
import fcntl
import hashlib
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.core.errors import FullError, StoppedError

# Called with the name of each point at which a crash would leave something different on disk. Tests crash there.
Steps = Callable[[str], None]

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def stopped(error: OSError, text: str) -> StoppedError:
    """Give the error for a write that this one ended: FullError where a full disk was all."""
    return FullError(text) if error.errno in OUT_OF_SPACE else StoppedError(text)


def no_steps(point: str) -> None:
    """Do nothing: the steps of a real run."""


def create(path: Path, *, private: bool) -> BinaryIO:
    """Open a new file for writing; an existing name or a symlink is an error.

    `private`: mode 0600 whatever the umask. Otherwise the user's umask decides, as for any output.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600 if private else 0o666)
    if private:
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")


def sync(file: BinaryIO) -> None:
    """Return once the file's bytes are on the disk itself."""
    file.flush()
    if sys.platform == "darwin":  # plain fsync stops at the drive's own cache there
        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
    else:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return once the names in `folder` are on the disk: without it a renamed file can be lost whole."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, *, private: bool, temporary: Path | None = None) -> None:
    """Put `content` under the name `path`, whole or not at all, and on disk when this returns."""
    beside = temporary or path.with_name(f"{path.name}.{random_name()}.tmp")
    try:
        with create(beside, private=private) as file:
            file.write(content)
            sync(file)
        beside.replace(path)
    except OSError:
        with suppress(OSError):  # what went wrong before is what counts
            beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Put `content`, private, under the name `path`: a reader sees the old or the new one whole. Not synced. Raises OSError."""
    # One fixed name: a run that was killed leaves at most one such file, and only the lock's holder writes here.
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with create(temporary, private=True) as file:
        file.write(content)
    temporary.replace(path)


def remove(path: Path) -> None:
    """Remove a file that the journal does not name any more, if it is there. Raises StoppedError: the next run will do it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoppedError(
            f"{path}: cannot be removed ({error.strerror or error}); what is recorded is intact: "
            "see that the disk is sound, then run again"
        ) from error


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_name() -> str:
    return secrets.token_hex(4)
