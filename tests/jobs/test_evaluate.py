"""Evaluations of real files: what is scored, what is counted, what two runs' comparison rests on, and what is refused."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import ConfigError, RowcallError
from pipeline.core.scores import Comparison, Evaluation
from pipeline.jobs.evaluate import Asked, evaluate
from pipeline.jobs.evaluate_extra import check_installed

ROWS = {
    "id": ["1", "2", "3", "4", "5", "6", "7", "8"],
    "question": ["q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8"],
    "answer": ["Paris", "Rome", "4", "Oslo", "Bern", "Wien", None, "Lima"],
    "kind": ["city", "city", "sum", "city", "city", "city", "city", "city"],
    "completion": ["paris", "It is Rome", "4", None, "", "Wi", "Bonn", "I cannot help with that."],
    "status": ["ok", "ok", "ok", "failed", "ok", "ok", "ok", "ok"],
    "finish_reason": ["stop", "stop", "stop", None, "stop", "length", "stop", "content_filter"],
    "extra": pa.nulls(8, pa.string()),
}


def table(path: Path, **changed: object) -> Path:
    pq.write_table(pa.table({**ROWS, **changed}), path)
    return path


def scored(path: Path, **asked: object) -> Evaluation:
    result = evaluate(Asked(path, **{"references": ["answer"], **asked}), now=lambda: 0.0)
    assert isinstance(result, Evaluation)
    return result


def compared(a: Path, b: Path, **asked: object) -> Comparison:
    result = evaluate(Asked(a, b, **{"references": ["answer"], "key": ["id"], **asked}), now=lambda: 0.0)
    assert isinstance(result, Comparison)
    return result


def test_rows_without_an_answer_are_counted_by_kind_and_both_treatments_are_shown(tmp_path: Path) -> None:
    everything = scored(table(tmp_path / "t.parquet"), metrics=["exact"]).groups[0]
    assert (everything.rows, everything.unreferenced, everything.pending) == (8, 1, 0)
    assert everything.missing == {"failed": 1, "refused": 1, "length": 1, "empty": 1}
    (score,) = everything.scores
    assert (score.zero.n, score.zero.estimate.value) == (7, 2 / 7)
    assert (score.drop.n, score.drop.estimate.value) == (3, 2 / 3)


def test_a_row_that_was_never_asked_is_in_no_score(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", status=["ok", "ok", "ok", "pending", "ok", "ok", "ok", "ok"])
    result = scored(path, metrics=["exact"])
    assert (result.groups[0].pending, result.groups[0].scores[0].zero.n) == (1, 6)
    assert any("1 row still to do" in each for each in result.notices)


def test_columns_of_somebodys_own_that_are_called_as_a_runs_may_hold_anything(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", status=[{"code": 200}] * 8, finish_reason=[[1]] * 8, extra=[b"x"] * 8)
    assert scored(path, metrics=["exact"]).groups[0].missing == {"empty": 2}


def test_a_truncated_answer_is_no_short_answer(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", completion=["Paris"] * 8, answer=["Paris"] * 8)
    (score,) = scored(path, metrics=["exact"]).groups[0].scores
    assert (score.zero.estimate.value, score.drop.estimate.value) == (5 / 8, 1.0)


def test_any_table_with_a_completion_and_a_reference_can_be_scored(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("said,right\nParis,paris\nRome,Oslo\n,Bern\n")
    result = scored(tmp_path / "t.csv", references=["right"], completion="said", metrics=["exact"])
    assert result.groups[0].missing == {"empty": 1}
    assert result.groups[0].scores[0].zero.estimate.value == 1 / 3


def test_a_folder_of_tables_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    table(tmp_path / "t" / "part-000000.parquet")
    table(tmp_path / "t" / "part-000001.parquet")
    assert scored(tmp_path / "t").groups[0].rows == 16


def test_groups_come_largest_first_behind_all_rows(tmp_path: Path) -> None:
    groups = scored(table(tmp_path / "t.parquet"), by=["kind"], metrics=["exact"]).groups
    assert [(each.column, each.value, each.rows) for each in groups] == [(None, None, 8), ("kind", "city", 7), ("kind", "sum", 1)]
    assert groups[2].scores[0].zero.estimate.value == 1.0


def test_a_row_whose_cluster_is_not_known_is_one_of_its_own(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", picture=["x", "x", None, None, None, None, None, None])
    (score,) = scored(path, metrics=["f1"], cluster="picture").groups[0].scores
    assert score.zero.estimate.method == "clustered jackknife, few clusters: 6"  # the row without a reference is in none


def test_an_answer_not_found_is_counted_and_scored_as_wrong(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", completion=["<a>Paris</a>", "Rome"] * 4, answer=["Paris", "Rome"] * 4)
    (score,) = scored(path, metrics=["exact"], extract="<a>(.*)</a>").groups[0].scores
    assert (score.no_answer, score.drop.n) == (1, 5)  # of the five rows with an answer one says it without the mark
    assert score.drop.estimate.value == 4 / 5


def test_scores_stand_beside_the_rows_in_order(tmp_path: Path) -> None:
    scored(table(tmp_path / "t.parquet"), metrics=["exact", "f1"], output=tmp_path / "s.parquet", extract="json")
    written = pq.read_table(tmp_path / "s.parquet")
    assert written.column_names == [*ROWS, "score_exact", "score_f1", "score_missing", "score_answer"]
    assert written["id"].to_pylist() == ROWS["id"]
    assert written["score_missing"].to_pylist() == [None, None, None, "failed", "empty", "length", None, "refused"]
    assert written["score_exact"].to_pylist() == [0, 0, 1, 0, 0, 0, None, 0]
    assert written["score_answer"].to_pylist() == [None, None, "4", None, None, None, None, None]


def test_with_drop_rows_without_an_answer_have_no_score(tmp_path: Path) -> None:
    scored(table(tmp_path / "t.parquet"), metrics=["exact"], output=tmp_path / "s.csv", rule="drop")
    written = pc.read_csv(tmp_path / "s.csv", convert_options=pc.ConvertOptions(strings_can_be_null=True))
    assert written["score_exact"].to_pylist() == [1, 0, 1, None, None, None, None, None]


def test_the_sample_shows_the_worst_first_and_those_without_an_answer(tmp_path: Path) -> None:
    rows = scored(table(tmp_path / "t.parquet"), with_rows=True, metrics=["exact"]).rows
    assert [each.index for each in rows] == [1, 0, 2, 3, 7, 5, 4]
    assert rows[0].completion == "It is Rome"
    assert rows[0].cells == {"id": "2", "question": "q2", "kind": "city"}
    assert [each.missing for each in rows[3:]] == ["failed", "refused", "length", "empty"]


def test_a_refusal_in_words_is_scored_as_an_answer_and_named(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", finish_reason=["stop"] * 8, status=["ok"] * 8)
    result = scored(path)
    assert result.groups[0].missing == {"empty": 2}
    assert "1 completion like a refusal to read, scored as an answer" in result.notices


# -- two runs


def shuffled(path: Path, target: Path, seed: int) -> Path:
    read = pq.read_table(path)
    order = list(range(len(read)))
    random.Random(seed).shuffle(order)
    pq.write_table(read.take(pa.array(order)), target)
    return target


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs over 300 rows of which B gets more right; B lacks ten rows and has five that A lacks."""
    chance = random.Random(3)
    answers = [str(chance.randrange(1000)) for _ in range(305)]

    def run(name: str, right: float, ids: range) -> Path:
        said = [answers[each] if chance.random() < right else "no idea 7" for each in ids]
        columns = {
            "id": list(ids),
            "answer": [answers[each] for each in ids],
            "kind": ["ab"[each % 2] for each in ids],
            "completion": said,
        }
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return run("a.parquet", 0.5, range(300)), run("b.parquet", 0.8, range(10, 305))


