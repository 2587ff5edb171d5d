"""Cells of prices, markets and moments that several sections have."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from pipeline.report.amounts import NONE, age, american, decimal_odds, seconds_between
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, number
from pipeline.report.wording import market_title


def odds_cell(price: Decimal | None, sent: Decimal | None = None) -> Cell:
    """A price: American, as sent where it was, and decimal below."""
    return Cell(NONE, "0", tone="soft") if price is None else Cell(american(price, sent), f"{price}", decimal_odds(price))


def market_text(market_key: str, description: str | None) -> str:
    """A market, and whose prop it is."""
    return f"{market_title(market_key)}: {description}" if description else market_title(market_key)


def ago_cell(at: dt.datetime, facts: Facts) -> Cell:
    """How long before the report's time something was seen."""
    seconds = seconds_between(at, facts.as_of)
    return number("in the newest answer" if seconds == 0 else f"{age(seconds)} ago", seconds)
