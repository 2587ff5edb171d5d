"""The report: one page of facts, the same bytes from the same gold, and nothing that asks the network."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.cli.ending import WRONG_USE
from pipeline.clock import UTC
from pipeline.errors import SetupError, SportsMarketError, UsageError, WarehouseError
from pipeline.replay.run import ReplaySummary
from pipeline.report import page as page_module
from pipeline.report.book_facts import Calibration, Graded
from pipeline.report.charts import steps_chart
from pipeline.report.closings_section import closings_section
from pipeline.report.facts import Facts, Wanted, gather
from pipeline.report.house_sections import calibration_section, proof_section
from pipeline.report.moved_section import moved_section
from pipeline.report.movement_facts import Stretch
from pipeline.report.page import render, tables_script
from pipeline.report.parts import Section
from pipeline.report.screen_rows import screen_table
from pipeline.report.value_section import value_section
from pipeline.report.write import write_report
from pipeline.warehouse.connect import Connection, Role, Warehouse

SECTIONS = ("screen", "moved", "value", "closings", "books", "calibration", "proof")


@pytest.fixture(scope="module")
def facts(bundled: Warehouse) -> Facts:
    with bundled.connect(Role.READER) as connection:
        return gather(connection, Wanted())


@pytest.fixture
def reader(bundled: Warehouse) -> Iterator[Connection]:
    with bundled.connect(Role.READER) as connection:
        yield connection


class Page(HTMLParser):
    """What a page refers to, its texts outside of scripts, and its tables' rows as texts of cells, by the table's id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.text: list[str] = []
        self.moments: list[str] = []
        self.headings: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._table: list[list[str]] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in ("i", "strong", "small", "span", "time", "u", "s", "em"):
            self._tag = tag
        if tag == "table":
            self._table = self.tables.setdefault(values["id"] or "", [])
        if tag == "tr":
            self._table.append([])
        if tag in ("td", "th"):
            self._table[-1].append("")
        if tag == "section":
            self.headings.append(values["id"] or "")
        if tag == "time":
            self.moments.append(values["datetime"] or "")
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "td", "th"):
            self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style"):
            return
        self.text.append(data)
        if self._tag in ("td", "th"):
            self._table[-1][-1] += data


def texts(section: Section) -> str:
    """All words of a section, one after another."""
    words = [section.title, section.lead]
    for part in section.parts:
        words += [part.title, part.line, *part.notes]
        if part.table is not None:
            words += [part.table.title, part.table.empty if not part.table.rows else ""]
            words += [cell.text for row in part.table.rows for cell in row]
    return " | ".join(words)


def test_the_same_gold_gives_the_same_bytes(bundled: Warehouse, tmp_path: Path) -> None:
    pages = []
    for name in ("a.html", "b.html"):
        write_report(bundled, Wanted(), tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]
    assert len(pages[0]) < 2_000_000


def test_a_page_needs_nothing_else_and_tells_no_secret(bundled: Warehouse, facts: Facts) -> None:
    text = render(facts, "A standing warehouse")
    page = Page(text)
    assert all(reference.startswith(("#", "data:,")) for reference in page.references), page.references
    told = "".join(page.text)
    for word in (bundled.host, bundled.dbname, bundled.owner, str(Path.home())):
        assert not word or word not in told
    # what people ask first, and proof last; each can be reached
    assert tuple(page.headings) == SECTIONS
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) > 30 and sorted(ids) == sorted(set(ids))
    assert {f"#{key}" for key in SECTIONS} <= set(page.references)


def test_what_is_read_are_titles_and_no_keys(facts: Facts, reader: Connection) -> None:
    told = Page(render(facts, "A standing warehouse"))
    shown = " ".join(cell for rows in told.tables.values() for row in rows for cell in row)
    asked = "select bookmaker_key from gold.bookmakers where title <> bookmaker_key and bookmaker_key ~ '_'"
    keys = [key for (key,) in reader.execute(asked).fetchall()]
    keys += [key for (key,) in reader.execute("select sport_key from gold.sports").fetchall()]
    assert len(keys) > 20
    # the ledgers of proof name tables and endpoints as they are
    assert [key for key in (*keys, "h2h", "two_way", "not_quoting") if re.search(rf"\b{key}\b", shown)] == []


