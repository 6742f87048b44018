"""JSONL files as Arrow batches: one object a line, a missing key is null, and one type a column over the whole file.

The file is read twice, first for the types: they must not depend on which rows happen to come first.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from pipeline.core.errors import InputChangedError, SourceError
from pipeline.sources.delimited import CHUNK_CHARS, CHUNK_ROWS
from pipeline.sources.identity import stat_of
from pipeline.sources.shapes import MisfitError, Shape
from pipeline.sources.text import Digest, lines
from pipeline.sources.wording import shown
from pipeline.storage import AnyFile

Record = tuple[int, dict[str, Any]]


class JsonlFile:
    """One JSONL file, or its first `rows` rows; making it reads them once. Raises SourceError naming line and column."""

    def __init__(self, path: AnyFile, *, rows: int | None = None) -> None:
        self._path = path
        self._rows = rows
        self._passes = Digest(), Digest()
        self._shape = _shape(path, rows, self._passes[0])
        self.schema = self._shape.schema()
        if not self.schema.names:
            raise SourceError(f"{shown(path)}: holds no rows, and so no columns, or only objects without keys")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give the rows in batches bounded in rows and characters."""
        chunk: list[Record] = []
        size = 0
        for line, record, length in islice(_records(self._path, self._passes[1]), self._rows):
            chunk.append((line, record))
            size += length
            if len(chunk) == CHUNK_ROWS or size >= CHUNK_CHARS:
                yield self._batch(chunk)
                chunk, size = [], 0
        if chunk:
            yield self._batch(chunk)

    @property
    def sha256(self) -> str:
        """The hash of the bytes that the batches were read from, once there are no more. Raises InputChangedError if the types
        were read from others."""
        first, second = (each.sha256 for each in self._passes)
        if first != second:
            raise InputChangedError(f"{shown(self._path)}: the file changed while it was read; run again when it is complete")
        return second

    def _batch(self, chunk: Sequence[Record]) -> pa.RecordBatch:
        arrays = [self._array(name, shape, chunk) for name, shape in self._shape.columns().items()]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, name: str, shape: Shape, chunk: Sequence[Record]) -> "pa.Array[Any]":
        values = [record.get(name) for _, record in chunk]
        if shape.hollow:
            values = [shape.fitted(value) for value in values]
        type_ = self.schema.field(name).type
        try:
            made: pa.Array[Any] = pa.array(values, type_)
            return made
        except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError):
            raise self._misfit(name, type_, chunk, values) from None

    def _misfit(self, name: str, type_: pa.DataType, chunk: Sequence[Record], values: Sequence[object]) -> SourceError:
        """Look for the row that does not fit: half a surrogate pair, or a file that changed since its types were read."""
        for (line, _), value in zip(chunk, values, strict=True):
            try:
                pa.array([value], type_)
            except UnicodeError:
                return SourceError(
                    f"{shown(self._path)}: line {line}: column {name!r} holds half a surrogate pair, which is no text"
                )
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                return SourceError(f"{shown(self._path)}: line {line}: column {name!r} does not fit {type_}")
        return SourceError(f"{shown(self._path)}: column {name!r} does not fit {type_}")


def count_records(path: AnyFile, most_chars: int) -> tuple[int, int, bool]:
    """Count the rows in about the first `most_chars` characters; give also how many were read, and whether that is all."""
    rows = chars = 0
    for _, _, length in _records(path):
        if chars >= most_chars:
            return rows, chars, False
        rows, chars = rows + 1, chars + length
    return rows, chars, True


def _shape(path: AnyFile, rows: int | None, digest: Digest) -> Shape:
    shape = Shape()
    for line, record, _ in islice(_records(path, digest), rows):
        try:
            shape.see(record, line)
        except MisfitError as error:
            raise SourceError(f"{shown(path)}: line {line}: {error}") from None
    return shape


def _records(path: AnyFile, digest: Digest | None = None) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Give each object with its line and that line's length; blank lines are none."""
    if stat_of(path).size == 0:
        raise SourceError(f"{shown(path)}: the file is empty, zero bytes; take it away or put the data in")
    decode = json.JSONDecoder(object_pairs_hook=_object).decode
    for line, text in enumerate(lines(path, "utf-8", newline="\n", digest=digest), 1):
        if text.isspace():
            continue
        try:
            record = decode(text)
        except _DuplicateKeyError as error:
            raise SourceError(f"{shown(path)}: line {line}: the key {str(error)!r} stands twice in one object") from None
        except json.JSONDecodeError as error:
            raise SourceError(
                f"{shown(path)}: line {line}, character {error.colno}: not valid JSON; one object a line is read"
            ) from None
        except (ValueError, RecursionError):
            raise SourceError(f"{shown(path)}: line {line}: a number too long or nesting too deep to read") from None
        if not isinstance(record, dict):
            raise SourceError(f"{shown(path)}: line {line}: a JSON {_name(record)}; each line must be one object, in braces")
        yield line, record, len(text)


class _DuplicateKeyError(Exception):
    """Two values for one key: Python would keep the last and say nothing."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def _name(value: object) -> str:
    return {list: "list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "number")
