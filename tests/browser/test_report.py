"""The report in a real browser, without any network, as a reader clicks: answers, choices, tables, times and drawings.

Run by `python3 -m nox -s browser`, as the other pages' test is.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.facts import Wanted
from pipeline.report.write import write_report
from pipeline.warehouse.connect import Role, Warehouse

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif("SPORTS_MARKET_BROWSER" not in os.environ, reason="python3 -m nox -s browser runs it")
WIDE, TABLET, PHONE = 1280, 800, 390
NOW = "(select max(captured_at) from silver.coverage)"


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


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The page as somebody opens it who lives in New York; nothing is complained of while it is read."""
    context = browser.new_context(
        viewport={"width": WIDE, "height": 900}, offline=True, timezone_id="America/New_York", locale="en-US"
    )
    with context:
        opened = context.new_page()
        opened.set_default_timeout(10_000)
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.goto(report.as_uri())
        yield opened
        assert said == []


class Reader:
    """Who reads a page for the first time: what is seen, and how many clicks it took. Choosing from a list is one."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.clicks = 0

    def click(self, place: Any) -> None:
        place.click()
        self.clicks += 1

    def choose(self, label: str, choice: str) -> None:
        self.page.get_by_label(label, exact=True).select_option(label=choice)
        self.clicks += 1

    def search(self, table: str, text: str) -> None:
        box = self.page.locator(f"#{table}_wrapper input[type=search]")
        self.click(box)
        box.fill(text)

    def sort(self, table: str, column: str, way: str) -> None:
        """Click a column's head, and see it sorted that way."""
        head = self.page.locator(f"#{table} thead th").filter(has_text=column)
        self.click(head)
        self.page.locator(f"#{table} thead th.dt-ordering-{way}").filter(has_text=column).wait_for()

    def rows(self, table: str) -> list[list[str]]:
        """The rows of a table that are seen, as the texts of their cells."""
        found = self.page.eval_on_selector_all(
            f"#{table} tbody tr",
            """rows => {
                const seen = each => each.getClientRects().length;
                return rows.filter(seen).map(row => [...row.cells].filter(seen).map(cell => cell.innerText));
            }""",
        )
        return list(found)

    def columns(self, table: str) -> list[str]:
        return [head.inner_text().strip() for head in self.page.locator(f"#{table} thead th:visible").all()]


