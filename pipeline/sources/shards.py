"""WebDataset shards: a tar archive as rows, one a sample, and an index of it instead of a copy.

Members are grouped as webdataset does it (webdataset/tariterators.py: base_plus_ext, group_by_keys, tar_file_iterator; see
https://github.com/webdataset/webdataset): a member's key is its path up to the first dot of the file's own name, its extension
the rest, in lower case; members that follow one another and share a key are one sample. What has no key or no extension is
passed over, as are folders, links, and names that begin with `__…__`. Three things are stricter or plainer here. Hidden files
inside folders (`._a.jpg`, which macOS leaves everywhere) are passed over too: webdataset takes their folder for a key. A key
that comes again later is an error: webdataset makes two samples of it, and the usual cause is an archive sorted by extension.
And text is text: `cls` is the string "7", `json` the JSON as written.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipeline.core.errors import InputChangedError, SourceError
from pipeline.sources.members import BLOCK, Member, Members
from pipeline.sources.slices import Stat, place, shard_key_field, slice_field
from pipeline.sources.wording import reason, shown

KEY = "__key__"
# What webdataset's own decoders (webdataset/autodecode.py) take for text, numbers or JSON, and captions under their usual name.
TEXTS = frozenset(["txt", "text", "transcript", "caption", "cls", "cls2", "index", "inx", "id", "json", "jsn"])
# What a model may be shown, by the names that writers of shards give it.
PICTURES = frozenset(["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif"])

# Far more than a prompt may have; a column of text is held several times over while it is written.
MOST_TEXT_BYTES = 16 << 20
MOST_COLUMNS = 200
_BATCH_ROWS = 8192
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """What the headers of a shard tell. Where `complete` is False only its first members were looked at."""

    digest: str
    extensions: tuple[str, ...]
    samples: int
    members: int
    complete: bool = True

    @property
    def schema(self) -> pa.Schema:
        """Give the index's schema: the key, text as text, places for all else."""
        return pa.schema([shard_key_field(KEY), *(_field(each) for each in self.extensions)])


@dataclass(slots=True)
class _Sample:
    key: str
    members: dict[str, Member] = field(default_factory=dict)


def scan(path: Path, *, most_bytes: int | None = None) -> Scan:
    """Look through a shard's headers, or about the first `most_bytes` of them. Raises SourceError for what is wrong with it.

    Remembered for as long as the file stays as it is: joining, staging and a preview each need it.
    """
    try:
        seen = path.stat()
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be looked at: {reason(error)}") from error
    return _scanned(path, (seen.st_size, seen.st_mtime_ns, seen.st_ino), most_bytes)


@lru_cache(maxsize=64)
def _scanned(path: Path, stat: Stat, most_bytes: int | None) -> Scan:
    members = Members(path)
    extensions: dict[str, None] = {}
    keys = array("q")
    most = None if most_bytes is None else most_bytes // BLOCK
    for sample in samples(members, path):
        if most is not None and members.count > most:
            return Scan(members.digest, tuple(extensions), len(keys), members.count, complete=False)
        keys.append(hash(sample.key))
        for extension in sample.members:
            extensions.setdefault(extension)
        if len(extensions) > MOST_COLUMNS:
            raise SourceError(
                f"{shown(path)}: more than {MOST_COLUMNS} different extensions, such as {_short(next(reversed(extensions)))}; "
                "all behind the first dot of a file's name is its extension: take other dots out of the names"
            )
    if not keys:
        raise SourceError(f"{shown(path)}: holds no samples: no member is a file with a name and an extension")
    _refuse_twice(keys, path)
    return Scan(members.digest, tuple(extensions), len(keys), members.count)


def samples(members: Iterable[Member], path: Path) -> Iterator[_Sample]:
    """Group members that follow one another. Raises SourceError for two of one sample with the same extension."""
    sample: _Sample | None = None
    for member in members:
        split = key_and_extension(member.name)
        if split is None:
            continue
        key, extension = split
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = _Sample(key)
        if extension in sample.members or extension == KEY:
            raise SourceError(f"{shown(path)}: {_short(member.name)} stands there twice, whatever the case; rename one")
        if len(sample.members) == MOST_COLUMNS:
            raise SourceError(f"{shown(path)}: the sample {_short(key)} has more than {MOST_COLUMNS} members")
        sample.members[extension] = member
    if sample is not None:
        yield sample


