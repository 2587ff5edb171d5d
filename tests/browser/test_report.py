"""The report in a real browser, without any network: charts drawn, tables filled, nothing asked for, nothing complained of.

Run by `python3 -m nox -s browser`, as the other pages' test is.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.facts import Wanted
from pipeline.report.write import write_report
from pipeline.warehouse.connect import Warehouse

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif("SPORTS_MARKET_BROWSER" not in os.environ, reason="python3 -m nox -s browser runs it")
WIDE, PHONE = 1100, 390


@pytest.fixture(scope="module")
def report(bundled: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    write_report(bundled, Wanted(), out)
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light")])
def test_a_report_opens_by_itself(browser: Any, report: Path, width: int, scheme: str) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True) as context:
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        page.locator(".chart .main-svg").first.wait_for()
        page.wait_for_timeout(500)

        assert said == []
        assert asked == [report.as_uri()]
        # every chart that the page holds is drawn with marks, every table rows, and nothing is wider than the screen
        marks = page.eval_on_selector_all(
            ".chart", "charts => charts.map(chart => chart.querySelectorAll('path.js-line, path.point, .bars path').length)"
        )
        assert len(marks) == len(re.findall(r"<script[^>]* data-chart", report.read_text(encoding="utf-8"))) and min(marks) > 0
        rows = page.eval_on_selector_all("table", "tables => tables.map(table => table.tBodies[0].rows.length)")
        assert rows and min(rows[1:]) > 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # ink on paper, in either scheme: charts follow the page
        paper, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.chart .xtitle')).fill]"
        )
        assert (lightness(paper) > lightness(ink)) == (scheme == "light")
        assert abs(lightness(paper) - lightness(ink)) > 400
        folder = os.environ.get("SPORTS_MARKET_SCREENSHOTS")
        if folder:
            page.screenshot(path=str(Path(folder) / f"report-{scheme}-{width}.png"))


def lightness(colour: str) -> int:
    """The sum of red, green and blue of ``rgb(r, g, b)``."""
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
