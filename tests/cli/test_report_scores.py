"""rowcall report --evaluation: scores of this job's output on its page, and of nothing else."""

import json
import time
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from pipeline.core.scores import Table
from pipeline.jobs.scores_file import write_scores
from tests.observe.evaluation.sample import comparison, evaluation

pytestmark = pytest.mark.network


@pytest.fixture
def job(rowcall, tmp_path):
    """Run a job of three rows; give its output's path and the name under which the output goes."""
    (tmp_path / "in.csv").write_text("question\na\nb\nc\n")
    run = rowcall("run", "-q", "-i", "in.csv", "-p", "{{ question }}", "--provider", "simulated", "-o", "out.parquet")
    assert run.code == 0
    said = json.loads(pq.read_metadata(tmp_path / "out.parquet").metadata[b"rowcall"])
    return tmp_path / "out.parquet", said["job"]


def scored(name, *, rows=3, made=None):
    return replace(evaluation(), table=Table("out.parquet", rows, name), made=time.time() if made is None else made)


def test_scores_stand_on_the_jobs_page(rowcall, tmp_path, job):
    write_scores(scored(job[1]), tmp_path / "scores.json")
    ended = rowcall("report", "out.parquet", "--evaluation", "scores.json")
    assert (ended.code, ended.err) == (0, "")
    page = (tmp_path / "out.html").read_text()
    assert '<a href="#scores">Scores</a>' in page and "95 % interval 0.667 to 0.693" in page and 'id="gallery"' in page


def test_a_comparison_of_this_output_with_another_stands_there_too(rowcall, tmp_path, job):
    made = replace(comparison(), a=Table("old.parquet", 9, "f" * 16), b=Table("out.parquet", 3, job[1]), made=time.time())
    write_scores(made, tmp_path / "scores.json")
    assert rowcall("report", "out.parquet", "--evaluation", "scores.json").code == 0
    assert "b is better" in (tmp_path / "out.html").read_text()


def test_a_job_in_a_folder_knows_its_scores(rowcall, tmp_path):
    (tmp_path / "in.csv").write_text("question\na\nb\nc\n")
    assert rowcall("run", "-q", "-i", "in.csv", "-p", "{{ question }}", "--provider", "simulated", "-o", "out/").code == 0
    said = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    write_scores(scored(said["job"]["job"]), tmp_path / "scores.json")
    assert rowcall("report", "out", "page.html", "--evaluation", "scores.json").code == 0
    assert 'id="scores"' in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param({"name": "f" * 16}, "was made from another output (out.parquet); run `rowcall evaluate` again", id="job"),
        pytest.param({"rows": 4}, "was made from 4 rows, and this job has 3; run `rowcall evaluate` again", id="rows"),
        pytest.param({"made": 1.7e9}, "was made before this job last ran; run `rowcall evaluate` again", id="old"),
    ],
)
def test_scores_of_another_output_are_refused_and_no_page_is_written(rowcall, tmp_path, job, change, refusal):
    write_scores(scored(**{"name": job[1], **change}), tmp_path / "scores.json")
    ended = rowcall("report", "out.parquet", "--evaluation", "scores.json")
    assert ended.code == 2
    assert ended.err.startswith("rowcall: error: scores.json: ") and refusal in ended.err
    assert not (tmp_path / "out.html").exists()


def test_a_file_that_holds_no_scores_is_named(rowcall, tmp_path, job):
    ended = rowcall("report", "out.parquet", "--evaluation", "out.parquet")
    assert (ended.code, ended.err) == (
        2,
        "rowcall: error: out.parquet: is not what `rowcall evaluate --json` writes: it is not JSON\n",
    )
