"""Image files below one folder, and nothing else on this machine. The names come from the data, so they are hostile.

A name may lead to a regular file inside the folder, also by a link that stays inside it. Whatever leads out is refused before
the file system is asked about it. Links are resolved once, and the resolved way is then walked without following any, so
that one swapped in meanwhile leads nowhere.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import BadRowError, ConfigError, InputChangedError, StoppedError
from pipeline.prompts.names import shown

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
# Opening a pipe for reading would wait for a writer; nothing here may become our terminal.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
MOST_NAME_SHOWN = 100

# What a name itself can be blamed for. Anything else (descriptors, memory, a failing disk) is this machine's trouble:
# the row stays to do.
_WRONG_NAME = {
    errno.ENOENT: "there is no such file below {key}",
    errno.ENOTDIR: "there is no such file below {key}",
    errno.ELOOP: "its links lead in a circle, or were changed while it was opened",
    errno.EACCES: "this user may not read it",
    errno.EPERM: "this user may not read it",
    errno.ENAMETOOLONG: "the name is longer than a file's can be",
    errno.EILSEQ: "it is no usable file name",
    errno.EINVAL: "it is no usable file name",
    errno.ENXIO: "it is no regular file",
    errno.EOPNOTSUPP: "it is no regular file",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """Implements folders.AnyFolder for a local folder: `root` as the user wrote it, `real` without links, and which directory
    that was. `key` is what names it in the config.
    """

    root: Path
    real: Path
    device: int
    inode: int
    key: str = "images.root"
    in_store: bool = field(default=False, init=False)

    @classmethod
    def of(cls, root: Path, *, key: str = "images.root") -> "Folder":
        """Raise ConfigError if there is no such folder."""
        try:
            real = root.resolve(strict=True)
            seen = real.stat()
        except (OSError, RuntimeError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a usable path"
            raise ConfigError(f"{key}: {shown(str(root), MOST_NAME_SHOWN)}: {why}") from error
        if not stat.S_ISDIR(seen.st_mode):
            raise ConfigError(f"{key}: {shown(str(root), MOST_NAME_SHOWN)} is not a folder")
        return cls(Path(os.path.normpath(root.absolute())), real, seen.st_dev, seen.st_ino, key)

    def read(self, name: str, most_bytes: int, *, was: tuple[int, int, int] | None = None) -> bytes:
        """Give a file's bytes. Raise BadRowError if this name is to blame, StoppedError if the machine or the folder is.

        `was` is (size, mtime_ns, inode) of the file that is meant: raise InputChangedError if it is another by now.
        """
        called = shown(name, MOST_NAME_SHOWN)
        try:
            descriptor = self._open(self._parts(name))
            try:
                if was is not None and _stat_of(descriptor) != was:
                    raise InputChangedError(f"{called}: the file changed since it was listed; put the old one back and run again")
                return _read(descriptor, most_bytes)
            finally:
                os.close(descriptor)
        except BadRowError as error:
            raise BadRowError(f"{called}: {error}") from error
        except ValueError as error:  # NUL, or half a character
            raise BadRowError(f"{called}: it is no usable file name") from error
        except OSError as error:
            if error.errno in _WRONG_NAME:
                raise BadRowError(f"{called}: {_WRONG_NAME[error.errno].format(key=self.key)}") from error
            raise StoppedError(f"{self.key}: a file cannot be read: {error.strerror}; its row is still to do") from error

    def _parts(self, name: str) -> tuple[str, ...]:
        """Give the way to a file from `real`, without links; refuse what leads out."""
        written = Path(os.path.normpath(self.real / name))
        inside = written.is_relative_to(self.real) or written.is_relative_to(self.root)
        resolved = Path(os.path.realpath(self.real / name)) if inside else None
        if resolved is None or not resolved.is_relative_to(self.real):
            if resolved is not None:
                os.close(self._open_root())  # with a link in the folder's own place every name leads out, and none is to blame
            raise BadRowError(f"it leads out of {self.key}, and nothing outside is read")
        parts = resolved.relative_to(self.real).parts
        if not parts:
            raise BadRowError("it is no regular file")
        return parts

    def _open(self, parts: tuple[str, ...]) -> int:
        folder = self._open_root()
        try:
            for part in parts[:-1]:
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(parts[-1], _FILE, dir_fd=folder)
        finally:
            os.close(folder)

    def _open_root(self) -> int:
        """Open the folder, and make sure it is still the same: with its disk gone every name would be a missing file."""
        try:
            descriptor = os.open(self.real, _FOLDER)
        except OSError as error:
            raise StoppedError(f"{self.key}: {shown(str(self.root), MOST_NAME_SHOWN)}: {error.strerror}") from error
        seen = os.fstat(descriptor)
        if (seen.st_dev, seen.st_ino) != (self.device, self.inode):
            os.close(descriptor)
            called = shown(str(self.root), MOST_NAME_SHOWN)
            raise StoppedError(f"{self.key}: {called} is another folder than when the run began; is its disk mounted?")
        return descriptor


def _stat_of(descriptor: int) -> tuple[int, int, int]:
    seen = os.fstat(descriptor)
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


def _read(descriptor: int, most_bytes: int) -> bytes:
    """Read a regular file of at most so many bytes, also if it grows meanwhile."""
    seen = os.fstat(descriptor)
    if not stat.S_ISREG(seen.st_mode):
        raise BadRowError("it is no regular file")
    if seen.st_size > most_bytes:
        raise BadRowError(too_large(seen.st_size))
    chunks, size = [], 0
    # One byte more than there should be: the read after the last must give nothing.
    while size <= most_bytes and (chunk := os.read(descriptor, max(seen.st_size - size, 0) + 1)):
        chunks.append(chunk)
        size += len(chunk)
    if size > most_bytes:
        raise BadRowError(too_large(size))
    return b"".join(chunks)


def too_large(size: int) -> str:
    return f"an image of {size / 1e6:.1f} MB is more than images.max_megabytes allows"
