"""Tables in an object store: read by range, checked while they are read, staged from one reading, told apart from damage."""

import gzip
import hashlib
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import InputChangedError, RowcallError, SourceError, StoppedError
from pipeline.sources import (
    CsvOptions,
    KnownFile,
    ParquetSource,
    identify,
    join,
    list_files,
    schema_of,
    stage,
    staged_before,
)
from pipeline.sources.cursor import ASKED_EVERY_S, Cursor
from pipeline.sources.parquet import opened
from pipeline.sources.smalls import AHEAD, SMALL_BYTES
from pipeline.storage import AnyFile, RemoteFile
from tests.storage.server import S3Server
from tests.storage.watched import Watched

pytestmark = pytest.mark.network


def parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="none", use_dictionary=False, **options)
    return file.getvalue()


def large(rows: int = 400, group: int = 100, seed: int = 0) -> bytes:
    """Make a file of 8 MB with cells of 20 kB, in pages of a megabyte."""
    cells = [hashlib.shake_256(f"{seed} {row}".encode()).digest(20_000) for row in range(rows)]
    return parquet(pa.table({"id": range(rows), "cell": cells}), row_group_size=group, write_batch_size=10)


def found(bucket: str, path: str = "in/") -> list[AnyFile]:
    return list_files(f"s3://{bucket}/{path}")


def source_of(files: list[AnyFile], *columns: str) -> ParquetSource:
    return ParquetSource(files, prompt_columns=columns, kept_columns=())


def cells(source: ParquetSource, wanted: range) -> list[object]:
    return [row.cells["cell"] for batch in source.rows([wanted]) for row in batch]


def test_a_large_file_is_read_by_range_and_a_column_that_is_not_wanted_not_at_all(
    s3: S3Server, bucket: str, watched: Watched
) -> None:
    body = large()
    s3.put(bucket, "in/a.parquet", body)
    source = source_of(found(bucket), "id")
    assert [row.index for batch in source.rows([range(400)]) for row in batch] == list(range(400))
    assert all(each.ranged for each in watched.fetched())
    assert sum(each.size for each in watched.fetched()) < len(body) / 20
    watched.log.clear()
    assert len(cells(source_of(found(bucket), "cell"), range(100, 200))) == 100
    assert sum(each.size for each in watched.fetched()) < len(body) * 0.6, "their group, the next one, the footer"


def test_a_column_of_a_large_file_comes_in_few_large_pieces(s3: S3Server, bucket: str, watched: Watched) -> None:
    s3.put(bucket, "in/a.parquet", large(group=400))
    assert len(cells(source_of(found(bucket), "cell"), range(400))) == 400
    pieces = [each.size for each in watched.fetched() if each.size > 70_000]
    assert len(pieces) <= 3
    assert max(pieces) <= 9 << 20


def test_footers_are_fetched_once_each_and_the_first_bad_file_in_order_is_named(
    s3: S3Server, bucket: str, watched: Watched
) -> None:
    good = parquet(pa.table({"id": [1]}))
    for number in range(40):
        s3.put(bucket, f"in/{number:02}.parquet", good if number not in (17, 31) else b"PAR1 of another kind")
    files = found(bucket)
    with pytest.raises(SourceError, match=r"in/17\.parquet: not a whole Parquet file"):
        schema_of(files)
    files = [each for number, each in enumerate(files) if number not in (17, 31)]
    watched.log.clear()
    assert schema_of(files).names == ["id"]
    assert source_of(files, "id").count() == 38
    assert [identify(each).footer for each in files] == [identify(files[0]).footer] * 38
    assert len(watched.fetched()) <= 38


