"""No look-ahead, by truncation: how each relation of gold is cut at a time, in plain SQL, to be what it was then.

Whatever gold says of the time up to *t* must follow from answers captured by *t*. So the final gold, cut at *t*, is gold after
the batches up to *t*. RULES says how each table and view is cut, or why it is not; a relation without a rule fails a test.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class Clip:
    """Stretches of time: those that began by then, open where they had not ended.

    Attributes:
        start: column of the beginning.
        end: column of the end, null while open.
        open: column → SQL, what an open row has in it.
        moving: columns that an open row derives from coverage, and so move with every answer; compared in closed rows only.
        left_out: column → why it is not compared.
    """

    start: str = "valid_from"
    end: str = "valid_to"
    open: Mapping[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    """Facts of a moment: those by then.

    Attributes:
        moment: column.
        left_out: column → why it is not compared.
    """

    moment: str
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hindsight:
    """Not cut: what came later is meant to change it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Newest:
    """Not cut: it tells of the newest answers alone, and keeps nothing of earlier ones."""

    reason: str


Rule = Clip | Filter | Hindsight | Newest

# An opportunity is one row, whose best may still come: only how it began is fixed.
_SO_FAR: Final = "the best until now"
_BEST: Final = dict.fromkeys(
    (
        "quality", "best_at", "max_leg_age_seconds", "leg_age_spread_seconds", "books_at_best", "prices_at_best",
        "stake_shares_at_best", "ages_at_best", "outliers_at_best",
    ),
    _SO_FAR,
)  # fmt: skip
_UNSEEN: Final = {"last_seen_at": "null", "captures": "null"}

RULES: Final[Mapping[str, Rule]] = {
    # stored
    "gold.sports": Filter(
        "first_seen_at",
        left_out=dict.fromkeys(("title", "sport_group", "has_outrights"), "as the newest catalogue has it"),
    ),
    "gold.bookmakers": Filter("first_seen_at", left_out={"title": "as the newest answer has it"}),
    "gold.events": Hindsight("its latest facts, and the start that is believed in the end"),
    "gold.event_start_changes": Filter("captured_at"),
    "gold.event_listing_intervals": Clip(open={"last_seen_at": "null", "observations": "null"}),
    "gold.price_history": Clip(open={"last_seen_at": "null", "observations": "null", "end_reason": "'open'"}),
    "gold.best_price": Clip(),
    "gold.margins": Clip(),
    "gold.consensus": Clip(),
    "gold.consensus_line": Clip(),
    "gold.moves": Filter("changed_at"),
    "gold.steam": Filter("triggered_at"),
    "gold.arbitrages": Clip(open=_UNSEEN, left_out={**_BEST, "margin_best": _SO_FAR}),
    "gold.middles": Clip(open=_UNSEEN, left_out={**_BEST, "cost_best": _SO_FAR}),
    "gold.results": Hindsight("the newest score"),
    # views
    "gold.price_history_now": Clip(
        open={"end_reason": "'open'"},
        moving=("last_seen_at", "observations", "seen_for_seconds", "known_until", "seconds_since_seen"),
    ),
    "gold.fair_probabilities": Clip(),
    "gold.exchange_quotes": Clip(),
    "gold.line_movement": Filter("changed_at"),
    "gold.event_duplicates": Hindsight("pairs of what is known of two events in the end"),
    "gold.current_odds": Newest("quotes of the newest covering answer"),
    "gold.openings": Filter("first_seen_at"),
    "gold.market_openings": Hindsight("a better-ranked sharp group may come later"),
    "gold.closings": Hindsight("the last quote before the start that is believed in the end"),
    "gold.arbitrages_clean": Hindsight("a row's quality goes by its best, which may still come"),
    "gold.middles_clean": Hindsight("as gold.arbitrages_clean"),
    "gold.lead_lag": Hindsight("counts over all moves"),
    "gold.closing_consensus": Hindsight("as gold.closings"),
    "gold.clv": Hindsight("prices against the close"),
    "gold.expected_value": Newest("best prices that stand"),
    "gold.outcome_grades": Hindsight("by the newest score"),
    "gold.closing_returns": Hindsight("as gold.outcome_grades"),
    "gold.calibration_observations": Hindsight("as gold.outcome_grades"),
    "gold.calibration": Hindsight("as gold.outcome_grades"),
    "gold.calibration_bins": Hindsight("as gold.outcome_grades"),
    "gold.calibration_differences": Hindsight("as gold.outcome_grades"),
    "gold.book_scorecard": Hindsight("a month is counted to its end, by the start that is believed in the end"),
    "gold.players": Hindsight("a name that comes later can match or collide with one that stands"),
    "gold.unmatched_players": Hindsight("as gold.players"),
    "gold.prop_prices": Newest("prices that stand, by gold.players"),
    "gold.batch_health": Filter("scheduled_at", left_out={"results_missing": "goes by the start that is believed in the end"}),
}

Rows = dict[tuple[Any, ...], int]


def columns_of(connection: Connection, name: str) -> list[str]:
    """A relation's columns, in order."""
    return [column.name for column in connection.execute(f"select * from {name} limit 0".encode()).description or ()]


def rows_cut(connection: Connection, name: str, at: dt.datetime) -> Rows:
    """The rows of a relation as the rule has them at a time, counted; ``at`` beyond all times gives them as they stand.

    Raises:
        KeyError: it has no rule, or one that does not cut.
    """
    rule = RULES[name]
    if not isinstance(rule, Clip | Filter):
        raise KeyError(f"{name} is not cut: {rule.reason}")
    columns = [column for column in columns_of(connection, name) if column not in rule.left_out]
    if isinstance(rule, Filter):
        query = f"select {', '.join(columns)} from {name} where {rule.moment} <= %(at)s"
    else:
        open_row = f"({rule.end} is null or {rule.end} > %(at)s)"
        opened = {rule.end: "null", **rule.open, **dict.fromkeys(rule.moving, "null")}
        shown = [
            f"case when {open_row} then {opened[column]} else {column} end as {column}" if column in opened else column
            for column in columns
        ]
        query = f"select {', '.join(shown)} from {name} where {rule.start} <= %(at)s"
    rows: Rows = {}
    for values in connection.execute(query.encode(), {"at": at}):
        row = tuple(tuple(value) if isinstance(value, list) else value for value in values)
        rows[row] = rows.get(row, 0) + 1
    return rows
