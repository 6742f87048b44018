"""Pack the photographs and what photos.csv says of them into photos.parquet: run after changing either.

python data/make.py
"""

import csv
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


if __name__ == "__main__":
    pq.write_table(photos(), HERE / "photos.parquet", compression="zstd", row_group_size=5)
