"""Names, titles, keys and messages that somebody made up to run something: on no page do they, nor lead anywhere.

Every text of the report and of a contract is hostile here, whatever it is called. Run by `python3 -m nox -s browser`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from pipeline.clock import UTC
from pipeline.contracts.pages import write_pages
from pipeline.contracts.tables import TableContract
from pipeline.replay.run import ReplaySummary
from pipeline.report.facts import Facts
from pipeline.report.page import render

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif("SPORTS_MARKET_BROWSER" not in os.environ, reason="python3 -m nox -s browser runs it")

RUN = "window.ran=1"
HOSTILE = (
    f"<script>{RUN}</script>",
    f'"><img src=x onerror="{RUN}">',
    f"'><svg onload={RUN}>",
    f"</script><script>{RUN}</script>",
    f"</title></style></code></td><script>{RUN}</script>",
    f"<!--<script>{RUN}//-->",
    f"<a href='javascript:{RUN}'>a link</a>",
    '<a href="https://example.invalid/">a link</a><br><b>bold</b>',
    f"&lt;img src=x onerror={RUN}&gt;&#60;script&#62;{RUN}&#60;/script&#62;",
    f"javascript:{RUN}",
    f"data:text/html,<script>{RUN}</script>",
    "%{customdata}<extra>an extra</extra>%{x}",
    "{{ 7 * 7 }}{% raw %}",
    f"\u2028</script><script>{RUN}</script>",
    "\u202egnp.exe\u2066\x1b]0;title\x07\x1b[31m\x00\ud800",
    f"<img src=x onerror={RUN}>" * 400,  # 10 kB
)
NOON = dt.datetime(2026, 1, 4, 12, tzinfo=UTC)


class Maker:
    """Makes any value of facts: each text is a hostile one, with a number that tells it from others."""

    def __init__(self) -> None:
        self.numbers = itertools.count()

    def of(self, kind: Any, turn: int = 0) -> Any:
        number = next(self.numbers)
        origin, parts = get_origin(kind), get_args(kind)
        if is_dataclass(kind):
            hints = get_type_hints(kind)
            names = [each.name for each in fields(kind)]
            return kind(**{name: self.of(hints[name], turn + place) for place, name in enumerate(names)})  # type: ignore[operator]
        if origin in (Union, types.UnionType):
            return self.of(next(part for part in parts if part is not types.NoneType), turn)
        if origin is tuple and parts[-1] is Ellipsis:
            # so that each field has each text once; and more lines than a chart takes
            return tuple(self.of(parts[0], each) for each in range(len(HOSTILE)))
        if origin is tuple:
            return tuple(self.of(part, turn + place) for place, part in enumerate(parts))
        if origin is dict:
            return {self.of(parts[0], each): self.of(parts[1], each) for each in range(len(HOSTILE))}
        values = {
            str: f"{HOSTILE[turn % len(HOSTILE)]}{number}",
            int: 1 + number % 5,
            bool: True,
            Decimal: 1 + Decimal(number % 90) / 100,
            dt.datetime: NOON + dt.timedelta(minutes=number),
            dt.date: NOON.date(),
            dt.timedelta: dt.timedelta(hours=1),
        }
        return values[str if kind is Any else kind]


def on_one_screen(facts: Facts) -> Facts:
    """The facts with quotes, best prices and consensus that are about their games and books."""
    screen = facts.screen
    quotes = tuple(
        replace(quote, event_id=game.event_id, bookmaker_key=book.bookmaker_key)
        for quote, game, book in zip(screen.quotes, screen.games, screen.books, strict=True)
    )
    names = ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name")
    best = tuple(
        replace(each, **{name: getattr(quote, name) for name in names})  # type: ignore[arg-type]
        for each, quote in zip(screen.best, quotes, strict=True)
    )
    fair = tuple(
        replace(each, probability=Decimal("0.4"), **{name: getattr(quote, name) for name in names})  # type: ignore[arg-type]
        for each, quote in zip(screen.fair, quotes, strict=True)
    )
    return replace(facts, screen=replace(screen, quotes=quotes, best=best, fair=fair))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    make = Maker()
    page = render(on_one_screen(make.of(Facts)), make.of(str), make.of(ReplaySummary))
    out = tmp_path_factory.mktemp("hostile") / "report.html"
    out.write_text(page, encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    make = Maker()
    hints = get_type_hints(TableContract)
    values = {each.name: make.of(hints[each.name], place) for place, each in enumerate(fields(TableContract))}
    # they name a file: what a file's name can hold
    made = TableContract(**{**values, "schema": "<b>'\"&", "table": f"<img src=x onerror={RUN}>"})
    folder = tmp_path_factory.mktemp("contracts")
    index = write_pages([made], {made.name: HOSTILE}, folder)
    return index, folder / f"{made.name}.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


class Watched:
    """A page, and all that it did beyond standing there."""

    def __init__(self, context: Any, file: Path) -> None:
        self.page = context.new_page()
        self.did: list[str] = []
        self.page.on("console", lambda message: self.did.append(f"said {message.text}"))
        self.page.on("pageerror", lambda error: self.did.append(f"failed {error}"))
        self.page.on("dialog", lambda dialog: (self.did.append(f"asked {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.did.append(f"fetched {request.url}"))
        self.page.goto(file.as_uri())
        self.page.wait_for_timeout(300)

    def check(self, file: Path) -> None:
        assert self.did == [f"fetched {file.as_uri()}"]
        assert self.page.evaluate("window.ran === undefined")
        found = self.page.evaluate(
            "[...document.querySelectorAll('*')].filter(each => ['IMG', 'IFRAME', 'OBJECT', 'EMBED', 'BASE', 'FORM', 'B']"
            ".includes(each.tagName.toUpperCase()) || [...each.attributes].some(one => /^on/i.test(one.name))"
            ").map(each => each.outerHTML.slice(0, 200))"
        )
        assert found == []
        # every link, those in drawings too, leads to a place of this page or a page beside it
        links = self.page.evaluate(
            "[...document.querySelectorAll('a, area')]"
            ".map(each => each.getAttribute('href') || each.getAttribute('xlink:href'))"
        )
        assert links and not [link for link in links if not link or ":" in link.replace("%3A", "")]
        assert "\u202e" not in self.page.content() and "\x1b" not in self.page.content()


def test_a_report_of_hostile_texts_runs_nothing(browser: Any, report: Path) -> None:
    with browser.new_context(viewport={"width": 1100, "height": 900}, offline=True) as context:
        watched = Watched(context, report)
        page = watched.page
        page.locator("#books-table_wrapper").wait_for()
        watched.check(report)
        # the texts are there, as texts; in legends, choices and titles too
        assert f"<script>{RUN}</script>" in page.inner_text("main")
        for place in (".legend li", "#pick-book option", "#pick-sport option", "#books-table td", "a.card"):
            shown = page.eval_on_selector_all(place, "found => found.map(each => each.textContent)")
            assert [text for text in shown if "<" in text and ">" in text], place
        legends = page.eval_on_selector_all(".legend li", "texts => texts.map(text => text.textContent)")
        assert max(map(len, legends)) <= 40
        books = page.eval_on_selector_all("#pick-book option", "books => books.map(book => book.textContent)")
        assert [text for text in books if text.startswith("<img src=x") and text.endswith("…")]
        # where somebody points
        fields = page.locator("figure.chart .field")
        for number in range(0, fields.count(), max(1, fields.count() // 40)):
            fields.nth(number).hover(force=True)
            page.locator("figure.chart .reading:visible").first.wait_for()
        # and where somebody chooses, unfolds, searches and turns pages
        for pick in ("#pick-market", "#pick-sport", "#pick-book", "#zone"):
            for index in range(min(4, page.locator(f"{pick} option").count())):
                page.locator(pick).select_option(index=index)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        for box in page.locator("input[type=search]").all():
            box.fill(HOSTILE[1])
            box.fill("")
        for turn in page.get_by_label("next page").all():
            turn.click(force=True)
        page.wait_for_timeout(300)
        watched.check(report)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1100


def test_contract_pages_of_hostile_texts_run_nothing(browser: Any, contracts: tuple[Path, ...]) -> None:
    with browser.new_context(offline=True) as context:
        for file in contracts:
            watched = Watched(context, file)
            watched.check(file)
            assert f"<img src=x onerror={RUN}>" in watched.page.inner_text("body")
        # the index leads to the page
        watched = Watched(context, contracts[0])
        watched.page.get_by_role("link").first.click()
        assert watched.page.url == contracts[1].as_uri()


def test_a_script_that_got_into_the_report_would_not_run(browser: Any, report: Path, tmp_path: Path) -> None:
    """The page names its scripts by their hashes."""
    spoiled = tmp_path / "report.html"
    injected = f"<main><script>{RUN}</script><img src=data: onerror={RUN}>"
    spoiled.write_text(report.read_text(encoding="utf-8").replace("<main>", injected), encoding="utf-8")
    with browser.new_context(offline=True) as context:
        watched = Watched(context, spoiled)
        assert watched.page.evaluate("window.ran === undefined")
        assert [text for text in watched.did if "Content Security Policy" in text]
        watched.page.locator("#books-table_wrapper").wait_for()
