"""An output in an object store, which knows no renaming: each file is put under its own name, whole or not at all.

New files wait in the record's outbox until the store is proven to hold them. A reader sees each object old or new, never half;
while a folder changes, old and new ones stand beside each other until the manifest, put last, says which set is whole.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.checkpoint import files
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.shelf import MANIFEST, Draft, Notice, Shelf, Stamp, changed, gone
from pipeline.core.errors import StoppedError, StorageError
from pipeline.core.locations import Location
from pipeline.storage import RemoteFile, Seen, store_of

AT_ONCE = 8
# What is read back and is not what was put is put again: proxies cut streams short, and boto3 cannot know all of them.
TRIES = 3

Item = TypeVar("Item")
Done = TypeVar("Done")


class StoreShelf:
    """Implements shelf.Shelf. What a folder holds is asked for in one listing."""

    def __init__(self, layout: Layout, output: Location) -> None:
        self._output = output
        self._is_directory = layout.is_directory
        self._outbox = layout.outbox
        self._probe = layout.probe
        self._store = store_of(output)

    def place(self, name: str) -> Location:
        return self._output / name if self._is_directory else self._output

    def prove_writable(self) -> None:
        # Its name begins with a dot: where it may not be removed no reader takes it for data.
        key = (self._output / self._probe if self._is_directory else self._output.with_name(self._probe)).key
        self._store.put_bytes(key, b"rowcall")
        with suppress(StorageError):
            self._store.delete(key)

    def exists(self) -> bool:
        return bool(self.seen())

    def seen(self) -> Mapping[str, Stamp | None]:
        if not self._is_directory:
            stamp = self.stamp(self._output.name)
            return {} if stamp is None else {self._output.name: stamp}
        found = {key.removeprefix(self._output.folder.key): seen for key, seen in self._listed(self._output)}
        return {name: _stamp(seen) for name, seen in found.items() if not name.startswith(".")}

    def stamp(self, name: str) -> Stamp | None:
        seen = self._store.info(self.place(name).key)
        return None if seen is None else _stamp(seen)

    def matching(self, wanted: Sequence[OutputFile]) -> set[str]:
        if not wanted:
            return set()
        seen = {wanted[0].name: self.stamp(wanted[0].name)} if len(wanted) == 1 else self.seen()
        likely = [each for each in wanted if (stamp := seen.get(each.name)) and stamp.size == each.size]
        return {file.name for file, same in _side_by_side(self._holds, likely) if same}

    def readable(self, file: OutputFile) -> RemoteFile:
        return RemoteFile(self.place(file.name), Seen(file.size, file.mtime_ns))

    def copy_here(self, file: OutputFile) -> None:
        target = self._copy_of(file)
        temporary = target.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        try:
            self._store.fetch(self.place(file.name).key, temporary)
        except FileNotFoundError:
            raise gone(self.place(file.name)) from None
        if files.sha256_of(temporary) != file.sha256:
            raise changed(self.place(file.name))
        temporary.rename(target)

    def copied(self, file: OutputFile) -> Path | None:
        path = self._copy_of(file)
        return path if path.exists() else None

    def manifest(self) -> bytes | None:
        try:
            with self._store.stream(self.place(MANIFEST).key) as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None

    def draft(self, book: Book) -> Draft:
        return Draft(self._outbox)

    def drafted(self, announced: Announced) -> set[str]:
        return {file.name for path, file in self._drafts(announced) if _is_whole(path, file)}

    def put(self, book: Book, announced: Announced, placed: Collection[str], notice: Notice) -> None:
        self._give_up_stale([file.name for _, file in announced.files], notice)
        waiting = [each for each in self._drafts(announced) if each[1].name not in placed]
        with _with_comfort():
            with closing(_side_by_side(lambda each: self._put(*each), waiting)) as done:
                for _ in done:
                    book.step("publish: put")
            if announced.manifest is not None:
                self._put_manifest(announced.manifest.encode())
                book.step("publish: manifest")

    def clear(self, book: Book) -> None:
        if book.announced is None:
            for path in sorted(self._outbox.glob("*")):
                files.remove(path)
                book.step("publish: outbox cleared")

    def move(self, to: Path | Location) -> None:
        """Copy all objects within the store, prove that they are there, and only then remove the old ones, the manifest first."""
        assert isinstance(to, Location)
        before = dict(self._listed(self._output))
        new = {key: f"{to.key}{key.removeprefix(self._output.key)}" for key in before}
        manifest = [key for key in before if key == self.place(MANIFEST).key]
        data = [key for key in before if key not in manifest]
        for some in (data, manifest):
            for _ in _side_by_side(lambda key: self._store.copy(key, new[key]), some):
                pass
        after = dict(self._listed(to))
        for key, seen in before.items():
            if new[key] not in after or after[new[key]].size != seen.size:
                raise StoppedError(f"{self._store.at(new[key])}: is not what was copied there; nothing was removed: run again")
        for some in (manifest, data):
            for _ in _side_by_side(self._store.delete, some):
                pass

    def _copy_of(self, file: OutputFile) -> Path:
        return self._outbox / f"{file.sha256}.copy"

    def _listed(self, output: Location) -> list[tuple[str, Seen]]:
        if self._is_directory:
            return self._store.listed(output.folder.key)
        seen = self._store.info(output.key)
        return [] if seen is None else [(output.key, seen)]

    def _drafts(self, announced: Announced) -> list[tuple[Path, OutputFile]]:
        return [(self._outbox / str(name), file) for name, file in announced.files]

    def _give_up_stale(self, names: Sequence[str], notice: Notice) -> None:
        try:
            self._store.abort_stale([self.place(name).key for name in (*names, *([MANIFEST] if self._is_directory else []))])
        except StorageError:
            notice(
                f"{self._output.store}: unfinished uploads may not be listed or given up; of a run that was killed in one the"
                " pieces stay, and cost: let a lifecycle rule of the bucket remove incomplete multipart uploads after some days"
            )

    def _put(self, path: Path, file: OutputFile) -> None:
        self._put_until(lambda key: self._store.put(key, path), file.name, file.sha256)

    def _put_manifest(self, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self._put_until(lambda key: self._store.put_bytes(key, content), MANIFEST, digest)

    def _put_until(self, put: Callable[[str], None], name: str, sha256: str) -> None:
        place = self.place(name)
        for _ in range(TRIES):
            put(place.key)
            with suppress(FileNotFoundError):
                if self._store.sha256(place.key) == sha256:
                    return
        with suppress(StorageError):  # neither a reader nor the next run is to take it for anybody's
            self._store.delete(place.key)
        raise StoppedError(f"{place}: was put {TRIES} times, and each time something else was read back")

    def _holds(self, file: OutputFile) -> bool:
        try:
            return self._store.sha256(self.place(file.name).key) == file.sha256
        except FileNotFoundError:
            return False


@contextmanager
def _with_comfort() -> Iterator[None]:
    """Let errors of the store say that nothing is lost."""
    try:
        yield
    except StoppedError as error:
        raise StoppedError(
            f"{error}: every row is recorded, and the same command publishes them without asking any again"
        ) from error


def _side_by_side(work: Callable[[Item], Done], items: Sequence[Item]) -> Generator[tuple[Item, Done]]:
    """Do this to all items, a few at a time, and give each with what came of it when it is done.

    After an error nothing new is begun; what is under way is waited for, so that none of it goes on behind the caller's back.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = {pool.submit(work, each): each for each in items}
        try:
            for done in as_completed(under_way):
                yield under_way[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _stamp(seen: Seen) -> Stamp:
    return Stamp(seen.size, seen.mtime_ns, 0)


def _is_whole(path: Path, file: OutputFile) -> bool:
    try:
        return path.stat().st_size == file.size and files.sha256_of(path) == file.sha256
    except OSError:
        return False


if TYPE_CHECKING:
    _: type[Shelf] = StoreShelf
