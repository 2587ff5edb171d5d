"""The report as one HTML page that needs nothing else: no network, no other file. A pure function of the facts.

The same facts give the same bytes: there is no clock in it, and no chance.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from pipeline.errors import SetupError
from pipeline.replay.run import ReplaySummary
from pipeline.report.amounts import age, american, clock, counted, decimal_odds, iso, percent, percent_change, seconds_between
from pipeline.report.best_section import best_part
from pipeline.report.closings_section import closings_section
from pipeline.report.facts import Facts
from pipeline.report.house_sections import books_section, calibration_section, proof_section
from pipeline.report.moved_section import moved_section, mover_text
from pipeline.report.parts import Card
from pipeline.report.screen_rows import screen_table
from pipeline.report.value_section import value_section
from pipeline.report.wording import outcome_text
from pipeline.texts import shown

TITLE: Final = "Odds report"
TEMPLATE: Final = "page.html.j2"
# The zones beside UTC and the reader's own, by the name that a browser knows.
ZONES: Final = (
    ("America/New_York", "New York"),
    ("America/Chicago", "Chicago"),
    ("America/Denver", "Denver"),
    ("America/Los_Angeles", "Los Angeles"),
    ("Europe/London", "London"),
    ("Europe/Berlin", "Berlin"),
    ("Europe/Athens", "Athens"),
)
# DataTables (MIT), as the wheel of itables (MIT) ships it: one script that needs no other, read as a file.
TABLES: Final = ("itables", "html", "dt_bundle.js")


def render(facts: Facts, source: str, replayed: ReplaySummary | None = None, explain_at: str | None = None) -> str:
    """The page.

    Args:
        facts: what a warehouse holds.
        source: what was read, in words without an address or a name.
        replayed: what a replay found, where the facts are of one.
        explain_at: where ``up`` explains rows, for links.

    Raises:
        SetupError: ``REPORT_TABLES``: the tables' script is not in its package.
    """
    facts = _cut_names(facts)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_finalize
    )
    environment.filters["csp"] = _source
    template = environment.from_string(_file(TEMPLATE))
    return template.render(
        title=TITLE,
        only_sport=facts.only_sport,
        is_simulated=facts.is_simulated,
        source=source,
        as_of=clock(facts.as_of),
        as_of_at=iso(facts.as_of),
        first=clock(facts.first_at),
        first_at=iso(facts.first_at),
        year=str(facts.as_of.year),
        zones=ZONES,
        cards=_cards(facts),
        screen=screen_table(facts),
        best=best_part(facts, explain_at),
        sections=(
            moved_section(facts),
            value_section(facts),
            closings_section(facts),
            books_section(facts.books),
            calibration_section(facts.books),
            proof_section(facts, replayed),
        ),
        css=_file("page.css"),
        script=_file("page.js"),
        tables=tables_script(),
    )


def tables_script() -> str:
    """The library's script, as one that hands its constructor to the page; nothing of the package is imported.

    Raises:
        SetupError: ``REPORT_TABLES``: it is not there, or ends otherwise than it did.
    """
    package, *names = TABLES
    spec = find_spec(package)
    file = None if spec is None or spec.origin is None else Path(spec.origin).parent.joinpath(*names)
    step = "Install what requirements.txt pins."
    if file is None or not file.is_file():
        raise SetupError("REPORT_TABLES", f"The package {package} does not hold {'/'.join(names)}.", step)
    script, found = re.subn(
        r"export\s*\{[^}]*?([\w$]+) as default[^}]*\}", r"globalThis.DataTable=\1", file.read_text(encoding="utf-8")
    )
    if found != 1:
        raise SetupError("REPORT_TABLES", f"The script of {package} hands out no constructor.", step)
    # a script that holds its own end tag would end there, and one that opens a comment might not end at all
    return script.replace("</script", "<\\/script").replace("<!--", "\\x3C!--")


def _cards(facts: Facts) -> tuple[Card, ...]:
    """What most people ask, answered before they scroll."""
    games, books = facts.screen.games, facts.screen.books
    fresh = [game for game in games if game.is_fresh]
    playing = sum(game.is_in_play for game in fresh)
    cards = [
        Card(
            "On the screen",
            f"{counted(len(fresh), 'game')}, {counted(len(books), 'book')}" if fresh else "no game with fresh prices",
            _of_games(playing, len(games) - len(fresh)),
            "screen",
        )
    ]
    hour = facts.movement.hour
    if hour:
        cards.append(Card("Moved most in the last hour", hour[0].title, mover_text(hour[0]), "moved"))
    else:
        newest = facts.movement.newest_move_at
        note = "no move yet" if newest is None else f"the newest is {age(seconds_between(newest, facts.as_of))} old"
        cards.append(Card("Moved most in the last hour", "nothing", note, "moved"))
    usable = [value for value in facts.chances.values if value.is_usable]
    clean = sum(each.is_open and each.is_fresh and each.quality == "clean" for each in facts.chances.arbitrages)
    if usable:
        best = usable[0]
        bet = outcome_text(best.market_key, best.outcome_side, best.outcome_name, best.line_point, best.description)
        price = f"{american(best.price_decimal)} ({decimal_odds(best.price_decimal)}) at {best.book}"
        cards.append(Card("Best value now", f"{percent_change(best.ev_fraction)}: {bet}", f"{price}; {_clean(clean)}", "value"))
    else:
        cards.append(Card("Best value now", "none", _clean(clean), "value"))
    # an exchange takes its share as a commission, which no hold shows
    holds = [row for row in facts.books.rows if row.hold_h2h is not None and not row.is_exchange]
    if holds:
        lowest = min(holds, key=lambda row: (row.hold_h2h or 0, row.book, row.sport_title))
        cards.append(
            Card("Lowest hold", f"{lowest.book}, {percent(lowest.hold_h2h)}", f"moneyline, {lowest.sport_title}", "books")
        )
    return tuple(cards)


def _of_games(playing: int, old: int) -> str:
    told = [f"{playing:,} in play"] if playing else []
    told += [f"{old:,} more whose prices are old"] if old else []
    return ", ".join(told) or "all before their start"


def _clean(count: int) -> str:
    return (
        f"{counted(count, 'clean arbitrage')} {'stands' if count == 1 else 'stand'}" if count else "no clean arbitrage stands"
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """What stands on the page: texts without controls; what is HTML or a script already is left alone."""
    return shown(value, max(len(value), 1)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cut_names(facts: Facts) -> Facts:
    """The facts with names that fit into a heading or a sentence."""
    events = tuple(
        replace(
            event,
            title=shown(event.title),
            sport_title=shown(event.sport_title),
            status=shown(event.status),
            home_team=shown(event.home_team or "the home side", 60),
        )
        for event in facts.events
    )
    return replace(facts, events=events, chosen_by=shown(facts.chosen_by))


def _source(script: str) -> str:
    """A script as the page's policy names it: no other one runs, wherever it may stand."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
