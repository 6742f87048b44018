"""How much room the disks of a job must have for a run to send anything, and whether they have it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.checkpoint import ballast
from pipeline.checkpoint.record import Record
from pipeline.core.errors import FullError

LEAST_BYTES = 512 << 20
# A disk of a few GB would never have that much to spare: there a twentieth is enough.
LEAST_SHARE = 20
# What a reply and its row may come to in the journal, at twice the concurrency: those in flight, and those being committed.
REPLY_BYTES = 64 << 10
LEAST_FILES = 16


@dataclass(frozen=True, slots=True)
class Free:
    """What a disk has: bytes for this user, bytes in all, and how many more files, None where that has no bound."""

    free: int
    size: int
    files: int | None

    @classmethod
    def on(cls, folder: Path) -> "Free":
        seen = os.statvfs(folder)
        return cls(seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize, seen.f_favail if seen.f_files else None)


class Room:
    """The disks of an open record and its output. `least` bytes stay free on each; None: LEAST_BYTES, less on a small disk."""

    def __init__(self, record: Record, *, concurrency: int, least: int | None) -> None:
        self._record = record
        self._layout = record.layout
        self._least = least
        self._in_flight = 2 * concurrency * REPLY_BYTES

    def prepare(self) -> None:
        """Take the ballast aboard if there is room for it. Raises FullError if there is too little to send anything."""
        if why := self.lacking():
            raise FullError(why)
        self._take_ballast()

    def lacking(self) -> str | None:
        """Say which folder lacks what, in a line; None if a run may go on. Asks the disks, so call it from a thread."""
        try:
            for folder, unsealed in self._folders():
                if why := self._short(Free.on(folder), unsealed):
                    return f"{folder}: {why}; what is recorded is intact: make room, then run again"
            if self._record.ballast.spent and not self._take_ballast():
                return f"{self._layout.folder}: the disk is full; what is recorded is intact: make room, then run again"
        except OSError as error:
            where = error.filename or self._layout.folder
            return f"{where}: the disk cannot be looked at ({error.strerror or error}): see that it is sound, then run again"
        return None

    def _short(self, free: Free, unsealed: int) -> str | None:
        if free.files is not None and free.files < LEAST_FILES:
            return f"the disk has room for {free.files} more files (inodes), {LEAST_FILES} are needed"
        needed = self._needed(free, unsealed)
        if free.free >= needed:
            return None
        return f"{free.free >> 20} MB are free, {-(-needed >> 20)} MB are needed (see checkpoint.min_free_megabytes)"

    def _needed(self, free: Free, unsealed: int) -> int:
        least = min(LEAST_BYTES, free.size // LEAST_SHARE) if self._least is None else self._least
        return max(least, unsealed) + (ballast.BYTES if self._record.ballast.spent else 0)

    def _folders(self) -> Iterator[tuple[Path, int]]:
        """Give each disk's folder with the bytes a run may yet have to write there before it can stop."""
        record, output = self._layout.folder, self._layout.written_to.parent
        # Sealing writes the open parts once more before it drops them.
        yield record, self._record.open_bytes() + self._in_flight
        if output.stat().st_dev != record.stat().st_dev:
            yield output, 0

    def _take_ballast(self) -> bool:
        folder, unsealed = self._layout.folder, self._record.open_bytes() + self._in_flight
        free = Free.on(folder)
        more = 0 if self._record.ballast.spent else ballast.BYTES
        return free.free >= self._needed(free, unsealed) + more and self._record.ballast.take()
