"""Jobs whose input lies in an object store, from the first night to the one when something is wrong."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import Job, RowcallError, run_job
from pipeline.core.errors import StoppedError
from pipeline.jobs.check import check_job
from pipeline.jobs.look import export_batches
from pipeline.simulate import SimulatorSettings, serve
from pipeline.simulate.server import Simulator
from tests.storage.server import S3Server
from tests.storage.watched import Watched

pytestmark = pytest.mark.network


def text(numbers: range) -> list[str]:
    return [f"digest:{number:08x} What is {number} + 1?" for number in numbers]


def csv(numbers: range) -> bytes:
    return ("id,text\n" + "".join(f"{number:03},{said}\n" for number, said in zip(numbers, text(numbers), strict=True))).encode()


def jsonl(numbers: range) -> bytes:
    lines = [json.dumps({"id": f"{number:03}", "text": said}) + "\n" for number, said in zip(numbers, text(numbers), strict=True)]
    return gzip.compress("".join(lines).encode())


def parquet(numbers: range, *, padding: int = 0, **options: Any) -> bytes:
    """Make a Parquet file; with `padding` bytes a row it is none of the small ones, which are fetched whole."""
    file = io.BytesIO()
    columns: dict[str, Any] = {"id": [f"{number:03}" for number in numbers], "text": text(numbers)}
    if padding:
        columns["padding"] = [os.urandom(padding) for _ in numbers]
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


class Night:
    """A job over s3://bucket/in/ that is run as often as one likes."""

    def __init__(self, bucket: str, folder: Path, simulator: Simulator) -> None:
        self.bucket = bucket
        self.output = folder / "out.parquet"
        self.simulator = simulator

    def job(self, path: object = None, **changes: Any) -> Job:
        config = {
            "input": {"path": path or f"s3://{self.bucket}/in/"},
            "prompt": {"user": "{{ text }}"},
            "endpoint": {"provider": "openai", "base_url": self.simulator.base_url, "model": "m"},
            "limits": {"concurrency": 4},
            "output": {"path": str(self.output)},
            "checkpoint": {"part_rows": 7},
        }
        return Job.of({**config, **changes})

    def run(self, path: object = None, **changes: Any) -> Any:
        return run_job(self.job(path, **changes))

    def ids(self) -> list[str]:
        table = pq.read_table(self.output)
        for asked, said in zip(table["text"].to_pylist(), table["completion"].to_pylist(), strict=True):
            assert asked.split()[0] in said, "an answer beside the wrong row"
        ids: list[str] = table["id"].to_pylist()
        return ids

    def asked_twice(self) -> object:
        digests = self.simulator.stats()["digests"]
        assert isinstance(digests, dict)
        return digests["extra"]


@pytest.fixture
def night(bucket: str, watched: Watched, tmp_path: Path, simulator: Simulator) -> Night:
    return Night(bucket, tmp_path, simulator)


def ids(*ranges: range) -> list[str]:
    return [f"{number:03}" for numbers in ranges for number in numbers]


def test_every_format_is_read_from_a_store_and_joins_in_order(night: Night, s3: S3Server, tmp_path: Path) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    s3.put(night.bucket, "in/b/c.jsonl.gz", jsonl(range(10, 25)))
    s3.put(night.bucket, "in/d.parquet", parquet(range(25, 40), row_group_size=4))
    (tmp_path / "local.csv").write_bytes(csv(range(40, 44)))
    paths = [str(tmp_path / "local.csv"), f"s3://{night.bucket}/in/d.parquet", f"s3://{night.bucket}/in/**/*.gz"]
    ended = night.run([*paths, f"s3://{night.bucket}/in/"])
    assert (ended.rows, ended.ok, ended.exit_code) == (44, 44, 0)
    assert night.ids() == ids(range(40, 44), range(25, 40), range(10, 25), range(10))
    assert night.run([*paths, f"s3://{night.bucket}/in/"]).requests == 0