def test_two_runs_are_compared_over_the_rows_both_hold(runs: tuple[Path, Path]) -> None:
    result = compared(*runs, metrics=["exact"], by=["kind"])
    assert (result.matched, result.only_a, result.only_b) == (290, 10, 5)
    (exact,) = result.groups[0].differences
    whole = exact.zero
    assert whole.n == whole.wins + whole.ties + whole.losses == 290
    assert whole.a.value is not None
    assert whole.b.value is not None
    assert whole.difference.value == pytest.approx(whole.b.value - whole.a.value)
    assert whole.difference.value == pytest.approx((whole.wins - whole.losses) / 290)
    assert whole.p_value is not None
    assert whole.p_value < 1e-6
    assert whole.difference.low is not None
    assert whole.difference.low > 0.15
    assert [(each.column, each.value, each.rows) for each in result.groups[1:]] == [("kind", "a", 145), ("kind", "b", 145)]


def test_rows_on_one_side_only_are_not_said_to_have_no_reference(runs: tuple[Path, Path]) -> None:
    notices = compared(*runs, metrics=["exact"]).notices
    assert list(notices) == ["not compared: 10 only in A, 5 only in B"]


def test_rows_whose_reference_a_metric_cannot_see_are_counted_once_for_both_sides(tmp_path: Path) -> None:
    a, b = (tmp_path / name for name in ("a.parquet", "b.parquet"))
    for path in (a, b):
        pq.write_table(pa.table({"id": [1, 2], "answer": ["日本", "x"], "completion": ["日本", "x"]}), path)
    notices = compared(a, b, metrics=["rougeL"]).notices
    assert [each for each in notices if "1 row of A" in each] == list(notices)
    assert len(notices) == 1