def key_and_extension(name: str) -> tuple[str, str] | None:
    """Give a member's key and extension, None if it belongs to no sample."""
    first = name.partition("/")[0]
    if len(first) >= 4 and first.startswith("__") and first.endswith("__"):
        return None
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}{slash}{stem}", extension.lower()) if stem and extension else None


class ShardFile:
    """One shard, or its first `rows` samples, as the batches of an index. Making it looks through the headers once."""

    sha256 = None  # most of it is never read

    def __init__(self, path: Path, found: Scan | None = None, *, rows: int | None = None) -> None:
        self._path = path
        self._rows = rows
        self.schema = (found or scan(path)).schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give the samples in batches bounded in rows and bytes. Of the data, only text is read."""
        try:
            with self._path.open("rb") as data:
                yield from self._batches(data)
        except OSError as error:
            raise SourceError(f"{shown(self._path)}: cannot be read: {reason(error)}") from error

    def _batches(self, data: BinaryIO) -> Iterator[pa.RecordBatch]:
        chunk: list[dict[str, Any]] = []
        size = 0
        for sample in islice(samples(Members(self._path), self._path), self._rows):
            row: dict[str, Any] = {KEY: sample.key}
            for extension, member in sample.members.items():
                row[extension] = self._text(data, member) if is_text(extension) else place(member.offset, member.size)
            chunk.append(row)
            size += len(sample.key) + sum(each.size for name, each in sample.members.items() if is_text(name))
            if len(chunk) == _BATCH_ROWS or size >= _BATCH_BYTES:
                yield self._batch(chunk)
                chunk, size = [], 0
        if chunk:
            yield self._batch(chunk)

    def _batch(self, chunk: list[dict[str, Any]]) -> pa.RecordBatch:
        if not all(row.keys() <= set(self.schema.names) for row in chunk):
            raise InputChangedError(f"{shown(self._path)}: the file changed while it was read; run again when it is complete")
        return pa.RecordBatch.from_pylist(chunk, schema=self.schema)

    def _text(self, data: BinaryIO, member: Member) -> str:
        if member.size > MOST_TEXT_BYTES:
            raise SourceError(
                f"{shown(self._path)}: {_short(member.name)} has {member.size / 1e6:.0f} MB, more than a text may; "
                "give it an extension that is not one of text"
            )
        data.seek(member.offset)
        try:
            return data.read(member.size).decode()
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{shown(self._path)}: {_short(member.name)} is not UTF-8 at its byte {error.start}; convert it, or give it an "
                "extension that is not one of text"
            ) from None


def is_text(extension: str) -> bool:
    """By its last part, as webdataset decodes: `front.json` is text."""
    return extension.rpartition(".")[2] in TEXTS


def is_picture(extension: str) -> bool:
    return extension.rpartition(".")[2] in PICTURES


def _field(extension: str) -> "pa.Field[Any]":
    return pa.field(extension, pa.string()) if is_text(extension) else slice_field(extension)


def _refuse_twice(hashes: "array[int]", path: Path) -> None:
    """Refuse a key that comes again. Eight bytes a key are held; which it is takes another look at the names."""
    kept: pa.Array[Any] = pa.Array.from_buffers(pa.int64(), len(hashes), [None, pa.py_buffer(hashes)])
    if len(kept.unique()) == len(hashes):
        return
    seen: set[int] = set()
    twice = {each for each in hashes if each in seen or seen.add(each)}  # type: ignore[func-returns-value]
    keys: set[str] = set()
    for sample in samples(Members(path), path):
        if sample.key in keys:
            raise SourceError(
                f"{shown(path)}: the key {_short(sample.key)} comes again after other samples; the members of a sample must "
                "follow one another: write the archive again, sorted by name (tar --sort=name)"
            )
        if hash(sample.key) in twice:
            keys.add(sample.key)


def _short(name: str) -> str:
    return repr(shown(name if len(name) <= 100 else f"{name[:99]}…"))
