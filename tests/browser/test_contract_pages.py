"""The pages of contracts in a real browser, without any network: found by layer, and by a table's, a column's or any word.

Run by `python3 -m nox -s browser`, as the other pages' test is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts.pages import write_pages
from pipeline.contracts.tables import read_contracts

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif("SPORTS_MARKET_BROWSER" not in os.environ, reason="python3 -m nox -s browser runs it")


def names(page: Any) -> list[str]:
    return [link.inner_text() for link in page.locator("tr[data-words]:visible a").all()]


def test_contracts_are_found_by_layer_and_by_search(tmp_path: Path) -> None:
    contracts = read_contracts()
    index = write_pages(contracts, {}, tmp_path)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        with browser.new_context(offline=True, viewport={"width": 1200, "height": 900}) as context:
            page = context.new_page()
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(index.as_uri())
            assert [each.split()[0] for each in page.locator("h2").all_inner_texts()] == ["Gold", "Silver"]
            assert len(names(page)) == len(contracts)
            search = page.get_by_label("Search contracts")
            search.fill("middle_id")  # a column
            assert names(page) == [each.table for each in contracts if "middle_id" in {column.name for column in each.columns}]
            assert page.locator("h2:visible").count() == 1
            search.fill("Closing COVERAGE")
            assert "closing_coverage" in names(page) and len(names(page)) < 5
            search.fill("nothing of that name")
            assert names(page) == [] and page.locator("output").inner_text() == "Nothing fits."
            search.fill("")
            assert len(names(page)) == len(contracts)
            page.locator("a", has_text="price_history").first.click()
            page.get_by_role("heading", name="Columns").wait_for()
            assert said == []
            folder = os.environ.get("SPORTS_MARKET_SCREENSHOTS")
            if folder:
                page.goto(index.as_uri())
                page.screenshot(path=str(Path(folder) / "contracts.png"))
        browser.close()
