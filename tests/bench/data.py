"""The inputs: Parquet files of made-up rows."""

import os
from collections.abc import Container
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.bare import picture_body
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


def write_pictures(path: Path, rows: int, size: int, *, bodies: bool = False) -> Path:
    """Write rows with a text and a picture of so many bytes; or with the `bodies` ready-made in which these are sent."""
    schema = pa.schema([("text", pa.string()), ("body" if bodies else "photo", pa.binary())])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for start in range(0, rows, 100):
            some = range(start, min(start + 100, rows))
            texts = [f"Describe picture {row}." for row in some]
            photos = [_picture(size) for _ in some]
            cells = [picture_body(text, photo) for text, photo in zip(texts, photos, strict=True)] if bodies else photos
            writer.write_table(pa.table([texts, cells], schema=schema))
    return path


def write_picture_files(folder: Path, files: int, size: int) -> Path:
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:06d}.jpg").write_bytes(_picture(size))
    return folder


def _picture(size: int) -> bytes:
    return _JPEG + os.urandom(size - len(_JPEG))
