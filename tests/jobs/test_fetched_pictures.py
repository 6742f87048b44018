"""Pictures by URL through a whole job: rows whose address leads where it must not fail with a reason, and nothing is reached."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.jobs.check import check_job
from pipeline.jobs.job import Job
from pipeline.jobs.run import run_job
from tests.engine.web import counting

pytestmark = pytest.mark.network


def ran(tmp_path: Path, urls: list[str], **images: Any) -> list[dict[str, Any]]:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"url": url}) + "\n" for url in urls), encoding="utf-8")
    job = Job.of(
        {
            "input": {"path": str(source)},
            "prompt": {"user": "What is it?", "images": "url"},
            "images": {"urls": "inline", **images},
            "endpoint": {"provider": "simulated"},
            "stop": {"systematic_failures": None},
            "output": {"path": str(tmp_path / "out.parquet")},
        }
    )
    run_job(job)
    rows: list[dict[str, Any]] = pq.read_table(tmp_path / "out.parquet").to_pylist()
    return rows


def test_rows_with_hostile_addresses_fail_and_nothing_is_reached(tmp_path: Path) -> None:
    reached: list[Any] = []

    async def main() -> list[dict[str, Any]]:
        async with counting(reached) as port:
            urls = [
                f"http://127.0.0.1:{port}/?token=secret",
                "http://127.0.0.1/",
                "https://127.0.0.1/",
                "http://[::1]/",
                "http://[::ffff:127.0.0.1]/",
                "http://2130706433/",
                "http://0x7f.1/",
                "http://0.0.0.0/",
                "http://localhost/",
                "http://169.254.169.254/latest/meta-data/iam/secret",
                "http://10.0.0.1/",
                "http://user:secret@127.0.0.1/",
            ]
            return await asyncio.to_thread(ran, tmp_path, urls)

    rows = asyncio.run(main())
    assert reached == []
    assert [row["status"] for row in rows] == ["failed"] * 12
    assert [row["error_kind"] for row in rows] == ["bad_row"] * 12
    assert [row["attempts"] for row in rows] == [0] * 12
    assert all("://" in row["error"] and "secret" not in row["error"] for row in rows)


def test_check_counts_what_is_to_be_fetched_and_fetches_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(
        "".join(json.dumps({"url": f"https://nowhere.invalid/{each}"}) + "\n" for each in range(5)), encoding="utf-8"
    )
    config = {
        "input": {"path": str(source)},
        "prompt": {"user": "What is it?", "images": "url"},
        "endpoint": {"provider": "simulated"},
        "output": {"path": str(tmp_path / "out.parquet")},
    }
    assert check_job(Job.of({**config, "images": {"urls": "inline"}})).fetched == 5
    assert check_job(Job.of(config)).fetched == 0
