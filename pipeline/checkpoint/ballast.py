"""A file of nothing in the record, given up when the disk is full: so that replies in hand can be recorded all the same.

Other programs fill disks within the second between two looks at what is free.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from pipeline.checkpoint import files

BYTES = 32 << 20
_BLOCK_BYTES = 1 << 20


class Ballast:
    """`spent` once it was given up, until it is taken aboard again. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aboard = False
        self.spent = False

    def take(self) -> bool:
        """Allocate it really, anew; tell whether there was room."""
        try:
            self._path.unlink(missing_ok=True)
            with files.create(self._path, private=True) as file:
                _allocate(file.fileno(), BYTES)
        except OSError:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        self._aboard, self.spent = True, False
        return True

    def give_up(self) -> bool:
        """Free its room for good; tell whether there was any."""
        was_aboard, self._aboard = self._aboard, False
        self.spent = self.spent or was_aboard
        with suppress(OSError):
            self._path.unlink()
            # Some file systems give freed blocks out again only once they have committed that they are free.
            files.sync_folder(self._path.parent)
        return was_aboard

    def put_down(self) -> None:
        """Remove it at the end of a run, also one that a killed run left."""
        self._aboard = self.spent = False
        with suppress(OSError):
            self._path.unlink()


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = secrets.token_bytes(_BLOCK_BYTES)  # where the disk compresses, zeros would take no room
    for _ in range(size // _BLOCK_BYTES):
        os.write(descriptor, block)
