"""An evaluation as a page of its own, and as a part of a job's report."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace

import pytest

from pipeline.core.scores import About, Estimate, Group, ScoredRow, Spread
from pipeline.observe.evaluation.page import write_evaluation_page
from pipeline.observe.evaluation.scale import scale_over
from pipeline.observe.report.foreign import shown
from pipeline.observe.report.page import page_of
from pipeline.observe.report.shell import static
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
from tests.observe.report.sample import HOSTILE, bare, captioning
from tests.observe.report.test_page import Seen


def page_alone(result):
    file = io.StringIO()
    write_evaluation_page(result, file)
    return file.getvalue()


def page_in_report(result):
    return page_of(replace(bare(), evaluation=result))


PAGES = {
    "evaluation": lambda: page_alone(evaluation()),
    "comparison": lambda: page_alone(comparison()),
    "in a report": lambda: page_in_report(evaluation()),
    "compared in a report": lambda: page_in_report(comparison()),
    "empty": lambda: page_alone(empty()),
    "one row": lambda: page_alone(single()),
    "hostile": lambda: page_alone(hostile(HOSTILE[0])),
}


@pytest.fixture(scope="module")
def pages():
    return {name: make() for name, make in PAGES.items()}


@pytest.fixture(params=PAGES)
def page(request, pages):
    return pages[request.param]


def rows_in(page):
    found = re.search(r'<script type="application/json" id="scores-data">(.*?)</script>', page, re.DOTALL)
    return found.group(1), json.loads(found.group(1))


def words(page):
    """Give what a reader sees of the page, without its script and style."""
    seen = Seen(page)
    return " ".join(" ".join(text) for tag, text in seen.text.items() if tag not in ("script", "style"))


def test_a_page_asks_nobody_for_anything(page):
    elements = Seen(page).elements
    addresses = [value for _, each in elements for name, value in each.items() if name in ("href", "src", "action", "srcset")]
    assert [each for each in addresses if not each.startswith("#") and each != "data:,"] == []
    names = {name for _, attributes in elements for name in attributes}
    assert [name for name in names if name == "style" or name.startswith("on")] == []
    assert "img" not in {tag for tag, _ in elements}


def test_the_policy_names_each_script_and_the_style_by_their_hashes(page):
    policy = next(each["content"] for tag, each in Seen(page).elements if tag == "meta" and "http-equiv" in each)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)

    def hashes(texts):
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in texts)

    assert len(scripts) == (2 if "rowcall report" in page else 1)
    assert (rules["script-src"], rules["style-src"]) == (hashes(scripts), hashes(styles))
    assert (rules["default-src"], rules["require-trusted-types-for"], rules["trusted-types"]) == ("'none'", "'script'", "'none'")


def test_the_script_makes_no_markup_and_runs_no_text():
    script = static("evaluation.js")
    ways = "innerHTML outerHTML insertAdjacentHTML document.write eval( Function( setTimeout .href fetch("
    for way in ways.split():
        assert way not in script


def test_no_two_elements_have_one_id(page):
    ids = [each["id"] for _, each in Seen(page).elements if "id" in each]
    assert len(ids) == len(set(ids))
    links = {each["href"][1:] for tag, each in Seen(page).elements if tag == "a"}
    assert links <= set(ids)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("make", [hostile, hostile_comparison])
@pytest.mark.parametrize("whole", [page_alone, page_in_report])
def test_hostile_text_in_every_field_stays_text(make, whole, text):
    page, plain = whole(make(text)), whole(make("x"))
    page.encode()
    assert not set("\x1b\x07\0\u202e\u2028") & set(page)
    assert [tag for tag, _ in Seen(page).elements] == [tag for tag, _ in Seen(plain).elements]
    data, rows = rows_in(page)
    assert not set("<>&\u2028\u2029\x1b\x07\0\u202e") & set(data)
    assert rows["rows"][0]["sides"][0]["completion"].removeprefix("'") == shown(text)


def test_the_score_its_interval_and_what_was_missing_are_the_first_things_said(pages):
    said = " ".join(words(pages["evaluation"]).split())
    for each in (
        "0.680",
        "95 % interval 0.667 to 0.693; answered only: 0.712",
        "Missing answers",
        "4.6 % of 4,800 rows",
        "148 without a reference and in no score",
        "Rows whose answer is missing count as wrong (--missing zero).",
        "A gate does not hold.",
        "f1.low>=0.85, seen 0.8013.",
        "Wilson",
        "wer|norm:lower,space|jiwer:4.0.0",
        "3 references are longer than 200 words",
    ):
        assert each in said, each
    for each in ("failed", "refused", "cut off", "empty"):
        assert each in said


def test_a_comparison_says_which_run_is_better(pages):
    said = " ".join(words(pages["comparison"]).split())
    for each in (
        "a is captions-short.parquet (4,948 rows), b is captions-long.parquet (4,951 rows).",
        "8 only in a, 11 only in b",
        "b is better",
        "b is worse",
        "no clear difference",
        "McNemar p",
        "0.031",
        "Interval of exact, f1, bleu, wer by paired BCa bootstrap, 9,999 resamples.",
    ):
        assert each in said, each


def test_scores_are_a_part_of_the_report_before_failures(pages):
    report = captioning(20, hostile=())
    page = page_of(replace(report, evaluation=evaluation()))
    assert '<a href="#scores">Scores</a>' in page
    assert page.index('id="figures"') < page.index('id="scores"') < page.index('id="failures"') < page.index('id="gallery"')
    assert 'id="scores' not in page_of(report)


def test_a_table_without_rows_has_dashes_and_says_there_is_no_row(pages):
    said = words(pages["empty"])
    assert "–" in said and "no interval: no rows" in said and "nan" not in said.lower()
    assert rows_in(pages["empty"])[1]["rows"] == []


def test_one_row_has_a_score_and_says_why_it_has_no_interval(pages):
    assert "no interval: too few rows" in words(pages["one row"])
    assert rows_in(pages["one row"])[1]["rows"] == [
        {"name": 0, "sides": [{"completion": "Paris", "scores": [1.0]}], "references": ["Paris"]}
    ]


def test_of_a_thousand_groups_forty_of_a_column_are_drawn():
    page = page_alone(evaluation(1000))
    forests = page.split('<table class="forest">')[1:]
    assert len(forests) == 4
    for each in forests:
        assert each.split("</table>")[0].count('class="strip') == 1 + 6 + 40
        assert "960 smaller groups are not drawn." in each
    assert len(page) < 400_000


def test_every_number_in_the_rows_is_one_that_javascript_reads():
    scores = {"exact": float("nan"), "f1": float("inf"), "bleu": None}
    row = ScoredRow(3, scores, ["a"] * 30, None, None, dict.fromkeys("abcdefghijklmnopqrstuvwxyz", "x"), "failed")
    data, rows = rows_in(page_alone(replace(evaluation(), rows=[row])))
    assert "NaN" not in data and "Infinity" not in data
    (found,) = rows["rows"]
    assert found["sides"] == [{"missing": "failed", "scores": [None, None, None, None]}]
    assert (len(found["references"]), len(found["cells"])) == (20, 20)


def test_scores_that_are_no_numbers_are_dashes():
    none = Estimate(float("nan"), float("-inf"), float("inf"), "none")
    of_all = evaluation().groups[0]
    scores = [replace(each, zero=replace(each.zero, estimate=none)) for each in of_all.scores]
    made = comparison()
    differences = [replace(each, zero=replace(each.zero, a=none, difference=none)) for each in made.groups[0].differences]
    for page in (
        page_alone(replace(evaluation(), groups=[replace(of_all, scores=scores), *evaluation().groups[1:]])),
        page_alone(replace(made, groups=[replace(made.groups[0], differences=differences), *made.groups[1:]])),
    ):
        elements = [value for _, each in Seen(page).elements for name, value in each.items() if name != "content"]
        assert not {"nan%", "inf%", "-inf%"} & set(elements)
        assert "nan" not in words(page).lower().split() and "–" in words(page)


@pytest.mark.parametrize(
    ("make", "said"), [(evaluation, "7 still to do, 148 without"), (comparison, "7 still to do and in no score")]
)
def test_rows_still_to_do_stand_beside_the_rows(make, said):
    made = make()
    assert said in words(page_alone(replace(made, groups=[replace(made.groups[0], pending=7)])))


def test_a_text_of_megabytes_is_cut():
    row = ScoredRow(3, {}, ["a" * 5_000_000], "b" * 5_000_000, "c" * 5_000_000, {"d": "e" * 5_000_000})
    page = page_alone(replace(evaluation(), rows=[row] * 10))
    assert len(page) < 400_000
    assert "more characters" in page


def test_a_histogram_of_nothing_or_of_far_too_many_bars_is_not_drawn():
    assert 'class="bars"' not in page_alone(replace(evaluation(), spreads=[Spread("exact", []), Spread("f1", [(0, 1, 0)])]))
    assert 'class="bars"' not in page_alone(replace(evaluation(), spreads=[Spread("f1", [(0.0, 1.0, 1)] * 101)]))


@pytest.mark.parametrize(
    ("estimates", "about", "differences", "ends"),
    [
        pytest.param([(0.68, 0.667, 0.693), (0.55, 0.52, 0.58)], EXACT, False, (0.5, 0.7), id="groups"),
        pytest.param([(0.99, 0.97, 1.0)], F1, False, (0.94, 1.0), id="near the best"),
        pytest.param([(0.0, 0.0, 0.0)], F1, False, (0.0, 0.04), id="none"),
        pytest.param([(1.4, 1.2, 1.9)], WER, False, (1.2, 2.0), id="error rates pass 1"),
        pytest.param([(30.0, 25.0, 36.0)], BLEU, False, (25.0, 40.0), id="of a hundred"),
        pytest.param([(0.02, -0.01, 0.05)], F1, True, (-0.05, 0.05), id="differences"),
        pytest.param([(0.0, 0.0, 0.0)], F1, True, (-0.001, 0.001), id="no difference"),
        pytest.param([(float("nan"), None, None)], BLEU, False, (0.0, 100.0), id="no score"),
        pytest.param([(1e300, float("nan"), float("-inf"))], F1, False, (0.0, 1.0), id="absurd"),
        pytest.param([], About("cider", "", "", 10.0), False, (0.0, 10.0), id="nothing"),
    ],
)
def test_a_scale_is_round_and_holds_all_that_is_drawn(estimates, about, differences, ends):
    scale = scale_over([Estimate(*each, "") for each in estimates], about, differences=differences)
    assert (scale.low, scale.high) == pytest.approx(ends, abs=1e-9)
    assert 2 <= len(scale.ticks) <= 6
    assert all(0 <= at <= 100 for at, _ in scale.ticks)
    if differences:
        assert scale.mark == 50.0 and "0" in {says.rstrip("0.") or "0" for _, says in scale.ticks}
    strip = scale.strip(Estimate(None, float("nan"), about.scale, ""))
    assert (strip.at, strip.low) == (None, None) and 0 <= strip.high <= 100


def test_a_group_that_lacks_a_metric_is_left_out_of_its_drawing():
    made = evaluation()
    half = Group("category", "half", 3, 0, {}, made.groups[1].scores[:1])
    page = page_alone(replace(made, groups=[*made.groups, half]))
    assert page.count(">half</th>") == 1
