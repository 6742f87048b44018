"""What a part file proves of itself: whose it is and which rows it holds, by its metadata; its content, by checksums."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.checkpoint import files, job_file, parquet, sealing
from pipeline.checkpoint.entries import PartEntry, SealedFile
from pipeline.checkpoint.job_file import JobFile
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.recovery import PART_NAME
from pipeline.checkpoint.schema import outcomes_of
from pipeline.core.errors import DamagedError
from pipeline.core.tally import Tally
from pipeline.core.types import Outcome, Part

if TYPE_CHECKING:
    from pipeline.storage import AnyFile


@dataclass(frozen=True, slots=True)
class Found:
    """A part file that can be read, whole or not, and what it says of itself; `job` is what job.json said when it was sealed."""

    path: Path
    part: Part
    generation: int
    tally: Mapping[str, Any]
    job: JobFile | None


def part_files(layout: Layout) -> Iterator[tuple[str, Found]]:
    """Give the part files whose footer can be read, each with the record that it says it belongs to."""
    for path in sorted(sealing.names(layout)):
        name, facts = PART_NAME.fullmatch(path.name), parquet.facts(path)
        if name is None or facts is None:
            continue
        rows_, said = facts
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            part = Part(int(said["part"]), int(said["start"]), int(said["stop"]))  # type: ignore[call-overload]
            if len(part) == rows_ > 0 and part.id == int(name[1]) and said["generation"] == int(name[2]):
                job = job_file.parse(str(said.get("job_file")).encode())
                yield str(said["record"]), Found(path, part, int(name[2]), dict(said["tally"]), job)  # type: ignore[call-overload]


def read_back(path: "AnyFile", first: int, part: Part, schema: pa.Schema) -> Iterator[Outcome]:
    """Read the outcomes of a part from a file, up to where it is damaged."""
    at = part.start
    with suppress(DamagedError, pa.ArrowException):
        for batch in parquet.read_rows(path, first, first + len(part), schema):
            yield from (each for each in outcomes_of(batch, at) if each is not None)
            at += batch.num_rows


def tally_of(outcomes: Iterable[Outcome]) -> Tally:
    tally = Tally()
    for each in outcomes:
        tally.add(each)
    return tally


def adds_up(tally: Tally, said: Mapping[str, Any]) -> bool:
    """Whether outcomes are those that a file was sealed with; costs are sums of floats, and those depend on the order."""
    mine, cost = tally.to_json(), said.get("cost")
    if {**mine, "cost": cost} != said or not isinstance(cost, float | int):
        return False
    return isclose(tally.cost, cost, rel_tol=1e-6, abs_tol=1e-9)


def is_whole(layout: Layout, entry: PartEntry) -> bool:
    assert entry.file is not None
    path = layout.parts / entry.file.name
    return path.is_file() and path.stat().st_size == entry.file.size and files.sha256_of(path) == entry.file.sha256


def as_sealed(path: Path) -> SealedFile:
    seen = path.stat()
    return SealedFile(path.name, seen.st_size, seen.st_mtime_ns, files.sha256_of(path))
