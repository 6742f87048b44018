"""A job over WebDataset shards at the command line: its pictures, its life, and what it says of shards that are none."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import Job, Progress, run_job
from pipeline.simulate import SimulatorSettings, serve
from tests.sources.archives import write_tar

pytestmark = pytest.mark.network

DATA = Path(__file__).parents[2] / "data"
PHOTOS = sorted((DATA / "photos").glob("*.jpg"))


def shard(folder: Path, name: str, photos: list[Path], *, text: str = "txt") -> Path:
    folder.mkdir(exist_ok=True)
    members = []
    for photo in photos:
        members += [(f"x/{photo.stem}.jpg", photo.read_bytes()), (f"x/{photo.stem}.{text}", photo.stem.encode())]
    return write_tar(folder / name, members)


@pytest.fixture
def simulator():
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


@pytest.fixture
def job(tmp_path, simulator):
    config = {
        "input": {"path": "in/*.tar"},
        "prompt": {"user": "Describe {{ __key__ }}.", "images": "jpg"},
        "endpoint": {"provider": "openai", "base_url": simulator.base_url, "model": "m"},
        "limits": {"concurrency": 4},
        "output": {"path": "out.parquet"},
        "checkpoint": {"part_rows": 4},
    }
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(config))
    return path


def rows(tmp_path: Path) -> list[dict[str, object]]:
    return pq.read_table(tmp_path / "out.parquet").to_pylist()


def test_the_pictures_of_a_shard_are_the_ones_that_are_sent(rowcall, tmp_path, job, simulator):
    shard(tmp_path / "in", "0.tar", PHOTOS[:5])
    shard(tmp_path / "in", "1.tar", PHOTOS[5:])
    assert rowcall("run", job, "-q").code == 0
    for_parquet = rowcall(
        "run", job, "-q", "-i", DATA / "photos.parquet", "--image", "photo", "-p", "Describe.", "-o", "p.parquet"
    )
    assert for_parquet.code == 0
    assert [row["__key__"] for row in rows(tmp_path)] == [f"x/{each.stem}" for each in PHOTOS]
    assert [row["txt"] for row in rows(tmp_path)] == [each.stem for each in PHOTOS]
    described = pq.read_table(tmp_path / "p.parquet")["completion"].to_pylist()
    assert [row["completion"] for row in rows(tmp_path)] == described
    assert len(set(described)) > 5
    assert "jpg" not in rows(tmp_path)[0]


def test_shards_of_the_next_night_join_whatever_else_they_hold(rowcall, tmp_path, job, simulator):
    shard(tmp_path / "in", "0.tar", PHOTOS[:5])
    assert rowcall("run", job, "-q").code == 0
    shard(tmp_path / "in", "1.tar", PHOTOS[5:8], text="json")
    shard(tmp_path / "in", "2.tar", PHOTOS[8:9])
    ended = rowcall("run", job, "-q")
    assert ended.code == 0, ended.err
    assert [row["txt"] for row in rows(tmp_path)] == [*(each.stem for each in PHOTOS[:5]), None, None, None, PHOTOS[8].stem]
    assert "json" not in rows(tmp_path)[0]
    assert all(row["completion"] for row in rows(tmp_path))
    assert simulator.stats()["requests"] == 9


def test_a_shard_may_be_touched_or_moved_with_its_project_and_may_not_change(rowcall, tmp_path, job, simulator, monkeypatch):
    path = shard(tmp_path / "in", "0.tar", PHOTOS[:8])
    assert rowcall("run", job, "-q", "-n", 4).code == 0
    os.utime(path, ns=(5, 5))
    assert rowcall("run", job, "-q", "-n", 6).code == 0
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("in", "out.parquet", "out.parquet.rowcall", "job.yaml"):
        shutil.move(tmp_path / name, moved / name)
    assert rowcall("run", moved / "job.yaml", "-q").code == 0
    assert [row["txt"] for row in rows(moved)] == [each.stem for each in PHOTOS[:8]]
    assert simulator.stats()["requests"] == 8
    shard(moved / "in", "0.tar", PHOTOS[1:9])
    ended = rowcall("run", moved / "job.yaml", "-q")
    assert (ended.code, "0.tar: the content changed" in ended.err) == (2, True)


def test_failed_samples_stay_and_may_be_asked_again(rowcall, tmp_path, job, simulator):
    members = [("a.jpg", PHOTOS[0].read_bytes()), ("a.txt", b"a"), ("b.txt", b"b"), ("c.jpg", b"no picture"), ("d.jpg", b"")]
    (tmp_path / "in").mkdir()
    write_tar(tmp_path / "in/0.tar", members)
    assert rowcall("run", job, "-q").code == 1
    for _ in range(2):
        assert [row["status"] for row in rows(tmp_path)] == ["ok", "failed", "failed", "failed"]
        assert [row["error"] and row["error"].removeprefix("image column 'jpg': ") for row in rows(tmp_path)][1:] == [
            "the image is null",
            "these bytes are no image in a known format (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC)",
            "the image is empty",
        ]
        assert rowcall("run", job, "-q", "--retry-failed").code == 1
    assert simulator.stats()["requests"] == 1


def test_an_export_shows_samples_not_yet_asked(rowcall, tmp_path, job):
    shard(tmp_path / "in", "0.tar", PHOTOS[:6])
    shard(tmp_path / "in", "1.tar", PHOTOS[6:8], text="json")
    assert rowcall("run", job, "-q", "-n", 4).code == 0
    assert rowcall("export", job, "now.parquet").code == 0
    table = pq.read_table(tmp_path / "now.parquet")
    assert table["status"].to_pylist() == ["ok"] * 4 + ["pending"] * 4
    assert table["txt"].to_pylist() == [*(each.stem for each in PHOTOS[:6]), None, None]


def test_a_kept_column_of_pictures_is_in_the_output_as_it_was(rowcall, tmp_path, job):
    shard(tmp_path / "in", "0.tar", PHOTOS)
    keeping = ("--set", "output.columns=[jpg, __key__]")
    assert rowcall("run", job, "-q", "-n", 9, *keeping).code == 0
    assert rowcall("export", job, "now.parquet").code == 0
    assert pq.read_table(tmp_path / "now.parquet")["jpg"].to_pylist() == [each.read_bytes() for each in PHOTOS]
    assert rowcall("run", job, "-q", *keeping).code == 0
    assert [row["jpg"] for row in rows(tmp_path)] == [each.read_bytes() for each in PHOTOS]
    field = pq.read_schema(tmp_path / "out.parquet").field("jpg")
    assert {key for key in field.metadata or {} if key.startswith(b"rowcall")} == set()


def test_what_nobody_asked_to_keep_is_left_in_its_shard(rowcall, tmp_path, job):
    (tmp_path / "in").mkdir()
    write_tar(
        tmp_path / "in/0.tar", [("a.jpg", PHOTOS[0].read_bytes()), ("a.mp4", bytes(10_000)), ("a.npy", b"x"), ("a.cls", b"7")]
    )
    assert rowcall("run", job, "-q").code == 0
    assert list(rows(tmp_path)[0])[:3] == ["__key__", "cls", "completion"]


def test_a_shard_that_vanishes_under_the_run_fails_no_sample(tmp_path, job, simulator):
    path = shard(tmp_path / "in", "0.tar", PHOTOS)
    aside = tmp_path / "aside.tar"

    class Mover:
        def progress(self, now: Progress) -> None:
            if path.exists():
                path.rename(aside)

        def notice(self, text: str) -> None:
            pass

    summary = run_job(Job.load(job), Mover())
    assert (summary.exit_code, summary.failed, summary.pending > 0) == (5, 0, True)
    assert "0.tar': the file vanished during the run; put it back and run again" in (summary.stopped or "")
    aside.rename(path)
    summary = run_job(Job.load(job))
    assert (summary.ok, summary.exit_code) == (14, 0)
    assert simulator.stats()["requests"] == 14


def test_pictures_that_nobody_sends_are_spoken_of_once(rowcall, tmp_path, job):
    shard(tmp_path / "in", "0.tar", PHOTOS[:2])
    for verb in ("check", "run"):
        ended = rowcall(verb, job, "--set", "prompt.images=[]")
        assert ended.code == 0
        assert (ended.out + ended.err).count("the column jpg holds pictures and is not sent; --image jpg sends it") == 1
    assert "not sent" not in rowcall("check", job).err


def test_check_looks_at_a_shard_and_writes_nothing(rowcall, tmp_path, job):
    shard(tmp_path / "in", "0.tar", PHOTOS)
    ended = rowcall("check", job)
    assert ended.code == 0, ended.err
    assert "14 rows in 1 file" in ended.out
    assert "images in these rows: 14" in ended.out
    assert sorted(os.listdir(tmp_path)) == ["in", "job.yaml"]


def test_a_run_that_was_killed_while_it_made_the_index_makes_it_again(rowcall, tmp_path, job, monkeypatch):
    shard(tmp_path / "in", "0.tar", PHOTOS[:3])
    fsync = os.fsync

    def killed(descriptor: int) -> None:
        if os.fstat(descriptor).st_size and any((tmp_path / "out.parquet.rowcall/staged").glob("*.tmp")):
            raise KeyboardInterrupt
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", killed)
    assert rowcall("run", job, "-q").code != 0
    monkeypatch.setattr(os, "fsync", fsync)
    assert rowcall("run", job, "-q").code == 0
    assert len(rows(tmp_path)) == 3
    assert not list((tmp_path / "out.parquet.rowcall").rglob("*.tmp"))


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content[: len(content) // 2], "write or fetch it again"),
        (lambda content: b"\x1f\x8b" + content, "unpack it first: gunzip"),
        (lambda content: content[:-10240] + content, "more follows|no header at"),
        (lambda content: b"", "empty|no whole tar"),
        (lambda content: b"x" * 2000, "no whole tar archive"),
    ],
)
def test_what_is_no_shard_is_one_line_that_says_what_to_do(rowcall, tmp_path, job, verb, change, why):
    path = shard(tmp_path / "in", "0.tar", PHOTOS[:2])
    path.write_bytes(change(path.read_bytes()))
    ended = rowcall(verb, job)
    assert ended.code == 2
    [line] = [each for each in ended.err.splitlines() if "error" in each]
    assert line.startswith("rowcall: error: ") and "0.tar" in line
    assert any(each in line for each in why.split("|")), line
