"""A report opened in a real browser: it works, it says nothing on the console, and nothing leaves it."""

import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from pipeline.observe.report.page import write_page
from tests.observe.report.browser import CHROMIUM, DRIVER, WHY_NOT, window
from tests.observe.report.sample import HOSTILE, answering, captioning

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=WHY_NOT),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    files = {}
    for name, report in (("captioning", captioning(400)), ("answering", answering(1000))):
        files[name] = folder / f"{name}.html"
        with files[name].open("w", encoding="utf-8", newline="") as file:
            write_page(report, file)
    return files


@pytest.fixture(scope="module")
def browser():
    with window() as opened:
        yield opened


@pytest.fixture(params=["captioning", "answering"])
def page(request, browser, files):
    return opened(browser, files[request.param])


@pytest.fixture
def captions(browser, files):
    return opened(browser, files["captioning"])


@pytest.fixture
def answers(browser, files):
    return opened(browser, files["answering"])


def opened(browser, file):
    browser.complaints()
    browser.requested()
    browser.size(1400, 900)
    browser.open(file)
    return browser


def one(page, css):
    return page.driver.find_element(By.CSS_SELECTOR, css)


def count_of(page, css):
    return len(page.driver.find_elements(By.CSS_SELECTOR, css))


def matches(page):
    return one(page, "#matches").text


def pictures_ready(page):
    """Tell whether every picture on the page that has been asked for can be drawn."""
    return page.run("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")


def within(seconds, true):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
    return True


def test_a_page_opens_without_a_word_on_the_console_and_asks_for_nothing_but_itself(page):
    within(20, lambda: page.run("document.readyState") == "complete")
    page.run("document.body.scrollIntoView({block: 'end'})")
    assert page.complaints() == []
    (asked,) = page.requested()
    assert asked.startswith("file://")
    assert page.run("performance.getEntriesByType('resource').filter((each) => !each.name.startsWith('data:')).length") == 0


def test_what_the_policy_forbids_does_not_happen_and_is_seen(page):
    page.run("document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/x.png'}))")
    within(20, lambda: any("Content Security Policy" in each for each in page.complaints()))


def test_text_cannot_be_made_markup_even_by_mistake(page):
    assert "TypeError" in page.run(
        "(() => { try { document.body.innerHTML = '<b>'; } catch (error) { return String(error); } })()"
    )


def test_hostile_rows_stay_text(page):
    title = page.driver.title
    assert title.endswith("rowcall report")
    shown = one(page, "#shown")
    assert shown.text.count("<script>document.title = 'owned'</script>") >= 4
    assert count_of(page, "#shown script, #shown a, #shown link, #shown [onerror], #shown [onmouseover]") == 0
    assert page.run("[...document.querySelectorAll('#shown img')].every((each) => each.src.startsWith('data:image/jpeg'))")
    for button in page.driver.find_elements(By.CSS_SELECTOR, "#shown button")[: len(HOSTILE)]:
        button.click()
        assert count_of(page, "dialog[open] script, dialog[open] a") == 0
        one(page, "#close").click()
    assert page.driver.title == title
    assert page.complaints() == []


def test_the_filters_find_rows_and_clear_brings_all_back(captions):
    assert matches(captions) == "400 rows"
    assert one(captions, "#clear").get_attribute("disabled")
    Select(one(captions, "#status")).select_by_value("failed")
    failed = int(matches(captions).split()[0])
    assert 0 < failed < 400
    assert count_of(captions, ".card") == min(24, failed)
    assert count_of(captions, ".card .error") == count_of(captions, ".card")
    Select(one(captions, "#kind")).select_by_value("timeout")
    assert 0 < int(matches(captions).split()[0]) < failed
    one(captions, "#clear").click()
    assert matches(captions) == "400 rows"
    Select(one(captions, "#finish")).select_by_value("length")
    Select(one(captions, "#mark")).select_by_value("loops")
    assert "bricks and more bricks" in one(captions, ".card .completion").text


@pytest.mark.parametrize(
    ("text", "holds"),
    [("SPACESUIT", "astronaut"), ("CAT.JPG", "cat.jpg"), ("cuda out of memory", "CUDA"), ("nowhere at all", None)],
)
def test_free_text_is_found_in_completions_references_errors_and_names(captions, text, holds):
    one(captions, "#text").send_keys(text)
    if holds is None:
        assert (matches(captions), count_of(captions, ".card")) == ("None of 400 rows matches", 0)
        assert not one(captions, ".pager").is_displayed()
    else:
        assert 0 < int(matches(captions).split()[0]) < 400
        assert holds in one(captions, "#shown").text


