"""The page of a report: whole, harmless, and the same every time."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

import pytest

from pipeline.core.timeline import Moment
from pipeline.observe.report.foreign import cell, indented, json_in_html, shown
from pipeline.observe.report.gathered import Held, course_of
from pipeline.observe.report.page import page_of, write_page
from pipeline.observe.report.sections import facts_of, notices_of
from pipeline.observe.report.types import Bin
from tests.observe.report.sample import HOSTILE, answering, bare, captioning

ROOT = Path(__file__).parents[3]


class Seen(HTMLParser):
    """What a parser of HTML makes of a page: its elements, and the text of some."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        self.text.setdefault(self._inside[-1] if self._inside else "", []).append(data)


@pytest.fixture(scope="module")
def pages():
    return {"captioning": page_of(captioning(80)), "answering": page_of(answering(60))}


@pytest.fixture(params=["captioning", "answering"])
def page(request, pages):
    return pages[request.param]


def rows_in(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return found.group(1), json.loads(found.group(1))


def test_a_page_has_two_scripts_one_style_and_no_way_out(page):
    seen = Seen(page)
    tags = [tag for tag, _ in seen.elements]
    assert (tags.count("script"), tags.count("style"), tags.count("img"), tags.count("iframe")) == (2, 1, 0, 0)
    addresses = [
        value
        for tag, attributes in seen.elements
        for name, value in attributes.items()
        if name in ("href", "src", "action", "xlink:href", "srcset", "data", "poster", "background")
    ]
    assert addresses
    assert [each for each in addresses if not each.startswith("#") and each != "data:,"] == []


def test_no_element_has_a_style_or_a_handler_of_its_own(page):
    names = {name for _, attributes in Seen(page).elements for name in attributes}
    assert [name for name in names if name == "style" or name.startswith("on")] == []


def test_the_policy_names_the_style_and_the_script_by_their_hashes_and_allows_nothing_else(page):
    seen = Seen(page)
    policy = next(each["content"] for tag, each in seen.elements if tag == "meta" and "http-equiv" in each)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def sha256(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    style = page[page.index("<style>") + len("<style>") : page.index("</style>")]
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": sha256(style),
        "script-src": sha256(script),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_script_makes_no_markup_and_runs_no_text():
    script = (ROOT / "pipeline/observe/report/static/page.js").read_text(encoding="utf-8")
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "setTimeout",
        ".href",
        "fetch(",
    ):
        assert way not in script


def test_rows_are_data_that_html_finds_nothing_in(page):
    text, rows = rows_in(page)
    assert not set("<>&\u2028\u2029\x1b\x07\0\u202e") & set(text)
    assert "<script>document.title = 'owned'</script>" in rows[0]["prompt"]
    assert rows[1]["completion"] == HOSTILE[1]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_outside_the_rows_stays_text(text):
    report = replace(
        bare(),
        title=text,
        version=text,
        chosen=text,
        captions={text: 3, "stock_phrases": {text: 2}},
        config={text: {text: [text]}},
        summary={**bare().summary, "stopped": text, "finish_reasons": {text: 1}, "errors": {text: 1}, "failed": 1},
        failures=[replace(captioning(20).failures[0], kind=text, examples=[(1, text)], names={1: text})],
        runs=[replace(captioning(20).runs[0], ended_because=text)],
        timelines=[[Moment(0, 0, 0, 0, 0, 0, 1, 4, text), Moment(9, 5, 0, 5, 0, 0, 1, 4, None)]],
    )
    page, plain = page_of(report), page_of(replace(report, title="x"))
    page.encode()
    assert not set("\x1b\x07\0\u202e\u2028") & set(page)
    assert [tag for tag, _ in Seen(page).elements] == [tag for tag, _ in Seen(plain).elements]
    assert "".join(Seen(page).text["h1"]) == shown(text)
    assert "".join(Seen(page).text["title"]) == f"{shown(text)} · rowcall report"
    tags = [tag for tag, _ in Seen(page).elements]
    assert (tags.count("script"), tags.count("img"), tags.count("link")) == (2, 0, 1)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\u2028b", "ab"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("\ud800", "\ufffd"),
        ("=1", "=1"),
        ("x" * 12, "xxxxxxxxxx … (2 more characters)"),
    ],
)
def test_what_would_deceive_the_eye_is_made_visible(text, seen):
    assert shown(text, 10) == seen


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+cmd|x", "@SUM(1)", "-x", "\tx"])
def test_a_cell_of_a_table_is_no_formula(text):
    assert cell(text) == f"'{text}"


def test_a_text_too_long_is_cut_once_and_says_by_how_much():
    report = replace(bare(), runs=[replace(captioning(20).runs[0], ended_because="=" + "x" * 9000)])
    assert "x … (1,002 more characters)" in page_of(report)


def test_a_number_below_zero_is_a_number_in_a_table():
    assert cell("-12.5") == "-12.5"


def test_the_table_of_a_text_job_is_safe_to_paste(pages):
    assert rows_in(pages["answering"])[1][5]["prompt"].startswith("'=HYPERLINK")
    assert rows_in(pages["captioning"])[1][5]["prompt"].startswith("=HYPERLINK")


def test_json_in_html_is_the_same_value():
    value = {"<a>&": ["\u2028\u2029</script>", None, 1.5, "<!--"]}
    assert json.loads(json_in_html(value)) == value


