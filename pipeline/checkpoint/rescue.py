"""The last resort for replies that were paid for and cannot be committed: a line of JSON each, wherever there is room.

The next run takes them in before it asks anything. A line proves itself: it names its record, and carries the outcome
with the journal's own checksum.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint.book import CHUNK_ROWS, Book
from pipeline.checkpoint.layout import Layout
from pipeline.core.types import Outcome


def spill(layout: Layout, record: str, outcomes: Sequence[Outcome]) -> Path | None:
    """Append outcomes to a rescue file, durably, in the first folder that takes them; None if none does.

    The record's folder, the output's, then the system's for temporary files.
    """
    lines = b"".join(b"\n" + _line(record, each) for each in outcomes) + b"\n"
    for path in _candidates(layout, record):
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                if _ours(os.fstat(descriptor)):
                    file.write(lines)
                    file.flush()
                    os.fsync(descriptor)
                    return path
    return None


def take_in(book: Book, layout: Layout) -> int:
    """Record what rescue files hold of this job and the journal lacks; give how many rows that was.

    A file goes once all of it is on record. One with lines that prove nothing is renamed, never deleted.
    """
    taken = 0
    for path in _found(layout, book.id):
        outcomes, doubtful = _read(path, book.id)
        lacking = [each for each in outcomes.values() if _lacks(book, each.row)]
        for start in range(0, len(lacking), CHUNK_ROWS):
            book.record(lacking[start : start + CHUNK_ROWS])
        taken += len(lacking)
        with suppress(OSError):
            if doubtful:
                path.rename(path.with_name(f"{path.name}.doubtful"))
            else:
                path.unlink()
    return taken


def _candidates(layout: Layout, record: str) -> list[Path]:
    elsewhere = f"rescue-{record}-{os.getpid()}.jsonl"
    return [
        layout.folder / f"rescue-{os.getpid()}.jsonl",
        layout.anchor / elsewhere,
        *(folder / elsewhere for folder in _for_temporary_files()),
    ]


def _found(layout: Layout, record: str) -> Iterator[Path]:
    yield from sorted(layout.folder.glob("rescue-*.jsonl"))
    for folder in dict.fromkeys((layout.anchor, *_for_temporary_files())):
        yield from sorted(folder.glob(f"rescue-{record}-*.jsonl"))


def _for_temporary_files() -> list[Path]:
    """Give the system's folder for temporary files; none where no such folder can be written to."""
    try:
        return [Path(tempfile.gettempdir())]
    except OSError:
        return []


def _line(record: str, outcome: Outcome) -> bytes:
    body = codec.encode(outcome)
    return orjson.dumps({"record": record, "row": outcome.row, "body": body.decode(), "crc": codec.checksum(outcome.row, body)})


def _read(path: Path, record: str) -> tuple[dict[int, Outcome], bool]:
    """Give a file's proven outcomes by row, the first of each, and whether it has lines that prove nothing."""
    outcomes: dict[int, Outcome] = {}
    proven = 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not _ours(os.fstat(descriptor)):
                return {}, True
            lines = [line for line in file.read().split(b"\n") if line]
    except OSError:
        return {}, True
    for line in lines:
        with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            stored = orjson.loads(line)
            row, body = stored["row"], stored["body"].encode()
            if stored["record"] == record and stored["crc"] == codec.checksum(row, body):
                proven += 1
                outcomes.setdefault(row, codec.decode(row, body))
    return outcomes, proven < len(lines)


def _lacks(book: Book, row: int) -> bool:
    if not 0 <= row < book.planned:
        return False
    entry = book.entry_at(row)
    return row in book.redo_rows(row, row + 1) or (entry.state == "open" and not book.outcomes(row, row + 1))


def _ours(seen: os.stat_result) -> bool:
    """Whether a file may be trusted: a folder for temporary files is open to everybody."""
    return stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid()
