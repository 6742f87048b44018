"""scores.json: read as it was written, and refused in one line where it is anything else."""

from dataclasses import replace

import orjson
import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.scores import Estimate, Table
from pipeline.jobs import scores_file
from pipeline.jobs.scores_file import read_scores, refuse_others, write_scores
from tests.observe.evaluation.sample import MADE, comparison, empty, evaluation, hostile, hostile_comparison, single
from tests.observe.report.sample import HOSTILE

MADE_UP = {
    "evaluation": evaluation(1000),
    "comparison": comparison(),
    "empty": empty(),
    "one row": single(),
    "hostile": hostile(HOSTILE[0]),
    "hostile comparison": hostile_comparison(HOSTILE[1]),
}


def lists(value):
    """Give what JSON makes of it: tuples are lists."""
    return orjson.loads(orjson.dumps(value))


@pytest.mark.parametrize("made", MADE_UP.values(), ids=MADE_UP)
def test_what_was_written_is_read(made, tmp_path):
    write_scores(made, tmp_path / "scores.json")
    read = read_scores(tmp_path / "scores.json")
    assert type(read) is type(made)
    assert lists(read) == lists(made)
    assert [each.name for each in tmp_path.iterdir()] == ["scores.json"]


def test_what_is_no_number_is_null(tmp_path):
    made = single()
    score = made.groups[0].scores[0]
    nan = replace(score, zero=replace(score.zero, estimate=Estimate(float("nan"), float("inf"), None, "none")))
    write_scores(replace(made, groups=[replace(made.groups[0], scores=[nan])]), tmp_path / "scores.json")
    assert b"NaN" not in (tmp_path / "scores.json").read_bytes()
    assert read_scores(tmp_path / "scores.json").groups[0].scores[0].zero.estimate == Estimate(None, None, None, "none")


def test_a_name_that_is_no_unicode_is_written_all_the_same(tmp_path):
    write_scores(replace(single(), table=Table("caf\udce9.parquet", 1)), tmp_path / "scores.json")
    assert read_scores(tmp_path / "scores.json").table.name == "caf?.parquet"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"NaN",
        b"\xff\xfe",
        b"{" * 10_000,
        b"[" * 900 + b"]" * 900,
        b'{"kind": "evaluation"}',
        b'{"kind": "\\u001b[31m"}',
        b'{"kind": ["evaluation"]}',
        b"PAR1",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_another_file_is_refused_in_one_line_that_names_it(content, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_scores(tmp_path / "x.json")
    said = str(refused.value)
    assert said.startswith(f"{tmp_path}/x.json: is not what `rowcall evaluate --json` writes: ")
    assert "\n" not in said and "\x1b" not in said and len(said) < 400


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b'"value":1.0', b'"value":NaN'),
        (b'"value":1.0', b'"value":1e999'),
        (b'"value":1.0', b'"value":-1e300'),
        (b'"scale":1.0', b'"scale":0'),
        (b'"scale":1.0', b'"scale":-1'),
        (b'"made":1790000000.0', b'"made":1e14'),
        (b'"made":1790000000.0', b'"made":-1'),
        (b'"rows":1,', b'"rows":123456789012345678901234567890,'),
    ],
)
def test_numbers_that_nothing_has_are_refused(was, now, tmp_path):
    write_scores(single(), tmp_path / "x.json")
    content = (tmp_path / "x.json").read_bytes()
    assert was in content
    (tmp_path / "x.json").write_bytes(content.replace(was, now))
    with pytest.raises(ConfigError, match=r"x\.json: is not what"):
        read_scores(tmp_path / "x.json")


def test_a_file_that_is_too_large_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(scores_file, "MOST_BYTES", 1 << 20)
    (tmp_path / "x.json").write_bytes(b"[" * (1 << 20) + b"1")
    with pytest.raises(ConfigError, match="it is larger than 1 MB"):
        read_scores(tmp_path / "x.json")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: no such file or directory"):
        read_scores(tmp_path / "none.json")


ANOTHERS = replace(evaluation(), table=Table("x.parquet", 4948, "f" * 16))


@pytest.mark.parametrize(
    ("scores", "rows", "last_run", "refusal"),
    [
        pytest.param(evaluation(), 4948, MADE - 1, None, id="this job's"),
        pytest.param(evaluation(), 4948, None, None, id="a job without runs"),
        pytest.param(replace(evaluation(), table=Table("x.csv", 4948)), 4948, None, None, id="nobody's"),
        pytest.param(ANOTHERS, 4948, None, "another output", id="another's"),
        pytest.param(evaluation(), 4949, None, "from 4,948 rows, and this job has 4,949", id="rows"),
        pytest.param(evaluation(), 4948, MADE + 1, "before this job last ran", id="old"),
        pytest.param(comparison(), 4951, None, None, id="one side of a comparison"),
        pytest.param(comparison(), 7, None, "from 4,948 and 4,951 rows", id="neither side"),
    ],
)
def test_scores_of_something_else_are_refused(scores, rows, last_run, refusal, tmp_path):
    def look():
        refuse_others(scores, tmp_path / "s.json", jobs={"0123456789abcdef"}, rows=rows, last_run=last_run)

    if refusal is None:
        look()
        return
    with pytest.raises(ConfigError, match=refusal) as refused:
        look()
    assert "run `rowcall evaluate` again" in str(refused.value)