def test_two_pages_of_one_report_are_equal_and_so_is_one_written_in_pieces():
    file = io.StringIO()
    write_page(captioning(20), file)
    assert page_of(captioning(20)) == page_of(captioning(20)) == file.getvalue()


def test_no_id_stands_twice_and_every_reference_is_met(page):
    attributes = [each for _, each in Seen(page).elements]
    ids = [each["id"] for each in attributes if "id" in each]
    assert len(ids) == len(set(ids))
    named = set(
        chain.from_iterable(re.findall(r"url\(#([^)]+)\)", value or "") for each in attributes for value in each.values())
    )
    named |= {each["href"][1:] for each in attributes if (each.get("href") or "").startswith("#")}
    assert named - set(ids) == set()


def test_every_plot_says_what_it_shows_and_takes_its_colours_from_the_page(page):
    plots = [each for tag, each in Seen(page).elements if tag == "svg" and "role" in each]
    assert len(plots) >= 6
    assert all(len(each["aria-label"]) > 20 for each in plots)
    colours = {each[key] for _, each in Seen(page).elements for key in ("fill", "stroke") if key in each}
    assert {each for each in colours if not each.startswith("var(--")} <= {"none"}


def test_what_has_no_data_is_not_drawn_but_named():
    page = page_of(bare())
    assert 'role="img"' not in page
    assert "Nothing to draw for rows, concurrency, requests: there are no data." in page
    assert "3 rows are still to do." in page
    for part in ("failures", "replies", "runs"):
        assert f'id="{part}"' not in page


def test_rows_without_a_picture_say_why():
    rows = rows_in(page_of(captioning(80)))[1]
    assert any(each.get("unpictured") == "cannot be fetched: 404 Not Found" for each in rows)
    assert all(base64.b64decode(each["pictures"][0]).startswith(b"\xff\xd8") for each in rows if "pictures" in each)


def test_a_runs_time_is_the_same_wherever_it_stands():
    page = page_of(captioning(20))  # 300.2 seconds
    assert "in the last run, which took 05:00<" in page
    assert re.findall(r'<td class="number">([^<]*)</td>', page[page.index('<table class="runs">') :])[::3] == [
        "07:00",
        "–",
        "05:00",
    ]


def test_failures_name_the_files_of_those_rows_that_have_one():
    failures = replace(captioning(20).failures[0], examples=[(1, "no"), (1200, "no"), (7, "never")], names={1200: "a/b.jpg"})
    page = page_of(replace(bare(), failures=[failures]))
    assert "rows 1, 1,200 (<bdi>a/b.jpg</bdi>)</span>" in page
    assert "row 7</span>" in page


def test_runs_are_laid_end_to_end_without_the_time_between():
    def moment(at, done, held=None):
        return Moment(at, done, 0, done, 0, 0, 1, 4, held)

    course = course_of(
        [[moment(100, 0), moment(110, 5, "outage"), moment(115, 5)], [], [moment(900, 0), moment(890, 1), moment(907, 7)]]
    )
    assert course.at == [0, 10, 15, 15, 15, 22]
    assert course.done == [0, 5, 5, 5, 6, 12]
    assert course.begins == [15]
    assert course.held == [Held(10, 15, "outage")]


def test_a_job_that_is_done_and_well_has_no_notice():
    report = bare()
    assert notices_of(replace(report, summary={"rows": 3, "ok": 3, "failed": 0, "pending": 0})) == []


def test_one_failure_in_a_hundred_thousand_is_not_no_share():
    facts = {each.name: each.more for each in facts_of({"rows": 100_000, "ok": 99_999, "failed": 1, "pending": 0})}
    assert (facts["OK"], facts["Failed"]) == ("99.9 %", "0.1 %")


def test_a_histogram_of_one_value_is_drawn():
    assert "Latency in seconds: 3 rows" in page_of(replace(bare(), latencies=[Bin(1.0, 1.0, 3)]))


def test_what_the_checks_found_stands_beside_how_many_were_checked(pages):
    page = pages["captioning"]
    for words in (
        "Checks of 4,598 completions",
        "duplicates (estimated)",
        "Stock phrases",
        "Half have at most 25 words, the longest 161.",
    ):
        assert words in page
    assert ">checked<" not in page


def test_lengths_are_said_to_be_of_some_where_not_all_were_measured():
    some = {"words": {"p50": 25, "longest": 161}}
    report = replace(bare(), captions=some, words=[Bin(0, 200, 40)], summary={**bare().summary, "ok": 50, "empty": 10})
    assert ">Half have at most 25 words, the longest 161.<" in page_of(report)
    report = replace(report, words=[Bin(0, 200, 39)])
    assert "Of 39 that were measured, half have at most 25 words, the longest 161." in page_of(report)


def test_a_config_is_indented():
    assert indented({"a": 1, "b": {"c": [1, {"d": "x\ny"}], "e": None, "f": {}}}).splitlines() == [
        "a: 1",
        "b:",
        "  c:",
        "    - 1",
        "    -",
        '      d: "x\\ny"',
        "  e: null",
        "  f: {}",
    ]


@pytest.mark.slow
def test_a_built_wheel_holds_the_files_of_the_page(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    # pip takes the build's own needs from the package index, as it did for this environment.
    command = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(tmp_path))
    subprocess.run(command, check=True, timeout=110)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("page.html", "page.css", "page.js", "evaluation.html", "evaluation.css", "evaluation.js"):
        assert f"pipeline/observe/report/static/{name}" in names