def test_the_screen_is_gold_as_it_stands(facts: Facts, reader: Connection) -> None:
    screen = screen_table(facts)
    moneylines = [row for row in screen.rows if row.market == "Moneyline" and not row.seen]
    assert moneylines
    best = reader.execute(
        "select outcome_name, round(price_decimal, 2), bookmaker_titles[1] from gold.best_price_now where market_key = 'h2h'"
        " and known_until = (select max(captured_at) from silver.coverage)"
    ).fetchall()
    assert best
    lines = {line.name: line for row in moneylines for line in row.lines}
    for name, price, book in best:
        line = lines[name]
        assert Decimal(line.best_decimal) == price and line.best_books.startswith(book)
        # it is marked at the book that has it, and nowhere is there a better one that counts
        marked = [title for title, quote in zip(screen.books, line.prices, strict=True) if quote is not None and quote.is_best]
        assert book in marked
        assert all(Decimal(quote.decimal) <= price for quote in line.prices if quote is not None and not quote.why), line


def test_what_is_not_fresh_is_said_and_never_the_best(facts: Facts) -> None:
    game = facts.screen.games[0]
    assert game.is_fresh
    old = replace(game, is_fresh=False, known_until=facts.as_of - dt.timedelta(hours=5))
    table = screen_table(
        replace(
            facts,
            screen=replace(
                facts.screen,
                games=(old,),
                quotes=tuple(quote for quote in facts.screen.quotes if quote.event_id == game.event_id),
            ),
        )
    )
    assert {row.seen for row in table.rows} == {"5 h"}
    prices = [price for row in table.rows for line in row.lines for price in line.prices if price is not None]
    assert prices and all(price.why and price.note and not price.is_best for price in prices)
    assert {line.best_american for row in table.rows for line in row.lines} == {"–"}
    # of a fresh game it is the single quote
    quote = next(quote for quote in facts.screen.quotes if quote.event_id == game.event_id and quote.reason is None)
    spoiled = replace(quote, reason="too_old", age_seconds=400)
    quotes = tuple(spoiled if each == quote else each for each in facts.screen.quotes)
    table = screen_table(replace(facts, screen=replace(facts.screen, quotes=quotes)))
    greyed = [price for row in table.rows for line in row.lines for price in line.prices if price is not None and price.why]
    assert ("read too long before the newest answer", "6 min") in {(price.why, price.note) for price in greyed}


def test_another_line_is_told_apart_and_never_the_best(facts: Facts) -> None:
    for row in screen_table(facts).rows:
        for line in row.lines:
            for price in line.prices:
                if price is not None and price.is_off_line:
                    assert not price.is_best
                    assert price.point


def test_an_outcome_of_which_nobody_holds_anything_fair_says_so(facts: Facts) -> None:
    alone = render(replace(facts, screen=replace(facts.screen, fair=())), "", None)
    assert "<strong>–</strong><i>no consensus</i>" in alone and "– · –" not in alone


