"""rowcall evaluate: what it prints and writes, its exit codes, and jobs that are not finished."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.evaluate.catalogue import METRICS
from pipeline.jobs.scores_file import read_scores

JOB = """
input: {path: in.csv}
prompt: {user: "{{ question }}"}
endpoint: {provider: simulated}
output: {path: out.parquet%s}
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    columns = {"id": ["1", "2", "3"], "answer": ["a b", "b", "c"], "completion": ["a b", "x", None]}
    pq.write_table(pa.table({**columns, "status": ["ok", "ok", "failed"]}), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def ask(folder: Path, *, prefix: str = "") -> Path:
    (folder / "in.csv").write_text("question,answer\nWhat is 2 + 3?,5\nWhat is 4 + 4?,8\nWhat is 7 + 1?,8\n")
    (folder / "job.yaml").write_text(JOB % prefix)
    return folder / "job.yaml"


def test_the_table_goes_to_stdout_and_nothing_to_stderr(rowcall, output: Path) -> None:
    ended = rowcall("evaluate", output, "--reference", "answer", "--metric", "exact")
    assert (ended.code, ended.err) == (0, "")
    assert "exact" in ended.out
    assert "0.333" in ended.out
    assert "0.500" in ended.out  # without the row that has no answer
    assert "1 failed" in ended.out


def test_quiet_prints_nothing_where_gates_hold(rowcall, output: Path) -> None:
    ended = rowcall("evaluate", output, "--reference", "answer", "-q", "--gate", "exact>=0.3")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_gate_that_does_not_hold_exits_with_1_and_says_which_even_when_quiet(rowcall, output: Path) -> None:
    gates = ("--gate", "exact>=0.3", "--gate", "f1.low>=0.9")
    ended = rowcall("evaluate", output, "--reference", "answer", "-q", *gates)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("rowcall: gate f1.low>=0.9 does not hold: ")
    assert ended.err.count("\n") == 1


def test_metrics_may_be_given_by_comma_and_repeated(rowcall, output: Path) -> None:
    ended = rowcall("evaluate", output, "--reference", "answer", "--metric", "f1, exact", "--metric", "contains")
    assert [line.split()[0] for line in ended.out.splitlines() if line.startswith("  ") and "interval by" not in line][:3] == [
        "f1",
        "exact",
        "contains",
    ]


def test_json_holds_all_figures_and_a_sample_of_rows(rowcall, output: Path, tmp_path: Path) -> None:
    assert rowcall("evaluate", output, "--reference", "answer", "--json", tmp_path / "s.json").code == 0
    found = json.loads((tmp_path / "s.json").read_bytes())
    assert found["groups"][0]["scores"][0]["zero"]["n"] == 3
    assert [each["index"] for each in found["rows"]] == [1, 0, 2]
    read = read_scores(tmp_path / "s.json")
    assert read.kind == "evaluation"
    assert read.groups[0].missing == {"failed": 1}


def test_json_to_stdout_is_json_and_nothing_else(rowcall, output: Path) -> None:
    ended = rowcall("evaluate", output, "--reference", "answer", "--json", "-")
    assert json.loads(ended.out)["kind"] == "evaluation"


def test_two_runs_are_compared(rowcall, output: Path, tmp_path: Path) -> None:
    ended = rowcall("evaluate", output, output, "--reference", "answer", "--key", "id", "--report", tmp_path / "e.html")
    assert ended.code == 0
    assert "3 rows with the same id in both" in ended.out
    assert (tmp_path / "e.html").read_text().startswith("<!doctype html")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--report", "x.txt"), "a report is one HTML page"),
        (("--json", "x.txt"), "figures are written as JSON; give a name that ends in .json"),
        (("--json", "nowhere/x.json"), "its folder does not exist"),
        (("--metric", "bleurt"), "--metric bleurt: there is no such metric"),
        (("--missing", "ignore"), "'ignore' is not one of 'zero', 'drop'"),
        (("nothing.parquet", "--key", "id"), "nothing.parquet: there is no such file or folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(rowcall, output: Path, asked: tuple[str, ...], says: str) -> None:
    ended = rowcall("evaluate", output, "--reference", "answer", *asked)
    assert ended.code == 2
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""


def test_a_page_is_not_written_over_what_is_none(rowcall, output: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("my notes")
    ended = rowcall("evaluate", output, "--reference", "answer", "--report", tmp_path / "mine.html")
    assert ended.code == 2
    assert (tmp_path / "mine.html").read_text() == "my notes"


OFFLINE = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(event)

sys.addaudithook(refuse)
from pipeline.cli import main
main()
"""


def test_no_metric_asks_the_network_for_anything(output: Path) -> None:
    texts = ",".join(name for name in METRICS if name not in ("choice", "number", "json"))
    command = [sys.executable, "-c", OFFLINE, "evaluate", str(output), "--reference", "answer", "--metric", texts]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("REFERENCE", "answer", "completion against answer"),
        ("METRIC", "rougeL", "rougeL"),
        ("GATE", "exact>=0.1\nf1>=0.1", "gate f1>=0.1 holds"),
        ("BY", "id", "id = 1"),
        ("MISSING", "drop", "0.500"),
        ("JSON", "-", '"kind":"evaluation"'),
    ],
)
def test_every_option_has_an_environment_twin(
    rowcall, output: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, seen: str
) -> None:
    monkeypatch.setenv(f"ROWCALL_EVALUATE_{name}", value)
    ended = rowcall("evaluate", output, *(() if name == "REFERENCE" else ("--reference", "answer")))
    assert ended.code == 0
    assert seen in ended.out


@pytest.mark.network
def test_a_jobs_config_or_output_or_record_is_scored_whatever_its_prefix(rowcall, tmp_path: Path) -> None:
    job = ask(tmp_path, prefix=", prefix: llm_")
    assert rowcall("run", job, "-q").code == 0
    for target in (job, tmp_path / "out.parquet"):
        ended = rowcall("evaluate", target, "--reference", "answer", "--metric", "number")
        assert ended.code == 0
        assert "out.parquet: llm_completion against answer" in ended.out


@pytest.mark.network
def test_a_job_that_is_not_finished_is_scored_as_far_as_it_is(rowcall, tmp_path: Path) -> None:
    job = ask(tmp_path)
    assert rowcall("run", job, "-q", "--set", "stop.max_cost=1e-9", "--set", "request.max_tokens=9",
                   "--set", "pricing.per_request=1").code != 0  # fmt: skip
    ended = rowcall("evaluate", job, "--reference", "answer", "--metric", "number")
    assert (ended.code, ended.err) == (2, "rowcall: error: --reference answer: no row to be scored has one\n")


@pytest.mark.network
@pytest.mark.parametrize("output", ["out.parquet", "out/"])
def test_no_jobs_output_is_written_over_or_into(rowcall, tmp_path: Path, output: str) -> None:
    job = ask(tmp_path)
    assert rowcall("run", job, "-q", "-o", output).code == 0
    (tmp_path / "job.yaml").write_text(job.read_text().replace("out.parquet", output))
    place = tmp_path / output
    before = place.read_bytes() if place.is_file() else sorted(place.iterdir())
    table = tmp_path / "other.csv"
    table.write_text("completion,answer\na,a\n")
    inside = place if place.is_file() else place / "scores.parquet"
    for target in (job, place, table):
        ended = rowcall("evaluate", target, "--reference", "answer", "-o", inside)
        assert ended.code == 2
        assert "write to another place" in ended.err
    for option, name in (("--report", "page.html"), ("--json", "scores.json")) if place.is_dir() else ():
        ended = rowcall("evaluate", place, "--reference", "answer", option, place / name)
        assert ended.code == 2
        assert "write to another place" in ended.err
    assert (place.read_bytes() if place.is_file() else sorted(place.iterdir())) == before
    assert rowcall("run", job, "-q").code == 0  # nobody's file stands in its way


@pytest.mark.network
def test_an_unfinished_job_is_scored_by_its_own_columns_names(rowcall, tmp_path: Path) -> None:
    job = ask(tmp_path, prefix=", prefix: llm_")
    assert rowcall("run", job, "-q", "--deadline", "0s").code == 3
    ended = rowcall("evaluate", job, "--reference", "answer")
    assert ended.err == "rowcall: error: --reference answer: no row to be scored has one\n"


@pytest.mark.network
def test_a_report_takes_the_scores_of_its_own_job_only(rowcall, output: Path, tmp_path: Path) -> None:
    job = ask(tmp_path)
    assert rowcall("run", job, "-q").code == 0
    assert rowcall("evaluate", job, "--reference", "answer", "-q", "--json", tmp_path / "own.json").code == 0
    pq.write_table(pq.read_table(output).slice(1), output)
    assert rowcall("evaluate", output, "--reference", "answer", "-q", "--json", tmp_path / "other.json").code == 0
    assert rowcall("report", job, "--evaluation", tmp_path / "own.json").code == 0
    assert "Exact match" in (tmp_path / "out.html").read_text()
    ended = rowcall("report", job, "--evaluation", tmp_path / "other.json")
    assert ended.code == 2
    assert "rowcall evaluate" in ended.err


def test_without_the_extra_one_line_says_what_to_install(output: Path) -> None:
    without = "import sys; sys.modules['scipy'] = None; from pipeline.cli.main import main; main()"
    command = [sys.executable, "-c", without, "evaluate", str(output), "--reference", "answer"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert "rowcall evaluate needs scipy: pip install 'rowcall[evaluate]'" in line


@pytest.mark.parametrize("named", ["", ",", " , "])
def test_no_metric_at_all_is_refused(rowcall, output: Path, named: str) -> None:
    ended = rowcall("evaluate", output, "--reference", "answer", "--metric", named)
    assert ended.code == 2
    assert ended.err == "rowcall: error: --metric: name at least one, such as exact\n"
