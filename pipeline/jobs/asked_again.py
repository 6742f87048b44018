"""What recorded rows asked, rendered anew for a person to look at: from the output's columns, and the input where they lack.

Nothing here may end the verb that looks: of what cannot be had any more it is said why.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from pipeline.checkpoint.entries import PICTURES, StoredFile, StoredJob
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.record import Record
from pipeline.config import Config
from pipeline.core.errors import BadRowError, ConfigError, RowcallError, SourceError
from pipeline.core.locations import Location
from pipeline.core.types import Content, Image, Prompt, Row
from pipeline.jobs import albums, inputs
from pipeline.jobs.input_files import file_of
from pipeline.jobs.wiring import build_renderer, most_picture_bytes
from pipeline.prompts import Renderer, SliceReader
from pipeline.sources import FileIdentity, Index, same, staged_ok
from pipeline.sources.parquet import schema_of
from pipeline.storage import AnyFile

# Who may have been asked, at what pace and price says nothing of what was asked, and may not hold on this machine.
_SECTIONS = ("input", "prompt", "images", "output")
_INSTRUCTING = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row asked. `text` is that of its messages but for the instructions; `why` says what of it cannot be had."""

    text: str = field(default="", repr=False)
    images: tuple[Image, ...] = field(default=(), repr=False)
    why: str | None = None


def config_asked(job: StoredJob, root: Path | Location | None) -> Config | None:
    """Give the config as recorded rows were asked under, None if it cannot be read; `root` takes the place of `images.root`."""
    stored: dict[str, Any] = {key: job.config[key] for key in _SECTIONS if key in job.config}
    if root is not None and isinstance(stored.get("images"), Mapping):
        stored["images"] = {**stored["images"], "root": str(root)}
    try:
        return Config.model_validate({**stored, "endpoint": {"provider": "simulated"}})
    except ValidationError:
        return None  # it was written by another version, or names what is not on this machine


class AskedAgain:
    """Renders rows again. Give them in ascending order; input is read only where the output's own columns do not do. What is
    `asked` may be told from several threads.

    `also` names columns that are wanted beside those that were asked with. `columns` are those that the output has of all
    these. `pictured`: rows have pictures.
    """

    def __init__(self, record: Record, layout: Layout, job: StoredJob, config: Config | None, also: Sequence[str]) -> None:
        config = config and albums.suited(config, pictures=any(each.kind == PICTURES for each in record.files()))
        self._files = _files_of(record, layout, config)
        self._kept = job.schema.names
        self._planned = record.planned
        self._why = None if config is not None else "the job's config cannot be read here"
        self._read_slice = SliceReader(most_picture_bytes=most_picture_bytes(config) if config else 0, sparing=True)
        schema = pa.schema([*job.schema, *(each for each in self._input_schema() if each.name not in self._kept)])
        self._whole = self._renderer(config, schema)
        without = config and config.model_copy(update={"prompt": config.prompt.model_copy(update={"images": ()})})
        self._text = self._renderer(without, schema)
        self.pictured = config is not None and bool(config.prompt.images)
        wanted = {*also, *(self._whole.columns if self._whole else ()), *(self._text.columns if self._text else ())}
        self.columns = [name for name in self._kept if name in wanted]
        self._lacking = wanted - set(self._kept)
        self._wanted = [name for name in schema.names if name in wanted]
        self._rows: Iterator[Row] = iter(())

    def begin(self, rows: Sequence[int]) -> None:
        """Say which rows are to come."""
        self._rows = self._read([row for row in rows if self._needs_input(row)])

    def cells(self, row: int, kept: Mapping[str, object]) -> Mapping[str, object]:
        """Give a row's cells, which are `kept` as far as the output has them."""
        if not self._needs_input(row):
            return kept
        found = next(self._rows, None)
        return kept if found is None else {**found.cells, **kept}

    def asked(self, row: int, cells: Mapping[str, object]) -> Asked:
        """Render a row."""
        why: str | None = None
        text, images = "", tuple[Image, ...]()
        for renderer in (self._text, self._whole):
            if renderer is None or any(name not in cells for name in renderer.columns):
                why = why or self._lack(row)
                continue
            try:
                prompt = renderer(Row(row, cells))
            except BadRowError as error:
                why = why or str(error)
                continue
            except RowcallError:  # its words are for who runs the job: they name places on this machine
                why = why or "what it lies in is not there any more as it was"
                continue
            text, images = _text_of(prompt), _images_of(prompt)
        return Asked(text, images, why)

    def close(self) -> None:
        self._rows = iter(())
        self._read_slice.close()

    def _lack(self, row: int) -> str:
        """Say why a row cannot be rendered."""
        for each in self._files:
            if each.start <= row < each.stop and each.path is None:
                return f"the input file {each.stored.path} is not there any more as it was"
        return self._why or "the input has not the columns that were asked with"

    def _needs_input(self, row: int) -> bool:
        return row >= self._planned or bool(self._lacking)

    def _input_schema(self) -> pa.Schema:
        try:
            paths = [each.path for each in self._files if each.path is not None]
            return schema_of(paths) if paths else pa.schema([])
        except SourceError as error:
            self._why = self._why or str(error)
            return pa.schema([])

    def _renderer(self, config: Config | None, schema: pa.Schema) -> Renderer | None:
        try:
            return None if config is None else build_renderer(config, schema, self._read_slice, sparing=True)
        except ConfigError as error:
            self._why = self._why or str(error)
            return None

    def _read(self, rows: Sequence[int]) -> Iterator[Row]:
        """Read these rows; where the input ends or breaks off the rows do."""
        if not rows:
            return
        try:
            source = inputs.JoinedSource(self._files, prompt_columns=self._wanted, kept_columns=())
            try:
                for batch in source.rows([range(row, row + 1) for row in rows if row < source.count()]):
                    yield from batch
            finally:
                source.close()
        except RowcallError as error:
            self._why = self._why or str(error)


