"""Pictures below a location in a store: what names may mean, and whose fault it is when one cannot be had."""

from pathlib import Path

import pytest

from pipeline.core.errors import BadRowError, InputChangedError, StoppedError, StorageError
from pipeline.core.locations import Location
from pipeline.prompts.folders import folder_of
from pipeline.prompts.images import images_of
from pipeline.prompts.remote_files import RemoteFolder
from tests.storage.scripted import ScriptedStore
from tests.storage.server import S3Server

MOST = 1000
OUT = r"leads out of images\.root, and nothing outside is read"
pytestmark = pytest.mark.network


@pytest.fixture
def store(scripted_store: ScriptedStore) -> ScriptedStore:
    """Give a store with two pictures below the root, and secrets beside it."""
    keys = ("photos/a.jpg", "photos/b.jpg", "secret.jpg", "photos-private/x.jpg", "photosx.jpg")
    scripted_store.begin_anew({f"bucket/{key}": key.encode() for key in keys} | {"other/photos/a.jpg": b"other"})
    return scripted_store


@pytest.fixture
def folder(store: ScriptedStore) -> RemoteFolder:
    return RemoteFolder(Location.parse("s3://bucket/photos"))


@pytest.mark.parametrize("root", ["photos", "photos/", ""])
def test_a_picture_is_named_from_the_root_or_by_its_whole_location(s3: S3Server, bucket: str, root: str) -> None:
    odd = "deep/a b?#%20+ü:1.jpg"
    for key in ("a.jpg", odd):
        s3.put(bucket, f"photos/{key}", key.encode())
    read = RemoteFolder(Location.parse(f"s3://{bucket}/{root}")).read
    before = "" if root else "photos/"
    for spelling in (f"{before}a.jpg", f"././{before}a.jpg", f"s3://{bucket}/photos/a.jpg"):
        assert read(spelling, MOST) == b"a.jpg"
    for spelling in (f"{before}{odd}", f"S3://{bucket}/photos/{odd}"):
        assert read(spelling, MOST) == odd.encode()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("../secret.jpg", OUT, id="up"),
        pytest.param("deep/../../secret.jpg", OUT, id="down, up and up"),
        pytest.param("./../secret.jpg", OUT, id="dot, then up"),
        pytest.param("..", OUT, id="the folder above"),
        pytest.param("/secret.jpg", OUT, id="absolute"),
        pytest.param("//other/photos/a.jpg", OUT, id="two slashes"),
        pytest.param("/etc/passwd", OUT, id="a file of this machine"),
        pytest.param("deep/../a.jpg", "empty parts, . or ..", id="up within"),
        pytest.param("deep//a.jpg", "empty parts, . or ..", id="empty part"),
        pytest.param("deep/./a.jpg", "empty parts, . or ..", id="dot within"),
        pytest.param(".", "empty parts, . or ..", id="the root itself"),
        pytest.param("", "folder's name", id="nothing"),
        pytest.param("deep/", "folder's name", id="a folder"),
        pytest.param("s3://bucket/secret.jpg", OUT, id="beside the root"),
        pytest.param("s3://bucket/photos-private/x.jpg", OUT, id="a key that begins alike"),
        pytest.param("s3://bucket/photosx.jpg", OUT, id="a name that begins alike"),
        pytest.param("s3://bucket/photos", OUT, id="the root's location"),
        pytest.param("s3://bucket/photos/", "folder's name", id="the root's location as a folder"),
        pytest.param("s3://bucket/photos/../secret.jpg", "empty parts, . or ..", id="up from the root's location"),
        pytest.param("s3://bucket/photos//a.jpg", "empty parts, . or ..", id="empty part of a location"),
        pytest.param("s3://bucket//photos/a.jpg", "empty parts, . or ..", id="empty part before the root"),
        pytest.param("s3://bucket/Photos/a.jpg", OUT, id="another case"),
        pytest.param("s3://other/photos/a.jpg", OUT, id="another bucket"),
        pytest.param("s3://bucket.other/photos/a.jpg", OUT, id="a bucket that begins alike"),
        pytest.param("s3://bucket@other/photos/a.jpg", "no credentials", id="login"),
        pytest.param("s3://bucket:80/photos/a.jpg", "no bucket", id="port"),
        pytest.param("s3:///photos/a.jpg", "no bucket", id="no bucket"),
        pytest.param("gs://bucket/photos/a.jpg", OUT, id="another store"),
        pytest.param("file:///etc/passwd", OUT, id="a local file"),
        pytest.param("x" * 5000 + "://bucket/photos/a.jpg", OUT, id="a long scheme"),
        pytest.param("s3://bucket/photos/a.jpg\0", "control characters", id="NUL"),
        pytest.param("a\n\x1b]0;x\x07.jpg", "control characters", id="control characters"),
        pytest.param("a\u202egpj.exe", "control characters", id="a turn of direction"),
        pytest.param("\ud800.jpg", "control characters", id="half a character"),
        pytest.param("ü" * 600, "longer than", id="a long name"),
    ],
)
def test_whatever_leads_out_is_refused_before_the_store_is_asked(
    store: ScriptedStore, folder: RemoteFolder, name: str, words: str
) -> None:
    with pytest.raises(BadRowError, match=words) as caught:
        folder.read(name, MOST)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    assert not store.asked


