"""One input file of a source, and whether it is still the one that was opened."""

from dataclasses import dataclass

import pyarrow as pa

from pipeline.core.errors import InputChangedError
from pipeline.sources.footers import stat_tuple
from pipeline.sources.slices import Index, Stat
from pipeline.sources.wording import shown
from pipeline.storage import AnyFile, RemoteFile


@dataclass(frozen=True, slots=True)
class InputFile:
    """One Parquet file as it was when the source was made: rows `first` to `stop` of all.

    For an `index`, `original` is the stat of the file that it was made from.
    """

    path: AnyFile
    first: int
    stop: int
    stat: Stat
    schema: pa.Schema
    index: Index | None = None
    original: Stat | None = None

    def check(self) -> None:
        """Raise InputChangedError if the file is no longer the one that was opened; a store is asked."""
        try:
            now = stat_tuple(self.path.fresh() if isinstance(self.path, RemoteFile) else self.path)
        except OSError:
            raise InputChangedError(f"{shown(self.path)}: the file vanished during the run; put it back and run again") from None
        if now != self.stat:
            raise InputChangedError(f"{shown(self.path)}: the file changed during the run; put the old one back and run again")
