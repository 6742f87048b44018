"""What a worker elsewhere is given."""

import os
from pathlib import Path

import pytest

from pipeline import Job
from pipeline.checkpoint.entries import StoredFile
from pipeline.jobs.crew import STORE_VARIABLES, unreadable_elsewhere, variables_of
from pipeline.jobs.inputs import JoinedFile

ENVIRONMENT = {"OPENAI_API_KEY": "key", "TEAM": "header", "AWS_PROFILE": "nightly", "OTHER": "private"}
ENDPOINT = {"provider": "openai", "base_url": "http://127.0.0.1:8000/v1", "model": "any", "headers": {"X-Team": "env:TEAM"}}


@pytest.mark.parametrize(
    ("source", "endpoint", "names"),
    [
        ("in.csv", {"api_key_env": "OPENAI_API_KEY"}, {"OPENAI_API_KEY", "TEAM"}),
        ("in.csv", {}, {"TEAM"}),
        ("in.csv", {"api_key_file": "key"}, {"TEAM"}),
        ("s3://bucket/in.parquet", {}, {"TEAM", "AWS_PROFILE"}),
    ],
)
def test_a_worker_gets_the_variables_that_it_needs_and_no_others(
    source: str, endpoint: dict[str, object], names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in os.environ if each.startswith(STORE_VARIABLES)]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    job = Job.of(
        {
            "input": {"path": source},
            "prompt": {"user": "x"},
            "endpoint": {**ENDPOINT, **endpoint},
            "output": {"path": "out.parquet"},
        }
    )
    assert variables_of(job.config) == {name: ENVIRONMENT[name] for name in names}


def test_input_that_is_staged_on_this_machine_is_named() -> None:
    def joined(original: str, path: str | None) -> JoinedFile:
        stored = StoredFile(0, original, rows=1, size=10, mtime_ns=0, inode=0)
        return JoinedFile(stored, 0, 1, Path(original), None if path is None else Path(path))

    assert unreadable_elsewhere([joined("a.parquet", "a.parquet"), joined("b.csv", None)]) is None
    said = unreadable_elsewhere([joined("a.parquet", "a.parquet"), joined("b.csv", "out.rowcall/staged/file-000001.parquet")])
    assert "cannot read b.csv" in str(said)
