"""Pack the photographs and what photos.csv says of them into photos.parquet, and some into a shard: run after changing either.

python data/make.py
"""

import csv
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
SCHEMA = pa.schema(
    [
        ("photo", pa.binary()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("caption_a", pa.string()),
        ("caption_b", pa.string()),
    ]
)


def photos() -> pa.Table:
    """Read photos.csv and each file it names, in its order."""
    with (HERE / "photos.csv").open(encoding="utf-8", newline="") as listing:
        rows = list(csv.DictReader(listing))
    return pa.Table.from_pylist(
        [{"photo": (HERE / "photos" / row.pop("file")).read_bytes(), **row} for row in rows], schema=SCHEMA
    )


def shard() -> bytes:
    """Pack the first five as WebDataset does: one after another, each with its first caption and a word on it."""
    packed = io.BytesIO()
    with (HERE / "photos.csv").open(encoding="utf-8", newline="") as listing, tarfile.open(fileobj=packed, mode="w") as archive:
        for row in list(csv.DictReader(listing))[:5]:
            words = json.dumps({"title": row["title"], "category": row["category"]}).encode()
            picture = (HERE / "photos" / row["file"]).read_bytes()
            for extension, data in (("jpg", picture), ("txt", row["caption_a"].encode()), ("json", words)):
                member = tarfile.TarInfo(f"{Path(row['file']).stem}.{extension}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


if __name__ == "__main__":
    pq.write_table(photos(), HERE / "photos.parquet", compression="zstd", row_group_size=5)
    (HERE / "photos-000000.tar").write_bytes(shard())
