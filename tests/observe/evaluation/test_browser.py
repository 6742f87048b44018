"""An evaluation's page opened in a real browser: it works, it says nothing on the console, and nothing leaves it."""

from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from pipeline.observe.evaluation.page import write_evaluation_page
from pipeline.observe.report.page import write_page
from tests.observe.evaluation.sample import comparison, evaluation, hostile, hostile_comparison
from tests.observe.report.browser import CHROMIUM, DRIVER, WHY_NOT, window
from tests.observe.report.sample import HOSTILE, captioning
from tests.observe.report.test_browser import CONTRAST, count_of, one

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=WHY_NOT),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    files = {}
    for name, result in (("evaluation", evaluation()), ("comparison", comparison())):
        files[name] = folder / f"{name}.html"
        with files[name].open("w", encoding="utf-8", newline="") as file:
            write_evaluation_page(result, file)
    files["report"] = folder / "report.html"
    with files["report"].open("w", encoding="utf-8", newline="") as file:
        write_page(replace(captioning(60, hostile=()), evaluation=evaluation()), file)
    return files


@pytest.fixture(scope="module")
def browser():
    with window() as opened:
        yield opened


def opened(browser, file):
    browser.complaints()
    browser.requested()
    browser.size(1280, 900)
    browser.open(file)
    return browser


@pytest.fixture(params=["evaluation", "comparison", "report"])
def page(request, browser, files):
    return opened(browser, files[request.param])


@pytest.fixture(params=["evaluation", "report"])
def scores(request, browser, files):
    return opened(browser, files[request.param])


@pytest.fixture
def flips(browser, files):
    return opened(browser, files["comparison"])


def matches(page):
    return one(page, "#scores-matches").text


def figures(page, css="#scores-shown tbody tr"):
    """Give the first score of each row on the page."""
    return page.run(f"[...document.querySelectorAll('{css}')].map((row) => row.querySelector('.points dd').textContent)")


def test_a_page_says_nothing_on_the_console_and_asks_for_nothing_but_itself(page):
    page.run("document.body.scrollIntoView({block: 'end'})")
    assert page.complaints() == []
    (asked,) = page.requested()
    assert asked.startswith("file://")


@pytest.mark.parametrize("make", [hostile, hostile_comparison])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_every_field_runs_nothing(browser, tmp_path, make, text):
    with (tmp_path / "page.html").open("w", encoding="utf-8", newline="") as file:
        write_evaluation_page(make(text), file)
    opened(browser, tmp_path / "page.html")
    assert browser.driver.title.endswith(("· rowcall evaluation", "· rowcall comparison"))  # which a script would have changed
    assert count_of(browser, "#scores-shown tbody tr") == 1
    assert count_of(browser, "main script, main a, main link, main img, [onerror], [onmouseover]") == 0
    assert browser.complaints() == []
    assert len(browser.requested()) == 1


def test_the_filters_find_rows_and_clear_brings_all_back(scores):
    assert matches(scores) == "200 rows"
    assert not one(scores, "#scores-clear").is_enabled()
    Select(one(scores, "#scores-missing")).select_by_value("=cut off")
    cut = int(matches(scores).split()[0])
    assert 0 < cut < 30
    assert count_of(scores, "#scores-shown .tag.due") == cut
    Select(one(scores, "#scores-missing")).select_by_value("none")
    assert matches(scores) == "177 of 200 rows match"
    one(scores, "#scores-text").send_keys("photograph 199")
    assert matches(scores) == "1 of 200 rows match"
    one(scores, "#scores-clear").click()
    assert matches(scores) == "200 rows"
    one(scores, "#scores-text").send_keys("nowhere at all")
    assert (matches(scores), count_of(scores, "#scores-shown tr")) == ("None of 200 rows matches", 0)


def test_rows_are_put_in_order_by_a_metric(scores):
    order = Select(one(scores, "#scores-order"))
    order.select_by_visible_text("best: BLEU")
    assert "99.50" in one(scores, "#scores-shown tbody tr").text
    order.select_by_visible_text("worst: Word error rate")
    assert "1.395" in one(scores, "#scores-shown tbody tr").text
    order.select_by_visible_text("as in the file")
    names = [each.text for each in scores.driver.find_elements(By.CSS_SELECTOR, "#scores-shown .name")]
    numbers = [int(each.removeprefix("row ").replace(",", "")) for each in names]
    assert numbers == sorted(numbers)
    order.select_by_visible_text("worst first")
    assert "Photograph 0" in one(scores, "#scores-shown tbody tr").text


def test_flips_stand_side_by_side_and_in_order(flips):
    assert matches(flips) == "60 rows"
    cells = flips.driver.find_elements(By.CSS_SELECTOR, "#scores-shown tbody tr:first-child td")
    assert [each.get_attribute("data-column") for each in cells] == ["a", "b", "References"]
    assert "cut off" in cells[1].text and "a cat lies on a blue chair" in cells[0].text
    assert figures(flips)[0] == "1.000"  # a's, which b has lost
    Select(one(flips, "#scores-order")).select_by_visible_text("b wins most: Exact match")
    assert figures(flips)[0] == "0.000"


def test_pages_turn_and_the_two_tables_of_a_report_turn_apart(browser, files):
    page = opened(browser, files["report"])
    one(page, "#scores-rows .next").click()
    assert one(page, "#scores-rows .where").text == "Page 2 of 10"
    assert one(page, "#gallery .where").text == "Page 1 of 3"
    one(page, "#gallery .next").click()
    assert one(page, "#scores-rows .where").text == "Page 2 of 10"
    assert one(page, "#gallery .where").text == "Page 2 of 3"
    one(page, "#scores-text").send_keys("cat")
    assert one(page, "#matches").text == "60 rows"


def test_every_control_is_reached_by_the_tab_key(scores):
    reached = set()
    scores.run("document.getElementById('scores-text').focus()")
    Select(one(scores, "#scores-missing")).select_by_value("none")
    scores.run("document.getElementById('scores-text').focus()")
    for _ in range(6):
        reached.add(scores.run("document.activeElement.id || document.activeElement.className"))
        scores.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert {"scores-text", "scores-missing", "scores-order", "scores-clear", "next"} <= reached


@pytest.mark.parametrize("width", [320, 414, 768, 1280])
def test_no_width_scrolls_sideways(page, width):
    page.size(width, 800, phone=width < 500)
    assert page.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_drawings_stand_out_from_their_ground(page, scheme):
    page.scheme(scheme)
    for css, colour, least in (
        (".lead", "color", 4.5),
        (".tiles.scored .more", "color", 4.5),
        (".overall thead th", "color", 4.5),
        (".overall .note", "color", 4.5),
        (".overall .beside th, .edges, .forest .heading th", "color", 4.5),
        (".ticks text", "fill", 4.5),
        (".forest .strip circle", "fill", 3),  # WCAG 2.2, success criterion 1.4.11
        (".forest .strip", "stroke", 3),
    ):
        assert page.run(CONTRAST, css, colour) >= least, css


def test_a_printer_gets_figures_and_rows_without_their_controls(page, tmp_path):
    page.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not any(one(page, css).is_displayed() for css in ("#scores-filters", ".turns", "nav"))
        assert one(page, ".forest").is_displayed() and one(page, ".scored-rows").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