@pytest.mark.parametrize("name", ["%2e%2e/secret.jpg", "..\\secret.jpg", "~/secret.jpg", "a.jpg?versionId=1", "a.jpg#x", "deep"])
def test_what_looks_like_a_way_out_elsewhere_is_a_key_like_others(folder: RemoteFolder, name: str) -> None:
    with pytest.raises(BadRowError, match=r"there is no such object below images\.root"):
        folder.read(name, MOST)


def test_a_picture_that_is_too_large_is_not_read(store: ScriptedStore, folder: RemoteFolder) -> None:
    store.objects["bucket/photos/a.jpg"] = b"x" * (MOST + 1)
    with pytest.raises(BadRowError, match=r"more than images\.max_megabytes"):
        folder.read("a.jpg", MOST)
    assert store.asked == {"HEAD bucket/photos/a.jpg": 1}


def test_one_that_is_refused_among_others_that_are_given_is_the_rows_fault(store: ScriptedStore, folder: RemoteFolder) -> None:
    store.denied.add("bucket/photos/b.jpg")
    assert folder.read("a.jpg", MOST)
    with pytest.raises(BadRowError, match=r"'b\.jpg': the store refuses this one, and gives others"):
        folder.read("b.jpg", MOST)


def test_a_store_that_refuses_from_the_start_ends_the_run(store: ScriptedStore, folder: RemoteFolder) -> None:
    store.denied.add("bucket/photos/b.jpg")
    with pytest.raises(StorageError, match=r"^images\.root: .*check the credentials.*a missing object is refused, too"):
        folder.read("b.jpg", MOST)


def test_credentials_that_run_out_spoil_no_row(store: ScriptedStore, folder: RemoteFolder) -> None:
    assert folder.read("a.jpg", MOST)
    store.denies_all = True
    with pytest.raises(StorageError, match="check the credentials"):
        folder.read("b.jpg", MOST)


def test_a_bucket_that_is_gone_spoils_no_row(store: ScriptedStore, folder: RemoteFolder) -> None:
    assert folder.read("a.jpg", MOST)
    store.objects.clear()
    with pytest.raises(StorageError, match="no such bucket any more"):
        folder.read("b.jpg", MOST)


def test_a_bucket_that_never_was_is_no_rows_fault(s3: S3Server) -> None:
    with pytest.raises(StorageError, match="no such bucket"):
        RemoteFolder(Location.parse("s3://nobodys-bucket/photos")).read("a.jpg", MOST)


def test_one_that_is_another_than_was_listed_is_not_read(store: ScriptedStore, folder: RemoteFolder) -> None:
    size, at = len(store.objects["bucket/photos/a.jpg"]), 1_795_860_000 * 1_000_000_000  # as the store says
    assert folder.read("a.jpg", MOST, was=(size, at, 0))
    for was in ((size + 1, at, 0), (size, at - 1_000_000_000, 0)):
        with pytest.raises(InputChangedError, match=r"'a\.jpg': the object changed since it was listed"):
            folder.read("a.jpg", MOST, was=was)


def test_a_store_that_is_away_leaves_the_row_to_do(store: ScriptedStore, folder: RemoteFolder) -> None:
    store.away = True
    with pytest.raises(StoppedError, match="its row is still to do"):
        folder.read("a.jpg", MOST)
    store.away = False
    assert folder.read("a.jpg", MOST)


@pytest.mark.parametrize("root", [None, "/tmp"])
def test_a_location_is_read_only_below_a_root_in_a_store(root: str | None) -> None:
    folder = None if root is None else folder_of(Path(root))
    with pytest.raises(BadRowError, match=r"lies in an object store; it is read if images\.root is a location above it"):
        images_of("s3://bucket/photos/a.jpg", "photo", folder=folder, most_bytes=MOST)


@pytest.mark.parametrize("cell", ["file:///etc/passwd", "s3a://bucket/photos/a.jpg", "ftp://host/a.jpg"])
def test_other_addresses_stay_unread_with_a_root_in_a_store(store: ScriptedStore, folder: RemoteFolder, cell: str) -> None:
    with pytest.raises(BadRowError, match="addresses are not read"):
        images_of(cell, "photo", folder=folder, most_bytes=MOST)
    assert not store.asked