def ask(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.connect(Role.READER) as connection:
        return connection.execute(query.encode()).fetchall()


def games(page: Any) -> list[str]:
    """The words above the outcomes of each row of the screen that is seen."""
    return [cell.inner_text() for cell in page.locator("#screen-table tbody tr:visible td.game").all()]


@pytest.mark.parametrize("market", ["h2h", "totals"])
def test_a_first_reader_finds_the_best_price_of_a_named_outcome(page: Any, bundled: Warehouse, market: str) -> None:
    [(home, name, price, book), *_] = ask(
        bundled,
        "select home_team, outcome_name, round(best.price_decimal, 2), bookmaker_titles[1] from gold.best_price_now as best"
        f" join gold.consensus_line as line using (event_id) where best.market_key = '{market}' and known_until = {NOW}"
        " and line.market_key = 'totals' and line.valid_to is null"
        " and (best.line_point is null or best.line_point = line.line_modal) order by outcome_name",
    )
    reader = Reader(page)
    if market != "h2h":
        reader.choose("Market", "Total")
    place = page.locator("#screen-table tbody tr:visible").filter(has_text=home if market == "h2h" else name)
    names = [line.inner_text() for line in place.locator(".l").all()]
    number = next(number for number, line in enumerate(names) if line.startswith(name))
    best = place.locator(".top-price .q").nth(number).inner_text()
    assert f"{price}" in best and book in best
    american = round(100 * (price - 1)) if price >= 2 else round(-100 / (price - 1))
    assert re.search(rf"^{american:+d}\b", best) or abs(american) > 150  # a rounded price tells no long odds
    # it is marked at the book as well
    marked = place.locator("td.book").filter(has=page.locator(".q.best"))
    assert marked.count() >= 1
    assert reader.clicks <= 3


def test_a_first_reader_finds_the_best_price_of_any_outcome_by_its_name(page: Any, bundled: Warehouse) -> None:
    [(name, price)] = ask(
        bundled,
        f"select outcome_name, price_decimal from gold.best_price_now where known_until = {NOW} and market_key = 'outrights'"
        " order by outcome_name limit 1",
    )
    reader = Reader(page)
    reader.click(page.get_by_text("Best price of every outcome"))
    reader.search("best", name)
    [row] = reader.rows("best")
    assert dict(zip(reader.columns("best"), row, strict=True))["Best price"].endswith(f"{price:.2f}")
    assert reader.clicks <= 3


def test_a_first_reader_finds_what_moved_most_in_the_last_hour(page: Any, bundled: Warehouse) -> None:
    [(home, market, groups), *_] = ask(
        bundled,
        "select home_team, market_key, count(distinct operator_group) from gold.moves join gold.events using (event_id)"
        f" where changed_at > {NOW} - interval '1 hour' group by event_id, home_team, market_key, direction"
        " order by 3 desc, max(abs(delta_point)) desc nulls last, max(abs(delta_probability)) desc nulls last, 2",
    )
    reader = Reader(page)
    # it stands at the top of the page, and leads to what else moved
    card = page.locator("a.card").filter(has_text="Moved most in the last hour")
    assert home in card.inner_text()
    reader.click(card)
    first = reader.rows("moved-hour")[0]
    assert home in first[0] and first[1] == {"spreads": "Spread", "totals": "Total", "h2h": "Moneyline"}[market]
    assert first[3].startswith(f"{groups} of ")
    assert page.locator("#moved-hour").is_visible() and page.url.endswith("#moved")
    assert reader.clicks <= 3


def test_a_first_reader_finds_the_hold_of_a_book(page: Any, bundled: Warehouse) -> None:
    [(hold,)] = ask(
        bundled,
        "select round(100 * avg(hold), 2) from gold.margins where is_sound and phase_as_known = 'pre' and market_key = 'h2h'"
        " and bookmaker_key = 'draftkings' and sport_key = 'americanfootball_nfl'",
    )
    reader = Reader(page)
    reader.click(page.get_by_role("link", name="The books", exact=True))
    reader.search("books-table", "DraftKings NFL")
    [row] = reader.rows("books-table")
    told = dict(zip(reader.columns("books-table"), row, strict=True))
    assert (told["Book"], told["Sport"], told["Hold, moneyline"]) == ("DraftKings", "NFL", f"{hold} %")
    assert reader.clicks <= 3


def test_the_screen_is_narrowed_by_sport_book_and_market(page: Any) -> None:
    reader = Reader(page)
    assert {re.search(r"· (.*)", text)[1] for text in games(page)} == {"Moneyline"}  # type: ignore[index]
    reader.choose("Market", "all markets")
    assert len({re.search(r"· (.*)", text)[1] for text in games(page)}) > 1  # type: ignore[index]
    reader.choose("Sport", "NFL")
    assert len(games(page)) == 3 and all("NFL" in text for text in games(page))
    books = reader.columns("screen-table")[3:]
    assert len(books) > 2
    reader.choose("Book", "DraftKings")
    assert reader.columns("screen-table") == ["Game", "Fair", "Best", "DraftKings"]
    reader.choose("Book", "all books")
    assert reader.columns("screen-table")[3:] == books
    reader.choose("Market", "Total")
    assert len(games(page)) == 1 and "Over" in games(page)[0]
    # a choice that fits nothing says so
    reader.choose("Market", "Outright winner")
    assert "Nothing fits" in page.locator("#screen-table").inner_text()


def test_tables_sort_search_and_page(page: Any) -> None:
    reader = Reader(page)
    wrapper = page.locator("#books-table_wrapper")
    first = reader.rows("books-table")
    assert len(first) == 10
    wrapper.get_by_label("next page").click()
    second = reader.rows("books-table")
    assert len(second) == 10 and second != first
    # by amount and not by letter: the highest first, then the lowest; what is not known is neither
    reader.sort("books-table", "Hold, moneyline", "desc")
    falling = [Decimal(row[2].split()[0]) for row in reader.rows("books-table")]
    assert falling == sorted(falling, reverse=True) and falling[0] > falling[-1]
    wrapper.locator("select").select_option("-1")
    everything = reader.rows("books-table")
    assert len(everything) > 50
    reader.sort("books-table", "Hold, moneyline", "asc")
    known = [Decimal(row[2].split()[0]) for row in reader.rows("books-table") if row[2] != "–"]
    assert known == sorted(known) and len(known) > 30
    reader.search("books-table", "pinnacle")
    assert {row[0] for row in reader.rows("books-table")} == {"Pinnacle"}
    reader.search("books-table", "nobody of that name")
    assert "Nothing fits" in page.locator("#books-table").inner_text()
    # ages sort by their length, not by their words
    page.locator("details", has_text="Batch health").locator("summary").click()
    reader.sort("health", "95 % within", "desc")
    units = {"s": 1, "min": 60, "h": 3600}
    ages = [row[9].split() for row in reader.rows("health")]
    seconds = [int(number) * units[unit] for number, unit in ages]
    assert seconds == sorted(seconds, reverse=True)


def test_times_are_told_in_the_zone_that_is_chosen(page: Any, bundled: Warehouse) -> None:
    [(utc, new_york, berlin)] = ask(
        bundled,
        "select to_char(captured_at at time zone 'UTC', 'Dy FMDD Mon HH24:MI'),"
        " to_char(captured_at at time zone 'America/New_York', 'Dy FMDD Mon HH24:MI'),"
        " to_char(captured_at at time zone 'Europe/Berlin', 'Dy FMDD Mon HH24:MI')"
        f" from (select {NOW} as captured_at) as newest",
    )
    reader = Reader(page)
    words = page.locator("header p").first
    assert utc in words.inner_text()
    # on pages of a table that are not seen yet, too
    hidden = "[...document.querySelectorAll('time')].length"
    for choice, told, zone in (("Berlin", berlin, "Berlin"), ("your zone", new_york, "America/New_York")):
        reader.choose("Times in", choice)
        assert told in words.inner_text() and zone in words.inner_text()
    # what is read is what is searched
    starts = [row[-1] for row in reader.rows("closings-table")]
    reader.search("closings-table", starts[0])
    assert {row[-1] for row in reader.rows("closings-table")} == {starts[0]}
    reader.search("closings-table", "")
    page.locator("#closings-table_wrapper").get_by_label("next page").click()
    later = [row[-1] for row in reader.rows("closings-table")]
    reader.choose("Times in", "UTC")
    assert page.evaluate(hidden) > 0
    assert [row[-1] for row in reader.rows("closings-table")] != later
    page.locator("#closings-table_wrapper").get_by_label("first page").click()
    assert [row[-1] for row in reader.rows("closings-table")] != starts


def test_a_drawing_tells_its_values_where_somebody_points(page: Any) -> None:
    chart = page.locator("figure.chart").filter(has_text="Spread").first
    chart.scroll_into_view_if_needed()
    field = chart.locator(".field")
    box = field.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.02, box["y"] + box["height"] / 2)
    reading = chart.locator(".reading")
    reading.wait_for()
    assert re.search(r"^\w{3},? \d+ \w{3}.*: .*consensus -?\d+\.\d", reading.inner_text())
    page.mouse.move(5, 5)
    reading.wait_for(state="hidden")
    # drawn, within its frame
    sizes = page.eval_on_selector_all(
        "figure.chart svg path", "paths => paths.map(path => path.getBoundingClientRect()).map(box => [box.width, box.height])"
    )
    assert sizes and all(width > 0 for width, _ in sizes)