def test_a_footer_in_a_store_is_proved_as_it_is_on_a_disk(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    names = [f"a column with a name that is rather long, number {number}" for number in range(2000)]
    body = parquet(pa.table({name: [1] for name in names}))  # its footer is more than is guessed
    (tmp_path / "a.parquet").write_bytes(body)
    s3.put(bucket, "in/a.parquet", body)
    assert identify(found(bucket)[0]).footer == identify(tmp_path / "a.parquet").footer
    assert schema_of(found(bucket)) == schema_of([tmp_path / "a.parquet"])


def test_small_files_are_fetched_whole_once_and_ahead(s3: S3Server, bucket: str, watched: Watched) -> None:
    for number in range(AHEAD + 10):
        s3.put(bucket, f"in/{number:02}.parquet", parquet(pa.table({"id": [number], "text": ["x"]})))
    source = ParquetSource(found(bucket), prompt_columns=["id"], kept_columns=["text"])
    watched.log.clear()
    rows = source.rows([range(AHEAD + 10)])
    assert [row.cells["id"] for batch in rows for row in batch] == list(range(AHEAD + 10))
    assert sum(each.num_rows for each in source.columns(0, AHEAD + 10)) == AHEAD + 10
    source.close()
    assert len(watched.fetched()) == AHEAD + 10


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_whether_a_file_changed_is_asked_of_the_store_now_and_then(s3: S3Server, bucket: str, watched: Watched) -> None:
    s3.put(bucket, "in/a.parquet", large())
    clock = Clock()
    cursor = Cursor(opened(found(bucket)), ["cell"], most_rows=1000, now=clock)
    pieces = iter(cursor.read(0, 400))
    next(pieces)
    before = watched.count("HEAD")
    next(pieces)
    assert watched.count("HEAD") == before
    s3.put(bucket, "in/a.parquet", large(rows=401, seed=1))
    clock.now += ASKED_EVERY_S
    with pytest.raises(InputChangedError, match=r"in/a\.parquet: the file changed during the run"):
        list(pieces)


@pytest.mark.parametrize("body", [large(rows=100, group=10), parquet(pa.table({"cell": ["x"]}))], ids=["large", "small"])
def test_a_file_that_changed_or_vanished_since_it_was_listed_is_no_damaged_one(s3: S3Server, bucket: str, body: bytes) -> None:
    s3.put(bucket, "in/a.parquet", body)
    assert (len(body) > SMALL_BYTES) == (len(body) > 10_000)
    source = source_of(found(bucket), "cell")
    s3.put(bucket, "in/a.parquet", b"something else, and shorter")
    with pytest.raises(InputChangedError, match=r"in/a\.parquet: the file changed during the run"):
        cells(source, range(1))
    s3.client.delete_object(Bucket=bucket, Key="in/a.parquet")
    source.close()
    with pytest.raises(InputChangedError, match=r"in/a\.parquet: the file vanished during the run"):
        cells(source, range(1))


@pytest.mark.parametrize("body", [large(), parquet(pa.table({"cell": ["x"]}))], ids=["large", "small"])
def test_a_store_that_goes_away_while_a_file_is_read_is_no_damage(
    s3: S3Server, bucket: str, watched: Watched, body: bytes
) -> None:
    s3.put(bucket, "in/a.parquet", body)
    source = source_of(found(bucket), "cell")
    if len(body) > SMALL_BYTES:
        assert len(cells(source, range(10))) == 10
    watched.away = True
    with pytest.raises(StoppedError, match=r"in/a\.parquet: the store cannot be reached or failed"):
        cells(source, range(source.count()))
    watched.away = False
    source.close()
    assert len(cells(source, range(source.count()))) == source.count()


def test_a_damaged_file_in_a_store_is_called_so(s3: S3Server, bucket: str) -> None:
    body = bytearray(large())
    body[4:60] = bytes(56)  # the first page's header
    s3.put(bucket, "in/a.parquet", bytes(body))
    with pytest.raises(SourceError, match=r"in/a\.parquet: cannot be read as Parquet"):
        list(source_of(found(bucket), "id", "cell").rows([range(400)]))


CSV = b"id,text\n" + b"".join(b"%d,some text that repeats and repeats\n" % number for number in range(40_000))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_text_is_staged_and_hashed_in_one_reading(s3: S3Server, bucket: str, watched: Watched, tmp_path: Path, name: str) -> None:
    body = gzip.compress(CSV) if name.endswith(".gz") else CSV
    s3.put(bucket, f"in/{name}", body)
    (file,) = found(bucket)
    identity = stage(file, tmp_path / "staged.parquet", CsvOptions())
    assert identity.sha256 == hashlib.sha256(body).hexdigest()
    assert pq.read_metadata(tmp_path / "staged.parquet").num_rows == 40_000
    assert sum(each.size for each in watched.fetched()) == len(body)
    assert staged_before(file, tmp_path / "staged.parquet", CsvOptions()) == identity


def test_what_was_staged_of_one_object_is_not_taken_for_another_of_its_size_and_second(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    s3.put(bucket, "in/a.csv", b"id\n1\n")
    (file,) = found(bucket)
    stage(file, tmp_path / "staged.parquet", CsvOptions())
    assert isinstance(file, RemoteFile)
    other = RemoteFile(file.location.with_name("b.csv"), file.seen)
    assert staged_before(other, tmp_path / "staged.parquet", CsvOptions()) is None


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("a.csv", CSV, CSV + b"1,more\n"), ("a.jsonl", b'{"a": 1}\n', b'{"a": 1}\n{"a": 2}\n')],
    ids=["csv", "jsonl"],
)
def test_text_that_changed_since_it_was_listed_is_not_taken(
    s3: S3Server, bucket: str, tmp_path: Path, name: str, old: bytes, new: bytes
) -> None:
    s3.put(bucket, f"in/{name}", old)
    (file,) = found(bucket)
    s3.put(bucket, f"in/{name}", new)
    with pytest.raises(InputChangedError, match="changed while it was read"):
        stage(file, tmp_path / "staged.parquet", CsvOptions())
    assert not (tmp_path / "staged.parquet").exists()


def test_the_same_bytes_put_again_are_the_same_file_and_known_by_their_new_time(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "in/a.csv", b"id\n1\n")
    s3.put(bucket, "in/b.parquet", parquet(pa.table({"id": [1]})))
    files = [(str(each), each) for each in found(bucket)]
    known = []
    for number, (key, file) in enumerate(files):
        was = identify(file)
        known.append(KnownFile(number, key, 1, type(was)(was.size, was.mtime_ns - 10**9, 0, was.footer, was.sha256)))
    joined = join(known, files)
    assert (joined.new, joined.changed, joined.vanished, joined.moved) == ((), (), (), ())
    assert [(each.id, now.mtime_ns) for each, now in joined.touched] == [
        (number, file.stat().st_mtime_ns) for number, (_, file) in enumerate(files)
    ]


def test_a_store_that_is_away_is_no_missing_file(s3: S3Server, bucket: str, watched: Watched, tmp_path: Path) -> None:
    s3.put(bucket, "in/a.csv", CSV)
    (file,) = found(bucket)
    watched.away = True
    acts = [
        lambda: stage(file, tmp_path / "staged.parquet", CsvOptions()),
        lambda: found(bucket),
        lambda: found(bucket, "in/*.csv"),
    ]
    for act in acts:
        with pytest.raises(RowcallError, match="run again when it is back") as error:
            act()
        assert error.value.exit_code == 3