def _files_of(record: Record, layout: Layout, config: Config | None) -> list[inputs.JoinedFile]:
    """Give the job's files as far as they are there as they joined, and readable without staging."""
    files: list[inputs.JoinedFile] = []
    for stored in record.files():
        start = files[-1].stop if files else 0
        path = file_of(stored, layout)
        files.append(inputs.JoinedFile(stored, start, start + stored.rows, path, _readable(stored, path, layout, config)))
    return files


def _readable(stored: StoredFile, path: AnyFile, layout: Layout, config: Config | None) -> AnyFile | Index | None:
    if stored.kind == PICTURES:
        album = albums.index_of(layout, stored.id)
        return album if album.path.exists() else None
    identity = FileIdentity(stored.size, stored.mtime_ns, stored.inode, stored.footer, stored.sha256)
    readable = inputs.as_parquet(path, layout, stored.id)
    if readable == path:
        return path if _is_same(identity, path) else None
    if isinstance(readable, Index) and not _is_same(identity, path):
        return None
    staged = readable.path if isinstance(readable, Index) else readable
    assert isinstance(staged, Path)  # only what is Parquet already is read where it lies
    return readable if config is not None and staged_ok(staged, identity, inputs.csv_options(config)) else None


def _is_same(identity: FileIdentity, path: AnyFile) -> bool:
    try:
        return same(identity, path)
    except RowcallError:  # a store may be away, too
        return False


def _text_of(prompt: Prompt) -> str:
    said = [each for each in prompt.messages if each.role not in _INSTRUCTING] or list(prompt.messages)
    texts = [(each.role, "\n".join(filter(None, map(_text_in, each.parts)))) for each in said]
    if len(texts) == 1:
        return texts[0][1]
    return "\n".join(f"{role}: {text}" for role, text in texts)


def _text_in(part: Content) -> str:
    match part:
        case str():
            return part
        case Image():
            return ""
    return str(part["text"]) if isinstance(part.get("text"), str) else f"[{part.get('type', 'content')}]"


def _images_of(prompt: Prompt) -> tuple[Image, ...]:
    return tuple(part for message in prompt.messages for part in message.parts if isinstance(part, Image))
