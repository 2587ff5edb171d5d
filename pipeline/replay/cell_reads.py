"""Which rows a row of gold was computed from: of each relation that its model names, those that fit its key and its times.

It follows from names and kinds of columns, so a table that is added is here by itself: rows of one event, series, set, market,
line or book are linked by these; a stretch is read where it stood at a time that the reading row names. What does not follow so
is written in :data:`OTHERWISE`. Silver's quotes are read as the models read them: what the last answer until a time said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from pipeline.resources import resource
from pipeline.transform.lineage import read_lineage
from pipeline.warehouse.digest import Columns, relations

QUOTES: Final = "silver.quotes"
SIGHTINGS: Final = "silver.event_sightings"
COVERAGE: Final = "silver.coverage"
SPORT_KEYS: Final = "silver.event_sport_keys"
# The tables of silver that are explained, with what identifies their rows.
SILVER_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    QUOTES: ("quote_id", "captured_at"),
    SIGHTINGS: ("exchange_id", "event_id", "captured_at"),
    "silver.scores": ("exchange_id", "event_id", "captured_at"),
    "silver.bookmaker_sightings": ("exchange_id", "bookmaker_key"),
    "silver.sport_sightings": ("exchange_id", "sport_key", "is_catalogue"),
    "silver.bet_captures": ("exchange_id", "ledger", "bet_id"),
    "silver.prediction_captures": ("exchange_id", "ledger", "prediction_id"),
    COVERAGE: ("exchange_id", "event_id"),
    "silver.participants": ("exchange_id", "participant_id", "captured_at"),
    "silver.offered_markets": ("exchange_id", "event_id", "bookmaker_key", "market_key", "captured_at"),
    SPORT_KEYS: ("event_id", "valid_from"),
}
# Those whose rows name the answer which they are of; of the others' rows the answers are read.
OF_ANSWERS: Final = tuple(name for name in SILVER_KEYS if name != SPORT_KEYS)
# What was asked is told apart, as what was looked at; and no model of gold reads the last two.
_SILVER: Final = tuple(name for name in SILVER_KEYS if name not in (COVERAGE, "silver.participants", "silver.offered_markets"))
# The relations of the warehouse that are not explained, and why.
UNEXPLAINED: Final[Mapping[str, str]] = {
    "silver.stg_": "a staging view shows answers as they are: each of its rows names its exchange, and its places in the body",
    "silver.book_profile": "a seed is written by hand",
    "silver.event_override": "a seed is written by hand",
    "silver.market_rules": "a seed is written by hand",
    "silver.parameters": "a seed is written by hand",
    "silver.player_alias": "a seed is written by hand",
    "silver.result_override": "a seed is written by hand",
    "silver.settlement_rules": "a seed is written by hand",
    "silver.sport_rules": "a seed is written by hand",
}
# What identifies more than the columns beside it: where both have it, nothing else but the event links them.
_IDS: Final = ("series_id", "set_id", "arbitrage_id", "middle_id", "market_id")
_LINKS: Final = ("event_id", "ledger", "bet_id", "prediction_id", "market_key", "description", "line_point", "bookmaker_key")
_BESIDE: Final = {"series_id": ("line_rank",), "market_id": ("outcome_set",)}
_NULLABLE: Final = frozenset(("description", "line_point"))
# Times that are no answer's: of games, of reading, of writing down.
_NOT_RECEIVED: Final = frozenset(
    (
        "start_at", "other_start_at", "commence_time", "commence_time_first", "commence_time_latest", "old_start", "new_start",
        "start_as_known", "quote_at", "oldest_quote_at", "newest_quote_at", "placed_at", "made_at", "last_update", "moment_at",
    )
)  # fmt: skip
_TIME: Final = "timestamp with time zone"
# Reading and read relation → how rows are linked, over t and u; None: it is not read row by row.
OTHERWISE: Final[Mapping[tuple[str, str], str | None]] = {
    ("gold.exchange_quotes", "gold.price_history"): (
        "u.event_id = t.event_id and u.series_id in (t.lay_series_id, t.back_series_id) and {stands}"
    ),
    (
        "gold.middles",
        "gold.margins",
    ): "{event} and {market} and u.line_point in (t.line_point, t.other_line_point) and {stands}",
    ("gold.middles", "gold.price_history"): (
        "{event} and {market} and abs(u.line_point) in (abs(t.line_point), abs(t.other_line_point)) and {stands}"
    ),
    ("gold.expected_value", "gold.margins"): "{event} and {market} and {line} and {stands}",
    ("gold.expected_value", "gold.price_history"): "{event} and {market} and {line} and {stands}",
    ("gold.expected_value", "gold.stale_quotes"): "{event} and {market} and {line} and {stands}",
    ("gold.expected_value", "gold.best_price"): "{event} and u.line_id = t.line_id and u.valid_from = t.valid_from",
    ("gold.market_openings", "gold.openings"): "{event} and {market} and u.outcome_name = t.outcome_name",
    ("gold.market_openings", "gold.price_history"): "{event} and {market} and u.outcome_name = t.outcome_name and {stands}",
    ("gold.market_openings_now", "gold.openings"): "{event} and {market} and u.outcome_name = t.outcome_name",
    ("gold.market_openings_now", "gold.price_history"): "{event} and {market} and u.outcome_name = t.outcome_name and {stands}",
    ("gold.best_price_now", "gold.bookmakers"): "u.bookmaker_key = any (t.bookmaker_keys)",
    ("gold.steam", "gold.moves"): (
        "{event} and u.market_id = t.market_id and u.outcome_set = t.outcome_set and u.direction = t.direction"
        " and u.changed_at between t.started_at and t.triggered_at"
    ),
    ("gold.players", "gold.price_history"): "{event} and t.name_as_sent in (u.description, u.outcome_name)",
    ("gold.prop_prices", "gold.players"): "{event} and u.player = t.player",
    ("gold.prop_prices", "gold.price_history"): (
        "{event} and {market_only} and u.line_point = t.line_point and u.phase_as_known = t.phase_as_known"
        " and u.valid_to is null"
    ),
    ("gold.event_duplicates", "gold.events"): "u.event_id in (t.event_id, t.other_event_id)",
    ("gold.event_duplicates", "gold.event_listing_intervals"): "u.event_id in (t.event_id, t.other_event_id)",
    (
        "gold.game_lines",
        "gold.closing_consensus",
    ): "{event} and u.market_key in ('h2h', 'spreads', 'totals') and u.is_main_line",
    ("gold.game_lines", "gold.best_price"): "{event} and u.market_key in ('h2h', 'spreads', 'totals') and {stands_at_start}",
    ("gold.game_lines", "gold.consensus"): "{event} and u.market_key in ('h2h', 'spreads', 'totals') and {stands_at_start}",
    ("gold.game_lines", "gold.consensus_line"): "{event} and u.market_key in ('h2h', 'spreads', 'totals')",
    ("gold.game_lines", "gold.market_openings"): "{event} and u.market_key in ('h2h', 'spreads', 'totals')",
    ("gold.calibration", "gold.calibration_observations"): (
        "(u.sport_key, u.market_key, u.outcome_set, u.bookmaker_key, u.method, u.horizon_hours)"
        " = (t.sport_key, t.market_key, t.outcome_set, t.bookmaker_key, t.method, t.horizon_hours)"
    ),
    # bins of a tenth, the last with its end: as the macro with_bin has it
    ("gold.calibration_bins", "gold.calibration_observations"): (
        "(u.sport_key, u.market_key, u.outcome_set, u.bookmaker_key, u.method, u.horizon_hours)"
        " = (t.sport_key, t.market_key, t.outcome_set, t.bookmaker_key, t.method, t.horizon_hours)"
        " and least(floor(u.probability * 10), 9) = t.bin"
    ),
    ("gold.calibration_differences", "gold.calibration_observations"): (
        "(u.sport_key, u.market_key, u.outcome_set, u.horizon_hours, u.method)"
        " = (t.sport_key, t.market_key, t.outcome_set, t.horizon_hours, 'power')"
        " and u.bookmaker_key in (t.bookmaker_key, t.other_bookmaker_key)"
    ),
    ("gold.prediction_bins", "gold.prediction_scores"): (
        "(u.ledger, u.sport_key, u.market_key, u.outcome_set, u.scored_as)"
        " is not distinct from (t.ledger, t.sport_key, t.market_key, t.outcome_set, t.scored_as)"
        " and least(floor(u.probability * 10), 9) = t.bin"
    ),
    ("gold.prediction_evaluation", "gold.prediction_scores"): (
        "(u.ledger, u.sport_key, u.market_key, u.outcome_set, u.scored_as)"
        " is not distinct from (t.ledger, t.sport_key, t.market_key, t.outcome_set, t.scored_as)"
    ),
    ("gold.lead_lag", "gold.moves"): (
        "u.sport_key = t.sport_key and u.market_key = t.market_key and u.operator_group in (t.operator_group, t.other_group)"
    ),
    ("gold.closing_coverage", "gold.closings"): (
        "u.sport_key = t.sport_key and u.bookmaker_key = t.bookmaker_key and u.market_key = t.market_key"
        " and (u.start_at at time zone 'UTC')::date = t.day"
    ),
    ("gold.closing_coverage", "gold.events"): "u.sport_key = t.sport_key and (u.start_at at time zone 'UTC')::date = t.day",
    ("gold.closing_coverage", "gold.price_history"): None,
    ("gold.closing_coverage", SIGHTINGS): None,
    ("gold.book_scorecard", "gold.margins"): "u.sport_key = t.sport_key and u.bookmaker_key = t.bookmaker_key",
    ("gold.book_scorecard", "gold.event_start_changes"): None,
    ("gold.book_scorecard", QUOTES): None,
    ("gold.book_scorecard", SIGHTINGS): None,
    ("gold.book_twins", "gold.margins"): (
        "u.market_key = 'h2h' and u.bookmaker_key in (t.bookmaker_key, t.other_bookmaker_key)"
    ),
    ("gold.book_twins", SIGHTINGS): None,
    ("gold.batch_health", QUOTES): None,
    ("gold.batch_health", SIGHTINGS): (
        "exists (select 1 from bronze.exchanges as x where x.exchange_id = u.exchange_id and x.batch_id = t.batch_id)"
    ),
    ("gold.batch_health", "silver.scores"): None,
    ("gold.batch_health", "gold.events"): None,
    ("gold.batch_health", "gold.event_start_changes"): None,
    # of a book and of a sport the first answer and the newest ones decide
    ("gold.bookmakers", "silver.bookmaker_sightings"): (
        "u.bookmaker_key = t.bookmaker_key and u.captured_at in (t.first_seen_at, (select max(newest.captured_at)"
        " from silver.bookmaker_sightings as newest where newest.bookmaker_key = t.bookmaker_key))"
    ),
    ("gold.sports", "silver.sport_sightings"): (
        "u.sport_key = t.sport_key and u.captured_at in (t.first_seen_at,"
        " (select max(newest.captured_at) from silver.sport_sightings as newest where newest.sport_key = t.sport_key),"
        " (select max(newest.captured_at) from silver.sport_sightings as newest"
        " where newest.sport_key = t.sport_key and newest.is_catalogue))"
    ),
    ("gold.event_start_changes", SIGHTINGS): "{event} and u.exchange_id = t.exchange_id",
    ("gold.results", "silver.scores"): "{event}",
    ("gold.events", QUOTES): None,
}
# Why the rows that are named of an aggregate are more than those that it counts.
MORE_THAN_READ: Final[Mapping[str, str]] = {
    "gold.book_scorecard": "its months, ages and quotes are counted over whole answers: the sets named are those of all months",
    "gold.book_twins": "it counts changes that both books show in one answer: the sets named are all of both",
    "gold.lead_lag": "it pairs the moves of two groups: those named are all that can be paired",
    "gold.closing_coverage": "markets that were asked for and never shown have no row to be named",
    "gold.batch_health": "it compares a batch with the batches before it: what is named are the answers of the batch itself",
}


@dataclass(frozen=True, slots=True)
class Read:
    """How the rows of one relation are read for those of another.

    Attributes:
        relation: that is read.
        condition: over ``t``, the reading row, and ``u``, a row that it reads.
    """

    relation: str
    condition: str


@cache
def relations_read(name: str) -> tuple[str, ...]:
    """The relations of gold and silver that the statement of a model names; seeds and coverage are not among them."""
    if name == SPORT_KEYS:
        return (SIGHTINGS,)
    known = {relation.name for relation in relations()} | set(_SILVER)
    return tuple(sorted((found for found in _named().get(name, ()) if found in known and found != name), key=_place))


@cache
def seeds_read(name: str) -> tuple[str, ...]:
    """The seeds that a model names: rules and parameters."""
    models = {".".join(model) for model in read_lineage()}
    return tuple(sorted(found for found in _named().get(name, ()) if found.startswith("silver.") and found not in models))


def order_of(name: str) -> int:
    """What is computed from others stands later."""
    return _place(name)


def read_of(name: str, columns: Columns, other: str, other_columns: Columns) -> Read | None:
    """How a relation is read for the rows of another; None where it is not read row by row.

    Args:
        name: of the reading relation.
        columns: its columns.
        other: that is read.
        other_columns: its columns.
    """
    mine = {column.unquoted: column.type_name for column in columns}
    theirs = {column.unquoted for column in other_columns}
    parts = _Parts(mine, theirs)
    if (name, other) in OTHERWISE:
        written = OTHERWISE[name, other]
        return None if written is None else Read(other, parts.filled(written))
    links = parts.links()
    if not links:
        return None
    condition = " and ".join(links)
    if other in (SIGHTINGS,):
        times = received(mine)
        condition += f" and u.captured_at = any ({_array(times)})" if times else ""
    elif {"valid_from", "valid_to"} <= theirs:
        condition += f" and {parts.stands()}"
    elif other == "gold.event_start_changes" and received(mine):
        condition += f" and u.captured_at <= (select max(at) from unnest({_array(received(mine))}) as at)"
    return Read(other, condition)


def received(types: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that hold times at which answers were received.

    Args:
        types: of the columns, by name.
    """
    return tuple(name for name, type_name in types.items() if type_name == _TIME and name not in _NOT_RECEIVED)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The columns of both, from which conditions are made."""

    mine: Mapping[str, str]
    theirs: frozenset[str] | set[str]

    def links(self) -> list[str]:
        found = ["u.event_id = t.event_id"] if self._both("event_id") else []
        for name in _IDS:
            if self._both(name):
                beside = (each for each in _BESIDE.get(name, ()) if self._both(each))
                return [*found, *(f"u.{each} = t.{each}" for each in (name, *beside))]
        return [self._same(name) for name in _LINKS if self._both(name)]

    def stands(self) -> str:
        """Whether a stretch stood at a time that the row names; of a row without times any does."""
        times = received(self.mine)
        if not times or not {"valid_from", "valid_to"} <= self.theirs:
            return "true"
        return (
            f"exists (select 1 from unnest({_array(times)}) as at where u.valid_from <= at"
            " and (u.valid_to is null or u.valid_to > at))"
        )

    def filled(self, written: str) -> str:
        words = {
            "event": "u.event_id = t.event_id",
            "market": " and ".join(self._same(name) for name in ("market_key", "description") if self._both(name)),
            "market_only": "u.market_key = t.market_key",
            "line": self._same("line_point"),
            "stands": self.stands(),
            "stands_at_start": "u.valid_from <= t.start_at and (u.valid_to is null or u.valid_to > t.start_at)",
        }
        for word, condition in words.items():
            written = written.replace(f"{{{word}}}", condition or "true")
        return written

    def _both(self, name: str) -> bool:
        return name in self.mine and name in self.theirs

    def _same(self, name: str) -> str:
        return f"u.{name} is not distinct from t.{name}" if name in _NULLABLE else f"u.{name} = t.{name}"


def _array(times: tuple[str, ...]) -> str:
    return f"array[{', '.join(f't.{name}' for name in times)}]"


@cache
def _places() -> Mapping[str, int]:
    return {name: place for place, name in enumerate((*SILVER_KEYS, *(relation.name for relation in relations())))}


def _place(name: str) -> int:
    return _places()[name]


@cache
def _named() -> Mapping[str, frozenset[str]]:
    """Model of gold → what its statements name."""
    document = json.loads(resource("dbt/program.json").read_bytes())
    texts = document["texts"]
    found: dict[str, set[str]] = {}
    for steps in document["parts"].values():
        for step in steps:
            if step["type"] == "model":
                name = f"gold.{step['id'].rpartition('.')[2]}"
                for place in step["statements"]:
                    found.setdefault(name, set()).update(
                        ".".join(each) for each in re.findall(r'"(gold|silver)"\."(\w+)"', texts[place])
                    )
    return {name: frozenset(each) for name, each in found.items()}
