"""CSV and TSV files as Arrow batches: cells stay the strings they are, unless a type is asked for by name.

The standard library's parser, because it knows lines: it reads newlines in quotes, and an error can say where. Arrow's own
was faster, but counted rows wrong where a quoted cell ran over a block's end, and guessed types unless told not to.
"""

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from pipeline.core.errors import SourceError
from pipeline.sources.naming import format_of
from pipeline.sources.text import MOST_LINE, Digest, lines
from pipeline.sources.wording import shown
from pipeline.storage import AnyFile

CHUNK_ROWS = 4096
CHUNK_CHARS = 4 << 20
_CELL_CHARS = 50  # what Python adds to each cell: of a thousand narrow columns it is nearly all
_SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """`input.csv`. A delimiter of None is a comma for .csv and a tab for .tsv; `types` maps columns to names of types."""

    delimiter: str | None = None
    encoding: str = "utf-8"
    types: Mapping[str, str] = field(default_factory=dict)


class CsvFile:
    """One CSV file: its header is read at once, its rows by `batches`. Raises SourceError naming line and column."""

    def __init__(self, path: AnyFile, options: CsvOptions) -> None:
        self._path = path
        self._digest = Digest()
        self._records = _records(path, options, self._digest)
        _, header = next(self._records, (0, None))
        if header is None:
            raise SourceError(f"{shown(path)}: there is no header line; the file is empty")
        self._names = _named(header, path)
        _check_types(options.types, self._names, path)
        self._kinds = [options.types.get(name, "string") for name in self._names]
        self.schema = pa.schema([(name, _TYPES[kind][0]) for name, kind in zip(self._names, self._kinds, strict=True)])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give the rows, once, in batches bounded in rows and characters."""
        rows: list[list[str]] = []
        starts: list[int] = []
        width, chars = len(self._names), 0
        for line, cells in self._records:
            if len(cells) != width:
                raise self._ragged(line, len(cells))
            rows.append(cells)
            starts.append(line)
            chars += sum(map(len, cells)) + width * _CELL_CHARS
            if len(rows) == CHUNK_ROWS or chars >= CHUNK_CHARS:
                yield self._batch(rows, starts)
                rows, starts, chars = [], [], 0
        if rows:
            yield self._batch(rows, starts)

    @property
    def sha256(self) -> str:
        """The hash of the bytes that the batches were read from, once there are no more."""
        return self._digest.sha256

    def _ragged(self, line: int, count: int) -> SourceError:
        return SourceError(
            f"{shown(self._path)}: line {line}: {count} cells where the header has {len(self._names)}; "
            "a cell that holds the delimiter or a line end must be in double quotes"
        )

    def _batch(self, rows: Sequence[Sequence[str]], starts: Sequence[int]) -> pa.RecordBatch:
        columns = zip(self._names, self._kinds, zip(*rows, strict=True), strict=True)
        arrays = [self._array(name, kind, cells, starts) for name, kind, cells in columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, name: str, kind: str, cells: Sequence[str], starts: Sequence[int]) -> "pa.Array[Any]":
        type_, parse = _TYPES[kind]
        values: list[object] = []
        if parse is None:
            try:
                # Not pa.array(), which imports pandas to ask whether the cells are its own: 47 MB, and a quarter of a second.
                text = pa.lib.StringBuilder()
                text.append_values(cells)
                return text.finish()
            except UnicodeEncodeError:  # codecs such as unicode_escape make half characters
                raise SourceError(
                    f"{shown(self._path)}: line {starts[0]} or later: column {name!r} holds text that is no Unicode"
                ) from None
        for cell, line in zip(cells, starts, strict=True):
            try:
                values.append(parse(stripped) if (stripped := cell.strip()) else None)
            except ValueError:
                raise SourceError(
                    f"{shown(self._path)}: line {line}: column {name!r} should be {kind} (input.csv.types), "
                    f"and {cell[:_SHOWN_CHARS]!r} is not; {_EXPECTED[kind]}"
                ) from None
        return pa.array(values, type_)


def _records(path: AnyFile, options: CsvOptions, digest: Digest) -> Iterator[tuple[int, list[str]]]:
    """Give each record with the line it starts on, the header first; blank lines are none."""
    delimiter = options.delimiter or ("\t" if format_of(path) == "tsv" else ",")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise SourceError(f"input.csv.delimiter: {delimiter!r} cannot separate cells; give one character such as , or ;")
    csv.field_size_limit(MOST_LINE)  # the whole process's, and only ever raised; the default is 128 KiB
    # Not strict, the parser would take the rest of the file into a cell whose quote is never closed, and say nothing.
    reader = csv.reader(lines(path, options.encoding, newline="", digest=digest), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(f"{shown(path)}: line {start}: {_explained(str(error))}") from None


def _explained(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quote that is opened here is never closed"
    if "expected after" in error:
        return "text follows a closing quote; a double quote inside a quoted cell is written twice"
    if "field larger" in error:
        return f"a cell of more than {MOST_LINE >> 20} million characters; a quote is probably never closed"
    return error


def _named(header: Sequence[str], path: AnyFile) -> list[str]:
    # pandas writes its index under no name, and calls it this when it reads it again.
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    if any("\0" in name for name in names):
        raise SourceError(f"{shown(path)}: line 1: NUL characters in the header; it looks like UTF-16: set input.csv.encoding")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"{shown(path)}: line 1: the column name {twice!r} stands there twice; rename one")
    return names


def _check_types(types: Mapping[str, str], names: Sequence[str], path: AnyFile) -> None:
    for column, kind in types.items():
        if column not in names:
            near = get_close_matches(column, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:20])}"
            raise SourceError(f"input.csv.types: {shown(path)} has no column {column!r}; {hint}")
        if kind not in _TYPES:
            raise SourceError(f"input.csv.types.{column}: found {kind!r}, allowed: {', '.join(_TYPES)}")


_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?|nan)", re.ASCII | re.IGNORECASE)
_FINER_THAN_US = re.compile(r"[.,]\d{6}\d*[1-9]", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _int64(cell: str) -> int:
    # int() takes 1_000 and Arabic digits, and refuses 5,000 digits in its own words.
    if not _INTEGER.fullmatch(cell) or len(cell) > 100 or not -(2**63) <= int(cell) < 2**63:
        raise ValueError
    return int(cell)


def _float64(cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError
    number = float(cell)
    if math.isinf(number) and any(char.isdigit() for char in cell):  # 1e999: no infinity was meant
        raise ValueError
    return number


def _bool(cell: str) -> bool:
    match cell.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise ValueError


def _date(cell: str) -> date:
    if not _DAY.fullmatch(cell):
        raise ValueError
    return date.fromisoformat(cell)


def _timestamp(cell: str) -> datetime:
    moment = datetime.fromisoformat(cell)
    # A column has one time zone or none: dropping the offset would move the moment.
    if moment.tzinfo is not None or not _DAY.match(cell):
        raise ValueError
    if _FINER_THAN_US.search(cell):  # Python would drop these digits
        raise ValueError
    return moment


_TYPES: Mapping[str, tuple[pa.DataType, Callable[[str], object] | None]] = {
    "string": (pa.string(), None),
    "int64": (pa.int64(), _int64),
    "float64": (pa.float64(), _float64),
    "bool": (pa.bool_(), _bool),
    "date": (pa.date32(), _date),
    "timestamp": (pa.timestamp("us"), _timestamp),
}

_EXPECTED = {
    "int64": "a whole number of at most 64 bits is",
    "float64": "a number such as 0.5 or 1e-3 is",
    "bool": "true, false, 1 or 0 is",
    "date": "a day such as 2024-01-31 is",
    "timestamp": "a time such as 2024-01-31 06:00:00 is, without an offset and to the microsecond at most",
}