def test_facts_are_those_of_gold(facts: Facts, reader: Connection) -> None:
    def one(query: str, *values: Any) -> Any:
        row = reader.execute(query.encode(), values or None).fetchone()
        assert row is not None
        return row[0]

    assert facts.as_of == one("select max(captured_at) from silver.coverage")
    assert sum(count for _, count in facts.proof.batch_states) == one("select count(*) from ops.batch_states")
    assert sum(batch.outcomes or 0 for batch in facts.proof.batches) == one("select count(*) from silver.quotes")
    top = facts.movement.hour[0]
    groups = one(
        "select count(distinct operator_group) from gold.moves where event_id = %s and market_key = %s and direction = %s"
        " and changed_at > (select max(captured_at) from silver.coverage) - interval '1 hour'",
        *(top.event_id, top.market_key, top.direction),
    )
    assert top.groups_moved == groups == max(mover.groups_moved for mover in facts.movement.hour)
    assert len(facts.movement.day) >= len(facts.movement.hour)
    for row in facts.books.rows:
        if row.hold_h2h is None or row.sport_title != "NFL":
            continue
        mean = one(
            "select round(avg(hold), 6) from gold.margins join gold.bookmakers using (bookmaker_key) where is_sound"
            " and phase_as_known = 'pre' and title = %s and market_key = 'h2h' and sport_key = 'americanfootball_nfl'",
            row.book,
        )
        assert row.hold_h2h == mean
    assert all(row.closes <= row.closable for row in facts.books.rows)
    for event in facts.events:
        assert event.chances
        assert all(each.begins < each.ends <= event.start_at for each in (*event.chances, *event.spreads, *event.totals))


def test_an_arbitrage_is_told_as_long_as_answers_showed_it(facts: Facts, reader: Connection) -> None:
    """And not until the answer that came without it: in play that may be half a day later."""
    rows = reader.execute(
        "select valid_from, extract(epoch from last_seen_at - valid_from), extract(epoch from valid_to - valid_from)"
        " from gold.arbitrages where last_seen_at is not null"
    ).fetchall()
    shown = {(at, int(seconds)) for at, seconds, _ in rows}
    gone = [each for each in facts.chances.arbitrages if not each.is_open]
    assert gone and {(each.valid_from, each.shown_seconds) for each in gone} <= shown
    assert any(until > seconds for _, seconds, until in rows)
    [table] = [part.table for part in value_section(facts).parts if part.table is not None and part.table.key == "arbitrages"]
    assert table.columns[-1].title == "Seen for"
    # nor is it called good unless it is clean, however much it would return
    assert {row[2].tone for row, each in zip(table.rows, facts.chances.arbitrages, strict=True) if each.quality != "clean"} == {
        ""
    }
    assert [row[-1].text == "one answer" for row in table.rows] == [
        each.shown_seconds == 0 for each in facts.chances.arbitrages
    ]


def test_only_what_is_a_close_is_told_as_one(facts: Facts, reader: Connection) -> None:
    assert facts.closings.markets and facts.closings.by_book
    assert {each.close_status for each in facts.closings.markets} <= {"ok", "aged"}
    assert {each.close_status for each in facts.closings.by_book} <= {"ok", "aged"}
    assert max(each.closing_age_seconds for each in facts.closings.by_book) <= 1800
    counts = dict(facts.closings.statuses)
    assert sum(counts.get(status, 0) for status in ("ok", "aged")) == len(facts.closings.markets)
    told = texts(closings_section(facts))
    assert f"{len(facts.closings.markets):,} of {sum(counts.values()):,} markets" in told
    # a first value is called an opening only where it is one
    opened = reader.execute(
        "select count(*) from gold.game_lines where h2h_opened_at is not null and h2h_close_status in ('ok', 'aged')"
    ).fetchall()
    assert opened == [(sum(each.is_opening for each in facts.closings.markets if each.market_key == "h2h"),)]


def test_events_can_be_named_and_narrowed_to_a_sport(bundled: Warehouse, facts: Facts) -> None:
    other = facts.events[-1].event_id
    with bundled.connect(Role.READER) as connection:
        named = gather(connection, Wanted(events=(other, other)))
    assert [event.event_id for event in named.events] == [other]
    with bundled.connect(Role.READER) as connection:
        narrowed = gather(connection, Wanted(sport="americanfootball_nfl", most=1))
    assert len(narrowed.events) == 1 and narrowed.only_sport == "NFL"
    found = (
        *narrowed.events,
        *narrowed.screen.games,
        *narrowed.movement.day,
        *narrowed.closings.markets,
        *narrowed.books.rows,
        *narrowed.chances.arbitrages,
    )
    assert {each.sport_title for each in found} == {"NFL"}


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


