"""What the journal holds besides outcomes: parts, input files, output files, runs, the job. Plain values and their JSON."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import orjson
import pyarrow as pa

from pipeline.checkpoint.schema import output_schema
from pipeline.core.tally import Tally
from pipeline.core.types import Part


@dataclass(frozen=True)
class StoredJob:
    """What makes the job this job.

    `fingerprint` is its facts by name; `config` is free of secrets. `schema` is that of the kept input columns, `prefix`
    stands before each result column.
    """

    fingerprint: Mapping[str, str]
    config: Mapping[str, object]
    schema: pa.Schema
    prefix: str = ""

    @cached_property
    def output_schema(self) -> pa.Schema:
        return output_schema(self.schema, self.prefix)

    def to_bytes(self) -> bytes:
        schema = base64.b64encode(self.schema.serialize().to_pybytes()).decode("ascii")
        return orjson.dumps({"fingerprint": self.fingerprint, "config": self.config, "schema": schema, "prefix": self.prefix})

    @classmethod
    def from_bytes(cls, body: bytes) -> "StoredJob":
        stored = orjson.loads(body)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(stored["schema"])))
        return cls(stored["fingerprint"], stored["config"], schema, stored["prefix"])


# The kind of an input file that is a list of pictures, staged in the record: it is nowhere else.
PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An input file as it was when it joined the job. `id` is the order of joining; `path` is the caller's key.

    `footer` is a hash of a Parquet footer, `sha256` that of all bytes; None while unknown. `kind` is PICTURES for a staged list
    of them, whose `path` only says where they lie, and None for a file of the user's.
    """

    id: int
    path: str
    rows: int
    size: int
    mtime_ns: int
    inode: int
    footer: str | None = None
    sha256: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A past or present run. `ended` is None while it runs, and for ever if it died; `note` is the caller's.

    `concurrency` bounds the rows that were in flight if it died. Times are wall-clock seconds since the epoch.
    """

    id: int
    started: float
    host: str
    pid: int
    concurrency: int
    note: Mapping[str, object] = field(default_factory=dict)
    ended: float | None = None
    died: bool = False
    summary: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run's number, and at most how many rows were in flight in earlier runs that died without a word."""

    id: int
    in_flight_of_dead: int


@dataclass(frozen=True, slots=True)
class PartState:
    """Where a part stands.

    `sealed`: its outcomes all lie in a file, the part's own or the output; nothing waits to be merged.
    `published`: the output itself holds them. `left` rows are still to be asked, those of a retry included.
    `tally` counts recorded outcomes, also those a retry is to replace.
    """

    part: Part
    sealed: bool
    published: bool
    left: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An open part's kept columns, set aside: name in kept/, bytes, and CRC-32 of all of them."""

    name: str
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A sealed part: name in parts/, and what proves that it is still the same."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part in the journal.

    open       outcomes in the journal, kept columns in `kept` (None if the job keeps none)
    sealed     everything in `file`; a retry's newer outcomes lie over it in the journal
    published  everything in the output; likewise

    `generation` counts how often it was sealed. `tally` counts the current outcomes, None while open.
    """

    part: Part
    state: Literal["open", "sealed", "published"] = "open"
    generation: int = 0
    kept: KeptFile | None = None
    file: SealedFile | None = None
    tally: Tally | None = None

    def to_bytes(self) -> bytes:
        tally = None if self.tally is None else self.tally.to_json()
        return orjson.dumps({each.name: getattr(self, each.name) for each in fields(self)} | {"tally": tally})

    @classmethod
    def from_bytes(cls, body: bytes) -> "PartEntry":
        stored: dict[str, Any] = orjson.loads(body)
        return cls(
            part=Part(**stored["part"]),
            state=stored["state"],
            generation=stored["generation"],
            kept=stored["kept"] and KeptFile(**stored["kept"]),
            file=stored["file"] and SealedFile(**stored["file"]),
            tally=None if stored["tally"] is None else Tally.from_json(stored["tally"]),
        )


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A published file: its name (in the output folder, or the output's own), and what proves that it is the same.

    `part` is the part it holds in a folder, None for a single file with all of them and for a folder's empty file.
    """

    name: str
    part: int | None
    rows: int
    size: int
    sha256: str
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Announced:
    """A publish under way: every new file is on disk under a temporary name and about to be renamed.

    `files` pairs each with its temporary name, beside the output or in its folder. At a folder's first publish the
    files already have their names and `folder` is the temporary name of the folder. `manifest` is the JSON to write
    last, None for a single file.
    """

    files: tuple[tuple[str | None, OutputFile], ...]
    folder: str | None = None
    manifest: str | None = None

    def to_bytes(self) -> bytes:
        return orjson.dumps(
            {"files": [[name, asdict(file)] for name, file in self.files], "folder": self.folder, "manifest": self.manifest}
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> "Announced":
        stored = orjson.loads(body)
        return cls(tuple((name, OutputFile(**file)) for name, file in stored["files"]), stored["folder"], stored["manifest"])
