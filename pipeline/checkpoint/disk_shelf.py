"""An output on a local disk. Every new file lies beside its place, or its folder does, until it is renamed."""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.checkpoint import files
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.shelf import MANIFEST, Draft, Notice, Shelf, Stamp, temporary_name
from pipeline.core.locations import Location


class DiskShelf:
    """Implements shelf.Shelf."""

    def __init__(self, layout: Layout, output: Path) -> None:
        self._output = output
        self._is_directory = layout.is_directory

    def place(self, name: str) -> Path:
        return self._output / name if self._is_directory else self._output

    def prove_writable(self) -> None:
        pass

    def exists(self) -> bool:
        return os.path.lexists(self._output)

    def seen(self) -> Mapping[str, Stamp | None]:
        if not self._is_directory:
            return {self._output.name: self._stamp(self._output)} if self.exists() else {}
        try:
            return {each.name: self._stamp(each) for each in self._output.iterdir()}
        except FileNotFoundError:
            return {}

    def stamp(self, name: str) -> Stamp | None:
        try:
            seen = self.place(name).stat()
        except OSError:
            return None
        return Stamp(seen.st_size, seen.st_mtime_ns, seen.st_ino)

    def matching(self, wanted: Sequence[OutputFile]) -> set[str]:
        return {each.name for each in wanted if _matches(self.place(each.name), each)}

    def readable(self, file: OutputFile) -> Path:
        return self.place(file.name)

    def copy_here(self, file: OutputFile) -> None:
        pass

    def copied(self, file: OutputFile) -> Path | None:
        return None

    def manifest(self) -> bytes | None:
        try:
            return self.place(MANIFEST).read_bytes()
        except OSError:
            return None

    def draft(self, book: Book) -> Draft:
        if not self._is_directory:
            return Draft(self._output.parent)
        if book.outputs:
            return Draft(self._output)
        folder = self._output.with_name(temporary_name(book))
        folder.mkdir()
        return Draft(folder, folder.name)

    def drafted(self, announced: Announced) -> set[str]:
        waiting = self._drafts(announced)
        return {file.name for path, file in waiting if path is not None and _matches(path, file)}

    def put(self, book: Book, announced: Announced, placed: Collection[str], notice: Notice) -> None:
        if announced.folder is not None:
            folder = self._output.with_name(announced.folder)
            if folder.exists():
                folder.replace(self._output)
            book.step("publish: renamed")
        for path, file in self._drafts(announced):
            if path is not None and path.exists():
                path.replace(self.place(file.name))
                book.step("publish: renamed")
        if self._is_directory:
            files.sync_folder(self._output)
        files.sync_folder(self._output.parent)
        book.step("publish: folder synced")
        if announced.manifest is not None and announced.folder is None:
            temporary = self._output / temporary_name(book)
            files.write_durably(self.place(MANIFEST), announced.manifest.encode(), private=False, temporary=temporary)
            book.step("publish: manifest")

    def clear(self, book: Book) -> None:
        if book.announced is None:
            folders = (self._output.parent, *([self._output] if self._is_directory and self._output.is_dir() else []))
            for path in [each for folder in folders for each in folder.glob(f".rowcall-{book.id[:8]}-*.tmp")]:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def move(self, to: Path | Location) -> None:
        assert isinstance(to, Path)
        self._output.rename(to)
        files.sync_folder(self._output.parent)

    def _drafts(self, announced: Announced) -> list[tuple[Path | None, OutputFile]]:
        """Give each announced file with the path at which it lies until it is renamed, None once its folder was."""
        if announced.folder is not None:
            folder = self._output.with_name(announced.folder)
            return [(folder / file.name, file) for _, file in announced.files]
        folder = self._output if self._is_directory else self._output.parent
        return [(folder / name if name else None, file) for name, file in announced.files]

    def _stamp(self, path: Path) -> Stamp | None:
        return self.stamp(path.name) if path.is_file() and not path.is_symlink() else None


def _matches(path: Path, file: OutputFile) -> bool:
    try:
        return not path.is_symlink() and path.stat().st_size == file.size and files.sha256_of(path) == file.sha256
    except OSError:
        return False


if TYPE_CHECKING:
    _: type[Shelf] = DiskShelf