def test_an_empty_table_says_why(facts: Facts) -> None:
    nothing = replace(
        facts,
        screen=replace(facts.screen, games=(), quotes=(), best=(), fair=(), lines=(), books=(), markets=(), not_shown=9),
        movement=replace(facts.movement, hour=(), day=(), steam=()),
        events=(),
        chances=replace(facts.chances, values=(), arbitrages=(), middles=(), looked_at=12),
        closings=replace(facts.closings, markets=(), by_book=(), statuses=(("none", 4), ("provisional", 2))),
        books=replace(facts.books, rows=(), clv=()),
        proof=replace(facts.proof, batches=(), checks=(), credits=()),
    )
    told = " ".join(Page(render(nothing, "A standing warehouse")).text)
    for why in (
        "was asked for in the 24 hours before",
        "9 were asked for before",
        "No book moved a line by half a point",
        "Of 12 best prices",
        "None stands, and none was gone within 24 hours",
        "None of 6 markets of games that began has a close: 4 no quote before the start",
        "No book has quoted a complete price before a start",
        "Too few graded events to say anything: it takes 100",
        "No call of our own is in this warehouse",
    ):
        assert why in told, why
    first = replace(nothing, movement=replace(nothing.movement, newest_move_at=None))
    assert "a move takes two answers that differ" in texts(moved_section(first))
    unheld = replace(nothing, chances=replace(nothing.chances, looked_at=0))
    assert "can be held against four other operators" in texts(value_section(unheld))
    unplayed = replace(nothing, closings=replace(nothing.closings, statuses=()))
    assert "No game has begun yet" in texts(closings_section(unplayed))