def test_the_order_of_rows_changes_nothing(runs: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = runs
    asked = {"metrics": ["exact", "f1"], "by": ["kind"], "with_rows": True}
    first = compared(a, b, **asked)
    again = compared(shuffled(a, tmp_path / "a2.parquet", 1), shuffled(b, tmp_path / "b2.parquet", 2), **asked)
    assert again.groups == first.groups
    assert [each.key for each in again.flips] == [each.key for each in first.flips]


def test_a_key_may_be_text_on_one_side_and_numbers_on_the_other(runs: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = runs
    pc.write_csv(pq.read_table(b), tmp_path / "b.csv")
    assert compared(a, tmp_path / "b.csv").groups == compared(a, b).groups


def test_tables_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for night in ("monday", "tuesday"):
        (tmp_path / night / "out").mkdir(parents=True)
    a, b = (table(tmp_path / night / "out" / "t.parquet") for night in ("monday", "tuesday"))
    result = compared(a, b)
    assert (result.a.name, result.b.name) == ("monday/out/t.parquet", "tuesday/out/t.parquet")
    assert compared(a, a).a.name == "t.parquet"


def test_flips_are_losses_first_and_both_sides_are_shown(runs: tuple[Path, Path]) -> None:
    result = compared(*runs, metrics=["exact"], with_rows=True)
    gains = [float(each.scores_b["exact"] or 0) - float(each.scores_a["exact"] or 0) for each in result.flips]
    assert gains == sorted(gains)
    assert set(gains) == {-1.0, 1.0}
    lost = result.flips[0]
    assert (lost.completion_a, lost.completion_b) == (lost.references[0], "no idea 7")


def test_pairs_and_their_scores_are_written(runs: tuple[Path, Path], tmp_path: Path) -> None:
    compared(*runs, metrics=["exact"], output=tmp_path / "pairs.parquet")
    written = pq.read_table(tmp_path / "pairs.parquet")
    assert written.column_names == ["id", "score_exact_a", "score_exact_b", "score_missing_a", "score_missing_b"]
    assert written["id"].to_pylist() == list(range(10, 300))
    right = pq.read_table(runs[1])
    expected = [
        float(said == answer)
        for said, answer in zip(*(right[name].to_pylist() for name in ("completion", "answer")), strict=True)
    ]
    assert written["score_exact_b"].to_pylist() == expected[:290]


def test_rows_missing_on_a_side_are_dropped_from_both_or_scored_as_empty(tmp_path: Path) -> None:
    a = table(tmp_path / "a.parquet")
    b = table(tmp_path / "b.parquet", completion=ROWS["answer"], status=["failed", *["ok"] * 7], finish_reason=["stop"] * 8)
    result = compared(a, b, metrics=["exact"]).groups[0]
    (exact,) = result.differences
    assert (exact.zero.n, exact.drop.n) == (7, 2)
    assert (result.missing_a, result.missing_b) == ({"failed": 1, "refused": 1, "length": 1, "empty": 1}, {"failed": 1})
    assert exact.zero.b.value == 6 / 7


# -- what is refused


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"references": ["nothing"]}, "--reference nothing: the table has no such column; it has id, question, answer"),
        ({"references": []}, "--reference: name the column"),
        ({"completion": "reply"}, "--completion reply: the table has no such column"),
        ({"by": ["nothing"]}, "--by nothing: the table has no such column"),
        ({"cluster": "nothing"}, "--cluster nothing: the table has no such column"),
        ({"metrics": ["exactt"]}, "did you mean exact"),
        ({"metrics": ["number"]}, "a reference has no number in it: 'Paris'"),
        ({"extract": "("}, "--extract"),
        ({"gates": ("f1>=2x",)}, "write it as NAME>=NUMBER"),
        ({"gates": ("bleu>=2",)}, "bleu is not scored"),
        ({"output": Path("x.txt")}, r"scores are written as \.parquet, \.csv, \.jsonl"),
        ({"output": Path("nowhere/x.csv")}, "its folder does not exist"),
        ({"references": ["extra"]}, "no row to be scored has one"),
        ({"key": ["id"]}, "--key: rows of two tables are paired by it"),
        ({"output": Path("x.parquet"), "csv_safe": True}, "--csv-safe is for .csv alone"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_change(tmp_path: Path, asked: dict[str, object], says: str) -> None:
    with pytest.raises(RowcallError, match=says) as caught:
        scored(table(tmp_path / "t.parquet"), **asked)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_without_the_extra_the_error_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"rowcall evaluate needs jiwer, scipy: pip install 'rowcall\[evaluate\]'"):
        check_installed(lambda name: None if name in ("jiwer", "scipy") else name)


