"""The command, altered as its first argument says: in one thread, for strace; or with one mistake, as a negative control.

    python -m tests.whole.faults.altered one-thread,output-in-place run job.yaml

A trial that does not catch the mistake it is there for is blind.
"""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO

import uvloop

from pipeline.checkpoint import files, publish
from pipeline.checkpoint.journal import JournalFile
from pipeline.cli import main
from pipeline.engine import room
from pipeline.engine.threads import Threads


class AtOnce(Executor):
    """Does what it is given at once, in the thread that gives it."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **named))
        except BaseException as error:  # the future's, as with any executor
            future.set_exception(error)
        return future


def one_thread() -> None:
    """All disk work in one thread, since strace counts each thread's calls for itself; and no socket written by `write`."""
    Threads.start = lambda *, render: Threads(AtOnce(), AtOnce(), AtOnce(), AtOnce() if render else None, ExitStack())
    uvloop.new_event_loop = asyncio.SelectorEventLoop


def short_pause() -> None:
    """A full disk is waited for two seconds instead of a minute: a sweep is hundreds of runs."""
    room.LONGEST_S, room.AGAIN_S = 2.0, 0.5


def commits_unsynced() -> None:
    """SQLite's own recommendation for a write-ahead log, which a power cut shows to be no good here."""
    configure = JournalFile._configure

    def normal(journal: JournalFile) -> None:
        configure(journal)
        journal._db.execute("PRAGMA synchronous = NORMAL")

    JournalFile._configure = normal


def names_unsynced() -> None:
    """A file's bytes are synced, its name is not."""
    files.sync_folder = lambda folder: None


def output_in_place() -> None:
    """The output is written under its own name."""
    publish.temporary_name = lambda book: "out.parquet"


def syncs_unheeded() -> None:
    """A failed fsync is passed over."""
    sync = files.sync

    def unheeded(file: BinaryIO) -> None:
        with suppress(OSError):
            sync(file)

    files.sync = unheeded


ALTERATIONS = {
    each.__name__.replace("_", "-"): each
    for each in (one_thread, short_pause, commits_unsynced, names_unsynced, output_in_place, syncs_unheeded)
}

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        ALTERATIONS[name]()
    main()
