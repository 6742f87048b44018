"""Where a job's input files lie, by what the record calls them."""

from pipeline.checkpoint.entries import StoredFile
from pipeline.checkpoint.layout import Layout
from pipeline.core.locations import Location, is_remote
from pipeline.sources.joining import key_of
from pipeline.storage import AnyFile, RemoteFile


def key_in(layout: Layout, file: AnyFile) -> str:
    """Give what a job's record calls a file."""
    return key_of(file, layout.anchor)


def file_of(stored: StoredFile, layout: Layout) -> AnyFile:
    """Give a file of the user's that is on record: wherever the job lies now, or in a store."""
    if stored.kind is None and is_remote(stored.path):
        return RemoteFile(Location.parse(stored.path))
    return layout.anchor / stored.path
