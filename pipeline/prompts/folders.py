"""The folder that image cells may name files in: on a local disk (files.py), or in an object store (remote_files.py)."""

from pathlib import Path
from typing import Protocol

from pipeline.core.locations import Location
from pipeline.prompts.files import Folder


class AnyFolder(Protocol):
    """Reads what lies below one place, and nothing else. Safe to use from several threads."""

    @property
    def in_store(self) -> bool:
        """Whether names may be whole locations such as s3://bucket/key."""

    def read(self, name: str, most_bytes: int, *, was: tuple[int, int, int] | None = None) -> bytes:
        """Give what a name means. Raise BadRowError if the name is to blame, another RowcallError if it is not: the row is then
        still to do."""


def folder_of(root: Path | Location, *, key: str = "images.root") -> AnyFolder:
    """Give the folder at a place. Raises ConfigError if there is no such folder on the disk; a store is not asked yet."""
    if isinstance(root, Location):
        from pipeline.prompts.remote_files import RemoteFolder  # few jobs need the stores' library

        return RemoteFolder(root, key=key)
    return Folder.of(root, key=key)