def test_what_is_scored_is_not_written_over(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match="is what is to be scored"):
        scored(path, output=path)
    (tmp_path / "folder").mkdir()
    table(tmp_path / "folder" / "a.parquet")
    with pytest.raises(ConfigError, match="is what is to be scored"):
        scored(tmp_path / "folder", output=tmp_path / "folder" / "b.parquet")


def test_a_spreadsheet_runs_no_cell_if_it_should_not(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", question=["=1+1"] * 8)
    scored(path, output=tmp_path / "s.csv", csv_safe=True)
    assert "'=1+1" in (tmp_path / "s.csv").read_text()


@pytest.mark.parametrize("content", [b"completion;answer\na;b\n", "completion,answer\nä,b\n".encode("latin-1")])
def test_csv_of_another_kind_is_an_error_whose_remedy_exists(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(RowcallError) as caught:
        scored(tmp_path / "t.csv")
    assert "input.csv" not in str(caught.value)


def test_scores_of_scores_need_other_names(tmp_path: Path) -> None:
    scored(table(tmp_path / "t.parquet"), output=tmp_path / "s.parquet")
    with pytest.raises(ConfigError, match="the table has a column score_exact already"):
        scored(tmp_path / "s.parquet", output=tmp_path / "s2.parquet")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "completion,answer\n", "the table has no rows"),
        ("t.csv", "", "t.csv"),
        ("t.txt", "x", "t.txt"),
        ("t.parquet", "x", "t.parquet"),
    ],
)
def test_what_is_no_table_with_rows_is_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RowcallError, match=says) as caught:
        scored(tmp_path / name)
    assert caught.value.exit_code == 2


def test_a_path_that_is_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RowcallError, match="there is no such file or folder"):
        scored(tmp_path / "nothing.parquet")


@pytest.mark.parametrize(
    ("changed", "asked", "says"),
    [
        ({"id": list("abcdefgh")}, {}, r"no row of .*a\.parquet is one of .*b\.parquet \(they hold '1' and 'a'\)"),
        ({"id": list("12345677")}, {}, "rows 6 and 7 of B are both '7'"),
        ({"id": [*"1234567", None]}, {}, "row 7 of B has none"),
        ({}, {"key": ["nothing"]}, "--key nothing: the table has no such column"),
        ({}, {"key": []}, "--key: name the column"),
        ({"answer": ["x"] * 8}, {}, "8 of 8 pairs have other references on the other side, such as '1'"),
    ],
)
def test_two_tables_that_do_not_belong_together_are_refused(
    tmp_path: Path, changed: dict[str, object], asked: dict[str, object], says: str
) -> None:
    a, b = table(tmp_path / "a.parquet"), table(tmp_path / "b.parquet", **changed)
    with pytest.raises(RowcallError, match=says) as caught:
        compared(a, b, **asked)
    assert "\n" not in str(caught.value)
