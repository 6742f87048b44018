"""A headless Chromium that reaches nothing but the file it is given, and tells what a page did in it."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
WHY_NOT = "no Chromium with its chromedriver is installed, so no page was opened in a browser (`make browser` installs them)"
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


class Window:
    """One page open in a browser of its own."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set what the page sees of the window: a window itself is never narrower than 500 pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """Prefer `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def shot(self, target: Path, *, top: int = 0, height: int | None = None) -> None:
        """Save the page as PNG, all of it or a strip."""
        width = self.run("innerWidth")
        whole = self.run("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": top, "width": width, "height": min(height or whole, whole - top), "scale": 1}
        arguments = {"captureBeyondViewport": True, "clip": clip}
        target.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", arguments)["data"]))

    def print(self, target: Path) -> None:
        """Save what a printer gets, on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
        target.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", paper)["data"]))

    def complaints(self) -> list[str]:
        """Give what the console was told since this was last asked: errors, and what the page's policy forbade."""
        return [each["message"] for each in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requested(self) -> list[str]:
        """Give every address asked for since this was last asked, data the page holds itself left out."""
        told = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]  # type: ignore[no-untyped-call]
        addresses = [each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"]
        return [each for each in addresses if not each.startswith("data:")]


@contextmanager
def window() -> Iterator[Window]:
    """Open a browser with a profile of its own, and end it afterwards."""
    assert CHROMIUM and DRIVER, WHY_NOT
    with TemporaryDirectory(prefix="rowcall-browser-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = CHROMIUM
        for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            driver.get("about:blank")
            opened = Window(driver)
            opened.requested()  # what it did on its own: its page for new tabs
            yield opened
        finally:
            driver.quit()
