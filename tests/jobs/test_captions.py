"""The checks of captions in a run: made of what was published, kept with the run, and only where pictures are sent."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline import Job, run_job
from pipeline.checkpoint.layout import Layout
from pipeline.core.captions import CaptionChecks
from pipeline.core.tally import Summary
from pipeline.jobs.look import standing
from pipeline.simulate import Simulator, SimulatorSettings, serve

pytestmark = pytest.mark.network


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve(SimulatorSettings()) as it:
        yield it


def pictures(path: Path, number: int) -> None:
    cells = []
    for shade in range(number):
        Image.new("RGB", (8, 8), (shade * 20 % 256, 0, 0)).save(file := io.BytesIO(), "PNG")
        cells.append(file.getvalue())
    pq.write_table(pa.table({"photo": [*cells, b"no picture"]}), path)


def job_of(folder: Path, simulator: Simulator, *, images: bool = True, **asked: Any) -> Job:
    values = {
        "input": {"path": str(folder / "in.parquet")},
        "prompt": {"user": "What is this?", **({"images": "photo"} if images else {})},
        "endpoint": {"provider": "openai", "base_url": simulator.base_url, "model": "m"},
        "output": {"path": str(folder / "out.parquet"), "prefix": "llm_"},
        "checkpoint": {"part_rows": 5},
    }
    return Job.of(values, **asked)


def of_the_output(folder: Path) -> dict[str, object]:
    rows = [each for each in pq.read_table(folder / "out.parquet").to_pylist() if each["llm_status"] == "ok"]
    checks = CaptionChecks(len(rows))
    checks.add(*([row["llm_" + name] for row in rows] for name in ("completion", "finish_reason", "extra")))
    return json.loads(json.dumps(checks.to_json()))


def without_id(summary: Summary) -> dict[str, object]:
    assert summary.captions is not None
    found: dict[str, object] = json.loads(json.dumps(summary.captions))
    assert found.pop("output_id")
    return found


def test_a_run_with_pictures_says_what_is_in_its_output_and_later_ones_still_do(tmp_path: Path, simulator: Simulator) -> None:
    pictures(tmp_path / "in.parquet", 12)
    ended = run_job(job_of(tmp_path, simulator))
    found = without_id(ended)
    assert found == of_the_output(tmp_path)
    assert found["checked"] == 12, "the row without a picture failed, and is no caption"
    again = run_job(job_of(tmp_path, simulator))
    assert again.requests == 0
    assert without_id(again) == found
    seen = standing(tmp_path / "out.parquet").summary["captions"]
    assert json.loads(json.dumps(seen)) == json.loads(json.dumps(ended.captions))
    stored = json.loads(Layout.of(tmp_path / "out.parquet", is_directory=False).summary.read_bytes())
    assert stored["captions"] == json.loads(json.dumps(ended.captions))


def test_what_was_found_of_an_older_output_is_not_said_of_a_newer_one(tmp_path: Path, simulator: Simulator) -> None:
    pictures(tmp_path / "in.parquet", 12)
    first = run_job(job_of(tmp_path, simulator, limit=6))
    second = run_job(job_of(tmp_path, simulator))
    assert (without_id(first)["checked"], without_id(second)["checked"]) == (6, 12)
    seen = standing(tmp_path / "out.parquet").summary["captions"]
    assert isinstance(seen, dict)
    assert seen["checked"] == 12


def test_a_job_without_pictures_pays_nothing_for_it(tmp_path: Path, simulator: Simulator) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "in.parquet")
    assert run_job(job_of(tmp_path, simulator, images=False)).captions is None
    assert standing(tmp_path / "out.parquet").summary["captions"] is None


def test_a_job_that_was_published_before_captions_were_checked_still_says_where_it_stands(
    tmp_path: Path, simulator: Simulator
) -> None:
    pictures(tmp_path / "in.parquet", 2)
    old = run_job(job_of(tmp_path, simulator)).to_json()
    del old["captions"]
    assert Summary(**old).captions is None  # type: ignore[arg-type]
