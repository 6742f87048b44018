"""The inputs: Parquet files of made-up rows."""

import os
from collections.abc import Container
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.server import SLOW

_FILLER = "a question of some length, as long as it is asked for; "
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"  # what a JPEG begins with; the rest is noise, which nothing can make smaller


def write_texts(path: Path, rows: int, characters: int, slow: Container[int] = ()) -> Path:
    """Write rows whose text has so many characters. The server takes its time over those in `slow`."""
    filler = _FILLER * (characters // len(_FILLER) + 1)
    mark = SLOW.decode()
    texts = [f"{row} {mark if row in slow else ''} {filler}"[:characters] for row in range(rows)]
    pq.write_table(pa.table({"text": texts}), path)
    return path


def write_pictures(path: Path, rows: int, size: int) -> Path:
    schema = pa.schema([("text", pa.string()), ("photo", pa.binary())])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for start in range(0, rows, 100):
            some = range(start, min(start + 100, rows))
            photos = [_JPEG + os.urandom(size - len(_JPEG)) for _ in some]
            writer.write_table(pa.table([[f"Describe picture {row}." for row in some], photos], schema=schema))
    return path
