"""An evaluation as lines for a terminal."""

from dataclasses import replace

import pytest

from pipeline.core.scores import About, Counted, Estimate, Flip, Group, Score
from pipeline.observe.evaluation.text import comparison_lines, evaluation_lines, few
from pipeline.observe.evaluation.words import chance, change, figure, percent, span, verdict
from tests.observe.evaluation.sample import (
    BLEU,
    EXACT,
    F1,
    WER,
    comparison,
    empty,
    evaluation,
    hostile,
    hostile_comparison,
    single,
)
from tests.observe.report.sample import HOSTILE


def lines_of_all(lines, start="all rows"):
    at = next(number for number, line in enumerate(lines) if line.startswith(start))
    return lines[at:]


def test_the_table_says_score_interval_method_and_both_treatments_of_missing_rows():
    lines = evaluation_lines(evaluation())
    assert lines[0] == "captions.parquet: completion against caption_a, caption_b, answers found by regex ^Caption: (.*)$."
    assert "Rows whose answer is missing count as wrong (--missing zero)." in lines[1]
    assert lines[3].split() == ["n", "score", "95", "%", "interval", "answered", "only", "not", "found", "interval", "by"]
    said, more, exact, f1, bleu, wer = lines_of_all(lines)[:6]
    assert said + more == (
        "all rows: 4,948 rows, 148 without a reference and in no score, 220 missing: 61 failed, 12 refused,  143 cut off, 4 empty"
    )
    assert exact == "  exact  4,800  0.680  0.667 to 0.693          0.712      1.2 %  Wilson"
    assert f1.split()[:6] == ["f1", "4,800", "0.801", "0.788", "to", "0.814"]
    assert bleu.split()[:3] == ["bleu", "4,800", "32.65"]  # out of a hundred: two decimals
    assert wer.endswith("–  BCa bootstrap, 9,999 resamples")


def test_the_treatment_chosen_stands_first_and_the_other_beside_it():
    lines = evaluation_lines(replace(evaluation(), rule="drop"))
    assert "missing as wrong" in lines[3]
    assert "are left out (--missing drop)" in " ".join(lines[:3])
    (exact,) = (line for line in lines_of_all(lines)[:3] if line.startswith("  exact"))
    assert exact.split()[:3] == ["exact", "4,580", "0.712"]
    assert "0.680" in exact.split()[6:]


def test_where_nothing_is_missing_there_is_no_second_treatment():
    lines = evaluation_lines(single())
    assert lines_of_all(lines)[:2] == ["all rows: 1 row, none missing", "  f1  1  1.000              –  too few rows"]
    assert not any("answered only" in line or "--missing" in line for line in lines)


def test_a_table_without_rows_has_dashes_and_no_numbers():
    lines = evaluation_lines(empty())
    assert lines_of_all(lines)[:2] == [
        "all rows: 0 rows, none missing",
        "  exact  0      –              –  no rows",
    ]


def test_signatures_notices_and_gates_stand_below():
    lines = evaluation_lines(evaluation())
    assert lines[-7:-3] == [
        "exact: exact|norm:squad|rowcall:0.1.0",
        "f1: f1|norm:squad|average:row|rowcall:0.1.0",
        "bleu: nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1",
        "wer (lower is better): wer|norm:lower,space|jiwer:4.0.0",
    ]
    assert lines[-3].startswith("notice: wer: 3 references")
    assert lines[-2:] == ["gate exact>=0.60 holds: 0.6791", "gate f1.low>=0.85 DOES NOT HOLD: 0.8013"]


def test_of_a_thousand_groups_the_largest_fifty_are_printed_and_the_rest_counted():
    made = evaluation(1000)
    lines = evaluation_lines(made)
    assert "956 smaller groups not shown: --json holds all" in lines
    printed = [line for line in lines if line.startswith(("category = ", "source = "))]
    assert len(printed) == 50
    assert len(lines) < 300
    sizes = sorted((each.rows for each in made.groups if each.column), reverse=True)[:50]
    assert sorted((int(line.split(": ")[1].split()[0].replace(",", "")) for line in printed), reverse=True) == sizes


@pytest.mark.parametrize(
    "lines",
    [evaluation_lines(evaluation(1000)), comparison_lines(comparison()), evaluation_lines(single())],
    ids=["groups", "comparison", "one row"],
)
def test_no_line_is_wider_than_a_hundred_columns(lines):
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("text", [*HOSTILE, "a\n\nb", "a\rb", "", " "], ids=range(len(HOSTILE) + 4))
def test_hostile_text_breaks_no_line_and_moves_no_cursor(text):
    plain = [evaluation_lines(hostile("x")), comparison_lines(hostile_comparison("x"))]
    found = [evaluation_lines(hostile(text)), comparison_lines(hostile_comparison(text))]
    for lines, usual in zip(found, plain, strict=True):
        assert not set("\n\r\x1b\x07\0\u202e\u2028") & set("".join(lines))
        assert all("\ud800" not in line for line in lines)
        assert len(lines) <= len(usual) + 10  # wrapped, at most
        assert lines[-1].startswith("  " if lines is found[1] else "gate")


