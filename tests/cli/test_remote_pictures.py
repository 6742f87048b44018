"""A job whose input is pictures in a store: the same promises as of a local folder of them."""

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.jobs.report import make_report
from pipeline.simulate import SimulatorSettings, serve
from tests.storage.server import S3Server
from tests.storage.watched import Watched

pytestmark = pytest.mark.network

Run = Callable[..., tuple[int, str, int]]


def picture(side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (100, 100, 100)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def simulator():
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


@pytest.fixture
def run(rowcall, simulator, bucket: str) -> Run:
    """Run a job over keys of the bucket; give exit code, what was said, and how many requests were sent."""

    def run(*options: object, verb: str = "run", source: str = "photos/") -> tuple[int, str, int]:
        before = simulator.stats()["requests"]
        ended = rowcall(
            *(verb, "-i", f"s3://{bucket}/{source}", "-p", "Describe {{ path }}.", "--provider", "openai", "-m", "m"),
            *("--set", f"endpoint.base_url={simulator.base_url}", "-o", "out.parquet", "-c", 4, *options),
        )
        return ended.code, ended.out + ended.err, simulator.stats()["requests"] - before

    return run


def put(s3: S3Server, bucket: str, *keys: str, side: int = 8) -> None:
    for key in keys:
        s3.put(bucket, key, picture(side))


def rows() -> dict[str, dict[str, object]]:
    return {row["path"]: row for row in pq.read_table("out.parquet").to_pylist()}


def test_a_prefix_is_captioned_as_a_folder_is(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/b.png", "photos/a ü?#%20.png", "photos/sub/c.PNG", "photos/_old/x.png", "photos-private/x.png")
    s3.put(bucket, "photos/empty/", b"")
    s3.put(bucket, "photos/notes.txt", b"x")
    assert run()[::2] == (0, 3)
    table = pq.read_table("out.parquet")
    assert table["path"].to_pylist() == ["a ü?#%20.png", "b.png", "sub/c.PNG"]
    assert table["completion"].to_pylist() == ["A 8x8 picture, mostly dark grey."] * 3
    assert run()[::2] == (0, 0)
    assert run(source="photos")[::2] == (0, 0), "a prefix without its slash is the same"
    assert run(source="photos/**/*.[pP]*")[::2] == (0, 0), "the same pictures by a pattern are the same"


def test_check_says_how_many_there_are_and_reads_the_first(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/a.png", "photos/b.png")
    code, said, requests = run(verb="check")
    assert (code, requests) == (0, 0)
    assert "2 pictures" in said
    assert "Describe a.png." in said


def test_new_pictures_join_and_rows_of_gone_ones_stay(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/m.png", "photos/n.png")
    assert run()[::2] == (0, 2)
    s3.client.delete_object(Bucket=bucket, Key="photos/m.png")
    put(s3, bucket, "photos/a.png")
    code, said, requests = run()
    assert (code, requests) == (0, 1)
    assert f"gone: 1 of the job's pictures, such as s3://{bucket}/photos/m.png" in said
    assert list(rows()) == ["m.png", "n.png", "a.png"]


def test_a_picture_of_another_size_stops_the_job(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/a.png", "photos/b.png")
    assert run()[::2] == (0, 2)
    put(s3, bucket, "photos/b.png", side=300)
    code, said, requests = run()
    assert (code, requests) == (2, 0)
    assert "photos/b.png: the picture has another size" in said


def test_pictures_of_several_prefixes_are_told_apart(s3: S3Server, bucket: str, run: Run, tmp_path: Path) -> None:
    put(s3, bucket, "photos/a/1.png", "photos/b/1.png")
    both = ("-i", f"s3://{bucket}/photos/b")
    assert "Describe a/1.png." in run(*both, verb="check", source="photos/a")[1]
    assert run(*both, source="photos/a")[::2] == (0, 2)
    put(s3, bucket, "photos/b/2.png")
    assert run(*both, source="photos/a")[::2] == (0, 1)
    assert list(rows()) == ["a/1.png", "b/1.png", "b/2.png"]
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "1.png").write_bytes(picture())
    assert run(*both, "-i", "here", source="photos/a")[::2] == (0, 1), "a local folder may join"


def test_hostile_keys_spoil_their_own_rows(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/a.png", "photos/../secret.png", "photos//etc/passwd.png", "photos/b\u202e.png", "secret.png")
    s3.put(bucket, "photos/empty.png", b"")
    s3.put(bucket, "photos/large.png", picture() + bytes(200_000))
    code, _, requests = run("--set", "images.max_megabytes=0.1")
    assert (code, requests) == (1, 1)
    words = {
        "/etc/passwd.png": "leads out of input.path",
        "b\u202e.png": "control characters",
        "empty.png": "image is empty",
        "large.png": "more than images.max_megabytes",
    }
    found = rows()
    assert {path: said in str(found[path]["error"]) for path, said in words.items()} == dict.fromkeys(words, True)
    assert set(found) == {"a.png", *words}  # a part that begins with a dot is passed over, as a hidden folder is
    assert found["a.png"]["status"] == "ok"


def test_after_a_store_was_away_no_picture_is_asked_twice(
    s3: S3Server, bucket: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, bucket, *(f"photos/{number:02}.png" for number in range(40)))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with Watched(s3.url) as watched:
        monkeypatch.setenv("AWS_ENDPOINT_URL", watched.url)
        watched.until = lambda: len(watched.fetched(".png")) >= 15
        code, said, first = run()
        assert code == 3
        assert "its row is still to do" in said
        assert 0 < first <= 15
        watched.away, watched.until = False, lambda: False
        assert run()[::2] == (0, 40 - first)
    assert [row["status"] for row in rows().values()] == ["ok"] * 40


def test_a_report_shows_them(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/a.png", "photos/b.png")
    assert run()[::2] == (0, 2)
    s3.client.delete_object(Bucket=bucket, Key="photos/b.png")
    shown, gone = make_report(Path("out.parquet"))[0].gallery
    assert (len(shown.pictures), shown.name) == (1, "a.png")
    assert (gone.pictures, "no such object" in str(gone.no_picture)) == ((), True)


def test_the_pictures_themselves_may_be_kept(s3: S3Server, bucket: str, run: Run) -> None:
    put(s3, bucket, "photos/a.png")
    assert run("--set", "output.columns=[path,image]")[::2] == (0, 1)
    assert rows()["a.png"]["image"] == picture()