def test_a_warehouse_of_one_batch_is_told(prepared: Warehouse, project: Any, tmp_path: Path) -> None:
    from pipeline.bronze.batch_load import load_batch
    from pipeline.clock import SystemClock
    from pipeline.recording.store import Recording
    from pipeline.resources import resource
    from pipeline.transform.apply import apply_batches
    from tests.recordings import BUNDLED

    recording = Recording.open(resource(BUNDLED))
    batch_id = recording.batch_ids[0]
    with prepared.connect(Role.INGESTER) as ingester:
        load_batch(ingester, recording.read(batch_id), SystemClock())
    assert apply_batches(prepared, project, [batch_id], SystemClock()).published
    write_report(prepared, Wanted(), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    told = " ".join(page.text)
    assert len(page.tables["screen-table"]) > 20
    assert "a move takes two answers that differ" in told and "No game has begun yet" in told


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
    evil = "</script><script>alert(1)</script> & <marquee>"
    games = tuple(replace(game, sport_title=evil) for game in facts.screen.games)
    event = replace(facts.events[0], title=evil, home_team=evil)
    text = render(replace(facts, events=(event,), screen=replace(facts.screen, games=games)), "A standing warehouse")
    assert "alert(1)</script>" not in text and "<marquee>" not in text
    assert evil in "".join(Page(text).text)


def at(hour: int) -> dt.datetime:
    return dt.datetime(2025, 10, 9, hour, tzinfo=UTC)


def test_a_line_is_broken_where_no_quote_stood() -> None:
    stretches = (
        Stretch("FanDuel", at(1), at(2), Decimal("0.5")),
        Stretch("FanDuel", at(2), at(3), Decimal("0.6")),
        Stretch("FanDuel", at(5), at(6), Decimal("0.55")),
    )
    chart = steps_chart("c", "Chance", stretches, at(6), True)
    assert chart is not None
    [line] = chart.lines
    assert (chart.low, chart.high, chart.begins, chart.ends) == ("50", "60", "2025-10-09T01:00:00Z", "2025-10-09T06:00:00Z")
    assert line.path == "M0 1000H200V0H400M800 500H1000"
    assert chart.start == "100"


def test_the_consensus_of_a_total_is_drawn_in_steps_on_top_of_the_books(facts: Facts) -> None:
    event = next(event for event in facts.events if event.totals)
    assert "consensus" in {stretch.source for stretch in event.totals}
    chart = steps_chart("t", "Total", event.totals, event.start_at, False)
    assert chart is not None and chart.lines[-1].name == "consensus" and chart.lines[-1].colour == 0
    assert re.fullmatch(r"(M\d+ \d+H\d+|V\d+H\d+)+", chart.lines[-1].path)
    assert len(chart.values) <= 8 and len(chart.times) == 3


@pytest.mark.parametrize("values", [["41"], ["41", "41.5"], ["-60", "60"], ["0.25"], ["2.25", "2.5"]])
def test_a_drawing_has_room_for_its_values(values: list[str]) -> None:
    stretches = [Stretch("a", at(place), at(place + 1), Decimal(value)) for place, value in enumerate(values)]
    chart = steps_chart("t", "Total", stretches, at(23), False)
    assert chart is not None and chart.start == ""
    assert Decimal(chart.low) <= min(map(Decimal, values)) and Decimal(chart.high) >= max(map(Decimal, values))
    assert Decimal(chart.low) < Decimal(chart.high) and len(chart.values) <= 9


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
    assert "2 states equal their snapshot, 1 differ, 1 have none; 1 failures" in told
    assert "not replayed" not in told


def test_what_was_not_compared_is_not_called_good(facts: Facts) -> None:
    alone = ReplaySummary(
        states={"a": "new", "b": "new"}, quarantined=0, held=0, failed_checks=0, outcomes_in_bodies=1, outcomes_in_silver=1,
        digests={}, failures=(),
    )  # fmt: skip

    def proof(summary: ReplaySummary) -> tuple[str, str]:
        [part] = [each for each in proof_section(facts, summary).parts if each.title == "Proof"]
        return part.tone, part.line

    assert proof(alone) == ("", "nothing to compare with: none of 2 states has a snapshot; 0 failures")
    assert proof(replace(alone, states={"a": "proven", "b": "new"}))[0] == "good"
    assert proof(replace(alone, states={"a": "proven", "b": "different"}))[0] == "bad"
    assert proof(replace(alone, failures=("a check failed",)))[0] == "bad"


def test_calibration_says_what_is_there_and_what_is_not(facts: Facts) -> None:
    thin = replace(facts.books, calibration=(), graded=(Graded("NFL", 12),), completed=7)
    assert "it takes 100 of one kind, and NFL has 12" in texts(calibration_section(thin))
    assert "7 events have a final score" in texts(calibration_section(thin))
    empty = replace(facts.books, calibration=(), graded=())
    assert "No probability has met a graded result yet" in texts(calibration_section(empty))
    row = Calibration("NFL", "h2h", "two_way", "Pinnacle", 0, 120, Decimal("0.2134"), None, Decimal("0.61"))
    full = calibration_section(replace(facts.books, calibration=(row,))).parts[0].table
    assert full is not None
    assert [cell.text for cell in full.rows[0]] == ["NFL", "Moneyline", "Pinnacle", "close", "120", "0.2134", "–", "0.6100"]


def test_ages_and_now_are_of_the_newest_answer(facts: Facts) -> None:
    """The page names no later moment than that, but starts to come."""
    page = Page(render(facts, "A standing warehouse"))
    starts = {game.start_at for game in facts.screen.games} | {mover.start_at for mover in facts.movement.day}
    starts |= {value.start_at for value in facts.chances.values}
    later = {moment for moment in page.moments if moment > f"{facts.as_of:%Y-%m-%dT%H:%M:%SZ}"}
    assert later and later <= {f"{start:%Y-%m-%dT%H:%M:%SZ}" for start in starts}


def test_the_tables_script_is_read_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    script = tables_script()
    assert script.count("globalThis.DataTable=") == 1 and "</script" not in script and "<!--" not in script
    assert "itables" not in sys.modules
    monkeypatch.setattr(page_module, "TABLES", ("itables", "html", "nothing.js"))
    with pytest.raises(SetupError) as error:
        tables_script()
    assert error.value.code == "REPORT_TABLES"
