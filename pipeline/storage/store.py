"""One bucket of an object store. Every error that leaves it is a RowcallError, or an OSError for an object that is gone or was
replaced; see trouble.py.

Reading and listing go through pyarrow's file systems, and writing too, but to S3: there an object that pyarrow gave up half way
is completed as it is when its stream is closed, while boto3 takes it back.
"""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
from pyarrow import fs

from pipeline.core.errors import RowcallError, StorageError
from pipeline.core.locations import Location
from pipeline.storage.trouble import trouble

_BLOCK = 4 << 20
_SECOND = 1_000_000_000
_LIBRARIES = ("boto3", "botocore", "s3transfer")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a store says of an object. The time is in whole seconds: that two objects have the same proves nothing."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Larger:
    """Stands for an object that is larger than was to be read."""

    size: int


class Writer(Protocol):
    """How objects are put into a store, each whole or not at all."""

    def put(self, key: str, file: IO[bytes]) -> None:
        """Put what the file holds under the key; who looks there sees the old object, or this one whole."""

    def copy(self, key: str, to: str) -> None:
        """Put the object under another key as well."""

    def delete(self, key: str) -> None:
        """Remove an object; whether one that is not there is an error is the store's to say."""

    def abort_stale(self, keys: Sequence[str]) -> int:
        """Give up uploads to these keys that nobody will end any more; give how many there were."""


class Lister(Protocol):
    """Lists in less memory than Arrow does."""

    def scan(self, prefix: str) -> Iterator[tuple[str, int, int]] | None:
        """Give key, size and time in seconds of each object below a prefix; None where it cannot."""


class Store:
    """A bucket by its scheme and name. `arrow` reaches what lies there as `bucket/key`."""

    def __init__(
        self, location: Location, arrow: fs.FileSystem, writer: Writer | None = None, lister: Lister | None = None
    ) -> None:
        self._root = Location(location.scheme, location.bucket, "")
        self._arrow = arrow
        self._writer = writer or _Streams(location.bucket, arrow)
        self._lister = lister

    def at(self, key: str) -> Location:
        return Location(self._root.scheme, self._root.bucket, key)

    def info(self, key: str) -> Seen | None:
        """Give what is known of an object, None if there is none."""
        with self.explained(key) as path:
            found = self._arrow.get_file_info(path)
        return _seen(found) if found.type == fs.FileType.File else None

    def is_there(self) -> bool:
        """Whether there is such a bucket. Where this may not be asked, there is one."""
        try:
            with self.explained("") as path:
                return self._arrow.get_file_info(path.rstrip("/")).type != fs.FileType.NotFound
        except StorageError:
            return True
        except FileNotFoundError:
            return False

    def listed(self, prefix: str) -> list[tuple[str, Seen]]:
        """List the objects below a prefix, as `scan` gives them, by key in order."""
        return sorted(self.scan(prefix))

    def scan(self, prefix: str) -> Iterator[tuple[str, Seen]]:
        """Give the objects below a prefix, which is empty or ends in a slash, in any order; none if there are none.

        Keys that end in a slash are how some tools mark folders, and no objects.
        """
        with self.explained(prefix) as path:
            if self._lister is not None and (pages := self._lister.scan(prefix)) is not None:
                for key, size, seconds in pages:
                    if not key.endswith("/"):
                        yield key, Seen(size, seconds * _SECOND)
                return
            found = self._arrow.get_file_info(fs.FileSelector(path.rstrip("/"), allow_not_found=True, recursive=True))
            if not found and self._arrow.get_file_info(self._root.bucket).type == fs.FileType.NotFound:
                raise OSError("bucket does not exist")
        start = len(self._root.bucket) + 1
        found.reverse()
        while found:
            each = found.pop()
            if each.type == fs.FileType.File:
                yield each.path[start:], _seen(each)

    def open(self, key: str) -> pa.NativeFile:
        """Open an object to read ranges of it, for which the store is asked how large it is.

        Errors of reading are the store's own words, where it is not read under `explained`: see trouble.py.
        """
        with self.explained(key) as path:
            return self._arrow.open_input_file(path)

    def read(self, key: str, most_bytes: int) -> bytes | Larger:
        """Read an object whole, if it has no more bytes than that. Raises FileNotFoundError, OSError for one replaced meanwhile.

        One that is replaced by a longer one between the two requests this takes is cut at the old one's size.
        """
        with self.explained(key) as path, self._arrow.open_input_file(path) as file:
            size = file.size()
            return Larger(size) if size > most_bytes else file.read(size)

    def stream(self, key: str) -> pa.NativeFile:
        """Open an object to read it from its start to its end."""
        with self.explained(key) as path:
            return self._arrow.open_input_stream(path, compression=None, buffer_size=_BLOCK)

    def sha256(self, key: str) -> str:
        """Read an object whole and hash it. Raises FileNotFoundError."""
        digest = hashlib.sha256()
        with self.explained(key), self.stream(key) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def fetch(self, key: str, file: Path) -> None:
        """Copy an object to a new local file. Raises FileNotFoundError where there is no such object, OSError of the disk."""
        with self.stream(key) as stream, file.open("xb") as out:
            while block := self._block_of(stream, key):
                out.write(block)

    def put(self, key: str, file: Path) -> None:
        """Put a local file under the key; who looks there sees the old object, or this one whole."""
        with file.open("rb") as opened, self.explained(key):
            self._writer.put(key, opened)

    def put_bytes(self, key: str, content: bytes) -> None:
        """Put so much under the key, as `put` does."""
        with io.BytesIO(content) as opened, self.explained(key):
            self._writer.put(key, opened)

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the store, without its bytes coming here."""
        with self.explained(key):
            self._writer.copy(key, to)

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        try:
            with self.explained(key):
                self._writer.delete(key)
        except FileNotFoundError:
            return

    def abort_stale(self, keys: Sequence[str]) -> int:
        """Give up uploads to these keys that a killed run began; give how many there were."""
        with self.explained(keys[0] if keys else ""):
            return self._writer.abort_stale(keys)

    def _block_of(self, stream: pa.NativeFile, key: str) -> bytes:
        with self.explained(key):
            block: bytes = stream.read(_BLOCK)
            return block

    def explained(self, key: str) -> "Explained":
        """Give the context in which errors about an object become ours; entered, it gives the path of pyarrow's."""
        return Explained(self.at(key), f"{self._root.bucket}/{key}")


