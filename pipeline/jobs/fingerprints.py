"""The sha256 of large input files, made while a run goes on."""

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.checkpoint.entries import StoredFile
from pipeline.checkpoint.record import Record
from pipeline.core.errors import StoppedError
from pipeline.jobs.inputs import JoinedFile

# Bytes of a run's files that are hashed without a pause: a thirtieth of a second's work.
HASHED_AT_ONCE = 64 << 20
_BLOCK = 1 << 20
_IDLE_SHARE = 19


class Fingerprints:
    """Fills in the sha256 of Parquet files while a run goes on: later it proves a file that was copied or touched.

    After the first bytes it takes a twentieth of a core at most: of a short run over large files on a single core it was a sixth.
    What it does not get to, a later run does; until then a file's footer proves it.
    """

    def __init__(self, record: Record, files: Sequence[JoinedFile]) -> None:
        self._record = record
        self._files = [
            (each.stored, each.original)
            for each in files
            # What lies in a store is not fetched whole for it: there its footer has to do.
            if isinstance(each.original, Path) and each.stored.sha256 is None and each.stored.kind is None
        ]
        self._stopped = threading.Event()
        self._at_once = HASHED_AT_ONCE

    def work(self) -> None:
        """Hash one file after another until done or stopped. Blocking."""
        for stored, original in self._files:
            digest = self._digest(original) if _untouched(original, stored) else None
            if self._stopped.is_set():
                return
            if digest is None or not _untouched(original, stored):
                continue  # it is not the file that joined any more, so its digest would prove the wrong content
            try:
                self._record.update_file(replace(stored, sha256=digest))
            except StoppedError:
                return  # the disk failed; the run itself says so

    def stop(self) -> None:
        self._stopped.set()

    def _digest(self, path: Path) -> str | None:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                began = time.thread_time()
                while block := file.read(_BLOCK):
                    digest.update(block)
                    self._at_once -= len(block)
                    began, spent = time.thread_time(), time.thread_time() - began
                    if self._stopped.wait(0.0 if self._at_once > 0 else spent * _IDLE_SHARE):
                        return None
        except OSError:
            return None  # the source itself says what is wrong with the file
        return digest.hexdigest()


def _untouched(path: Path, stored: StoredFile) -> bool:
    try:
        seen = path.stat()
    except OSError:
        return False
    return (seen.st_size, seen.st_mtime_ns, seen.st_ino) == (stored.size, stored.mtime_ns, stored.inode)
