"""The report: one page of facts, the same bytes from the same gold, and nothing that asks the network."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.cli.ending import WRONG_USE
from pipeline.clock import UTC
from pipeline.errors import SportsMarketError, UsageError, WarehouseError
from pipeline.replay.run import ReplaySummary
from pipeline.report.charts import chances_chart, closings_chart
from pipeline.report.facts import Calibration, Event, Facts, OpenClose, Stretch, Wanted, gather
from pipeline.report.page import calibration_section, render
from pipeline.report.write import write_report
from pipeline.warehouse.connect import Role, Warehouse


@pytest.fixture(scope="module")
def facts(bundled: Warehouse) -> Facts:
    with bundled.connect(Role.READER) as connection:
        return gather(connection, Wanted())


class Page(HTMLParser):
    """What a page refers to, its texts outside of scripts, and its tables' rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.text: list[str] = []
        self.rows = 0
        self.charts: list[dict[str, Any]] = []
        self._within: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = (tag, dict(attrs))
        self.rows += tag == "tr"
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        self._within = ("", {})

    def handle_data(self, data: str) -> None:
        tag, attributes = self._within
        if tag == "script" and "data-chart" in attributes:
            self.charts.append(json.loads(data))
        elif tag not in ("script", "style"):
            self.text.append(data)