class Explained:
    """Turns errors of the store into ours."""

    def __init__(self, where: Location, path: str) -> None:
        self._where = where
        self._path = path

    def __enter__(self) -> str:
        return self._path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, RowcallError) and _is_a_stores(error):
            raise trouble(self._where, error) from error


class _Streams:
    """Puts objects through pyarrow. What breaks off half way may stand there cut short until it is put again."""

    def __init__(self, bucket: str, arrow: fs.FileSystem) -> None:
        self._bucket = bucket
        self._arrow = arrow

    def put(self, key: str, file: IO[bytes]) -> None:
        with self._arrow.open_output_stream(self._path(key), compression=None) as out:
            while block := file.read(_BLOCK):
                out.write(block)

    def copy(self, key: str, to: str) -> None:
        self._arrow.copy_file(self._path(key), self._path(to))

    def delete(self, key: str) -> None:
        self._arrow.delete_file(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._bucket}/{key}"

    def abort_stale(self, keys: Sequence[str]) -> int:
        return 0  # these stores drop what is not completed by themselves


def store_of(location: Location) -> Store:
    """Give the store that holds a location, the same one every time. Credentials are found as the store's own tools find them.

    Nothing is asked of it yet. Raises StorageError where no credentials or no such library can be found.
    """
    return _made(location.scheme, location.bucket, os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


def check_writer(location: Location) -> None:
    """Raise ConfigError where what puts objects into such a store is not installed."""
    if location.scheme == "s3":
        from pipeline.storage.s3 import imported_boto3

        imported_boto3()


@cache
def _made(scheme: str, bucket: str, endpoint: str | None) -> Store:
    location = Location(scheme, bucket, "")
    try:
        if scheme == "s3":
            from pipeline.storage.s3 import Uploads, arrow_file_system

            boto = Uploads(bucket)
            return Store(location, arrow_file_system(bucket, endpoint), boto, boto)
        if scheme == "gs":
            return Store(location, fs.GcsFileSystem())
        arrow, _ = fs.FileSystem.from_uri(f"{location.store}/")
        return Store(location, arrow)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise trouble(location.store, error) from error


def _seen(found: Any) -> Seen:
    # In whole seconds: some stores list milliseconds, and tell of one object only the seconds that HTTP has.
    return Seen(found.size or 0, (found.mtime_ns or 0) // _SECOND * _SECOND)


def _is_a_stores(error: Exception) -> bool:
    return isinstance(error, OSError | pa.ArrowException) or type(error).__module__.partition(".")[0] in _LIBRARIES