def test_a_comparison_says_who_is_better_by_how_much_and_how_sure():
    lines = comparison_lines(comparison())
    assert lines[:2] == ["a  captions-short.parquet: 4,948 rows", "b  captions-long.parquet: 4,951 rows"]
    assert lines[2].startswith("4,940 rows with the same image_id in both; 8 only in a, 11 only in b.")
    heading, exact, both = lines_of_all(lines)[:3]
    assert heading == "all rows: 4,940 rows, missing in a: 61 failed; in b: 41 failed, 54 cut off"
    assert exact.split()[-1] == "0.031" and "823/3,412/705" in exact
    assert both.strip().startswith("answered in both  4,817")
    assert "f1: b is better" in lines
    assert "exact: no clear difference" in lines
    assert "wer: b is worse" in lines  # higher, and lower would have been better
    assert "Interval of exact, f1, bleu, wer by paired BCa bootstrap, 9,999 resamples" in lines


def test_five_flips_are_printed_losses_and_wins():
    flips = lines_of_all(comparison_lines(comparison()), "largest differences by exact")[1:]
    assert len(flips) == 5
    assert [line.split()[1:4] for line in flips] == [["1.000", "->", "0.000"]] * 3 + [["0.000", "->", "1.000"]] * 2
    assert "-> (cut off)" in flips[0] and "reference: 'a cat" not in flips[0]


@pytest.mark.parametrize(("losses", "wins", "kept"), [(9, 9, (3, 2)), (9, 0, (5, 0)), (1, 9, (1, 4)), (0, 2, (0, 2))])
def test_few_flips_are_of_both_kinds_where_there_are_both(losses, wins, kept):
    flips = [Flip("k", {"wer": float(not lost)}, {"wer": float(lost)}, []) for lost in [True] * losses + [False] * wins]
    found = [each.scores_b["wer"] == 1.0 for each in few(flips, WER)]
    assert (found.count(True), found.count(False)) == kept


def test_a_flip_without_a_completion_or_a_score_has_words_for_it():
    made = replace(comparison(), flips=[Flip("k", {"exact": None}, {"exact": 1.0}, [], None, "yes", missing_a="failed")])
    assert comparison_lines(made)[-1] == "  k: – -> 1.000  (failed) -> 'yes'"


@pytest.mark.parametrize(
    ("number", "about", "said"),
    [
        (0.8234, EXACT, "0.823"),
        (34.218, BLEU, "34.22"),
        (1.25, About("cider", "", "", scale=10.0), "1.250"),
        (None, F1, "–"),
        (float("nan"), F1, "–"),
        (float("inf"), F1, "–"),
        (-0.0001, F1, "0.000"),
        (1e300, F1, "1e+300"),
    ],
)
def test_a_score_has_its_metrics_decimals(number, about, said):
    assert figure(number, about) == said


def test_a_difference_has_its_sign():
    assert [change(each, F1) for each in (0.02, -0.02, 0.0, -0.0001, None)] == ["+0.020", "-0.020", "+0.000", "+0.000", "–"]


def test_an_interval_without_both_ends_is_none():
    assert span(Estimate(0.5, 0.4, None, ""), F1) == "–"
    assert span(Estimate(0.5, 0.4, 0.6, ""), F1) == "0.400 to 0.600"


def test_shares_and_chances_are_never_rounded_to_none_or_all():
    shares = [percent(*each) for each in ((0, 9), (1, 100_000), (99_999, 100_000), (9, 9), (0, 0))]
    assert shares == ["0 %", "0.1 %", "99.9 %", "100 %", "–"]
    assert [chance(each) for each in (0.0, 0.0312, 1.0, None)] == ["<0.001", "0.031", "1.000", "–"]


def test_the_verdict_is_the_intervals():
    compared = comparison().groups[0].differences[0].zero

    def said(low, high, about=F1, at=0.1):
        return verdict(replace(compared, difference=Estimate(at, low, high, "")), about)

    assert [said(0.01, 0.2), said(-0.2, -0.01), said(-0.01, 0.2), said(0.0, 0.2)] == [
        "b is better",
        "b is worse",
        "no clear difference",
        "no clear difference",
    ]
    assert said(0.01, 0.2, WER) == "b is worse"
    assert (said(None, None), said(None, None, at=None)) == ("no interval", "too few rows to tell")


def test_groups_of_nothing_and_of_blanks_have_names():
    counted = Counted(1, Estimate(1.0, 1.0, 1.0, "Wilson"))
    groups = [Group("of", value, 1, 0, {}, [Score("exact", counted, counted)]) for value in (None, "", "  ")]
    lines = evaluation_lines(replace(empty(), groups=groups))
    assert [line.split(":")[0] for line in lines if line.startswith("of = ")] == ["of = (null)", "of = (empty)", "of = (blank)"]


def test_rows_still_to_do_are_said_and_in_no_score():
    made, compared = evaluation(), comparison()
    made = replace(made, groups=[replace(made.groups[0], pending=1204)])
    assert "1,204 still to do, 148 without a reference and in no score" in " ".join(evaluation_lines(made))
    compared = replace(compared, groups=[replace(compared.groups[0], pending=3)])
    assert "all rows: 4,940 rows, 3 still to do and in no score, missing in a:" in " ".join(comparison_lines(compared))
