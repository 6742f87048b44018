"""Pictures made smaller before they are sent: what the command does, and says."""

import base64
import importlib.metadata
import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.core.extras import missing_extra
from tests.cli.test_imports import loaded

PICTURES = ("-p", "Describe it.", "--image", "photo", "--provider", "simulated")
SMALLER = ("--set", "images.max_side=100")


def png(side: int, colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.effect_noise((side, side // 2), 90).convert("RGB").save(out, "PNG")
    return out.getvalue()


def write(folder: Path, *pictures: object) -> None:
    pq.write_table(pa.table({"photo": list(pictures)}), folder / "in.parquet")


def outcomes(folder: Path) -> list[tuple[str, str | None]]:
    table = pq.read_table(folder / "out.parquet")
    return list(zip(table["status"].to_pylist(), table["error"].to_pylist(), strict=True))


@pytest.mark.network
def test_what_cannot_be_decoded_fails_its_row_and_the_others_are_sent(rowcall, tmp_path):
    good = png(400)
    write(tmp_path, good, good[:20_000], good, b"\xff\xd8\xff" + bytes(99))
    ended = rowcall("run", "-i", "in.parquet", *PICTURES, *SMALLER, "-o", "out.parquet")
    assert ended.code == 1
    found = outcomes(tmp_path)
    assert [status for status, _ in found] == ["ok", "failed", "ok", "failed"]
    assert "truncated" in (found[1][1] or "")
    assert "cannot be read as any of JPEG" in (found[3][1] or "")
    assert pq.read_table(tmp_path / "out.parquet")["error_kind"].to_pylist()[1] == "bad_row"


@pytest.mark.network
def test_check_shows_the_first_request_as_it_would_be_sent(rowcall, tmp_path):
    broken, large = png(400)[:20_000], png(400)
    write(tmp_path, broken, large, png(30))
    ended = rowcall("check", "-i", "in.parquet", *PICTURES, *SMALLER, "--set", "images.format=jpeg", "-o", "out.parquet")
    assert ended.code == 0
    assert "row 0: the image cannot be prepared: image file is truncated" in ended.out
    assert f"the first request's images: {len(large) / 1e3:,.0f} kB become " in ended.out
    assert "data:image/jpeg;base64,…" in ended.out


@pytest.mark.network
def test_a_picture_within_a_conversation_is_made_smaller_too(rowcall, tmp_path):
    large = png(400)
    uri = "data:image/png;base64," + base64.b64encode(large).decode()
    blocks = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": uri, "detail": "high"}}]
    (tmp_path / "in.jsonl").write_text(json.dumps({"talk": [{"role": "user", "content": blocks}]}) + "\n")
    job = ("-i", "in.jsonl", "--set", "prompt.messages=talk", "--provider", "simulated", "-o", "out.parquet", "--set")
    ended = rowcall("check", *job, "images={max_side: 100, format: jpeg, detail: low}")
    assert ended.code == 0
    assert "data:image/jpeg;base64,…" in ended.out
    assert '"detail": "high"' in ended.out  # the row's own word
    assert f"{len(large) / 1e3:,.0f} kB become" in ended.out
    assert rowcall("run", *job, "images.max_side=100").code == 0


def test_without_pillow_nothing_is_sent_and_the_error_says_what_to_install(rowcall, tmp_path, monkeypatch):
    version = importlib.metadata.version

    def missing(name: str) -> str:
        if name == "Pillow":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    write(tmp_path, png(40))
    for verb in ("run", "check"):
        for key in ("images.max_side=100", "images.format=jpeg"):
            ended = rowcall(verb, "-i", "in.parquet", *PICTURES, "-o", "out.parquet", "--set", key)
            assert ended.code == 2
            assert ended.err.strip().endswith(missing_extra("images"))
            assert key.split("=")[0] in ended.err
    assert [each.name for each in tmp_path.iterdir()] == ["in.parquet"]
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "10.4.0" if name == "Pillow" else version(name))
    too_old = rowcall("check", "-i", "in.parquet", *PICTURES, *SMALLER, "-o", "out.parquet").err
    assert "too old" in too_old
    assert too_old.strip().endswith(missing_extra("images", upgrade=True))


def test_detail_is_refused_where_the_provider_has_no_such_thing(rowcall, tmp_path):
    write(tmp_path, png(40))
    args = ("-i", "in.parquet", "-p", "x", "--image", "photo", "-o", "out.parquet", "--set", "images.detail=low")
    ended = rowcall("check", *args, "--provider", "segmind", "-m", "gpt-4o", "--set", "endpoint.url=http://127.0.0.1:1/x")
    assert ended.code == 2
    assert "images.detail: segmind has no such setting" in ended.err
    assert '"detail": "low"' in rowcall("check", *args, "--provider", "simulated").out


def test_quality_alone_would_do_nothing_and_is_refused(rowcall, tmp_path):
    write(tmp_path, png(40))
    ended = rowcall("check", "-i", "in.parquet", *PICTURES, "-o", "out.parquet", "--set", "images.quality=50")
    assert ended.code == 2
    assert "max_side or format" in ended.err


@pytest.mark.network
@pytest.mark.parametrize("smaller", [(), SMALLER], ids=["as-they-are", "smaller"])
def test_pillow_is_never_imported_where_the_key_is(tmp_path, smaller):
    write(tmp_path, png(400))
    args = ("check", "-q", "-i", str(tmp_path / "in.parquet"), *PICTURES, *smaller, "-o", str(tmp_path / "out.parquet"))
    expected = ["pipeline.pictures.workers"] if smaller else []
    assert loaded(("PIL", "pipeline.pictures.workers", "pipeline.pictures.shrink"), *args) == expected


NOTEBOOK = """
import asyncio
from pipeline import Job, run_job
from pipeline.config import load_config, parse_set

async def cell():
    sets = ["input.path=in.parquet", "prompt.user=x", "prompt.images=photo", "endpoint.provider=simulated",
            "output.path=out.parquet", "images.max_side=100"]
    config = load_config(None, [parse_set(each) for each in sets])
    return run_job(Job(config))

print(asyncio.run(cell()).ok)
"""


@pytest.mark.network
def test_a_script_with_a_loop_and_no_main_guard_makes_pictures_smaller(tmp_path):
    write(tmp_path, png(400), png(300))
    (tmp_path / "script.py").write_text(NOTEBOOK)
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "script.py"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.returncode) == ("2\n", 0), ended.stderr