@pytest.mark.parametrize(
    ("width", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (TABLET, "light"), (PHONE, "light"), (PHONE, "dark")]
)
def test_a_report_opens_by_itself(browser: Any, report: Path, width: int, scheme: str) -> None:
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True) as context:
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        page.locator("#books-table_wrapper").wait_for()
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")

        assert said == []
        assert asked == [report.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # nothing is cut off at a side: neither by the screen, nor by a box around it
        assert clipped(page, width) == []
        # a table that does not fit is stacked, cells with their columns' names; where it fits it is a table
        stacked = page.locator("#books-table.stacked").count() == 1
        assert stacked == (width < WIDE)
        if stacked:
            label = "getComputedStyle(document.querySelector('#books-table tbody td:nth-child(3)'), '::before').content"
            assert page.evaluate(label) == '"Hold, moneyline"'
        # ink on paper, in either scheme: drawings, tables and marks follow the page
        for place, kind in (
            ("body", "color"),
            ("#screen-table .q strong", "color"),
            ("#screen-table .q.best strong", "color"),
            ("path.c0", "stroke"),
            ("select", "color"),
        ):
            behind, ink = page.evaluate(
                """([place, kind]) => {
                    const found = document.querySelector(place);
                    let below = found;
                    while (getComputedStyle(below).backgroundColor === "rgba(0, 0, 0, 0)") below = below.parentElement;
                    return [getComputedStyle(below).backgroundColor, getComputedStyle(found)[kind]];
                }""",
                [place, kind],
            )
            assert (lightness(behind) > lightness(ink)) == (scheme == "light"), place
            assert abs(lightness(behind) - lightness(ink)) > 300, place
        folder = os.environ.get("SPORTS_MARKET_SCREENSHOTS")
        if folder:
            page.screenshot(path=str(Path(folder) / f"report-{scheme}-{width}.png"))


def test_who_has_no_script_reads_every_row(browser: Any, report: Path) -> None:
    with browser.new_context(java_script_enabled=False, viewport={"width": WIDE, "height": 900}, offline=True) as context:
        page = context.new_page()
        page.goto(report.as_uri())
        assert page.locator("#books-table tbody tr").count() > 50
        assert page.locator("#books-table tbody tr").last.is_visible()
        assert page.locator("#screen-table tbody tr").last.is_visible()
        # what would do nothing is not offered
        assert not page.locator("#zone").is_visible() and not page.locator(".picks").is_visible()


def test_a_table_is_one_again_where_there_is_room(page: Any) -> None:
    for width, stacked in ((WIDE, 0), (PHONE, 1), (WIDE, 0)):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"document.querySelectorAll('#books-table.stacked').length === {stacked}")
        assert clipped(page, width) == []


def clipped(page: Any, width: int) -> list[str]:
    """What reaches over a side of the screen, or is wider than the box that shows it."""
    found = page.evaluate(
        """width => [...document.querySelectorAll("main *, header *")].filter(each => {
            const box = each.getBoundingClientRect();
            if (!box.width || !box.height || each.closest("svg, caption") || each.tagName === "OPTION") return false;
            const cut = ["hidden", "clip", "auto", "scroll"].includes(getComputedStyle(each).overflowX);
            return box.left < -1 || box.right > width + 1 || (cut && each.scrollWidth > each.clientWidth + 1);
        }).map(each => `${each.tagName}.${each.className} ${each.innerText.slice(0, 60)}`)""",
        width,
    )
    return list(found)


def lightness(colour: str) -> int:
    """The sum of red, green and blue of ``rgb(r, g, b)``."""
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
