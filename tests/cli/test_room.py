"""A disk with too little room, as the command sees it before anything is sent."""

import json

import pytest

from pipeline.simulate import SimulatorSettings, serve

pytestmark = pytest.mark.network
MORE_THAN_ANY_DISK_HAS = "checkpoint.min_free_megabytes=1000000000000"


@pytest.fixture
def simulator():
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


def test_nothing_is_sent_with_too_little_room_and_a_finished_job_needs_none(rowcall, tmp_path, simulator):
    (tmp_path / "rows.csv").write_text("text\n" + "What is 1 + 1?\n" * 5)
    config = {
        "input": {"path": "rows.csv"},
        "prompt": {"user": "{{ text }}"},
        "endpoint": {"provider": "openai", "base_url": simulator.base_url, "model": "m"},
        "output": {"path": "out.parquet"},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(config))
    refused = rowcall("run", "job.yaml", "--set", MORE_THAN_ANY_DISK_HAS)
    assert (refused.code, simulator.stats()["requests"]) == (3, 0)
    [said] = [line for line in refused.err.splitlines() if "error" in line]
    assert f"{tmp_path}/out.parquet.rowcall: " in said
    assert "MB are free, 1000000000000 MB are needed (see checkpoint.min_free_megabytes)" in said
    assert rowcall("run", "job.yaml", "-q").code == 0
    assert rowcall("run", "job.yaml", "-q", "--set", MORE_THAN_ANY_DISK_HAS).code == 0
    assert not (tmp_path / "out.parquet.rowcall" / "ballast").exists()
