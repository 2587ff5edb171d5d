"""Digests of gold: sha256 over a canonical text of rows, the same on every machine and on PostgreSQL 15 to 18.

A stored table's digest is built from one digest per event (or per key, in tables that are not about events), which are
kept, so that a batch costs the events whose rows it changed. A row's text is PostgreSQL's own text of its columns, which
depends on nothing once the session is pinned (``connect.SESSION_SETTINGS``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol


@dataclass(frozen=True, slots=True)
class GoldTable:
    """A relation of gold that is digested.

    Attributes:
        name: with its schema, e.g. ``gold.price_history``.
        key: columns that identify a row.
        scope_key: the column by which its digest is kept in parts; empty for views, of which nothing is kept.
        part: of a view: the column by whose values it is hashed in parts, so that the text that is hashed at once is small.
    """

    name: str
    key: tuple[str, ...]
    scope_key: str = ""
    part: str = "event_id"

    @property
    def is_view(self) -> bool:
        """Whether it is computed on reading."""
        return not self.scope_key


TABLES: Final = (
    GoldTable("gold.sports", ("sport_key",), "sport_key"),
    GoldTable("gold.bookmakers", ("bookmaker_key",), "bookmaker_key"),
    GoldTable("gold.events", ("event_id",), "event_id"),
    GoldTable("gold.event_start_changes", ("event_id", "exchange_id"), "event_id"),
    GoldTable("gold.event_listing_intervals", ("event_id", "valid_from"), "event_id"),
    GoldTable("gold.price_history", ("series_id", "line_rank", "valid_from"), "event_id"),
    GoldTable("gold.best_price", ("line_id", "valid_from"), "event_id"),
    GoldTable("gold.margins", ("set_id", "valid_from"), "event_id"),
    GoldTable("gold.consensus", ("line_id", "method", "valid_from"), "event_id"),
    GoldTable("gold.consensus_line", ("market_id", "valid_from"), "event_id"),
    GoldTable("gold.moves", ("market_id", "outcome_set", "bookmaker_key", "changed_at"), "event_id"),
    GoldTable("gold.steam", ("market_id", "outcome_set", "direction", "triggered_at"), "event_id"),
    GoldTable("gold.arbitrages", ("arbitrage_id", "valid_from"), "event_id"),
    GoldTable("gold.middles", ("middle_id", "valid_from"), "event_id"),
    GoldTable("gold.results", ("event_id",), "event_id"),
)

VIEWS: Final = (
    GoldTable("gold.price_history_now", ("series_id", "line_rank", "valid_from")),
    GoldTable("gold.fair_probabilities", ("set_id", "outcome_name", "valid_from")),
    GoldTable("gold.exchange_quotes", ("lay_series_id", "lay_line_rank", "valid_from")),
    GoldTable("gold.line_movement", ("series_id", "line_rank", "changed_at")),
    GoldTable("gold.arbitrages_clean", ("arbitrage_id", "valid_from")),
    GoldTable("gold.middles_clean", ("middle_id", "valid_from")),
    GoldTable("gold.event_duplicates", ("event_id", "other_event_id")),
    GoldTable("gold.current_odds", ("series_id", "line_rank")),
    GoldTable("gold.openings", ("series_id",)),
    GoldTable("gold.market_openings", ("event_id", "market_key", "description", "line_point", "outcome_name")),
    GoldTable("gold.closings", ("series_id",)),
    GoldTable("gold.lead_lag", ("sport_key", "market_key", "operator_group", "other_group"), part="sport_key"),
    GoldTable("gold.closing_consensus", ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name")),
    GoldTable("gold.clv", ("series_id", "horizon")),
    GoldTable("gold.expected_value", ("line_id", "bookmaker_key")),
    GoldTable("gold.outcome_grades", ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name")),
    GoldTable("gold.closing_returns", ("series_id",)),
    GoldTable(
        "gold.calibration_observations",
        ("event_id", "market_key", "outcome_set", "bookmaker_key", "method", "horizon_hours"),
    ),
    GoldTable(
        "gold.calibration",
        ("sport_key", "market_key", "outcome_set", "bookmaker_key", "method", "horizon_hours"),
        part="sport_key",
    ),
    GoldTable(
        "gold.calibration_bins",
        ("sport_key", "market_key", "outcome_set", "bookmaker_key", "method", "horizon_hours", "bin"),
        part="sport_key",
    ),
    GoldTable(
        "gold.calibration_differences",
        ("sport_key", "market_key", "outcome_set", "horizon_hours", "bookmaker_key", "other_bookmaker_key"),
        part="sport_key",
    ),
    GoldTable("gold.book_scorecard", ("sport_key", "bookmaker_key", "month"), part="sport_key"),
    GoldTable("gold.players", ("event_id", "kind", "bookmaker_key", "name_as_sent")),
    GoldTable("gold.unmatched_players", ("event_id", "kind", "bookmaker_key", "name_as_sent")),
    GoldTable("gold.prop_prices", ("event_id", "market_key", "player", "line_point", "phase_as_known")),
    GoldTable("gold.batch_health", ("batch_id",), part="batch_id"),
)


class Session(Protocol):
    """A connection of psycopg or psycopg2."""

    def cursor(self) -> Any:
        """A cursor with execute and fetchall, a context manager."""


def refresh_event_digests(session: Session, *, whole: bool = False) -> None:
    """Compute the digests of the scopes whose rows changed in this transaction; of all of them if ``whole``."""
    with session.cursor() as cursor:
        for table in TABLES:
            if whole:
                cursor.execute("delete from ops.event_digests where table_name = %s", [table.name])
                scopes = ""
            else:
                cursor.execute(
                    "delete from ops.event_digests where table_name = %s and scope_key in"
                    " (select changes.scope_key from ops.row_changes as changes where changes.table_name = %s)",
                    [table.name, table.name],
                )
                scopes = (
                    f"where t.{table.scope_key} = any (array(select distinct changes.scope_key"
                    f" from ops.row_changes as changes where changes.table_name = '{table.name}'))"
                )
            cursor.execute(f"insert into ops.event_digests (table_name, scope_key, row_count, digest) {_scoped(table, scopes)}")


def stored_digests(session: Session) -> dict[str, str]:
    """Digest of each stored table, ``sha256:…``, from the kept digests of its parts."""
    with session.cursor() as cursor:
        cursor.execute(
            "select table_name, encode(sha256(convert_to(coalesce(string_agg("
            "scope_key || ' ' || row_count || ' ' || digest, E'\\n' order by scope_key), ''), 'UTF8')), 'hex')"
            " from ops.event_digests group by table_name"
        )
        found = dict(cursor.fetchall())
    empty = hashlib.sha256(b"").hexdigest()
    return {table.name: f"sha256:{found.get(table.name, empty)}" for table in TABLES}


def recomputed_digests(session: Session) -> dict[str, str]:
    """The same, from all rows."""
    digests = {}
    with session.cursor() as cursor:
        for table in TABLES:
            digests[table.name] = _whole(cursor, table)
    return digests


def scope_digests(session: Session, table: GoldTable, scopes: Sequence[str]) -> dict[str, str]:
    """Digest of the rows of each of these scopes (events, or keys), from the rows; a scope without rows is left out."""
    with session.cursor() as cursor:
        cursor.execute(_scoped(table, f"where t.{table.scope_key} = any (%s)"), [list(scopes)])
        return {scope: digest for _, scope, _, digest in cursor.fetchall()}


def view_digests(session: Session) -> dict[str, str]:
    """Digest of each view, ``sha256:…``: computed from all its rows, built like a stored table's from a digest per event."""
    with session.cursor() as cursor:
        return {view.name: _whole(cursor, view) for view in VIEWS}


def _whole(cursor: Any, table: GoldTable) -> str:
    cursor.execute(
        "select encode(sha256(convert_to(coalesce(string_agg("
        "scope_key || ' ' || row_count || ' ' || digest, E'\\n' order by scope_key), ''), 'UTF8')), 'hex')"
        f" from ({_scoped(table, '')}) as parts"
    )
    return f"sha256:{cursor.fetchall()[0][0]}"


def _scoped(table: GoldTable, where: str) -> str:
    """A query of (table_name, scope_key, row_count, digest) per scope."""
    scope = table.scope_key or table.part
    order = ", ".join(f"t.{column}" for column in table.key)
    return (
        f"select '{table.name}' as table_name, t.{scope} as scope_key, count(*) as row_count,"
        f" encode(sha256(convert_to(string_agg(t::text, E'\\n' order by {order}), 'UTF8')), 'hex') as digest"
        f" from {table.name} as t {where} group by t.{scope}"
    )
