"""Pictures of a store for a page that only shows them: no more than a page is worth, and no waiting for a store that is away."""

import threading

from pipeline.core.errors import BadRowError, StoppedError, StorageError
from pipeline.prompts.folders import AnyFolder

MOST_BYTES = 256_000_000


class Sparing:
    """Implements folders.AnyFolder over another one. Whatever it cannot give is its name's fault: nobody asks again."""

    in_store = True

    def __init__(self, folder: AnyFolder, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = self._left = most_bytes
        self._away = False
        self._lock = threading.Lock()

    def read(self, name: str, most_bytes: int, *, was: tuple[int, int, int] | None = None) -> bytes:
        """Raise BadRowError also where the store is away or refuses: of the next pictures it is not asked any more."""
        if self._away:
            raise BadRowError("the store gives no pictures now")
        if self._left <= 0:
            raise BadRowError(f"of pictures in a store only {self._most_bytes / 1e6:.0f} MB are read for a page")
        try:
            data = self._folder.read(name, most_bytes, was=was)
        except (StoppedError, StorageError):
            self._away = True
            raise BadRowError("the store gives no pictures now") from None
        with self._lock:
            self._left -= len(data)
        return data
