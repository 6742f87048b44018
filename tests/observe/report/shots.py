"""Pictures of made-up reports, to look at: python -m tests.observe.report.shots FOLDER"""

import sys
from pathlib import Path

from pipeline.observe.report.page import write_page
from tests.observe.report.browser import window
from tests.observe.report.sample import answering, bare, captioning

_STRIP = 1400


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with window() as browser:
        for name, report in (
            ("captions", captioning(hostile=())),
            ("hostile", captioning()),
            ("answers", answering()),
            ("new", bare()),
        ):
            page = folder / f"{name}.html"
            with page.open("w", encoding="utf-8", newline="") as file:
                write_page(report, file)
            browser.open(page)
            for scheme, width in (("light", 1400), ("dark", 1400), ("light", 360)):
                browser.scheme(scheme)
                browser.size(width, 900, phone=width < 500)
                whole = browser.run("document.documentElement.scrollHeight")
                gallery = browser.run("document.getElementById('gallery').getBoundingClientRect().top + scrollY")
                what = f"{name}-{scheme}-{width}"
                for number, top in enumerate(range(0, int(min(whole, gallery + 1)), _STRIP)):
                    browser.shot(folder / f"{what}-{number}.png", top=top, height=_STRIP)
                browser.run("document.getElementById('gallery').scrollIntoView()")
                browser.shot(folder / f"{what}-gallery.png", top=int(gallery), height=_STRIP)
                button = browser.run("document.querySelectorAll('#shown button')[9]")
                if button:
                    button.click()
                    browser.driver.save_screenshot(str(folder / f"{what}-row.png"))
                    browser.run("document.getElementById('close').click()")
            browser.scheme("light")
            browser.size(1400, 900)
            browser.print(folder / f"{name}.pdf")
            print(name, browser.complaints(), browser.requested())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
