"""What follows a run: the metrics file and the user's command, whatever the run's end; and what cron is given to mail."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.checkpoint.layout import Layout
from pipeline.checkpoint.lock import hold
from pipeline.jobs.finish import call, facts_of, write_metrics
from pipeline.observe.metrics_file import last_success

KEEP = 'cat > ended.json; echo "$ROWCALL_EXIT_CODE" > code'


@pytest.fixture
def job(tmp_path):
    """Three rows to the simulated endpoint, which nobody has to listen for."""
    (tmp_path / "in.csv").write_text("text\na\nb\nc\n")
    path = tmp_path / "job.yaml"
    path.write_text(
        json.dumps(
            {
                "input": {"path": "in.csv"},
                "prompt": {"user": "{{ text }}"},
                "endpoint": {"provider": "simulated"},
                "output": {"path": "out.parquet"},
            }
        )
    )
    return path


FAILING = ("-p", "{{ text if text != 'b' else none }}")


def test_cron_has_nothing_to_mail_of_a_success_and_something_of_failed_rows(rowcall, job):
    well = rowcall("run", job, "-q", "--metrics-file", "job.prom", "--on-finish", "cat > /dev/null")
    assert (well.code, well.out, well.err) == (0, "", "")
    failed = rowcall("run", job, "-q", "--fresh", *FAILING, "--metrics-file", "job.prom", "--on-finish", "cat > /dev/null")
    assert (failed.code, failed.out) == (1, "")
    assert "1 failed" in failed.err


def test_the_metrics_can_be_read_by_others_and_remember_the_last_success(rowcall, tmp_path, job):
    before = os.umask(0o077)
    try:
        assert rowcall("run", job, "-q", "--metrics-file", "job.prom").code == 0
    finally:
        os.umask(before)
    file = tmp_path / "job.prom"
    assert file.stat().st_mode & 0o777 == 0o644
    text = file.read_text()
    assert 'rowcall_rows{job="out.parquet",state="ok"} 3\n' in text
    success = last_success(text, "out.parquet")
    assert success
    assert rowcall("run", job, "-q", "-p", "Other: {{ text }}", "--metrics-file", "job.prom").code == 2
    text = file.read_text()
    assert 'rowcall_run_exit_code{job="out.parquet"} 2\n' in text
    assert last_success(text, "out.parquet") == success
    assert list(tmp_path.glob(".job.prom*")) == []


@pytest.mark.parametrize(
    ("place", "named"), [("job.txt", ".prom"), ("nowhere/job.prom", "folder does not exist"), ("folder.prom", "is a folder")]
)
def test_a_place_that_will_not_do_is_refused_before_anything_is_sent(rowcall, tmp_path, job, place, named):
    (tmp_path / "folder.prom").mkdir()
    ended = rowcall("run", job, "--metrics-file", place)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert named in ended.err
    assert not (tmp_path / "out.parquet.rowcall").exists()


def test_metrics_that_cannot_be_written_in_the_end_are_a_line(tmp_path):
    said = write_metrics(tmp_path / "gone" / "job.prom", facts_of(None, 2, "why"), "out.parquet", now=1.0)
    assert said
    assert "its folder does not exist" in said


@pytest.mark.parametrize(
    ("arguments", "code", "rows"),
    [
        pytest.param([], 0, 3, id="well"),
        pytest.param(FAILING, 1, 3, id="failed-rows"),
        pytest.param(["-i", "none.csv"], 2, None, id="no-input"),
        pytest.param(["--set", "nonsense.key=1"], 2, None, id="no-config"),
        pytest.param(["--fresh", "--keep-done"], 2, None, id="usage"),
        pytest.param(["--set", "stop.systematic_failures=2", "-p", "{{ none }}"], 5, 3, id="person-needed"),
    ],
)
def test_the_command_gets_the_summary_and_the_exit_code_however_it_ended(rowcall, tmp_path, job, arguments, code, rows):
    ended = rowcall("run", job, "-q", *arguments, "--on-finish", KEEP)
    assert ended.code == code, ended.err
    told = json.loads((tmp_path / "ended.json").read_text())
    assert (told["exit_code"], told["rows"]) == (code, rows)
    assert (tmp_path / "code").read_text() == f"{code}\n"
    assert bool(told["stopped"]) == (code not in (0, 1))


def test_a_run_that_finds_another_tells_the_command_and_leaves_the_others_metrics_alone(rowcall, tmp_path, job):
    assert rowcall("run", job, "-q", "--metrics-file", "job.prom").code == 0
    before = (tmp_path / "job.prom").read_text()
    with hold(Layout.of(tmp_path / "out.parquet", is_directory=False)):
        assert rowcall("run", job, "-q", "--metrics-file", "job.prom", "--on-finish", KEEP).code == 4
    assert json.loads((tmp_path / "ended.json").read_text())["exit_code"] == 4
    assert (tmp_path / "job.prom").read_text() == before


def test_the_command_may_ask_for_the_jobs_status_for_the_lock_is_free(rowcall, tmp_path, job):
    again = f"{sys.executable} -m pipeline run -q {job} && echo free > free"
    assert rowcall("run", job, "-q", "--on-finish", again).code == 0
    assert (tmp_path / "free").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param("exit 7", "ended with 7", id="fails"),
        pytest.param("no-such-command-here 2>/dev/null", "ended with 127", id="unknown"),
        pytest.param("kill -9 $$", "ended by SIGKILL", id="killed"),
    ],
)
def test_a_command_that_fails_is_one_line_and_the_exit_code_stays_the_runs(rowcall, job, command, said):
    ended = rowcall("run", job, "-q", "--on-finish", command)
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert said in ended.err


def test_with_json_what_the_command_prints_is_kept_out_of_it(rowcall, job):
    ended = rowcall("run", job, "--json", "--progress", "none", "--on-finish", "echo mine")
    assert json.loads(ended.out)["ok"] == 3
    assert "mine" in ended.err


def test_both_have_their_environment_twins(rowcall, tmp_path, job, monkeypatch):
    monkeypatch.setenv("ROWCALL_RUN_METRICS_FILE", "job.prom")
    monkeypatch.setenv("ROWCALL_RUN_ON_FINISH", KEEP)
    assert rowcall("run", job, "-q").code == 0
    assert (tmp_path / "job.prom").exists()
    assert (tmp_path / "ended.json").exists()


def test_a_command_that_reads_nothing_of_much_does_no_harm():
    facts = facts_of(None, 2, "why")
    assert call("exit 0", {**facts, "errors": {str(each): each for each in range(50_000)}}) is None


def test_a_command_that_cannot_be_started_is_a_line(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "cannot be started" in (call("true", facts_of(None, 0, None)) or "")


@pytest.mark.parametrize(
    ("signals", "command"),
    [(1, "echo ready; exec sleep 60"), (2, "trap 'echo again' TERM; echo ready; while :; do sleep 0.05; done")],
)
def test_a_signal_is_the_commands_and_the_exit_code_stays(job, signals, command):
    """The run has ended: what is interrupted is the command, the first time kindly."""
    run = [sys.executable, "-m", "pipeline", "run", "-q", str(job), "--on-finish", command]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=job.parent, env=environment
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        if signals == 2:  # SIGTERM again: whoever starts tests in the background may have had SIGINT ignored
            assert process.stdout.readline() == "again\n"
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert ("SIGKILL" if signals == 2 else "SIGTERM") in process.stderr.read()
