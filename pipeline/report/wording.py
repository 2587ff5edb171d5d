"""What the report calls things: titles instead of keys."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pipeline.report.amounts import handicap, plain

# The markets of a game that every book has, in the order of a screen.
GAME_MARKETS: Final = ("h2h", "spreads", "totals")
MARKETS: Final = {
    "h2h": "Moneyline",
    "h2h_3_way": "Moneyline, three-way",
    "spreads": "Spread",
    "totals": "Total",
    "team_totals": "Team total",
    "alternate_spreads": "Alternate spread",
    "alternate_totals": "Alternate total",
    "alternate_team_totals": "Alternate team total",
    "outrights": "Outright winner",
    "btts": "Both teams to score",
    "draw_no_bet": "Draw no bet",
    "double_chance": "Double chance",
    "to_qualify": "To qualify",
}
# What stands behind the last underscore of a market of a part of the game.
PARTS: Final = {
    **{f"q{number}": f"quarter {number}" for number in range(1, 5)},
    **{f"p{number}": f"period {number}" for number in range(1, 4)},
    **{f"h{number}": f"half {number}" for number in range(1, 3)},
    **{f"s{number}": f"set {number}" for number in range(1, 6)},
}
# Why a quote cannot be acted on: gold.current_odds' reasons, and the screen's own.
REASONS: Final = {
    "too_old": "read too long before the newest answer",
    "seen_before": "not in the newest answer",
    "outlier": "far from what the other books say",
    "incomplete": "not every outcome is priced",
    "age_unknown": "the answer does not say when it was read",
    "price_kind": "no price of the operator’s own",
    "overround_too_high": "prices that add up to too much",
    "unexpected_outcome_set": "another set of outcomes than this sport has",
}
# How far to trust an arbitrage or a middle: gold's words for their quality.
QUALITIES: Final = {
    "clean": "clean",
    "stale": "stale: a leg is old, or the legs are far apart",
    "outlier": "outlier: a leg is far from the other books",
    "in_play": "in play",
    "implausible": "implausible: too good, so likely wrong",
}
CLOSES: Final = {
    "ok": "up to 10 min",
    "aged": "up to 30 min",
    "old": "last quote too old",
    "not_quoting": "no longer quoted",
    "unplayed": "probably not played",
    "none": "no quote before the start",
    "provisional": "start not reached, or in doubt",
}
STATUSES: Final = {
    "listed": "to come",
    "started": "in play",
    "completed": "final",
    "gone": "over",
    "gone_early": "probably not played",
    "withdrawn_before_start": "withdrawn",
}
METHOD: Final = "power"


def market_title(key: str) -> str:
    """``spreads_h1`` → ``Spread, half 1``; of a key that is unknown its words."""
    if key in MARKETS:
        return MARKETS[key]
    whole, _, part = key.rpartition("_")
    if part in PARTS and whole:
        return f"{market_title(whole)}, {PARTS[part]}"
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def market_order(key: str) -> tuple[int, str]:
    """The markets of every game first."""
    return (GAME_MARKETS.index(key) if key in GAME_MARKETS else len(GAME_MARKETS), key)


def words_of(key: str, titles: dict[str, str]) -> str:
    """The title of a key, else the key with its underscores gone."""
    return titles.get(key, key.replace("_", " "))


def is_spread(market_key: str) -> bool:
    """Whether its points are handicaps, which have a sign."""
    return "spread" in market_key


def point_text(market_key: str, point: Decimal | None) -> str:
    """The point beside a price: ``-3.5`` of a spread, ``44.5`` of a total; empty where there is none."""
    if point is None:
        return ""
    return handicap(point) if is_spread(market_key) else plain(point)


def points_text(points: Decimal) -> str:
    """A distance, such as ``0.5 points`` and ``1 point``."""
    return f"{plain(points)} point{'' if points == 1 else 's'}"


def outcome_text(market_key: str, side: str, name: str, line_point: Decimal | None, description: str | None = None) -> str:
    """An outcome with its line, such as ``Denver Broncos -3.5`` and ``Over 44.5``, and whose prop it is."""
    point = line_point
    if point is not None and is_spread(market_key) and side == "away":
        point = -point  # a line is the home side's handicap
    shown = "" if point is None else f" {handicap(point) if is_spread(market_key) else plain(point)}"
    return f"{description + ': ' if description else ''}{name}{shown}"


def game_title(home: str | None, away: str | None, otherwise: str) -> str:
    """Away at home, as American screens have it; an outright's own name."""
    return f"{away} at {home}" if home is not None and away is not None else otherwise
