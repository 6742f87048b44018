"""Stores against an S3 server: what is listed, read and put, and what their errors mean."""

import io
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError, StoppedError, StorageError
from pipeline.core.locations import Location
from pipeline.storage import Larger, RemoteFile, Store, remote_file, store_of
from pipeline.storage.s3 import arrow_file_system
from tests.storage.server import S3Server
from tests.storage.watched import Watched

pytestmark = pytest.mark.network


def store_at(bucket: str) -> Store:
    return store_of(Location("s3", bucket, ""))


def test_objects_are_listed_by_key_in_order_and_folders_are_none(s3: S3Server, bucket: str) -> None:
    for key in ("in/b.csv", "in/a b?#%20ü.csv", "in/deep/c.csv", "in-other/d.csv", "in/empty/"):
        s3.put(bucket, key, b"" if key.endswith("/") else b"x")
    found = store_at(bucket).listed("in/")
    assert [key for key, _ in found] == ["in/a b?#%20ü.csv", "in/b.csv", "in/deep/c.csv"]
    assert all(seen.size == 1 and seen.mtime_ns > 0 for _, seen in found)
    assert store_at(bucket).listed("none/") == []


def test_a_listing_is_the_same_by_either_library(s3: S3Server, bucket: str) -> None:
    keys = [f"in/{number:04}.jpg" for number in range(1100)] + ["in/a b+c?#%20ü&<>.csv", "in/deep//x", "in/\u202e"]
    for key in keys:
        s3.put(bucket, key, b"x")
    by_boto = store_at(bucket)
    by_arrow = Store(Location("s3", bucket, ""), arrow_file_system(bucket, s3.url))
    assert by_boto.listed("in/") == by_arrow.listed("in/")
    assert [key for key, _ in by_boto.listed("in/")] == sorted(keys)


def test_an_object_is_read_as_a_file_is(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "in/a b?.txt", b"first\nsecond\n")
    file = remote_file(f"s3://{bucket}/in/a b?.txt")
    assert (file.name, file.stat().st_size, file.exists()) == ("a b?.txt", 13, True)
    with file.open("rb") as opened, io.TextIOWrapper(opened, encoding="utf-8") as text:
        assert list(text) == ["first\n", "second\n"]
    with file.open() as opened:
        opened.seek(6)
        assert opened.read(6) == b"second"


def test_an_object_that_a_listing_saw_is_read_as_well(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "a", b"body")
    ((key, seen),) = store_at(bucket).listed("")
    with RemoteFile(Location("s3", bucket, key), seen).open() as opened:
        assert opened.read() == b"body"


def test_an_object_is_read_whole_or_its_size_is_told(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "a", b"body")
    s3.put(bucket, "empty", b"")
    assert store_at(bucket).read("a", 4) == b"body"
    assert store_at(bucket).read("empty", 4) == b""
    assert store_at(bucket).read("a", 3) == Larger(4)
    with pytest.raises(FileNotFoundError):
        store_at(bucket).read("b", 4)


def test_an_object_that_is_not_there_is_no_file(bucket: str) -> None:
    file = remote_file(f"s3://{bucket}/nothing")
    assert not file.exists()
    for act in (file.stat, file.open, lambda: file.store.sha256("nothing")):
        with pytest.raises(FileNotFoundError):
            act()


def test_a_file_is_put_whole_and_hashed_where_it_lies(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    body = bytes(range(256)) * 80_000  # 20 MB: more than one piece
    (tmp_path / "file").write_bytes(body)
    store = store_at(bucket)
    store.put("out/file", tmp_path / "file")
    assert s3.get(bucket, "out/file") == body
    assert store.info("out/file") is not None
    assert s3.unfinished(bucket) == []


def test_unfinished_uploads_of_these_keys_are_given_up_and_no_others(s3: S3Server, bucket: str) -> None:
    for key in ("out/a", "out/b", "out/ab"):
        s3.client.create_multipart_upload(Bucket=bucket, Key=key)
    assert store_at(bucket).abort_stale(["out/a", "out/b"]) == 2
    assert s3.unfinished(bucket) == ["out/ab"]


def test_copies_and_removals_stay_in_the_store(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "in/a", b"1")
    store = store_at(bucket)
    store.copy("in/a", "out/b")
    store.delete("in/a")
    store.delete("in/a")
    assert s3.keys(bucket) == ["out/b"]


def test_an_object_is_fetched_whole_and_over_nothing(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    store = store_at(bucket)
    store.put_bytes("a", b"1" * 9_000_000)
    store.fetch("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"1" * 9_000_000
    with pytest.raises(FileExistsError):
        store.fetch("a", tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        store.fetch("b", tmp_path / "b")


def test_a_bucket_that_is_not_there_is_for_somebody_to_mend(s3: S3Server, bucket: str) -> None:
    with pytest.raises(StorageError, match=r"^s3://nobodys-bucket/in/: there is no such bucket"):
        store_at("nobodys-bucket").listed("in/")


def test_a_store_that_is_away_comes_back(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    for name, value in {**s3.env, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoppedError, match="cannot be reached or failed"):
        store_at("bucket").info("key")


def test_a_server_without_its_scheme_is_named_at_once(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    with pytest.raises(ConfigError, match=r"^AWS_ENDPOINT_URL: found '127.0.0.1:9000', allowed: http://"):
        store_at("bucket").info("key")


def test_a_remote_file_is_never_taken_for_a_local_one() -> None:
    with pytest.raises(TypeError, match="no local file"):
        Path(RemoteFile(Location("s3", "b", "k")))


def test_what_is_read_from_its_start_comes_in_ever_larger_pieces(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bytes(range(256)) * 40_000  # 10 MB
    s3.put(bucket, "file", body)
    with Watched(s3.url) as watched:
        monkeypatch.setenv("AWS_ENDPOINT_URL", watched.url)
        with remote_file(f"s3://{bucket}/file").open() as opened:
            assert opened.read(10) == body[:10]
            assert [each.size for each in watched.fetched()] == [256 << 10]
            assert opened.read() == body[10:]
        assert [each.size >> 10 for each in watched.fetched()] == [256, 512, 1024, 2048, 4096, 2064]
        assert all(each.ranged for each in watched.fetched())


def test_an_object_that_was_replaced_by_a_shorter_one_is_no_outage(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "file", bytes(20_000))
    with remote_file(f"s3://{bucket}/file").open() as opened:
        s3.put(bucket, "file", b"short")
        opened.seek(1000)
        with pytest.raises(OSError, match="not the one any more"):
            opened.read(10_000)


def test_times_are_whole_seconds_however_the_store_is_asked(s3: S3Server, bucket: str) -> None:
    s3.put(bucket, "file", b"x")
    ((_, listed),) = store_at(bucket).listed("")
    assert listed == store_at(bucket).info("file")
    assert listed.mtime_ns % 1_000_000_000 == 0
