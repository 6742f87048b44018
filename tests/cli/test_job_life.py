"""A job's life at the command line: grown, cut short, retried, changed, moved, and looked at in between."""

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import Job, Progress, RowcallError, run_job
from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.simulate import Latency, SimulatorSettings, serve

pytestmark = pytest.mark.network

# Beside the jobs lie scripts for the simulator.
JOBS = sorted(path for path in (Path(__file__).parents[2] / "configs").glob("*.yaml") if not path.name.startswith("rehearse-"))


def rows(folder: Path, name: str, numbers: range) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("id,text\n" + "".join(f"{number:03},digest:{number:08x} What is {number} + 1?\n" for number in numbers))
    return path


@pytest.fixture
def simulator():
    with serve(SimulatorSettings(wrong=0.0)) as it:
        yield it


@pytest.fixture
def job(tmp_path, simulator):
    """A config over in/*.csv, and its file."""
    config = {
        "input": {"path": "in/*.csv"},
        "prompt": {"user": "{{ text }}"},
        "endpoint": {"provider": "openai", "base_url": simulator.base_url, "model": "m"},
        "limits": {"concurrency": 4},
        "output": {"path": "out.parquet"},
        "checkpoint": {"part_rows": 7},
    }
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(config))
    return path


def ids(path: Path) -> list[str]:
    table = pq.read_table(path)
    for text, completion in zip(table["text"].to_pylist(), table["completion"].to_pylist(), strict=True):
        assert completion is None or text.split()[0] in completion, "an answer beside the wrong row"
    return table["id"].to_pylist()


def numbered(count: int) -> list[str]:
    return [f"{number:03}" for number in range(count)]


def test_a_finished_job_run_again_sends_nothing_and_keeps_its_exit_code(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(20))
    assert rowcall("run", job, "-q").code == 0
    before = simulator.stats()["requests"]
    again = rowcall("run", job, "--json", "--progress", "none")
    assert (again.code, json.loads(again.out)["requests"], simulator.stats()["requests"]) == (0, 0, before)
    assert ids(tmp_path / "out.parquet") == numbered(20)


def test_quiet_says_nothing_when_all_is_well(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(3))
    ended = rowcall("run", job, "-q")
    assert (ended.out, ended.err) == ("", "")


def test_a_limit_cuts_the_job_and_a_larger_one_goes_on(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(30))
    for limit, wanted in ((10, 10), (5, 10), (10, 10), (18, 18), (None, 30)):
        ended = rowcall("run", job, "--json", *(["-n", limit] if limit is not None else []))
        assert ended.code == 0, ended.err
        assert ids(tmp_path / "out.parquet") == numbered(wanted)
        assert simulator.stats()["requests"] == wanted
        assert json.loads(ended.out)["limit"] == limit


