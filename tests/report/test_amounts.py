"""Amounts as they are read: odds that are exact, and ages in words."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from pipeline.clock import UTC
from pipeline.report.amounts import (
    age,
    american,
    american_of,
    clock,
    decimal_odds,
    fair_price,
    handicap,
    iso,
    percent,
    percent_change,
    plain,
)
from pipeline.report.wording import market_title, outcome_text, point_text, points_text


@pytest.mark.parametrize(
    ("price", "odds"),
    [
        ("2", 100),
        ("2.5", 150),
        ("1.90909091", -110),
        ("1.10526316", -950),
        ("1.001", -100_000),
        ("1.995", -101),  # 100.50…: the nearest is 101
        ("2.005", 101),  # half up, and not to the even one
        ("1", None),
        ("0.5", None),
    ],
)
def test_american_odds_are_the_nearest_to_a_decimal_price(price: str, odds: int | None) -> None:
    assert american_of(Decimal(price)) == odds


@pytest.mark.parametrize("sent", [-100_000, -950, -110, -101, 100, 105, 260, 1625])
def test_american_odds_come_back_from_the_decimal_price_that_is_stored(sent: int) -> None:
    price = 1 + (Decimal(sent) / 100 if sent > 0 else Decimal(100) / -sent)
    stored = price.quantize(Decimal("0.00000001"))
    assert american_of(stored) == sent
    assert american(stored, Decimal(sent)) == american(stored) == f"{sent:+d}"


def test_a_price_that_was_sent_is_told_as_it_was_sent() -> None:
    assert american(Decimal("2.08"), None) == "+108"
    assert american(Decimal("2.08"), Decimal("107.50000000")) == "+107.5"
    assert american(None) == decimal_odds(None) == "–"


def test_odds_and_shares_are_rounded_half_up() -> None:
    assert [decimal_odds(Decimal(price)) for price in ("1.905", "1.0945", "17")] == ["1.91", "1.095", "17.00"]
    assert [percent(Decimal(value)) for value in ("0.54149", "0.5415", "-0.0501")] == ["54.1 %", "54.2 %", "-5.0 %"]
    assert [percent_change(Decimal(value)) for value in ("0.0163", "-0.0004", "-0.02")] == ["+1.6 %", "0.0 %", "-2.0 %"]
    assert fair_price(Decimal("0.25")) == 4 and fair_price(Decimal(1)) is None and fair_price(None) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (199, "3 min"), (3600, "1 h"), (172_799, "47 h"), (172_800, "2 d"), (None, "–")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int | None, text: str) -> None:
    assert age(seconds) == text


def test_points_have_a_sign_where_they_are_handicaps() -> None:
    assert [handicap(Decimal(value)) for value in ("-3.500", "3.000", "0.000")] == ["-3.5", "+3", "0"]
    assert plain(Decimal("40.000")) == "40"
    assert point_text("totals", Decimal("44.500")) == "44.5" and point_text("spreads", Decimal("3")) == "+3"
    assert point_text("h2h", None) == ""
    assert [points_text(Decimal(value)) for value in ("1.000", "0.5")] == ["1 point", "0.5 points"]
    # a line is the home side's handicap, so the away side has the other sign
    assert outcome_text("spreads", "away", "Denver Broncos", Decimal("-7.5")) == "Denver Broncos +7.5"
    assert outcome_text("spreads", "home", "New York Jets", Decimal("-7.5")) == "New York Jets -7.5"
    assert outcome_text("player_points", "over", "Over", Decimal("20.5"), "A. Player") == "A. Player: Over 20.5"


def test_times_are_in_utc_for_whoever_has_no_script() -> None:
    moment = dt.datetime(2025, 10, 12, 13, 0, 5, tzinfo=dt.timezone(dt.timedelta(hours=-4)))
    assert iso(moment) == "2025-10-12T17:00:05Z" and clock(moment) == "Sun 12 Oct 17:00"
    assert clock(dt.datetime(2025, 10, 2, 1, 5, tzinfo=UTC)) == "Thu 2 Oct 01:05"


def test_markets_have_titles() -> None:
    told = [market_title(key) for key in ("h2h", "spreads_h1", "alternate_totals_q4", "player_pass_tds", "h2h_3_way")]
    assert told == [
        "Moneyline",
        "Spread, half 1",
        "Alternate total, quarter 4",
        "Player pass tds",
        "Moneyline, three-way",
    ]
