"""Where input and output may lie, a folder on this disk or a bucket of an S3 server on loopback; and readers of outputs."""

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from tests.storage.server import S3Server

MANIFEST = "_manifest.json"


class Place(Protocol):
    """A folder, or a prefix of a bucket. `env` is what a command needs to reach it; `arrow` reaches it past rowcall."""

    env: Mapping[str, str]

    @property
    def arrow(self) -> fs.FileSystem: ...

    def text(self, name: str = "") -> str:
        """Name it, or what lies in it, as a config does."""

    def within(self, name: str) -> str:
        """Name what lies in it as `arrow` does."""

    def put(self, name: str, body: bytes) -> None: ...

    def remove(self, name: str) -> None: ...


@dataclass(frozen=True)
class Folder:
    path: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def arrow(self) -> fs.FileSystem:
        return fs.LocalFileSystem()

    def text(self, name: str = "") -> str:
        return str(self.path / name)

    within = text

    def put(self, name: str, body: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(body)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()


@dataclass
class Bucket:
    server: S3Server
    bucket: str
    prefix: str

    @property
    def env(self) -> Mapping[str, str]:
        return self.server.env

    @cached_property
    def arrow(self) -> fs.FileSystem:
        return fs.S3FileSystem(
            access_key="test", secret_key="test", endpoint_override=self.server.url, scheme="http", region="us-east-1"
        )

    def text(self, name: str = "") -> str:
        return f"s3://{self.within(name)}"

    def within(self, name: str) -> str:
        return f"{self.bucket}/{self.prefix}/{name}"

    def put(self, name: str, body: bytes) -> None:
        self.server.put(self.bucket, f"{self.prefix}/{name}", body)

    def remove(self, name: str) -> None:
        self.server.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")


# -- readers


class HalfSetError(Exception):
    """What a reader finds that was promised a whole set, or none."""


def read_set(place: Place, output: str) -> pa.Table | None:
    """Read an output as others do: a .parquet plainly, a folder by its manifest. None if there is nothing yet."""
    path = place.within(output)
    if output.endswith(".parquet"):
        if place.arrow.get_file_info(path).type == fs.FileType.NotFound:
            return None
        return ds.dataset(path, filesystem=place.arrow, format="parquet").to_table()
    try:
        with place.arrow.open_input_stream(f"{path}/{MANIFEST}") as file:
            manifest = json.loads(file.read())
    except FileNotFoundError:
        return None
    names = [f"{path}/{each['name']}" for each in manifest["files"]]
    table = ds.dataset(names, filesystem=place.arrow, format="parquet").to_table()
    if table.num_rows != manifest["rows"]:
        raise HalfSetError(f"{table.num_rows} rows, of {manifest['rows']} in the manifest")
    return table


class Reader:
    """Reads an output again and again, in a thread, while the block lasts.

    `sets` are what it read, a set that came again at once not repeated; `wrong` what else it met. An object is read in several
    requests, and whoever has begun with an old one while it is replaced finds no Parquet in the new one, or no JSON: a read
    that ends with one of `tears` is done again, once. Whatever else ends a read ends the reader, and is raised when it is left.
    """

    def __init__(self, place: Place, output: str, *, every: float, tears: tuple[type[Exception], ...] = ()) -> None:
        self.reads = self.torn = 0
        self._tears = tears
        self.sets: list[pa.Table] = []
        self.wrong: list[str] = []
        self._place, self._output, self._every = place, output, every
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._reading = self._pool.submit(self._read_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown(wait=False)
        self._reading.result(60)

    def caught_up(self) -> None:
        """Wait until it has begun and ended a read from now on, so that what lies there now was seen."""
        until, two_more = time.monotonic() + 60, self.reads + 2
        while self.reads < two_more:
            if time.monotonic() > until or self._reading.done():
                raise AssertionError(f"the reader has stopped: {self.wrong[:3]}")
            time.sleep(0.01)

    def _read_on(self) -> None:
        again = False
        while not self._over.wait(self._every):
            try:
                found = read_set(self._place, self._output)
            except (HalfSetError, OSError, ValueError, pa.ArrowException) as error:
                again = not again and isinstance(error, self._tears)
                self.torn += again
                if not again:
                    self.wrong.append(f"read {self.reads + 1}: {type(error).__name__}: {str(error)[:200]}")
            else:
                again = False
                if found is not None and not (self.sets and self.sets[-1].equals(found)):
                    self.sets.append(found)
            self.reads += 1
