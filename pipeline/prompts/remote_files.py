"""Image files below one location in an object store, and nothing else there. The names come from the data, so they are hostile.

A name is relative to the root, or a whole location below it. Whatever leads out is refused before the store is asked: a key is
no path, so there is nothing to resolve, and what is not plainly below the root is not read.

A store that refuses one object need not refuse the row alone: with credentials that ran out in the night every row would be a
`bad_row`, and none of them tried again. So when one is refused, or is not there, something is asked for that has to be there,
and the row is to blame only if that is given.
"""

from pipeline.core.errors import BadRowError, InputChangedError, StoppedError, StorageError
from pipeline.core.locations import SCHEMES, Location, is_remote
from pipeline.prompts.files import MOST_NAME_SHOWN, too_large
from pipeline.prompts.names import shown
from pipeline.storage import Larger, store_of

# S3 and Google take so many bytes of UTF-8, Azure as many characters.
_MOST_KEY_BYTES = 1024
_OUT = "it leads out of {key}, and nothing outside is read"


class RemoteFolder:
    """Implements folders.AnyFolder for a location. `key` is what names it in the config. Safe to use from several threads.

    Nothing is asked of the store before the first name. Raises StorageError where the store's library is missing.
    """

    in_store = True

    def __init__(self, root: Location, *, key: str = "images.root") -> None:
        self.root = root.folder
        self.key = key
        self._store = store_of(root)
        self._given: str | None = None  # a key that was read: what has to be there

    def read(self, name: str, most_bytes: int, *, was: tuple[int, int, int] | None = None) -> bytes:
        """Give an object's bytes. Raise BadRowError if this name is to blame, StoppedError if the store is away, StorageError if
        it refuses altogether.

        `was` is (size, mtime_ns, 0) of the object that is meant: raise InputChangedError if it is another by now.
        """
        called = shown(name, MOST_NAME_SHOWN)
        try:
            key = self._key(name)
            try:
                return self._read(key, most_bytes, was, called)
            except FileNotFoundError:
                self._expect_bucket()
                raise BadRowError(f"there is no such object below {self.key}") from None
            except OSError as error:
                raise BadRowError("it was replaced by another while it was read") from error
            except StorageError as error:
                self._expect_given(error)
                raise BadRowError("the store refuses this one, and gives others; it may not be there") from error
        except BadRowError as error:
            raise BadRowError(f"{called}: {error}") from error
        except StoppedError as error:
            raise StoppedError(f"{self.key}: {error}; its row is still to do") from error

    def _read(self, key: str, most_bytes: int, was: tuple[int, int, int] | None, called: str) -> bytes:
        if was is not None:
            seen = self._store.info(key)
            if seen is not None and (seen.size, seen.mtime_ns) != was[:2]:
                raise InputChangedError(f"{called}: the object changed since it was listed; put the old one back and run again")
        data = self._store.read(key, most_bytes)
        if isinstance(data, Larger):
            raise BadRowError(too_large(data.size))
        self._given = key
        return data

    # -- names

    def _key(self, name: str) -> str:
        """Give the key that a name means, which is below the root; refuse every other name."""
        if is_remote(name):
            location = self._location(name)
            if location.store != self.root.store or not location.key.startswith(self.root.key):
                raise BadRowError(_OUT.format(key=self.key))
        else:
            while name.startswith("./"):  # as `find .` lists files
                name = name.removeprefix("./")
            if name.startswith("/") or _climbs(name):
                raise BadRowError(_OUT.format(key=self.key))
            location = self._location(f"{self.root}{name}")
        if location.key.endswith("/") or len(location.key) == len(self.root.key):
            raise BadRowError("it is a folder's name, and no object's")
        if len(location.key.encode()) > _MOST_KEY_BYTES:
            raise BadRowError("the name is longer than an object's can be")
        return location.key

    def _location(self, text: str) -> Location:
        if text.partition("://")[0].lower() not in SCHEMES:
            raise BadRowError(_OUT.format(key=self.key))
        try:
            return Location.parse(text)
        except ValueError as error:
            raise BadRowError(str(error)) from None

    # -- what has to be there

    def _expect_bucket(self) -> None:
        """Raise StorageError if the whole bucket is gone: then every name would be a missing object, and none is to blame."""
        if not self._store.is_there():
            raise StorageError(f"{self.key}: {self.root}: there is no such bucket any more, or not at this endpoint")

    def _expect_given(self, refused: StorageError) -> None:
        """Raise StorageError unless the store gives what it gave before."""
        given = self._given
        if given is None:
            raise StorageError(
                f"{self.key}: {refused}; nothing has been read from it yet. Where listing is not allowed a missing object is"
                " refused, too: allow it, and a missing one is told from one that may not be read"
            ) from refused
        try:
            still_there = self._store.info(given) is not None
        except StorageError as error:
            raise StorageError(f"{self.key}: {error}") from error
        if not still_there:  # which tells nothing of the other: better to stop for nothing than to spoil every row
            raise StorageError(f"{self.key}: {refused}; what was read before is not there any more") from refused


def _climbs(name: str) -> bool:
    """Whether a name leads above where it begins."""
    depth = 0
    for part in name.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False
