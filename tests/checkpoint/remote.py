"""A desk whose output lies in a bucket. A copy of it gets a bucket of its own."""

import io
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.checkpoint.layout import Layout
from pipeline.core.locations import Location
from pipeline.core.types import Outcome
from tests.checkpoint.desk import Desk, ok
from tests.storage.server import S3Server


@dataclass
class RemoteDesk(Desk):
    """Its record lies in `folder`."""

    asked: Counter[int] = field(default_factory=Counter)
    answer: Callable[[int], Outcome] = ok
    s3: S3Server = field(kw_only=True)
    bucket: str = field(kw_only=True)

    @property
    def layout(self) -> Layout:
        key = "deep/out/" if self.is_directory else "deep/out.parquet"
        return Layout.of(Location("s3", self.bucket, key), is_directory=self.is_directory, folder=self.folder / "record")

    @property
    def keys(self) -> list[str]:
        return self.s3.keys(self.bucket)

    def get(self, key: str) -> bytes:
        return self.s3.get(self.bucket, key)

    def put(self, key: str, body: bytes = b"x") -> None:
        self.s3.put(self.bucket, key, body)

    def run(self) -> None:
        record = self.open()
        try:
            self.finish(record)
        finally:
            record.close()

    def moved_to(self, folder: Path) -> "RemoteDesk":
        desk = super().moved_to(folder)
        bucket = self.s3.make_bucket(f"bucket-{secrets.token_hex(6)}")
        for key in self.keys:
            self.s3.put(bucket, key, self.get(key))
        return RemoteDesk(
            *(folder, desk.is_directory, desk.rows, desk.part_rows, desk.batch),
            answer=desk.answer,
            asked=desk.asked,
            s3=self.s3,
            bucket=bucket,
        )

    def table(self) -> pa.Table:
        """Read the output, proving that nothing lies beside it or waits in the record that should not."""
        assert [*self.layout.parts.iterdir(), *self.layout.kept.iterdir(), *self.layout.outbox.iterdir()] == []
        assert self.s3.unfinished(self.bucket) == []
        if not self.is_directory:
            assert self.keys == ["deep/out.parquet"]
            return pq.read_table(io.BytesIO(self.get("deep/out.parquet")))
        manifest, *parts = self.keys
        assert manifest == "deep/out/_manifest.json"
        return pa.concat_tables([pq.read_table(io.BytesIO(self.get(each))) for each in parts])
