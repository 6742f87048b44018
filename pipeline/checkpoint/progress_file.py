"""progress.json: where the run stands, for other processes to read; the record's memory outside its own database.

It is rewritten every second and not synced: after a power cut it may be old, empty or gone, never ahead of the journal.
Besides what people read it carries `Record.mark()`: from that a lost commit shows, and a run on another host.
"""

from collections.abc import Mapping
from pathlib import Path

import orjson

from pipeline.checkpoint import files
from pipeline.checkpoint.layout import Layout


def write(layout: Layout, content: Mapping[str, object]) -> None:
    """Replace progress.json; a reader sees the old or the new one whole. Raises OSError."""
    _replace(layout.progress, content)


def read(layout: Layout) -> dict[str, object] | None:
    """Give what the last run wrote, None if there is nothing readable."""
    return _read(layout.progress)


def write_summary(layout: Layout, content: Mapping[str, object]) -> None:
    """Replace summary.json, where the last run said how it ended. Raises OSError."""
    _replace(layout.summary, content)


def read_summary(layout: Layout) -> dict[str, object] | None:
    return _read(layout.summary)


def _replace(path: Path, content: Mapping[str, object]) -> None:
    files.replace(path, orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2))


def _read(path: Path) -> dict[str, object] | None:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None