def test_new_files_join_behind_the_old_ones_whatever_their_names(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/m.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    rows(tmp_path, "in/a.csv", range(10, 25))
    assert rowcall("run", job, "-q").code == 0
    assert ids(tmp_path / "out.parquet") == numbered(25)
    assert simulator.stats()["requests"] == 25


def test_a_finished_file_may_vanish_and_a_changed_one_is_named(rowcall, tmp_path, job, simulator):
    first = rows(tmp_path, "in/a.csv", range(10))
    second = rows(tmp_path, "in/b.csv", range(10, 15))
    assert rowcall("run", job, "-q").code == 0
    first.unlink()
    rows(tmp_path, "in/c.csv", range(15, 20))
    assert rowcall("run", job, "-q").code == 0
    assert ids(tmp_path / "out.parquet") == numbered(20)
    second.write_text(second.read_text().replace("014", "999"))
    ended = rowcall("run", job, "-q")
    assert ended.code == 2
    assert "b.csv" in ended.err
    assert "--fresh" in ended.err
    assert simulator.stats()["requests"] == 20


def test_a_new_file_that_does_not_fit_may_be_mended_or_taken_away(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    odd = tmp_path / "in" / "b.csv"
    odd.write_text("id,words\n010,digest:0000000a What is 10 + 1?\n")
    for _ in range(2):
        ended = rowcall("run", job, "-q")
        assert (ended.code, "text" in ended.err) == (2, True)
    odd.unlink()
    assert rowcall("run", job, "-q").code == 0
    rows(tmp_path, "in/b.csv", range(10, 12))
    assert rowcall("run", job, "-q").code == 0
    assert ids(tmp_path / "out.parquet") == numbered(12)
    assert simulator.stats()["requests"] == 12


def test_check_counts_rows_to_do_also_when_a_finished_file_has_gone(rowcall, tmp_path, job):
    gone = rows(tmp_path, "in/a.csv", range(3))
    assert rowcall("run", job, "-q").code == 0
    gone.unlink()
    rows(tmp_path, "in/b.csv", range(3, 5))
    shown = rowcall("check", job).out
    assert "to do: 2" in shown
    assert "input: 5 rows" in shown


def test_what_comes_to_light_after_rows_were_sent_is_no_exit_2(rowcall, tmp_path, job, simulator):
    """An output that somebody else made meanwhile. Exit 2 says that nothing was sent."""
    rows(tmp_path, "in/a.csv", range(10))
    (tmp_path / "in" / "a.csv").rename(tmp_path / "a.csv")
    target = tmp_path / "out.parquet"

    class Meddler:
        def progress(self, now: Progress) -> None:
            if now.finished:
                target.write_bytes(b"somebody else's")

        def notice(self, text: str) -> None: ...

    with pytest.raises(RowcallError, match="are not asked again") as refused:
        run_job(Job.load(job, {"input.path": str(tmp_path / "a.csv")}), Meddler())
    assert refused.value.exit_code == 5
    target.unlink()
    assert rowcall("run", job, "-q", "-i", "a.csv").code == 0
    assert ids(target) == numbered(10)
    assert simulator.stats()["requests"] == 10


def test_a_project_that_was_moved_is_the_same_job(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("in", "job.yaml", "out.parquet", "out.parquet.rowcall"):
        (tmp_path / name).rename(moved / name)
    assert rowcall("run", moved / "job.yaml", "-q").code == 0
    assert simulator.stats()["requests"] == 10


def test_a_file_that_was_renamed_is_not_asked_again(rowcall, tmp_path, job, simulator):
    path = rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    path.rename(tmp_path / "in" / "z.csv")
    assert rowcall("run", job, "-q").code == 0
    assert simulator.stats()["requests"] == 10


@pytest.mark.parametrize("verb", ["run", "check"])
def test_another_prompt_is_another_job_and_says_so(rowcall, tmp_path, job, simulator, verb):
    rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    ended = rowcall(verb, job, "-p", "Shout: {{ text }}")
    assert "Shout" in ended.out + ended.err
    assert "prompt.user" in ended.out + ended.err
    assert ended.code == (2 if verb == "run" else 0)
    for way in ("--keep-done", "--fresh", "output.path"):
        assert verb == "check" or way in ended.err
    assert simulator.stats()["requests"] == 10


def test_after_a_first_try_that_recorded_nothing_config_and_input_may_be_mended_freely(rowcall, tmp_path, job, simulator):
    path = rows(tmp_path, "in/a.csv", range(10))
    nowhere = [
        "--set",
        "endpoint.base_url=http://127.0.0.1:9/other",
        "--set",
        "retry.max_outage_s=0.5",
        "--set",
        "output.prefix=x_",
        "-p",
        "Shout: {{ text }}",
    ]
    tried = rowcall("run", job, "-q", *nowhere)
    assert tried.code in (2, 3)
    assert (tmp_path / "out.parquet.rowcall").exists()
    path.write_text("id;text\n0;digest:00000000 What is 0 + 1?\n")
    assert "Shout" not in rowcall("check", job, "--set", "input.csv.delimiter=;").out
    mended = rowcall("run", job, "-q", "--set", "input.csv.delimiter=;")
    assert mended.code == 0, mended.err
    assert ids(tmp_path / "out.parquet") == ["0"]
    assert simulator.stats()["requests"] == 1
    assert rowcall("status", job, "--verify").code == 0


def test_keep_done_asks_only_the_rest_under_the_new_config(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(20))
    assert rowcall("run", job, "-q", "-n", 10).code == 0
    assert rowcall("run", job, "-q", "--keep-done", "-p", "Please: {{ text }}").code == 0
    assert simulator.stats()["requests"] == 20
    assert ids(tmp_path / "out.parquet") == numbered(20)
    assert rowcall("run", job, "-q", "-p", "Please: {{ text }}").code == 0
    assert rowcall("run", job, "-q").code == 2
    refused = rowcall("run", job, "-q", "--keep-done", "-p", "Please: {{ text }}", "--set", "output.prefix=x_")
    assert refused.code == 2
    assert "output.prefix" in refused.err


def test_fresh_sets_the_old_aside_and_deletes_nothing(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    old = (tmp_path / "out.parquet").read_bytes()
    assert rowcall("run", job, "-q", "--fresh", "-p", "Now: {{ text }}").code == 0
    assert simulator.stats()["requests"] == 20
    kept = [path for path in tmp_path.glob("out*") if path.is_file() and path.name != "out.parquet"]
    assert [path.read_bytes() for path in kept] == [old]


def test_a_missing_output_is_an_error_and_never_a_silent_success(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    (tmp_path / "out.parquet").rename(tmp_path / "taken.parquet")
    ended = rowcall("run", job, "-q")
    assert ended.code == 2
    assert "out.parquet" in ended.err
    (tmp_path / "taken.parquet").rename(tmp_path / "out.parquet")
    assert rowcall("run", job, "-q").code == 0
    assert simulator.stats()["requests"] == 10


@pytest.mark.parametrize("output", ["out.parquet", "out"])
@pytest.mark.parametrize("published", [True, False])
def test_failed_rows_are_asked_again_on_request_and_nothing_else_is(rowcall, tmp_path, job, simulator, output, published):
    rows(tmp_path, "in/a.csv", range(25))
    sets = ["-o", output, "--set", "request.max_tokens=1"]
    template = "{{ text if id not in ('003', '020') else none }}"
    first = rowcall("run", job, "-q", "-p", template, *sets, *([] if published else ["-n", "22"]))
    assert first.code == 1
    before = simulator.stats()["requests"]
    # The template still refuses these rows; under a new one they are asked, and only they.
    again = rowcall("run", job, "--json", "--keep-done", "--retry-failed=bad_row", *sets)
    assert again.code == 0, again.err
    summary = json.loads(again.out)
    assert (summary["ok"], summary["failed"], summary["pending"]) == (25, 0, 0)
    assert simulator.stats()["requests"] - before == (2 if published else 5)
    table = pq.read_table(tmp_path / output)
    assert table["id"].to_pylist() == numbered(25)
    assert set(table["status"].to_pylist()) == {"ok"}


def test_an_unknown_kind_is_refused_with_the_known_ones(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(3))
    ended = rowcall("run", job, "--retry-failed=nonsense")
    assert ended.code == 2
    assert "timeout" in ended.err


def test_a_folder_of_parts_has_a_manifest_that_tells_the_truth(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(20))
    assert rowcall("run", job, "-q", "-o", "out").code == 0
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert [each["name"] for each in manifest["files"]] == ["part-000000.parquet", "part-000001.parquet", "part-000002.parquet"]
    assert ids(tmp_path / "out") == numbered(20)
    assert rowcall("status", tmp_path / "out", "--verify").code == 0


def test_damage_is_found_by_verify(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(20))
    assert rowcall("run", job, "-q").code == 0
    assert rowcall("status", job, "--verify").code == 0
    path = tmp_path / "out.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    ended = rowcall("status", job, "--verify")
    assert ended.code == 5
    assert "out.parquet: the finished job's output was changed" in ended.err
    assert "run again" not in ended.err, "that would not help"


def test_a_deadline_that_has_come_stops_the_run_and_the_same_command_goes_on(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(10))
    # Long enough for a busy machine to start and to ask once.
    with serve(SimulatorSettings(latency=Latency.parse("0.8"))) as slow:
        there = ["--set", f"endpoint.base_url={slow.base_url}", "-c", "1"]
        ended = rowcall("run", job, "--json", "--deadline", "5s", *there)
        assert ended.code == 3
        summary = json.loads(ended.out)
        assert 0 < summary["ok"] < 10
        assert "deadline" in summary["stopped"]
    assert rowcall("run", job, "-q").code == 0
    assert ids(tmp_path / "out.parquet") == numbered(10)
    assert simulator.stats()["requests"] == 10 - summary["ok"]


def test_status_and_export_show_an_unfinished_job(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(30))
    assert rowcall("status", job).code == 2
    with serve(SimulatorSettings(latency=Latency.parse("0.8"))) as slow:
        there = ["--set", f"endpoint.base_url={slow.base_url}", "-c", "1"]
        assert rowcall("run", job, "-q", "--deadline", "5s", *there).code == 3
    shown = json.loads(rowcall("status", job, "--json").out)
    assert shown["rows"] == 30 == shown["ok"] + shown["failed"] + shown["pending"]
    assert shown["ok"] > 0
    text = rowcall("status", job).out
    assert "still to do" in text
    assert "deadline" in text
    assert rowcall("export", job, "now.parquet", "-q").code == 0
    table = pq.read_table(tmp_path / "now.parquet")
    assert table["id"].to_pylist() == numbered(30)
    assert table["status"].to_pylist().count("ok") == shown["ok"]
    assert table["status"].to_pylist().count("pending") == shown["pending"]
    for name in ("now.csv", "now.jsonl"):
        assert rowcall("export", job, name, "-q").code == 0
        assert (tmp_path / name).stat().st_size > 0


def test_check_sends_and_writes_nothing(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(30))
    before = sorted(tmp_path.rglob("*"))
    ended = rowcall("check", job, "--set", "pricing.prompt_per_million=1")
    assert ended.code == 0
    for words in ("30 rows", "to do: 30", "What is 0 + 1?", "POST ", "cost about"):
        assert words in ended.out
    assert sorted(tmp_path.rglob("*")) == before
    assert simulator.stats()["requests"] == 0


def test_where_there_is_no_record_there_is_nothing_to_repair(rowcall, tmp_path, job, simulator):
    """A mistyped path would buy everything anew."""
    rows(tmp_path, "in/a.csv", range(4))
    ended = rowcall("run", job, "--repair", "--set", "output.path=elsewhere.parquet")
    assert ended.code == 2
    assert "no record to repair" in ended.err
    assert simulator.stats()["requests"] == 0


def test_every_option_has_an_environment_twin(rowcall, tmp_path, job, simulator, monkeypatch):
    rows(tmp_path, "in/a.csv", range(30))
    monkeypatch.setenv("ROWCALL_RUN_LIMIT", "4")
    monkeypatch.setenv("ROWCALL_RUN_JSON", "1")
    monkeypatch.setenv("ROWCALL_RUN_FRESH", "1")
    for _ in range(2):
        assert json.loads(rowcall("run", job).out)["rows"] == 4
    assert simulator.stats()["requests"] == 4, "--fresh has no twin"


def test_a_key_that_is_changed_in_its_file_is_taken_up_in_the_middle_of_a_run(tmp_path, job, simulator):
    """The first key was replaced before the run began to send, in the file and at the endpoint."""
    rows(tmp_path, "in/a.csv", range(20))
    file, new = tmp_path / "key", "sk-canary-4712-abcdefgh"
    file.write_text("sk-canary-4711-abcdefgh")
    file.chmod(0o600)

    class Changing:
        notices: list[str] = []

        def progress(self, now: Progress) -> None:
            file.write_text(new)

        def notice(self, text: str) -> None:
            self.notices.append(text)

    with serve(SimulatorSettings(require_key=new, wrong=0.0)) as choosy:
        job.write_text(job.read_text().replace(simulator.base_url, choosy.base_url))
        summary = run_job(Job.load(job, {"endpoint.api_key_file": str(file)}), observer=Changing())
        assert (summary.ok, summary.exit_code) == (20, 0)
        assert summary.requests <= 24
    assert any("another one now" in line for line in Changing.notices)
    file.unlink()
    assert not any(new.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_key_shows_nowhere(rowcall, tmp_path, job, monkeypatch):
    key = "sk-canary-4711-abcdefgh"
    monkeypatch.setenv("THE_KEY", key)
    rows(tmp_path, "in/a.csv", range(5))
    sets = ["--set", "endpoint.api_key_env=THE_KEY", "-p", "{{ text }}"]
    streams = [rowcall(verb, job, *sets, "-vv") for verb in ("check", "run", "run")]
    streams.append(rowcall("status", job, "-vv"))
    assert not any(key in ended.out + ended.err for ended in streams)
    assert not any(key.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_record_and_output_are_private_where_they_hold_user_data(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(5))
    old = os.umask(0)
    try:
        assert rowcall("run", job, "-q").code == 0
    finally:
        os.umask(old)
    record = tmp_path / "out.parquet.rowcall"
    assert record.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in record.rglob("*"))


# -- the library


class Watch:
    def __init__(self) -> None:
        self.seen: list[Progress] = []
        self.notices: list[str] = []

    def progress(self, now: Progress) -> None:
        self.seen.append(now)

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_the_library_runs_the_same_job_and_tells_its_observer(tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(12))
    watch = Watch()
    summary = run_job(Job.load(job, {"limits.concurrency": 2}), watch)
    assert (summary.ok, summary.exit_code, summary.requests) == (12, 0, 12)
    assert watch.seen[-1].finished
    assert run_job(Job.load(job)).requests == 0


def test_the_library_works_where_a_loop_runs_already_as_in_a_notebook(tmp_path, job):
    import asyncio

    rows(tmp_path, "in/a.csv", range(5))

    async def cell() -> int:
        return run_job(Job.load(job)).ok

    assert asyncio.run(cell()) == 5


def test_a_job_can_be_made_without_a_file(tmp_path, simulator, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows(tmp_path, "a.csv", range(3))
    made = Job.of(
        {
            "input": {"path": "a.csv"},
            "prompt": {"user": "{{ text }}"},
            "endpoint": {"provider": "openai", "base_url": simulator.base_url, "model": "m"},
            "output": {"path": "o.parquet"},
        },
        limit=2,
        deadline=time.time() + 60,
    )
    assert run_job(made).ok == 2


def test_retry_failed_may_stand_before_the_config(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(3))
    assert rowcall("run", "--retry-failed", job, "-q").code == 0


@pytest.mark.parametrize("config", JOBS, ids=lambda path: path.stem)
def test_every_config_that_is_shipped_passes_check(rowcall, config, monkeypatch):
    for name in ("SEGMIND_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-canary-4711-abcdefgh")
    ended = rowcall("check", config)
    assert ended.code == 0, ended.err
    assert "the first request" in ended.out
    assert "canary" not in ended.out


def test_fresh_leaves_the_old_output_in_place_when_the_new_job_cannot_begin(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(10))
    assert rowcall("run", job, "-q").code == 0
    for wrong in (["-p", "{{ txet }}"], ["--set", "output.columns=[nope]"], ["-i", "no*.csv"]):
        assert rowcall("run", job, "-q", "--fresh", *wrong).code == 2
        assert ids(tmp_path / "out.parquet") == numbered(10)
    assert rowcall("run", job, "-q").code == 0
    assert simulator.stats()["requests"] == 10


def test_a_config_may_have_any_name(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(3))
    named = job.rename(tmp_path / "nightly.conf")
    assert rowcall("run", named, "-q").code == 0
    assert rowcall("status", named).code == 0
    assert rowcall("export", named, "all.csv").code == 0


def test_status_has_an_answer_while_a_run_still_reads_its_input(rowcall, tmp_path, job):
    (tmp_path / "out.parquet.rowcall").mkdir(mode=0o700)
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)
    with hold(layout):
        shown = rowcall("status", job, "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["rows"] == 0


def test_export_names_the_column_that_only_parquet_can_hold(rowcall, tmp_path, job):
    table = pa.table({"text": ["a"], "when": pa.array([2**60], pa.timestamp("us"))})
    (tmp_path / "in").mkdir()
    pq.write_table(table.append_column("often", pa.array([[2**60]], pa.list_(pa.timestamp("us")))), tmp_path / "in" / "a.parquet")
    assert rowcall("run", job, "-q", "-i", "in/a.parquet").code == 0
    ended = rowcall("export", "out.parquet", "all.csv")
    assert ended.code == 2
    assert "column often" in ended.err
    assert not list(tmp_path.glob("*.csv"))
    assert rowcall("export", "out.parquet", "all.parquet").code == 0


@pytest.mark.parametrize("name", ["in/a.PARQUET", "in/a.parquet"])
def test_export_shows_rows_that_were_never_asked(rowcall, tmp_path, job, name):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"id": numbered(20), "text": numbered(20)}), tmp_path / name)
    assert rowcall("run", job, "-q", "-n", "5", "-i", name).code == 0
    assert rowcall("export", "out.parquet", "all.parquet").code == 0
    table = pq.read_table(tmp_path / "all.parquet")
    assert table["id"].to_pylist() == numbered(20)
    assert table["status"].to_pylist() == ["ok"] * 5 + ["pending"] * 15


def test_files_whose_columns_differ_in_order_or_wrapping_fit_whenever_they_come(rowcall, tmp_path, job, simulator):
    """Found by hand: what a first run takes together was refused when it came apart, by a stop or a night between."""
    folder = tmp_path / "in"
    folder.mkdir()
    first = pa.table({"id": numbered(10), "text": ["digest:00000000 What is 1 + 1?"] * 10, "note": [None] * 9 + ["x"]})
    pq.write_table(first, folder / "a.parquet")
    second = pa.table(
        {"note": pa.nulls(5), "text": pa.array(["digest:00000000 What is 1 + 1?"] * 5, pa.large_string()), "id": numbered(5)}
    )
    job.write_text(job.read_text().replace("in/*.csv", "in/*.parquet"))
    assert rowcall("run", job, "-q").code == 0
    pq.write_table(second, folder / "b.parquet")
    assert rowcall("run", job, "-q", "-n", "12").code == 0
    ended = rowcall("run", job, "-q")
    assert ended.code == 0, ended.err
    assert ids(tmp_path / "out.parquet") == numbered(10) + numbered(5)
    assert simulator.stats()["requests"] == 15
    assert rowcall("status", job, "--verify").code == 0


def test_columns_set_aside_that_were_lost_are_set_aside_anew_though_every_row_is_on_record(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(7))
    layout = Layout.of(tmp_path / "out.parquet", is_directory=False)

    class InTheWay:
        def progress(self, now: Progress) -> None:
            if layout.parts.is_dir():
                layout.parts.rmdir()
                layout.parts.write_text("no folder to seal into")

        def notice(self, text: str) -> None: ...

    assert run_job(Job.load(job), InTheWay()).exit_code == 3
    layout.parts.unlink()
    lost = list(layout.kept.iterdir())
    assert lost
    for each in lost:
        each.unlink()
    ended = rowcall("run", job, "-q")
    assert ended.code == 0, ended.err
    assert ids(tmp_path / "out.parquet") == numbered(7)
    assert simulator.stats()["requests"] == 7


def test_export_never_writes_over_the_job_s_own_files(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(3))
    assert rowcall("run", job, "-q").code == 0
    before = (tmp_path / "out.parquet").read_bytes()
    (tmp_path / "link.parquet").symlink_to("out.parquet")
    for target in ("out.parquet", "./in/../out.parquet", "out.parquet.rowcall/x.csv", "in/a.csv", "link.parquet"):
        ended = rowcall("export", job, target)
        assert ended.code == 2, target
        assert "belongs to the job" in ended.err
    assert (tmp_path / "out.parquet").read_bytes() == before
    assert rowcall("run", job, "-q").code == 0


def test_a_retry_under_too_small_a_limit_marks_nothing_for_later(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(4))
    assert rowcall("run", job, "-q", "--set", "request.max_tokens=1").code == 0
    changed = ["--set", "request.max_tokens=1"]
    assert rowcall("run", job, "-q", "-n", "2", "--retry-failed=length,empty", *changed).code == 0
    assert rowcall("run", job, "-q", *changed).code == 0
    assert simulator.stats()["requests"] == 4


def test_options_have_environment_twins_and_those_that_repeat_take_one_a_line(rowcall, tmp_path, job, monkeypatch):
    rows(tmp_path, "in/a b.csv", range(3))
    rows(tmp_path, "in/c.csv", range(3, 5))
    monkeypatch.setenv("ROWCALL_RUN_INPUT", "in/a b.csv\nin/c.csv\n")
    monkeypatch.setenv("ROWCALL_RUN_SET", "limits.concurrency=2\nrequest={max_tokens: 7}")
    monkeypatch.setenv("ROWCALL_RUN_OUTPUT", "there.parquet")
    ended = rowcall("run", job, "-q")
    assert ended.code == 0, ended.err
    assert ids(tmp_path / "there.parquet") == numbered(5)
    assert json.loads(pq.read_metadata(tmp_path / "there.parquet").metadata[b"rowcall"])["config"]["request"] == {"max_tokens": 7}


def test_a_new_file_of_another_type_is_refused_by_column_and_type(rowcall, tmp_path, job):
    (tmp_path / "in").mkdir()
    job.write_text(job.read_text().replace("in/*.csv", "in/*.parquet"))
    pq.write_table(pa.table({"text": ["a"], "note": pa.nulls(1)}), tmp_path / "in" / "a.parquet")
    assert rowcall("run", job, "-q").code == 0
    pq.write_table(pa.table({"text": ["a"], "note": ["x"]}), tmp_path / "in" / "b.parquet")
    ended = rowcall("run", job, "-q")
    assert ended.code == 2
    assert "column note was null, is now string" in ended.err


def test_a_request_refused_for_every_row_leaves_them_all_to_do(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(60))
    wrong = ["--set", "request.max_tokens=-1"]
    ended = rowcall("run", job, "--json", *wrong)
    assert ended.code == 5, ended.err
    summary = json.loads(ended.out)
    assert (summary["ok"], summary["failed"], summary["pending"]) == (0, 0, 60)
    assert "systematic_failures: null" in summary["stopped"]
    assert simulator.stats()["requests"] <= 24
    assert json.loads(rowcall("status", job, "--json").out)["pending"] == 60
    assert rowcall("run", job, "-q").code == 0
    assert ids(tmp_path / "out.parquet") == numbered(60)


def test_with_the_guard_off_rows_refused_alike_fail(rowcall, tmp_path, job):
    rows(tmp_path, "in/a.csv", range(60))
    ended = rowcall("run", job, "-q", "--set", "request.max_tokens=-1", "--set", "stop.systematic_failures=null")
    assert ended.code == 1
    assert pq.read_table(tmp_path / "out.parquet")["error_kind"].to_pylist() == ["bad_request"] * 60


def test_a_damaged_record_says_what_repairing_costs_and_the_repair_does_it(rowcall, tmp_path, job, simulator):
    rows(tmp_path, "in/a.csv", range(20))
    assert rowcall("run", job, "-q", "-n", 10).code == 0
    sound = rowcall("run", job, "--repair", "-n", 10, "--progress", "log")
    assert (sound.code, "nothing to repair" in sound.err) == (0, True)
    (tmp_path / "out.parquet.rowcall" / "journal.db").write_bytes(b"no database" * 1000)
    for verb in (["status", job], ["check", job]):
        ended = rowcall(*verb)
        assert (ended.code, "--repair" in ended.out) == (0, True), ended
    for verb in (["status", job, "--verify"], ["export", job, tmp_path / "x.csv"], ["run", job]):
        ended = rowcall(*verb)
        assert ended.code == 5
        assert "10 recorded rows can be kept, 0 would be asked again" in ended.err
        assert "`rowcall run --repair`" in ended.err
    assert simulator.stats()["requests"] == 10
    ended = rowcall("run", job, "--repair", "--progress", "log")
    assert ended.code == 0, ended.err
    assert "10 recorded rows are kept" in ended.err
    assert simulator.stats()["requests"] == 20
    assert ids(tmp_path / "out.parquet") == numbered(20)
    (aside,) = (tmp_path / "out.parquet.rowcall").glob("damaged-*")
    assert (aside / "journal.db").read_bytes().startswith(b"no database")


def test_repair_and_fresh_exclude_each_other(rowcall, job):
    ended = rowcall("run", job, "--repair", "--fresh")
    assert (ended.code, "exclude each other" in ended.err) == (2, True)
