"""Where the output's files lie, on a local disk or in an object store, seen alike by all that publish, prove and read them.

disk_shelf gives files their names by renaming, store_shelf by putting them there whole. What both share is in publish and
announced: new files are written to a local disk, announced in the journal, put in their places, and only then marked.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.checkpoint import files
from pipeline.checkpoint.book import Book
from pipeline.checkpoint.entries import Announced, OutputFile
from pipeline.checkpoint.layout import Layout
from pipeline.core.errors import MismatchError
from pipeline.core.locations import Location

if TYPE_CHECKING:
    from pipeline.storage import AnyFile

MANIFEST = "_manifest.json"

Notice = Callable[[str], None]


def temporary_name(book: Book) -> str:
    # The record's id tells a later run which leftovers are its own; the output's name could make this one too long.
    return f".rowcall-{book.id[:8]}-{files.random_name()}.tmp"


def unheard(text: str) -> None:
    """Take no notice: of who has nobody to tell."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file looks like from outside. A store has no inodes, and may keep whole seconds only."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Draft:
    """The folder where new files are written. If it is to become the output as it is, `announced` is its name, and the files have
    theirs already; None if each has a temporary name."""

    folder: Path
    announced: str | None = None


class Shelf(Protocol):
    """The place of one job's output. Files go by their names in OutputFile; nothing is remembered from one call to the next.

    Raises OSError for a local disk that fails; for a store StoppedError, or StorageError where somebody has to see to it.
    """

    def place(self, name: str) -> Path | Location:
        """Give where a file lies, to be named to the user."""

    def prove_writable(self) -> None:
        """See that files can be put here. Of a local disk layout.preflight() has done so."""

    def exists(self) -> bool:
        """Whether there is anything at all at the output's place."""

    def seen(self) -> Mapping[str, Stamp | None]:
        """Look at everything that lies there, ours or not, at once; None is what no file of ours can be, such as a link."""

    def stamp(self, name: str) -> Stamp | None:
        """Look at one file; None if it is not there."""

    def matching(self, wanted: Sequence[OutputFile]) -> set[str]:
        """Give the names of those of these files that are there with the size and sha256 they should have: all is read."""

    def readable(self, file: OutputFile) -> "AnyFile":
        """Give a file for readers of Parquet. It has to be the one on record: see stamp()."""

    def copy_here(self, file: OutputFile) -> None:
        """Make a file quick to read in many pieces, until clear(). Raises MismatchError if it is not the one on record."""

    def copied(self, file: OutputFile) -> Path | None:
        """Give the proven copy that copy_here() made; None if there is none, or no need of one."""

    def manifest(self) -> bytes | None:
        """Read the manifest, None if there is none."""

    def draft(self, book: Book) -> Draft:
        """Give where new files are to be written."""

    def drafted(self, announced: Announced) -> set[str]:
        """Give the names of announced files that lie there, whole, and wait for their places."""

    def put(self, book: Book, announced: Announced, placed: Collection[str], notice: Notice) -> None:
        """Bring announced files to their places, but for those in `placed`, and then the manifest. May be repeated."""

    def clear(self, book: Book) -> None:
        """Remove drafts and copies, unless something is announced."""

    def move(self, to: Path | Location) -> None:
        """Rename the output, whatever lies in it."""


def gone(place: Path | Location) -> MismatchError:
    return MismatchError(f"{place}: the finished job's output is missing; put it back, or ask every row again with --fresh")


def changed(place: Path | Location) -> MismatchError:
    return MismatchError(
        f"{place}: the finished job's output was changed since it was written; put the original back, "
        "or ask every row again with --fresh"
    )


def shelf_of(layout: Layout) -> Shelf:
    """Give the shelf of a job's output."""
    if isinstance(layout.output, Location):
        # Here and not above: for a local output nothing of a store is imported.
        from pipeline.checkpoint.store_shelf import StoreShelf

        return StoreShelf(layout, layout.output)
    from pipeline.checkpoint.disk_shelf import DiskShelf

    return DiskShelf(layout, layout.output)
