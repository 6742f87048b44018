"""What captioners check, for a job that sends pictures: looked through once, when its output has just been published."""

import hashlib
from collections.abc import Callable, Mapping
from itertools import compress

from pipeline.checkpoint.record import Record
from pipeline.checkpoint.rows import published_batches
from pipeline.core.errors import RowcallError

_ABOUT = "output_id"
_COLUMNS = ("completion", "finish_reason", "extra")


def look_through(record: Record, notice: Callable[[str], None]) -> Mapping[str, object] | None:
    """Check the published captions; None, and a notice, if an interrupt comes or they cannot be read back."""
    try:
        return {_ABOUT: _output_id(record), **_checked(record)}
    except RowcallError as error:  # every row is published: how that went is not to depend on what it looks like
        notice(f"the captions were not checked: {error}")
        return None


def on_record(record: Record) -> Mapping[str, object] | None:
    """Give what an earlier run found of the output as it is published now, None if none looked."""
    output_id = _output_id(record)
    for run in reversed(record.runs()):
        found = (run.summary or {}).get("captions")
        if isinstance(found, Mapping) and found.get(_ABOUT) == output_id:
            return found
    return None


def _checked(record: Record) -> dict[str, object]:
    # Here and not above: its patterns take a while to build, and a job without pictures has no use for them.
    from pipeline.core.captions import CaptionChecks

    checks = CaptionChecks(record.published_rows or 0)
    for batch in published_batches(record.book, record.layout, ("status", *_COLUMNS)):
        # Not by Arrow's own filter: importing it takes longer than a thousand rows do.
        replies = [each == "ok" for each in batch["status"].to_pylist()]
        checks.add(*([*compress(batch[name].to_pylist(), replies)] for name in _COLUMNS))
    return checks.to_json()


def _output_id(record: Record) -> str:
    return hashlib.sha256("".join(each.sha256 for each in record.outputs).encode()).hexdigest()[:16]
