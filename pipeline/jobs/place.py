"""Where a job lies, and whether somebody runs it: known before anything slow is imported."""

from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.config import Config


def layout_of(config: Config) -> Layout:
    """Give where the job's output and record lie."""
    return Layout.of(config.output.place, is_directory=config.output.is_directory, folder=config.checkpoint.dir)


def refuse_if_running(config: Config) -> None:
    """Raise BusyError, naming the holder, if a run holds the job just now. Whoever goes on takes the lock all the same."""
    layout = layout_of(config)
    if layout.lock.exists():
        with hold(layout, "check"):
            pass
