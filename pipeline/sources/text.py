"""Text files, plain or gzipped, line by line: decoded strictly, in bounded memory, with errors that name the line."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.core.errors import SourceError
from pipeline.sources.wording import reason, shown

# Longer than any image in base64 that an endpoint takes. A file without line ends must not fill the memory.
MOST_LINE = 64 << 20

_BLOCK = 1 << 16


def lines(path: Path, encoding: str, *, newline: str | None) -> Iterator[str]:
    """Give the lines with their ends. `newline` as in open(): "" ends lines at \\n, \\r and \\r\\n, "\\n" at that alone.

    A byte order mark is dropped. Raises SourceError for bytes that do not fit the encoding, an endless line, a broken
    .gz, and a file that cannot be read.
    """
    number = 0
    try:
        with _opened(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline=newline) as text:
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


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb")


def _bad_text(path: Path, encoding: str) -> SourceError:
    try:
        return _bad_byte(path, encoding)
    except (EOFError, gzip.BadGzipFile, zlib.error):  # a damaged .gz gives wrong bytes before it is found out
        return SourceError(f"{shown(path)}: not valid gzip")


def _bad_byte(path: Path, encoding: str) -> SourceError:
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


def _remedy(path: Path) -> str:
    if ".jsonl" in path.name.lower():
        return "JSON is always UTF-8, convert the file"
    with _opened(path) as file:
        head = file.read(2)
    if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it looks like UTF-16: set input.csv.encoding to utf-16"
    return "set input.csv.encoding to what the file is written in, e.g. cp1252 or latin-1"
