"""Where a job lies, and whether somebody runs it: known before anything slow is imported."""

from pathlib import Path

from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.config import Config
from pipeline.core.errors import ConfigError
from pipeline.core.locations import Location


def local(place: Path | Location, key: str) -> Path:
    """Give a path on a local disk. Raises ConfigError for a location in a store, where there is no way to it yet."""
    if isinstance(place, Location):
        raise ConfigError(f"{key}: {place} lies in an object store, which is not reached from here yet")
    return place


def layout_of(config: Config) -> Layout:
    """Give where the job's output and record lie."""
    return Layout.of(config.output.place, is_directory=config.output.is_directory, folder=config.checkpoint.dir)


def refuse_if_running(config: Config) -> None:
    """Raise BusyError, naming the holder, if a run holds the job just now. Whoever goes on takes the lock all the same."""
    layout = layout_of(config)
    if layout.lock.exists():
        with hold(layout, "check"):
            pass
