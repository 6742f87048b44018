"""The job's input: which files belong to it, since when, and their rows as one numbered sequence.

A file joins the job once. Later it may vanish (its recorded rows stand), move, or be joined by others; it may not change.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pipeline.checkpoint.entries import PICTURES, StoredFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.record import Record
from pipeline.config import Config
from pipeline.core.errors import BadRowError, InputChangedError, MismatchError, SourceError
from pipeline.core.interfaces import ReadSlice, Render
from pipeline.core.types import Prompt, Row
from pipeline.jobs import albums
from pipeline.jobs.input_files import key_in
from pipeline.sources import (
    CsvOptions,
    FileIdentity,
    Found,
    Head,
    Index,
    Joined,
    KnownFile,
    ParquetSource,
    count_rows,
    find,
    footers_of,
    format_of,
    head,
    head_of_pictures,
    identify,
    join,
    stage,
    staged_before,
    staged_ok,
)
from pipeline.sources.wording import shown
from pipeline.storage import AnyFile, RemoteFile

# A cell under this name, which no input column can have, says that the row's file is gone.
GONE = "\0gone"


@dataclass(frozen=True, slots=True)
class JoinedFile:
    """One file of the job: rows `start` to `stop`, readable as Parquet by `path`, or None if it has vanished.

    `lost` are rows of an album whose pictures' folder has lost them all.
    """

    stored: StoredFile
    start: int
    stop: int
    original: AnyFile | None
    path: AnyFile | Index | None
    lost: tuple[albums.Lost, ...] = ()


def csv_options(config: Config) -> CsvOptions:
    csv = config.input.csv
    return CsvOptions(csv.delimiter, csv.encoding, dict(csv.types))


def find_files(config: Config) -> Found:
    """List what `input.path` names now. Raises SourceError for a file that was named and is not there."""
    return find(config.input.path, exclude=[config.output.place])


def first_rows(found: Found, config: Config, rows: int) -> Head:
    """Look at the first rows of what was found, without staging anything."""
    return head_of_pictures(found.pictures, rows=rows) if found.pictures else head(found.tables, csv_options(config), rows=rows)


def join_files(
    record: Record, layout: Layout, config: Config, found: Found, *, notice: Callable[[str], None]
) -> list[JoinedFile]:
    """Give the job's files in the order of joining, new ones behind those it has.

    New ones join the record only by `record.add_files`: call that once it is known that their columns fit. CSV and JSONL
    files that are still needed are staged. Raises MismatchError for a file whose content changed.
    """
    if albums.are_meant(record, found):
        added, lost = albums.join_pictures(record, layout, found.pictures, notice=notice)
        files = _laid_out(record, [*record.files(), *added], layout, config, {})
        return [replace(each, lost=tuple(one for one in lost if each.start <= one.start < each.stop)) for each in files]
    stored = {each.id: each for each in record.files()}
    joined = _joined(record, layout, found)
    if joined.changed:
        names = ", ".join(each.path for each in joined.changed[:3])
        raise MismatchError(
            f"{names}: the content changed since it joined the job; put the old file back, start over with --fresh,"
            " or give another output.path"
        )
    for known, key in joined.moved:
        record.update_file(_with_path(stored[known.id], key))
    for known, now in joined.touched:
        record.update_file(replace(stored[known.id], mtime_ns=now.mtime_ns, inode=now.inode))
    footers_of([path for _, path in joined.new if isinstance(path, RemoteFile) and format_of(path) == "parquet"])  # many at once
    new = [_new_file(path, key, layout, config, len(stored) + number) for number, (key, path) in enumerate(joined.new)]
    if joined.vanished:
        notice(f"{len(joined.vanished)} input files are gone, such as {joined.vanished[0].path}; their recorded rows stay")
    return _laid_out(record, [*record.files(), *new], layout, config, dict(_keys(found.tables, layout)))


def vanished_rows(record: Record, layout: Layout, found: Found) -> int:
    """Count the rows of the job whose files are not there any more."""
    if albums.are_meant(record, found):
        return albums.gone(record, layout, found.pictures)
    return sum(each.rows for each in _joined(record, layout, found).vanished)


def have_changed(record: Record, layout: Layout, found: Found) -> bool:
    """Tell whether any file of the job is not there any more, or not as it was."""
    if any(each.kind == PICTURES for each in record.files()):
        return bool(found) and (bool(found.tables) or albums.have_changed(record, layout, found.pictures))
    joined = _joined(record, layout, found)
    return bool(joined.vanished or joined.changed)


def _joined(record: Record, layout: Layout, found: Found) -> Joined:
    return join([_known(each) for each in record.files()], _keys(found.tables, layout))


def _keys(found: Sequence[AnyFile], layout: Layout) -> list[tuple[str, AnyFile]]:
    return [(key_in(layout, path), path) for path in found]


def _known(stored: StoredFile) -> KnownFile:
    return KnownFile(
        stored.id,
        stored.path,
        stored.rows,
        FileIdentity(stored.size, stored.mtime_ns, stored.inode, stored.footer, stored.sha256),
    )


def _with_path(stored: StoredFile, key: str) -> StoredFile:
    return replace(stored, path=key)


def _new_file(path: AnyFile, key: str, layout: Layout, config: Config, id_: int) -> StoredFile:
    readable = as_parquet(path, layout, id_)
    target = readable.path if isinstance(readable, Index) else readable
    if isinstance(target, Path) and target != path:
        # Read once: what it is is known when it is staged.
        options = csv_options(config)
        identity = staged_before(path, target, options) or stage(path, target, options)
    else:
        identity = identify(path)
    return StoredFile(
        id_, key, count_rows(readable), identity.size, identity.mtime_ns, identity.inode, identity.footer, identity.sha256
    )


def _readable(path: AnyFile, layout: Layout, config: Config, id_: int, identity: FileIdentity) -> AnyFile | Index:
    """Give the file as Parquet: itself, or its staged copy or index, made now if need be."""
    readable = as_parquet(path, layout, id_)
    target = readable.path if isinstance(readable, Index) else readable
    options = csv_options(config)
    if isinstance(target, Path) and target != path and not staged_ok(target, identity, options):
        made = stage(path, target, options)
        if made.footer != identity.footer or (made.sha256 is not None and made.sha256 != identity.sha256):
            raise InputChangedError(f"{shown(path)}: the file changed while it was read; put the old one back and run again")
    return readable


def as_parquet(path: AnyFile, layout: Layout, id_: int) -> AnyFile | Index:
    """Give where a file of the job is, or would be, readable as Parquet."""
    staged = layout.staged / f"file-{id_:06d}.parquet"
    match format_of(path):
        case "parquet":
            return path
        case "tar" if isinstance(path, Path):
            return Index(staged, path, layout.anchor)
    return staged


def _laid_out(
    record: Record, joined: Sequence[StoredFile], layout: Layout, config: Config, here: dict[str, AnyFile]
) -> list[JoinedFile]:
    # Rows that are on record and in no retry need no input: a CSV file of last year is not staged again.
    # An open part may have lost the columns that were set aside for it.
    needed = [part.part for part in record.parts() if part.left or not part.sealed]
    files, start = [], 0
    for stored in joined:
        stop = start + stored.rows
        if stored.kind == PICTURES:
            album = albums.index_of(layout, stored.id)
            files.append(JoinedFile(stored, start, stop, album.path, album))
            start = stop
            continue
        original = here.get(stored.path)
        wanted = record.job is None or stop > record.planned or any(part.start < stop and start < part.stop for part in needed)
        path = None
        if original is not None and wanted:
            identity = FileIdentity(stored.size, stored.mtime_ns, stored.inode, stored.footer, stored.sha256)
            path = _readable(original, layout, config, stored.id, identity)
        files.append(JoinedFile(stored, start, stop, original, path))
        start = stop
    return files


class JoinedSource:
    """Implements core.interfaces.Source over all files of a job; rows of a vanished file come with the cell GONE.

    `schema` is what all files of the job agree on, if that is known: `columns` gives its types. `read` gets what kept columns
    hold that lie in files.
    """

    def __init__(
        self,
        files: Sequence[JoinedFile],
        *,
        prompt_columns: Sequence[str],
        kept_columns: Sequence[str],
        schema: pa.Schema | None = None,
        read: ReadSlice | None = None,
    ) -> None:
        self.schema = schema
        self.files = [each for each in files if each.stop > each.start]
        self._segments: list[tuple[int, int, ParquetSource | None, str]] = []
        for group in _groups(self.files):
            start, stop = group[0].start, group[-1].stop
            paths = [each.path for each in group if each.path is not None]
            source = None
            if paths:
                source = ParquetSource(paths, prompt_columns=prompt_columns, kept_columns=kept_columns, schema=schema, read=read)
            self._segments.append((start, stop, source, group[0].stored.path))

    def count(self) -> int:
        return self._segments[-1][1] if self._segments else 0

    def rows(self, ranges: Sequence[range]) -> Iterator[Sequence[Row]]:
        for start, stop, source, name in self._segments:
            within = [
                range(max(each.start, start) - start, min(each.stop, stop) - start)
                for each in ranges
                if each.start < stop and start < each.stop
            ]
            if not within:
                continue
            if source is None:
                for each in within:
                    yield [Row(start + index, {GONE: name}) for index in each]
            else:
                for batch in source.rows(within):
                    yield [Row(start + row.index, row.cells, row.size) for row in batch] if start else batch

    def columns(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        for first, last, source, name in self._segments:
            if first < stop and start < last:
                if source is None:
                    raise SourceError(f"{name}: the file is gone, and not all of its rows are on record; put it back")
                yield from source.columns(max(start, first) - first, min(stop, last) - first)

    def close(self) -> None:
        """Let go of the files and of what was read ahead. Reading again opens them again."""
        for _, _, source, _ in self._segments:
            if source is not None:
                source.close()


def _groups(files: Sequence[JoinedFile]) -> Iterator[list[JoinedFile]]:
    """Join neighbours that are there into one source; each vanished file stands alone, under its own name."""
    group: list[JoinedFile] = []
    for each in files:
        if group and (each.path is None or group[-1].path is None):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def check_vanished(record: Record, files: Sequence[JoinedFile], scope: int) -> None:
    """Refuse to start when rows that were never asked lie in a file that is gone, or rows to ask where no picture is left."""
    for lost in (each for file in files for each in file.lost):
        todo = [each for state in record.parts() if state.left for each in record.missing(state.part)]
        if any(each.start < lost.stop and lost.start < each.stop for each in [*todo, range(record.planned, scope)]):
            raise SourceError(
                f"{shown(lost.folder)}: not one of the job's pictures is there any more, and not all of their rows are on record;"
                " is its disk mounted? Put them back and run again, or start over with --fresh"
            )
    # An open part lacks outcomes; what a retry asks again has one.
    unasked = [(each.part.start, each.part.stop) for each in record.parts() if each.tally.done < len(each.part)]
    if scope > record.planned:
        unasked.append((record.planned, scope))
    for each in files:
        if each.original is None and any(start < each.stop and each.start < stop for start, stop in unasked):
            raise SourceError(
                f"{each.stored.path}: the file is gone, and not all of its rows are on record;"
                " put it back, or start over with --fresh"
            )


def heed_gone(render: Render, files: Sequence[JoinedFile]) -> Render:
    """Let rows of vanished files fail by name, instead of by their missing columns."""
    if all(each.path is not None for each in files):
        return render

    def checked(row: Row) -> Prompt:
        if GONE in row.cells:
            raise BadRowError(f"the input file {row.cells[GONE]} is gone")
        return render(row)

    return checked