def test_the_count_is_announced(page):
    assert one(page, "#matches").get_attribute("aria-live") == "polite"


def test_pages_turn_there_and_back(captions):
    first = one(captions, ".card .index").text
    assert not one(captions, ".pager .previous").is_enabled()
    one(captions, ".pager .next").click()
    assert one(captions, ".pager .where").text == "Page 2 of 17"
    assert one(captions, ".card .index").text != first
    one(captions, ".pager .previous").click()
    assert one(captions, ".card .index").text == first
    for _ in range(16):
        one(captions, ".below .next").click()
    assert count_of(captions, ".card") == 400 - 16 * 24
    assert not one(captions, ".pager .next").is_enabled()


def test_a_filter_begins_at_the_first_page(captions):
    one(captions, ".pager .next").click()
    one(captions, "#text").send_keys("the")
    assert one(captions, ".pager .where").text.startswith("Page 1 ")


def test_filtering_a_thousand_rows_feels_instant(answers):
    took = answers.run(
        "(() => { const box = document.getElementById('text'); const began = performance.now();"
        " for (const text of ['a', 'an', 'ans', '']) { box.value = text; box.dispatchEvent(new Event('input')); }"
        " document.body.offsetHeight; return (performance.now() - began) / 4; })()"
    )
    assert matches(answers) == "1,000 rows"
    assert took < 100  # milliseconds, what people take for at once; about 10 where nothing else runs


def test_a_picture_is_enlarged_by_click_and_escape_closes_it(captions):
    Select(one(captions, "#status")).select_by_value("ok")
    one(captions, "#text").send_keys("spacesuit")
    opener = one(captions, ".card .frame")
    opener.send_keys(Keys.ENTER)
    assert one(captions, "dialog").is_displayed()
    within(20, lambda: pictures_ready(captions))
    assert one(captions, "dialog img").size["width"] > opener.size["width"]
    assert "Describe this picture" in one(captions, "dialog").text
    first = one(captions, "#enlarged-title").text
    captions.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert one(captions, "#enlarged-title").text != first
    captions.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not one(captions, "dialog").is_displayed()
    assert captions.driver.switch_to.active_element == opener


def test_every_control_is_reached_by_the_tab_key(captions):
    reached = set()
    captions.run("document.getElementById('text').focus()")
    for _ in range(9):
        reached.add(captions.run("document.activeElement.id || document.activeElement.className"))
        captions.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert {"text", "status", "finish", "kind", "mark", "next", "frame"} <= reached


def test_pictures_off_the_screen_wait_until_they_are_near(captions):
    assert captions.run("[...document.querySelectorAll('#shown img')].every((each) => each.loading === 'lazy')")
    assert count_of(captions, "#shown img") <= 24


def test_a_kind_of_failure_leads_to_its_rows(captions):
    one(captions, "button.show").click()
    assert "match" in matches(captions)
    assert count_of(captions, ".card .error") == count_of(captions, ".card")


@pytest.mark.parametrize("width", [320, 360, 414, 768, 1400])
def test_no_width_scrolls_sideways(page, width):
    page.size(width, 800, phone=width < 500)
    assert page.run("document.documentElement.scrollWidth") <= width
    one(page, "#shown button").click()
    assert page.run("document.querySelector('dialog').scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_plots_stand_out_from_their_ground(page, scheme):
    page.scheme(scheme)
    dark = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 22)"
    assert dark == (scheme == "dark")
    for css, colour in (
        (".made", "color"),
        (".notice strong, .tile .more", "color"),
        (".plot > svg text", "fill"),
        (".tag", "color"),
    ):
        ratio = page.run(CONTRAST, css, colour)
        assert ratio >= 4.5, css  # WCAG 2.2, success criterion 1.4.3


CONTRAST = """(([css, colour]) => {
  const element = document.querySelector(css);
  let ground = element;
  while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
  const light = (text) => {
    const [red, green, blue] = text.match(/[0-9.]+/g).map((each) => each / 255).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  };
  const both = [light(getComputedStyle(element)[colour]), light(getComputedStyle(ground).backgroundColor)];
  return Math.max(...both) / Math.min(...both);
})(arguments)"""  # noqa: E501


def test_a_printer_gets_the_rows_without_their_controls(captions, tmp_path):
    captions.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    captions.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not any(one(captions, css).is_displayed() for css in ("#filters", ".pager", "nav", "button.show"))
        assert one(captions, ".card").is_displayed()
        assert captions.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        captions.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
