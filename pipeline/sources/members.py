"""The members of a tar archive by their headers alone: what they hold is skipped by seeking, and names are only labels.

tarfile parses the headers; where it trusts them more than an archive from anywhere deserves, they are held in bounds here. It
also ends at a damaged header as if that were the archive's end, which would lose the rest of it without a word.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import SourceError
from pipeline.sources.wording import reason, shown

BLOCK = 512
# A name, or the attributes of a file. tarfile would take in whatever size a header of a header names.
_MOST_HEADER_BYTES = 1 << 16
# Older tarfiles take the square of their number to look through digits (CVE-2024-6232: 19 s for one header of this size).
_TOO_MANY_DIGITS = re.compile(rb"\d{1000}")
# Writers pad an archive with zeros to a multiple of 10 or 20 blocks.
_MOST_PADDING_BYTES = 1 << 16
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"\x04\x22\x4d\x18": ("lz4", "unlz4"),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive: `size` bytes at `offset`. Bytes of `name` that are not UTF-8 are written as \\xNN."""

    name: str
    offset: int
    size: int


class Members:
    """Reads an archive's headers in order. `digest` hashes those read so far, `count` says how many members they told of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self.count = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Member]:
        """Give the regular files; folders, links, devices and pipes are passed over.

        Raises SourceError for what is no whole archive, for one that is compressed, and for a member whose data do not lie in
        one piece.
        """
        try:
            with self._path.open("rb") as file:
                _refuse_compressed(file.read(8), self._path)
                file.seek(0)
                yield from self._members(file)
        except OSError as error:
            raise SourceError(f"{shown(self._path)}: cannot be read: {reason(error)}") from error

    def _members(self, file: io.BufferedReader) -> Iterator[Member]:
        import tarfile  # 10 ms that jobs without archives need not spend

        end = file.seek(0, io.SEEK_END)
        file.seek(0)
        broken = (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError)
        at = -1
        try:
            headers = _Headers(file, self._hash.update)
            archive = tarfile.TarFile(fileobj=headers, encoding="utf-8", errors="backslashreplace")  # type: ignore[arg-type]
            while (found := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep every one
                if not at < found.offset_data <= archive.offset:
                    raise tarfile.ReadError(f"the header before byte {archive.offset} names a negative size")
                at = found.offset_data
                self.count += 1
                if found.isreg():
                    yield self._checked(found.name, found.offset_data, found.size, end, sparse=found.issparse())
            self._check_end(file, archive.offset)
        except broken as error:
            raise SourceError(f"{shown(self._path)}: no whole tar archive: {reason(error)}; write or fetch it again") from error

    def _checked(self, name: str, offset: int, size: int, end: int, *, sparse: bool) -> Member:
        if sparse:
            raise SourceError(
                f"{shown(self._path)}: {_called(name)} is stored with holes (sparse), not in one piece; write the archive without"
            )
        if offset + size > end:
            raise SourceError(
                f"{shown(self._path)}: cut off within {_called(name)}: the archive ends at byte {end}; write or fetch it again"
            )
        return Member(name, offset, size)

    def _check_end(self, file: io.BufferedReader, offset: int) -> None:
        file.seek(offset)
        block = file.read(BLOCK)
        if not block:
            return  # some writers leave the mark of the end out
        if block.count(0) != BLOCK:
            raise SourceError(
                f"{shown(self._path)}: damaged or cut off: there is no header at byte {offset}, where one belongs; "
                "write or fetch it again"
            )
        if any(file.read(_MOST_PADDING_BYTES)):
            raise SourceError(
                f"{shown(self._path)}: more follows behind the archive's end, at byte {offset}; archives that were joined are "
                "read up to there only: take them apart, or join them with tar --concatenate"
            )


class _Headers:
    """The file as tarfile sees it: it reads headers only, which must be of a size that headers have."""

    def __init__(self, file: io.BufferedReader, saw: Callable[[bytes], object]) -> None:
        self._file = file
        self._saw = saw
        self.mode = "rb"
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise ValueError(f"a header of {size} bytes")
        data = self._file.read(size)
        if size > BLOCK and _TOO_MANY_DIGITS.search(data):
            raise ValueError("a header of too many digits")
        self._saw(data)
        return data


def _refuse_compressed(start: bytes, path: Path) -> None:
    for magic, (kind, command) in _COMPRESSED.items():
        if start.startswith(magic):
            raise SourceError(
                f"{shown(path)}: compressed with {kind}, so that no member can be read by itself; unpack it first: {command}"
            )


def _called(name: str) -> str:
    return shown(name if len(name) <= 100 else f"{name[:99]}…")