def test_the_next_night_asks_new_rows_only_and_files_that_are_known_cost_no_request(
    night: Night, s3: S3Server, watched: Watched
) -> None:
    for number in range(3):
        s3.put(night.bucket, f"in/{number}.csv", csv(range(10 * number, 10 * number + 10)))
        s3.put(night.bucket, f"in/{number}.parquet", parquet(range(100 + 10 * number, 110 + 10 * number)))
    assert night.run().ok == 60
    first = night.ids()
    watched.log.clear()
    s3.put(night.bucket, "in/0-new.csv", csv(range(500, 505)))
    ended = night.run()
    assert (ended.rows, ended.requests, ended.resumed) == (65, 5, 60)
    assert night.ids() == [*first, *ids(range(500, 505))]
    assert {each.path for each in watched.log} == {night.bucket, f"{night.bucket}/in/0-new.csv"}
    watched.log.clear()
    assert night.run().requests == 0
    assert {each.path for each in watched.log} == {night.bucket}, "a night without anything new lists, and no more"


def test_a_file_that_vanished_is_fine_and_a_retry_of_its_rows_says_so(night: Night, s3: S3Server) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    s3.put(night.bucket, "in/b.csv", csv(range(10, 20)))
    assert night.run().ok == 20
    s3.client.delete_object(Bucket=night.bucket, Key="in/a.csv")
    s3.put(night.bucket, "in/c.csv", csv(range(20, 25)))
    ended = night.run()
    assert (ended.rows, ended.requests, ended.exit_code) == (25, 5, 0)
    s3.client.delete_object(Bucket=night.bucket, Key="in/b.csv")
    s3.client.delete_object(Bucket=night.bucket, Key="in/c.csv")
    assert night.run().exit_code == 0, "matching nothing is no mistake of a job that has a record"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("a.csv", csv(range(10)), csv(range(90, 101))), ("a.parquet", parquet(range(10)), parquet(range(90, 101)))],
    ids=["csv", "parquet"],
)
def test_a_file_that_changed_is_named_and_nothing_is_sent(
    night: Night, s3: S3Server, name: str, before: bytes, after: bytes
) -> None:
    s3.put(night.bucket, f"in/{name}", before)
    assert night.run().ok == 10
    s3.put(night.bucket, f"in/{name}", after)
    s3.put(night.bucket, "in/new.csv", csv(range(10, 20)))
    with pytest.raises(RowcallError, match=f"^s3://{night.bucket}/in/{name}: the content changed") as error:
        night.run()
    assert error.value.exit_code == 2
    assert night.simulator.stats()["requests"] == 10


def test_a_file_put_under_another_key_is_not_asked_again(night: Night, s3: S3Server) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    s3.put(night.bucket, "in/a.parquet", parquet(range(10, 20)))
    assert night.run().ok == 20
    for old, new in (("a.csv", "done/z.csv"), ("a.parquet", "done/z.parquet")):
        s3.put(night.bucket, f"in/{new}", s3.get(night.bucket, f"in/{old}"))
        s3.client.delete_object(Bucket=night.bucket, Key=f"in/{old}")
    assert night.run().requests == 0


def test_files_of_one_size_and_second_are_told_apart_by_their_content(night: Night, s3: S3Server) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    assert night.run().ok == 10
    s3.client.delete_object(Bucket=night.bucket, Key="in/a.csv")
    s3.put(night.bucket, "in/b.csv", csv(range(10, 20)))
    assert night.run().requests == 10


def test_a_server_that_goes_away_stops_the_run_and_the_same_command_resumes_it(
    night: Night, s3: S3Server, watched: Watched
) -> None:
    for number in range(4):
        body = parquet(range(100 * number, 100 * number + 100), row_group_size=10, padding=20_000)
        s3.put(night.bucket, f"in/{number}.parquet", body)
    watched.until = lambda: len(watched.fetched("2.parquet")) == 2  # its footer when it joined, and what is read of it first
    kept = {"path": str(night.output), "columns": ["id", "text"]}
    stopped = night.run(output=kept)
    assert (stopped.exit_code, stopped.rows) == (3, 400)
    assert 0 < stopped.ok < 400
    assert stopped.stopped is not None
    assert "the store cannot be reached or failed" in stopped.stopped
    with pytest.raises(RowcallError, match="run again when it is back") as error:
        night.run(output=kept)
    assert error.value.exit_code == 3
    watched.away, watched.until = False, lambda: False
    ended = night.run(output=kept)
    assert (ended.exit_code, ended.ok, ended.requests) == (0, 400, 400 - stopped.ok)
    assert night.ids() == ids(range(400))
    assert night.asked_twice() == 0


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet"])
def test_a_store_that_is_away_at_the_start_is_waited_for_by_running_again(
    night: Night, s3: S3Server, watched: Watched, name: str
) -> None:
    content = {"a.csv": csv, "a.jsonl.gz": jsonl, "a.parquet": parquet}[name](range(10))
    s3.put(night.bucket, f"in/{name}", content)
    watched.away = True
    for last in (0, 1):  # before it has listed anything, and after that
        watched.until = lambda last=last: len(watched.log) == last  # type: ignore[misc]
        with pytest.raises(RowcallError, match="run again when it is back") as error:
            night.run()
        assert error.value.exit_code == 3
        watched.away = False
        watched.log.clear()
    watched.until = lambda: False
    assert night.run().exit_code == 0
    assert night.asked_twice() == 0