def test_the_same_gold_gives_the_same_bytes(bundled: Warehouse, tmp_path: Path) -> None:
    pages = []
    for name in ("a.html", "b.html"):
        write_report(bundled, Wanted(), tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_page_needs_nothing_else_and_tells_no_secret(bundled: Warehouse, facts: Facts) -> None:
    page = Page(render(facts, "A standing warehouse"))
    assert all(reference.startswith(("#", "data:,")) for reference in page.references), page.references
    told = "".join(page.text)
    for word in (bundled.host, bundled.dbname, bundled.owner, str(Path.home())):
        assert not word or word not in told
    assert {"#proof", "#movement", "#best", "#closings", "#holds", "#calibration", "#health", "#credits"} <= set(
        page.references
    )


def test_every_chart_is_one_that_plotly_takes(facts: Facts) -> None:
    import plotly.graph_objects as go

    page = Page(render(facts, "A standing warehouse"))
    closed = sum(any(each.is_closing for each in event.closings) for event in facts.events)
    assert len(page.charts) >= 2 * 3 + closed + 2
    for figure in page.charts:
        assert go.Figure(figure).data  # it refuses what it does not know
        assert all(len(trace["x"]) == len(trace["y"]) > 0 for trace in figure["data"])


def test_only_what_is_a_close_is_drawn_as_one() -> None:
    prices = {"ok": "2.1", "aged": "2.2", "old": "2.3", "not_quoting": "2.4", "provisional": "2.5", "unplayed": "2.6"}
    closings = [
        OpenClose(status, "Home", Decimal(2), False, Decimal(price), 60, status, status in ("ok", "aged"))
        for status, price in prices.items()
    ]
    chart = closings_chart("key", closings)
    assert chart is not None
    assert [trace["x"] for trace in json.loads(chart.figure)["data"]] == [[2.0, 2.0], [2.1, 2.2]]
    assert closings_chart("key", closings[2:]) is None


def test_facts_are_those_of_gold(facts: Facts, bundled: Warehouse) -> None:
    with bundled.connect(Role.READER) as connection:

        def one(query: str, *values: Any) -> Any:
            row = connection.execute(query.encode(), values or None).fetchone()
            assert row is not None
            return row[0]

        assert sum(count for _, count in facts.batch_states) == one("select count(*) from ops.batch_states")
        assert sum(batch.outcomes or 0 for batch in facts.batches) == one("select count(*) from silver.quotes")
        liveliest = facts.events[0]
        changed = "select count(*) from gold.price_history where end_reason = 'changed' and phase_as_known = 'pre'"
        assert liveliest.changes == one(f"{changed} and event_id = %s", liveliest.event_id)
        assert {each.bookmaker_key for each in liveliest.closings} == set(
            one(
                "select array_agg(distinct bookmaker_key) from gold.price_history where event_id = %s and market_key = 'h2h'"
                " and outcome_side = 'home' and price_side = 'back'",
                liveliest.event_id,
            )
        )
        for hold in facts.holds[:3]:
            mean = one(
                "select round(avg(hold), 6) from gold.margins where is_sound and phase_as_known = 'pre' and bookmaker_key = %s"
                " and market_key = %s",
                hold.bookmaker_key,
                hold.market_key,
            )
            assert hold.mean_hold == mean
    for event in facts.events:
        assert event.chances and event.best_prices
        assert all(each.begins < each.ends <= event.start_at for each in (*event.chances, *event.totals))


def test_events_can_be_named_and_narrowed_to_a_sport(bundled: Warehouse, facts: Facts) -> None:
    other = facts.events[-1].event_id
    with bundled.connect(Role.READER) as connection:
        named = gather(connection, Wanted(events=(other, other)))
    assert [event.event_id for event in named.events] == [other]
    with bundled.connect(Role.READER) as connection:
        narrowed = gather(connection, Wanted(sport="americanfootball_nfl", most=1))
    assert [event.sport_key for event in narrowed.events] == ["americanfootball_nfl"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [(Wanted(events=("0" * 32,)), "NO_SUCH_EVENT"), (Wanted(sport="cricket"), "NO_SUCH_SPORT")],
)
def test_what_is_not_there_is_told(bundled: Warehouse, wanted: Wanted, code: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        write_report(bundled, wanted, tmp_path / "report.html")
    assert error.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_an_empty_warehouse_is_told(prepared: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no published batch") as error:
        write_report(prepared, Wanted(), tmp_path / "report.html")
    assert error.value.code == "NOTHING_TO_REPORT"


@pytest.mark.parametrize("out", [".", "nowhere/report.html"])
def test_a_page_that_cannot_be_written_is_told_before_any_work(out: str, tmp_path: Path, bundled: Warehouse) -> None:
    with pytest.raises(SportsMarketError) as error:
        write_report(replace(bundled, host="nowhere.invalid"), Wanted(), tmp_path / out)
    assert error.value.code == "REPORT_OUT"


def test_the_command_tells_it_in_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--out", str(tmp_path / "nowhere" / "report.html")]) == WRONG_USE
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error REPORT_OUT: There is no folder") and told.err.count("\n") == 2


def test_names_cannot_break_the_page(facts: Facts) -> None:
    evil = "</script><script>alert(1)</script> & <b>"
    event = replace(facts.events[0], title=evil, home_team=evil)
    text = render(replace(facts, events=(event,)), "A standing warehouse")
    assert "alert(1)</script>" not in text and "<b>" not in text
    assert evil in "".join(Page(text).text)


def test_a_line_is_broken_where_no_quote_stood() -> None:
    def at(hour: int) -> dt.datetime:
        return dt.datetime(2025, 10, 9, hour, tzinfo=UTC)

    stretches = (
        Stretch("fanduel", at(1), at(2), Decimal("0.5")),
        Stretch("fanduel", at(2), at(3), Decimal("0.6")),
        Stretch("fanduel", at(5), at(6), Decimal("0.55")),
    )
    event = Event("e", "s", "Away at Home", "Home", at(6), "listed", "the_odds_api", 2, chances=stretches)
    chart = chances_chart("c", event)
    assert chart is not None
    [line] = json.loads(chart.figure)["data"]
    hours = [int(re.sub(r".* (\d\d):.*", r"\1", time)) for time in line["x"]]
    assert list(zip(hours, line["y"], strict=True)) == [(1, 50), (2, 50), (2, 60), (3, 60), (3, None), (5, 55), (6, 55)]


def test_a_replay_says_what_it_proved(facts: Facts) -> None:
    summary = ReplaySummary(
        states={"a": "proven", "b": "covered", "c": "new", "d": "different"},
        quarantined=0,
        held=0,
        failed_checks=1,
        outcomes_in_bodies=12345,
        outcomes_in_silver=12345,
        digests={"gold.sports": "sum128:1:abc"},
        failures=("a check failed",),
    )
    told = " ".join(Page(render(facts, "A replayed recording", summary)).text)
    assert "12,345 outcomes were counted" in told and "Failed: a check failed" in told
    assert re.search(r"proven by snapshot\s+2\s", told) and re.search(r"different from it\s+1\s", told)
    assert "Nothing was replayed" not in told


def test_calibration_says_what_is_there_and_what_is_not() -> None:
    empty = calibration_section((), 7).parts[0]
    assert "No probability has met a graded result yet" in empty.notes[0] and "7 events" in empty.notes[0]
    row = Calibration(
        "americanfootball_nfl", "h2h", "two_way", "pinnacle", "power", 0, 12, Decimal("0.2134"), None, Decimal("0.61"), False
    )
    thin = calibration_section((row,), 12).parts[0]
    assert "1 of 1 rows are of too few events" in thin.notes[1]
    table = thin.blocks[0].table
    assert table is not None
    assert table.rows == (("americanfootball_nfl", "h2h", "two_way", "pinnacle", "close", "12", "0.2134", "–", "0.6100", "no"),)
