"""A job whose output lies in an object store, from the command line: its life, what is refused, and what others are told."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.storage.proxy import Denied

pytestmark = pytest.mark.network

ROWS = 25
BROKEN = Denied(400, "NotToday")


@pytest.fixture(params=["out/captions.parquet", "out/captions/"], ids=["file", "folder"])
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def job(tmp_path: Path, bucket: str, key: str) -> Path:
    """Write a job's config; its record is to lie in rec/captions.rowcall."""
    pq.write_table(pa.table({"id": range(ROWS), "text": [f"word {row}" for row in range(ROWS)]}), tmp_path / "in.parquet")
    config = {
        "input": {"path": "in.parquet"},
        "prompt": {"user": "Say {{ text }}"},
        "endpoint": {"provider": "simulated"},
        "output": {"path": f"s3://{bucket}/{key}"},
        "checkpoint": {"dir": "rec/captions.rowcall", "part_rows": 10},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_job_lives_in_a_store_as_on_a_disk(rowcall, job, tmp_path, s3, bucket, key):
    first = rowcall("run", job, "--json", "--limit", 20)
    assert (first.code, json.loads(first.out)["output"]) == (0, f"s3://{bucket}/{key.rstrip('/')}")
    more = rowcall("run", job, "--json")
    assert (more.code, json.loads(more.out)["requests"], json.loads(more.out)["resumed"]) == (0, 5, 20)
    idle = rowcall("run", job, "--json")
    assert (idle.code, json.loads(idle.out)["requests"]) == (0, 0)
    assert "verified: 25 recorded rows" in rowcall("status", job, "--verify").out
    assert rowcall("export", job, "all.jsonl").code == 0
    exported = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [each["id"] for each in exported] == list(range(ROWS))
    assert rowcall("report", job).code == 0
    assert (tmp_path / "rec" / "captions.html").is_file()
    names = {"_manifest.json", *(f"part-{at:06d}.parquet" for at in range(3))}
    assert {each.rpartition("/")[2] for each in s3.keys(bucket)} == (names if key.endswith("/") else {"captions.parquet"})


def test_an_output_is_scored_by_config_and_where_it_lies(rowcall, job, bucket, key):
    assert rowcall("run", job, "-q").code == 0
    by = [rowcall("evaluate", each, "--reference", "text", "--json", "-") for each in (job, f"s3://{bucket}/{key}")]
    assert [each.code for each in by] == [0, 0]
    scored = [json.loads(each.out) for each in by]
    for each in scored:
        each.pop("made")
    assert scored[0] == scored[1]
    assert scored[0]["table"]["rows"] == ROWS
    nothing = rowcall("evaluate", f"s3://{bucket}/nothing", "--reference", "text")
    assert (nothing.code, f"s3://{bucket}/nothing: no .parquet file is there" in nothing.err) == (2, True)


def test_starting_over_keeps_the_old_output_in_the_bucket(rowcall, job, s3, bucket):
    assert rowcall("run", job, "-q").code == 0
    before = [s3.get(bucket, each) for each in s3.keys(bucket)]
    again = rowcall("run", job, "--fresh", "--json")
    assert (again.code, json.loads(again.out)["requests"]) == (0, ROWS)
    assert "was set aside as captions.20" in again.err
    old = [each for each in s3.keys(bucket) if "captions.20" in each]
    assert [s3.get(bucket, each) for each in old] == before
    assert len(s3.keys(bucket)) == 2 * len(before)


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (("status", "s3://b/out.parquet"), "name the job's config"),
        (("export", "s3://b/out.parquet", "x.csv"), "name the job's config"),
        (("report", "s3://b/out.parquet"), "name the job's config"),
        (("export", "job.yaml", "s3://b/x.csv"), "to a local disk only"),
        (("report", "job.yaml", "s3://b/x.html"), "to a local disk only"),
        (("evaluate", "job.yaml", "--reference", "text", "-o", "s3://b/x.csv"), "to a local disk only"),
        (("run", "s3://b/job.yaml"), "copy it there"),
        (("evaluate", "s3://b//x", "--reference", "text"), "a key with empty parts"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_location_where_none_will_do_is_named_as_it_was_written(rowcall, command, remedy):
    ended = rowcall(*command)
    named = next(each for each in command if each.startswith("s3://"))
    assert ended.code == 2
    assert ended.err.startswith(f"rowcall: error: {named}: ") and remedy in ended.err


@pytest.mark.parametrize("verb", ["run", "check"])
def test_without_boto3_it_is_said_before_anything_is_sent(rowcall, job, tmp_path, monkeypatch, verb):
    monkeypatch.setitem(sys.modules, "boto3", None)
    ended = rowcall(verb, job)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("rowcall: error: output.path: writing to s3:// needs boto3: pip install ")
    assert not (tmp_path / "rec" / "captions.rowcall" / "journal.db").exists()


def test_a_store_that_refuses_ends_the_run_before_anything_is_sent(rowcall, job, tmp_path, proxy):
    proxy.answer = lambda asked: Denied() if asked.kind == "PUT object" else None
    ended = rowcall("run", job)
    assert ended.code == 2
    assert "the store refuses" in ended.err
    assert not (tmp_path / "rec" / "captions.rowcall" / "journal.db").exists()


def test_a_store_that_fails_at_publish_costs_a_command_and_no_row(rowcall, job, s3, bucket, proxy):
    proxy.answer = lambda asked: BROKEN if asked.kind == "PUT object" and asked.key.endswith(".parquet") else None
    failed = rowcall("run", job)
    assert (failed.code, s3.keys(bucket)) == (3, [])
    assert "the same command publishes them without asking any again" in failed.err
    said = json.loads(rowcall("status", job, "--json").out)
    assert (said["requests"], said["ok"], said["exit_code"]) == (ROWS, ROWS, 3)
    proxy.answer = lambda asked: None
    again = rowcall("run", job, "--json")
    assert (again.code, json.loads(again.out)["requests"]) == (0, 0)
    assert s3.keys(bucket)


def test_what_is_in_the_way_in_the_bucket_is_left_alone(rowcall, job, s3, bucket, key):
    theirs = f"{key}theirs.parquet" if key.endswith("/") else key
    s3.put(bucket, theirs, b"theirs")
    ended = rowcall("run", job)
    assert ended.code == 2
    assert "exists, and no record here says" in ended.err
    assert s3.get(bucket, theirs) == b"theirs"
