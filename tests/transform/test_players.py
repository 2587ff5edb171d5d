"""Players of props and runners of outrights over books: names that are one, names that are not, and prices by player."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import jinja2
import pytest

from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import take

SPORT = "basketball_nba"


def points(*offers: tuple[str, float, float, float]) -> dict[str, list[tuple[Any, ...]]]:
    """A market of (player, line, price over, price under)."""
    return {
        "player_points": [
            (side, price, line, name)
            for name, line, over, under in offers
            for side, price in (("Over", over), ("Under", under))
        ]
    }


def show(market: Any, books: dict[str, dict[str, Any]], sport: str = SPORT, minute: float = 0) -> None:
    shown = [market.book(key, markets, minute) for key, markets in books.items()]
    market.load(minute, market.odds(market.game("e", 600, shown, sport=sport), sport=sport))
    market.publish()


def names(market: Any, *columns: str, of: str = "gold.players") -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select bookmaker_key, name_as_sent, {', '.join(columns)} from {of} order by bookmaker_key, name_as_sent"
    )
    return found


def offer(name: str) -> tuple[str, float, float, float]:
    return (name, 20.5, 1.9, 1.9)


@pytest.mark.parametrize(
    ("sent", "normalised"),
    [
        ("LeBron James", "lebron james"),
        ("Gary Trent Jr.", "gary trent"),
        ("Gary Trent, Jr", "gary trent"),
        ("Ken Griffey SR", "ken griffey"),
        ("Lonnie Walker IV", "lonnie walker"),
        ("Robert Williams III", "robert williams"),
        ("Luka Dončić", "luka doncic"),
        ("NIKOLA JOKIĆ", "nikola jokic"),
        ("Dennis Schröder", "dennis schroder"),
        ("Alperen Şengün", "alperen sengun"),
        ("Martin Ødegaard", "martin odegaard"),
        ("Đorđe Petrović", "dorde petrovic"),
        ("Łukasz Fabiański", "lukasz fabianski"),
        ("Rasmus Højlund", "rasmus hojlund"),
        ("Niclas Füllkrug", "niclas fullkrug"),
        ("Josip Šutalo Weiß", "josip sutalo weiss"),
        ("Æþelstan Œuvre", "aethelstan oeuvre"),
        # a mark that follows its letter
        ("Jose\u0301 Alvarado", "jose alvarado"),
        ("De’Aaron  Fox ", "de'aaron fox"),
        ("J.J. Redick", "jj redick"),
        ("J. Isaac", "j isaac"),
        # no suffix: a name of one word, a beginning, a hyphen
        ("V", "v"),
        ("Jr", "jr"),
        ("Ivan Iv", "ivan"),
        ("Vi Sr Jones", "vi sr jones"),
        ("Dorian Finney-Smith", "dorian finney-smith"),
        # letters that are in no list stay
        ("Дмитрий", "Дмитрий"),
    ],
)
def test_a_name_is_brought_into_one_form(module_market: Any, sent: str, normalised: str) -> None:
    source = resource("dbt/macros/names.sql").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=False).from_string(source + "{{ normalised_name('given.name') }}")
    with module_market.warehouse.connect(Role.READER) as connection:
        found = connection.execute(f"select {template.render()} from (select %s::text as name) as given".encode(), [sent])
        assert found.fetchall() == [(normalised,)]


def test_case_accents_dots_and_suffixes_do_not_part_a_player(market: Any) -> None:
    show(
        market,
        {
            "fanduel": points(offer("Gary Trent Jr."), offer("Luka Dončić")),
            "betmgm": points(offer("Gary Trent"), offer("LUKA DONCIC")),
        },
    )

    assert names(market, "player", "match", "reason") == [
        ("betmgm", "Gary Trent", "gary trent", "exact", None),
        ("betmgm", "LUKA DONCIC", "luka doncic", "exact", None),
        ("fanduel", "Gary Trent Jr.", "gary trent", "exact", None),
        ("fanduel", "Luka Dončić", "luka doncic", "exact", None),
    ]
    assert names(market, "reason", of="gold.unmatched_players") == []


def test_initials_are_never_guessed_but_pointed_at(market: Any) -> None:
    show(market, {"fanduel": points(offer("Jonathan Isaac"), offer("Cole Anthony")), "betmgm": points(offer("J. Isaac"))})

    assert names(market, "reason", "candidates", of="gold.unmatched_players") == [
        ("betmgm", "J. Isaac", "no_counterpart", ["Jonathan Isaac"]),
        ("fanduel", "Cole Anthony", "no_counterpart", []),
        ("fanduel", "Jonathan Isaac", "no_counterpart", ["J. Isaac"]),
    ]


def test_an_alias_joins_what_differs_by_more(market: Any) -> None:
    # the seed has it: Nic Claxton is Nicolas Claxton
    show(
        market,
        {
            "fanduel": points(offer("Nic Claxton")),
            "betmgm": points(offer("Nicolas Claxton")),
            "bovada": points(offer("Nic Claxton")),
        },
    )

    # "Nicolas Claxton" stands at one book alone: only the alias of the others joins it
    assert names(market, "player", "match") == [
        ("betmgm", "Nicolas Claxton", "nicolas claxton", "alias"),
        ("bovada", "Nic Claxton", "nicolas claxton", "alias"),
        ("fanduel", "Nic Claxton", "nicolas claxton", "alias"),
    ]


def test_two_people_of_one_name_join_nobody(market: Any) -> None:
    show(
        market,
        {
            "fanduel": points(offer("Marvin Harrison"), offer("Marvin Harrison Jr.")),
            "betmgm": points(offer("Marvin Harrison Jr.")),
        },
    )

    assert names(market, "player", "match", "reason", "candidates") == [
        ("betmgm", "Marvin Harrison Jr.", None, "unmatched", "collision", ["Marvin Harrison", "Marvin Harrison Jr."]),
        ("fanduel", "Marvin Harrison", None, "unmatched", "collision", ["Marvin Harrison Jr."]),
        ("fanduel", "Marvin Harrison Jr.", None, "unmatched", "collision", ["Marvin Harrison Jr."]),
    ]
    assert market.rows("select player from gold.prop_prices") == []


BEST_NOW = "select distinct line_point, best_hold is null from gold.best_price where valid_to is null order by 1"


def test_two_players_whom_one_market_shows_under_one_name_are_nobody_while_shown(market: Any) -> None:
    """Two brothers at fanduel: whom betmgm means nobody can say, and neither whose the best price is."""
    one = points(("J. Allen", 20.5, 1.9, 1.9))
    [(key, outcomes)] = points(("J. Allen", 20.5, 1.9, 1.9), ("J. Allen", 20.5, 3.5, 1.3)).items()
    both = {key: outcomes}
    elsewhere = {**one, **points_of("player_rebounds", ("J. Allen", 8.5, 1.8, 2.0))}
    found = []
    for minute, at_fanduel in enumerate((one, both, one)):
        show(market, {"fanduel": at_fanduel, "betmgm": elsewhere}, minute=minute)
        market.publish()
        found.append(
            (
                {row[2:] for row in names(market, "player", "match", "reason")},
                market.rows("select market_key, line_point from gold.prop_prices order by 1"),
                market.rows(BEST_NOW),
            )
        )
    apart = {("j allen", "exact", None)}
    assert [each[0] for each in found] == [apart, {(None, "unmatched", "namesakes")}, apart]
    lines = [("player_points", Decimal("20.5")), ("player_rebounds", Decimal("8.5"))]
    assert [each[1] for each in found] == [lines, [], lines]
    # the stored best prices of the line on which they stand
    assert [each[2] for each in found] == [
        [(Decimal("8.5"), False), (Decimal("20.5"), False)],
        [(Decimal("8.5"), False)],
        [(Decimal("8.5"), False), (Decimal("20.5"), False)],
    ]


def test_a_list_that_is_doubled_holds_no_namesakes(market: Any) -> None:
    """One book shows every player twice, as real ones did: the first entry speaks."""
    both = (offer("J. Allen"), offer("M. Bell"))
    show(market, {"fanduel": points(*both, *both), "betmgm": points(*both)})
    assert {row[2:] for row in names(market, "match", "reason")} == {("exact", None)}
    assert market.rows("select count(*) from gold.prop_prices") == [(2,)]


def points_of(key: str, *offers: tuple[str, float, float, float]) -> dict[str, list[tuple[Any, ...]]]:
    [outcomes] = points(*offers).values()
    return {key: outcomes}


def test_aliases_part_them(market: Any) -> None:
    show(
        market,
        {
            "fanduel": points(offer("Marvin Harrison"), offer("Marvin Harrison Jr.")),
            "betmgm": points(offer("Marvin Harrison Jr.")),
        },
    )
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "insert into silver.player_alias (sport_key, name, player) values (%s, %s, %s)",
            [SPORT, "Marvin Harrison Jr.", "Marvin Harrison the younger"],
        )

    assert names(market, "player", "match", "reason") == [
        ("betmgm", "Marvin Harrison Jr.", "marvin harrison the younger", "alias", None),
        ("fanduel", "Marvin Harrison", None, "unmatched", "collision"),
        ("fanduel", "Marvin Harrison Jr.", "marvin harrison the younger", "alias", None),
    ]


def test_an_alias_does_not_join_two_names_of_one_book(market: Any) -> None:
    show(
        market,
        {
            "fanduel": points(offer("Cam Thomas"), offer("Cameron Thomas")),
            "betmgm": points(offer("Cameron Thomas")),
        },
    )

    assert names(market, "player", "match", "reason") == [
        ("betmgm", "Cameron Thomas", "cameron thomas", "exact", None),
        ("fanduel", "Cam Thomas", None, "unmatched", "collision"),
        ("fanduel", "Cameron Thomas", "cameron thomas", "exact", None),
    ]


def test_a_book_alone_has_nobody_to_match(market: Any) -> None:
    show(market, {"fanduel": points(offer("Ann Lee"))})

    assert names(market, "player", "match", "reason") == [("fanduel", "Ann Lee", "ann lee", "single_book", None)]
    assert names(market, "reason", of="gold.unmatched_players") == []


def test_runners_are_matched_by_their_outcome_and_teams_are_no_players(market: Any) -> None:
    field = {"outrights": [("Jon Rahm", 11.0), ("Sebastián Muñoz", 81.0)]}
    other = {"outrights": [("Jon Rahm", 12.0), ("Sebastian Munoz", 101.0)]}
    shown = [market.book(key, markets, 0) for key, markets in {"unibet": field, "sport888": other}.items()]
    runners = market.game("e", 600, shown, sport="golf_masters", home=None, away=None)
    totals = {"team_totals": [("Over", 1.9, 20.5, "Home"), ("Under", 1.9, 20.5, "Home")]}
    teams = market.game("f", 600, [market.book(key, totals, 0) for key in ("fanduel", "betmgm")])
    market.load(0, market.odds(runners, sport="golf_masters"), market.odds(teams))
    market.publish()

    assert names(market, "kind", "player", "match") == [
        ("sport888", "Jon Rahm", "runner", "jon rahm", "exact"),
        ("sport888", "Sebastian Munoz", "runner", "sebastian munoz", "exact"),
        ("unibet", "Jon Rahm", "runner", "jon rahm", "exact"),
        ("unibet", "Sebastián Muñoz", "runner", "sebastian munoz", "exact"),
    ]
    assert market.rows(
        "select player, line_point, over_price_decimal, over_books, over_book_count, under_price_decimal, best_hold"
        " from gold.prop_prices order by player"
    ) == [
        ("jon rahm", None, Decimal(12), ["sport888"], 2, None, None),
        ("sebastian munoz", None, Decimal(101), ["sport888"], 2, None, None),
    ]


def test_prices_are_compared_by_player_and_line(market: Any) -> None:
    show(
        market,
        {
            "fanduel": points(("Gary Trent Jr.", 10.5, 2.02, 1.80)),
            "betmgm": points(("Gary Trent", 10.5, 1.90, 1.95)),
            "bovada": points(("GARY TRENT JR", 10.5, 2.02, 1.001)),
            # another line; a fantasy operator; an exchange that keeps 2 % of the winnings
            "draftkings": points(("Gary Trent Jr.", 11.5, 2.30, 1.60)),
            "prizepicks": points(("Gary Trent Jr.", 10.5, 3.00, 3.00)),
            "matchbook": points(("Gary Trent Jr.", 10.5, 2.00, 2.00)),
        },
    )

    found = market.rows(
        "select line_point, over_price_decimal, over_books, over_book_count, under_price_decimal, under_books,"
        " under_book_count, best_hold, phase_as_known from gold.prop_prices where player = 'gary trent' order by line_point"
    )

    # 1 + 1.00 * 0.98 = 1.98 on either side of the exchange; bovada's 1.001 is a placeholder
    hold = 1 - 1 / (1 / Decimal("2.02") + 1 / Decimal("1.98"))
    other = 1 - 1 / (1 / Decimal("2.3") + 1 / Decimal("1.6"))
    ten = Decimal(10) ** -10
    assert found == [
        (
            Decimal("10.5"),
            Decimal("2.02"),
            ["bovada", "fanduel"],
            4,
            Decimal("1.98"),
            ["matchbook"],
            3,
            hold.quantize(ten),
            "pre",
        ),
        (Decimal("11.5"), Decimal("2.3"), ["draftkings"], 1, Decimal("1.6"), ["draftkings"], 1, other.quantize(ten), "pre"),
    ]


def test_a_price_that_is_gone_is_not_compared(market: Any) -> None:
    both = {"fanduel": points(offer("Ann Lee")), "betmgm": points(("Ann Lee", 20.5, 2.1, 1.8))}
    shown = [market.book(key, markets, 0) for key, markets in both.items()]
    asked = {"sport": SPORT, "books": ("betmgm", "fanduel"), "markets": ("player_points",)}
    market.load(0, market.odds(market.game("e", 600, shown, sport=SPORT), **asked))
    market.load(10, market.odds(market.game("e", 600, shown[:1], sport=SPORT), **asked))
    market.publish()

    assert market.rows("select over_books from gold.prop_prices") == [(["fanduel"],)]


# --- a real answer ---------------------------------------------------------------------------------------------------


def fraction(american: Decimal | int) -> Fraction:
    """The decimal price of an American one."""
    price = Fraction(american)
    return 1 + (price / 100 if price > 0 else 100 / -price)


def decimal(price: Fraction) -> Decimal:
    """To eight places, half away from zero."""
    return (Decimal(price.numerator) / price.denominator).quantize(Decimal("1e-8"), ROUND_HALF_UP)


def by_hand(name: str) -> str:
    """The form of the names in that answer, which are plain but for case, dots and suffixes."""
    assert name.isascii()
    words = name.lower().replace(".", "").split()
    return " ".join(words[:-1] if words[-1] in ("jr", "sr", "ii", "iii", "iv") else words)


@pytest.mark.recorded
def test_real_props_are_those_of_the_raw_answers(
    prepared: Warehouse, project: Project, recorded_dir: Path, tmp_path: Path
) -> None:
    told = ImportOptions.parse(captured_at="2024-02-22T20:00:00Z")
    import_recording(recorded_dir / "nba_player_props_2024.tar.xz", tmp_path / "recording", told)
    recording = Recording.open(tmp_path / "recording")
    take(prepared, project, list(recording.batches()), step=0)

    # the best Over and Under of each name, by raw American prices: none of these books is an exchange or a dfs operator
    best: dict[tuple[str, str, Decimal, str], tuple[Fraction, set[str]]] = {}
    aliases = {"cam johnson": "cameron johnson", "cam thomas": "cameron thomas", "nic claxton": "nicolas claxton"}
    aliases["dorian finney smith"] = "dorian finney-smith"
    for batch in recording.batches():
        for exchange in batch.exchanges:
            document = json.loads(exchange.body or b"[]", parse_float=Decimal)
            for book in document.get("bookmakers", ()) if isinstance(document, dict) else ():
                for market in book["markets"]:
                    for outcome in market["outcomes"]:
                        name = by_hand(outcome["description"])
                        key = (document["id"], aliases.get(name, name), Decimal(outcome["point"]), outcome["name"])
                        price = fraction(outcome["price"])
                        known, books = best.get(key, (Fraction(0), set()))
                        if price > known:
                            best[key] = (price, {book["key"]})
                        elif price == known:
                            books.add(book["key"])

    with prepared.connect(Role.READER) as connection:
        rows = connection.execute(
            "select event_id, player, line_point, over_price_decimal, over_books, under_price_decimal, under_books"
            " from gold.prop_prices"
        ).fetchall()
        reported = connection.execute("select distinct name_as_sent, candidates from gold.unmatched_players").fetchall()
    found = {}
    for event_id, player, line, over, over_books, under, under_books in rows:
        for side, price, books in (("Over", over, over_books), ("Under", under, under_books)):
            if price is not None:
                found[(event_id, player, line, side)] = (price, set(books))
    assert len(found) > 250
    assert found == {key: (decimal(price), books) for key, (price, books) in best.items()}
    # read off the answers by eye: the only name that means somebody whom other books spell out, and three whom one book offers
    assert sorted(reported) == [
        ("Dean Wade", []),
        ("Dennis Smith Jr.", ["Dorian Finney Smith"]),
        ("J. Isaac", ["Jonathan Isaac"]),
        ("Joe Ingles", []),
    ]
