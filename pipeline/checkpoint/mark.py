"""The count of recorded outcomes, kept outside the journal too: by it a commit shows that the journal has lost.

A few bytes rewritten in place after each commit, and not synced: what a kill -9 leaves is exact, what a power cut
leaves may be old, and neither is ever ahead of the journal. progress.json carries the same count, once a second.
"""

import os
from contextlib import suppress

import orjson

from pipeline.checkpoint import progress_file
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.outcomes import checksum

# One block of the disk at most, so that a reader finds the old count or the new one.
_BYTES = 128


class Mark:
    """Keeps the count of one record, whose id is `record`. A disk that refuses is the journal's to notice."""

    def __init__(self, layout: Layout, record: str) -> None:
        self._path = layout.folder / "mark"
        self._record = record
        self._descriptor: int | None = None

    def write(self, committed: int) -> None:
        body = orjson.dumps({"record": self._record, "committed": committed})
        line = orjson.dumps({"body": body.decode(), "crc": checksum(committed, body)})
        with suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, line.ljust(_BYTES), 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def highest(layout: Layout, record: str | None = None) -> int:
    """Give the highest count that any file beside the journal says was recorded, 0 if none says anything.

    `record`: only what is said of that record counts; None stands for any.
    """
    said = [_read(layout), progress_file.read(layout) or {}]
    counts = [each.get("committed") for each in said if record is None or each.get("record") == record]
    return max((count for count in counts if isinstance(count, int)), default=0)


def _read(layout: Layout) -> dict[str, object]:
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        line = orjson.loads((layout.folder / "mark").read_bytes())
        body = line["body"].encode()
        found = orjson.loads(body)
        if checksum(found["committed"], body) == line["crc"]:
            return dict(found)
    return {}