def test_a_bucket_that_is_not_there_is_for_somebody_to_see_to(night: Night) -> None:
    with pytest.raises(RowcallError, match=r"^s3://nobodys-bucket/in/: there is no such bucket") as error:
        night.run("s3://nobodys-bucket/in/")
    assert error.value.exit_code == 2
    assert not night.output.exists()


@pytest.mark.parametrize("path", ["in/", "in/*.csv", "in/a.csv"])
def test_a_store_that_refuses_is_for_somebody_to_see_to(night: Night, s3: S3Server, watched: Watched, path: str) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    watched.denies = True
    with pytest.raises(RowcallError, match=rf"^s3://{night.bucket}/in/\S*: the store refuses: check the credentials") as error:
        night.run(f"s3://{night.bucket}/{path}")
    assert error.value.exit_code == 2


def test_a_signal_that_comes_while_a_store_is_listed_is_heeded_before_anything_is_sent(
    night: Night, s3: S3Server, watched: Watched
) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))

    def interrupted() -> bool:
        if watched.log[-1].query.startswith("list-type") and "in%2F" in watched.log[-1].query and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)  # boto3 takes what it raises for a failure of the network
        return False

    sent: list[bool] = []
    watched.until = interrupted
    with pytest.raises(StoppedError, match="interrupted by SIGTERM"):
        night.run()
    assert sent and night.simulator.stats()["requests"] == 0
    night.run()
    assert night.ids() == ids(range(10))


def test_an_export_shows_rows_that_were_never_asked_from_where_they_lie(night: Night, s3: S3Server, tmp_path: Path) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    s3.put(night.bucket, "in/b.parquet", parquet(range(10, 30)))
    assert run_job(replace(night.job(), limit=12)).ok == 12
    _, batches = export_batches(night.output, tmp_path / "all.parquet")
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [row["id"] for row in rows] == ids(range(30))
    assert [row["status"] for row in rows] == ["ok"] * 12 + ["pending"] * 18


def test_check_looks_at_no_more_than_it_shows_and_says_so(night: Night, s3: S3Server, watched: Watched) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))
    s3.put(night.bucket, "in/b.jsonl.gz", jsonl(range(10, 20)))
    body = parquet(range(100, 50_100), row_group_size=1000, compression="none", use_dictionary=False)
    s3.put(night.bucket, "in/c.parquet", body)
    seen = check_job(night.job())
    assert (seen.rows, seen.rows_complete, seen.files) == (50_020, True, 3)
    assert seen.looked_at == 100
    assert all(each.ranged for each in watched.fetched())
    assert sum(each.size for each in watched.fetched(".parquet")) < len(body) / 5
    assert night.simulator.stats()["requests"] == 0


def test_the_command_reads_a_store_and_names_what_is_missing_in_one_line(night: Night, s3: S3Server, tmp_path: Path) -> None:
    s3.put(night.bucket, "in/a.csv", csv(range(10)))

    def rowcall(verb: str, path: str, *more: str, **env: str) -> "subprocess.CompletedProcess[str]":
        options = ("-i", f"s3://{night.bucket}/{path}", "-p", "{{ text }}", "--provider", "simulated", "-o", str(night.output))
        command = (sys.executable, "-m", "pipeline", verb, *options, *more)
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, timeout=100)

    assert "10 rows" in rowcall("check", "in/*.csv").stdout
    done = rowcall("run", "in/*.csv", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert night.ids() == ids(range(10))
    missing = rowcall("run", "in/none.csv", "-q")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert f"s3://{night.bucket}/in/none.csv: there is no such object" in missing.stderr
    away = rowcall("run", "in/*.csv", "-q", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (away.returncode, away.stderr.count("\n")) == (3, 1)
    assert "run again when it is back" in away.stderr
