"""Whole runs over columns of paths whose pictures lie in a store; the simulated endpoint looks at each picture it is sent."""

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.jobs.report import make_report
from pipeline.jobs.wiring import FETCHED_AT_ONCE
from pipeline.simulate import SimulatorSettings, serve
from tests.storage.scripted import ScriptedStore
from tests.storage.server import S3Server

pytestmark = pytest.mark.network

Run = Callable[..., tuple[int, str, int]]


def picture(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(out, "PNG")
    return out.getvalue()


DARK, LIGHT = picture(100), picture(200)
SAID = {DARK: "A 8x8 picture, mostly dark grey.", LIGHT: "A 8x8 picture, mostly light grey."}


@pytest.fixture
def simulator():
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


@pytest.fixture
def run(rowcall, simulator) -> Run:
    """Run the job of rows.parquet; give exit code, what was said, and how many requests were sent."""

    def run(*options: object, verb: str = "run", root: str = "s3://bucket/photos") -> tuple[int, str, int]:
        before = simulator.stats()["requests"]
        ended = rowcall(
            *(verb, "-i", "rows.parquet", "--prompt", "What is this?", "--image", "photo", "--provider", "openai", "-m", "m"),
            *("--set", f"endpoint.base_url={simulator.base_url}", "-o", "out.parquet", "-c", 8),
            *("--set", f"images.root={root}", *options),
        )
        return ended.code, ended.out + ended.err, simulator.stats()["requests"] - before

    return run


def table(*cells: object, folder: Path = Path()) -> None:
    pq.write_table(pa.table({"photo": list(cells)}), folder / "rows.parquet")


def outcomes(file: str = "out.parquet") -> list[tuple[str | None, str | None]]:
    return [(row["completion"], row["error"]) for row in pq.read_table(file).to_pylist()]


def test_pictures_in_a_store_are_sent_by_relative_paths_and_whole_locations(s3: S3Server, bucket: str, run: Run) -> None:
    s3.put(bucket, "photos/a b.png", DARK)
    s3.put(bucket, "photos/deep/ü.png", LIGHT)
    s3.put(bucket, "secret.png", LIGHT)
    table("a b.png", f"s3://{bucket}/photos/deep/ü.png", "../secret.png", f"s3://{bucket}/secret.png", "none.png")
    code, _, requests = run(root=f"s3://{bucket}/photos/")
    assert (code, requests) == (1, 2)
    (first, _), (second, _), *refused = outcomes()
    assert (first, second) == (SAID[DARK], SAID[LIGHT])
    for words, (_, error) in zip(("leads out", "leads out", "no such object below images.root"), refused, strict=True):
        assert words in str(error)


def test_check_shows_what_the_pictures_weigh(s3: S3Server, bucket: str, run: Run) -> None:
    s3.put(bucket, "photos/a.png", DARK)
    table("a.png", "none.png")
    code, said, requests = run(verb="check", root=f"s3://{bucket}/photos")
    assert (code, requests) == (0, 0)
    assert "images in these rows: 1, 0.0 MB" in said
    assert "no such object below images.root" in said


def test_a_location_in_a_cell_is_not_read_with_a_root_on_the_disk(run: Run, tmp_path: Path) -> None:
    table("s3://bucket/photos/a.png")
    assert run(root=str(tmp_path))[::2] == (1, 0)
    assert "it is read if images.root is a location above it" in str(outcomes()[0][1])


def test_many_are_read_at_once(scripted_store: ScriptedStore, run: Run) -> None:
    names = [f"{number}.png" for number in range(200)]
    scripted_store.objects = {f"bucket/photos/{name}": DARK for name in names}
    scripted_store.delay = 0.05
    table(*names)
    assert run()[::2] == (0, 200)
    assert 16 < scripted_store.most_at_once <= FETCHED_AT_ONCE


def test_after_a_store_was_away_no_row_is_asked_twice(scripted_store: ScriptedStore, run: Run) -> None:
    names = [f"{number}.png" for number in range(60)]
    scripted_store.objects = {f"bucket/photos/{name}": DARK for name in names}
    scripted_store.answers = 50  # two a picture
    table(*names)
    code, said, first = run()
    assert code == 3
    assert "the store cannot be reached or failed" in said
    assert 0 < first < 30
    scripted_store.away, scripted_store.answers = False, None
    assert run()[::2] == (0, 60 - first)
    assert outcomes() == [(SAID[DARK], None)] * 60


def test_credentials_that_run_out_spoil_no_row(scripted_store: ScriptedStore, run: Run) -> None:
    scripted_store.objects = {f"bucket/photos/{number}.png": DARK for number in range(60)}
    table(*(f"{number}.png" for number in range(60)))
    assert run("--limit", 20)[::2] == (0, 20)
    scripted_store.denies_all = True
    code, said, requests = run()
    assert (code, requests) == (2, 0)
    assert "check the credentials and what they allow" in said
    scripted_store.denies_all = False
    assert run()[::2] == (0, 40)
    assert outcomes() == [(SAID[DARK], None)] * 60


def test_a_report_shows_pictures_from_the_store(s3: S3Server, bucket: str, run: Run) -> None:
    s3.put(bucket, "photos/a.png", DARK)
    table("a.png", "none.png")
    assert run(root=f"s3://{bucket}/photos")[::2] == (1, 1)
    shown, missing = make_report(Path("out.parquet"))[0].gallery
    assert (len(shown.pictures), len(missing.pictures)) == (1, 0)
    assert "no such object below images.root" in str(missing.no_picture)


def test_a_report_does_not_wait_for_a_store_that_is_away(scripted_store: ScriptedStore, run: Run) -> None:
    scripted_store.objects = {f"bucket/photos/{number}.png": DARK for number in range(60)}
    table(*(f"{number}.png" for number in range(60)))
    assert run()[::2] == (0, 60)
    scripted_store.away = True
    scripted_store.asked.clear()
    gallery = make_report(Path("out.parquet"))[0].gallery
    assert len(gallery) == 60
    assert all(not each.pictures and "the store gives no pictures now" in str(each.no_picture) for each in gallery)
    assert scripted_store.asked.total() < 40  # of those that were read ahead together, each tried twice
