"""Text files, plain or gzipped, line by line: decoded strictly, in bounded memory, with errors that name the line."""

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from pipeline.core.errors import SourceError
from pipeline.sources.wording import reason, shown
from pipeline.storage import AnyFile

# Longer than any image in base64 that an endpoint takes. A file without line ends must not fill the memory.
MOST_LINE = 64 << 20

_BLOCK = 1 << 16


class Digest:
    """The hash of a file's bytes, made while its lines are read. It is that of the file when they have been read to the end."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def update(self, data: memoryview) -> None:
        self._sha256.update(data)


def lines(path: AnyFile, encoding: str, *, newline: str | None, digest: Digest | None = None) -> Iterator[str]:
    """Give the lines with their ends. `newline` as in open(): "" ends lines at \\n, \\r and \\r\\n, "\\n" at that alone.

    A byte order mark is dropped. Raises SourceError for bytes that do not fit the encoding, an endless line, a broken
    .gz, and a file that cannot be read.
    """
    number = 0
    try:
        with _opened(path, digest) as raw, io.TextIOWrapper(raw, encoding=encoding, newline=newline) as text:
            while line := text.readline(MOST_LINE):
                number += 1
                if len(line) == MOST_LINE:
                    raise SourceError(f"{shown(path)}: line {number} is longer than {MOST_LINE >> 20} million characters")
                yield line.removeprefix("\ufeff") if number == 1 else line
    except UnicodeError:
        raise _bad_text(path, encoding) from None
    except LookupError:
        raise SourceError(f"input.csv.encoding: {encoding!r} is not a text encoding; utf-8 or latin-1 are") from None
    except EOFError:
        raise SourceError(f"{shown(path)}: cut off after line {number}: the .gz ends too early") from None
    except (gzip.BadGzipFile, zlib.error):
        raise SourceError(f"{shown(path)}: broken after line {number}: not valid gzip") from None
    except OSError as error:
        raise SourceError(f"{shown(path)}: cannot be read: {reason(error)}") from error


@contextmanager
def _opened(path: AnyFile, digest: Digest | None = None) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        raw = plain if digest is None else cast(BinaryIO, io.BufferedReader(_Digesting(plain, digest), _BLOCK))
        if not path.name.lower().endswith(".gz"):
            yield raw
            return
        with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
            yield cast(BinaryIO, unpacked)


class _Digesting(io.RawIOBase):
    """Gives the bytes of a file on, and to a digest."""

    def __init__(self, file: BinaryIO, digest: Digest) -> None:
        self._file = cast(io.BufferedReader, file)
        self._digest = digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer)
        self._digest.update(memoryview(buffer)[:size])
        return size


def _bad_text(path: AnyFile, encoding: str) -> SourceError:
    try:
        return _bad_byte(path, encoding)
    except (EOFError, gzip.BadGzipFile, zlib.error):  # a damaged .gz gives wrong bytes before it is found out
        return SourceError(f"{shown(path)}: not valid gzip")


def _bad_byte(path: AnyFile, encoding: str) -> SourceError:
    """Read the file once more to say on which line decoding fails: decoders know places in blocks only."""
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    line = 1
    with _opened(path) as file:
        try:
            while True:
                block = file.read(_BLOCK)
                line += newlines.decode(block, final=not block).count("\n")
                if not block:
                    break
        except UnicodeDecodeError as error:
            line += _line_ends(error.object[: error.start], encoding)
            what = f"byte 0x{error.object[error.start]:02X} is not {encoding}" if error.object else f"not {encoding}"
        except UnicodeError:
            what = f"not {encoding}"
        else:
            what = f"not {encoding}"
    return SourceError(f"{shown(path)}: line {line}: {what}; {_remedy(path)}")


def _line_ends(data: bytes, encoding: str) -> int:
    return data.decode(encoding, "ignore").replace("\r\n", "\n").replace("\r", "\n").count("\n")


def _remedy(path: AnyFile) -> str:
    if ".jsonl" in path.name.lower():
        return "JSON is always UTF-8, convert the file"
    with _opened(path) as file:
        head = file.read(2)
    if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it looks like UTF-16: set input.csv.encoding to utf-16"
    return "set input.csv.encoding to what the file is written in, e.g. cp1252 or latin-1"
