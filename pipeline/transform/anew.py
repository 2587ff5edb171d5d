"""Is what stands of some events what bronze gives anew? Computed in the transaction at hand, compared, and taken back."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipeline.transform.checks import CheckResult, FailingRow
from pipeline.transform.engine import Engine, Session
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import GoldTable, scope_digests, stored_tables
from pipeline.warehouse.months import refuse_archived

# How a comparison was made, and the name of the check that holds a batch back.
REBUILT: Final = "rebuilt"
# What a digest is kept by (an event, a sport, a book) → the table of silver that tells which answer shows it.
_SHOWN_IN: Final = {
    "event_id": "event_sightings",
    "sport_key": "sport_sightings",
    "bookmaker_key": "bookmaker_sightings",
}
# What a batch bears on without showing it: of the sports that it asked about, the events that nothing told to be gone before
# it, and those with a price that stands. Read from bronze and gold, and not from what the run itself took for touched, so
# that what it overlooked is seen. Events of archived months are no longer computed.
_COVERED: Final = """
with asked as (
    select exchanges.coverage ->> 'sport' as sport_key,
        min(exchanges.captured_at) as first_at, max(exchanges.captured_at) as last_at
    from bronze.exchanges as exchanges
    where exchanges.batch_id = any (%s)
    group by exchanges.coverage ->> 'sport'
)
select events.event_id
from asked
join gold.events as events on events.sport_key = asked.sport_key
where events.first_seen_at <= asked.last_at
    and events.first_seen_at >= coalesce(
        (select max(archived.month) from ops.archived_months as archived) + interval '1 month', '-infinity'
    )
    and (
        events.last_seen_at is null
        or events.last_seen_at >= asked.first_at
        or exists (
            select 1 from gold.price_history as prices where prices.event_id = events.event_id and prices.valid_to is null
        )
    )
"""
# What the run at hand took for touched, and what it wrote.
_OF_RUN: Final = """
select touched.event_id from ops.touched_events as touched
union
select changes.scope_key from ops.row_changes as changes where changes.table_name = any (%s)
"""

# name of each stored table → the keys by which its rows are looked at
Scopes: TypeAlias = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one gold table compares with what it must be.

    Attributes:
        table: its name.
        method: ``snapshot``: the whole table, with the recording's snapshot; ``rebuilt``: the rows of the batch's events,
            with rows computed anew from bronze.
        compared: digests compared: 1 of a whole table, else one per event or key.
        differing: how many differ.
        message: what differs first.
        row: the first row that differs, where it is known.
    """

    table: str
    method: str
    compared: int
    differing: int = 0
    message: str | None = None
    row: FailingRow | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differing


def shown_by(session: Session, batch_ids: Sequence[str]) -> Scopes:
    """What the applied answers of some batches show: events, sports, books."""
    keys = {scope_key: _shown(session, scope_key, batch_ids) for scope_key in _SHOWN_IN}
    return {table.name: keys[table.scope_key] for table in stored_tables()}


def borne_on(session: Session, batch_ids: Sequence[str], *, by_run: bool = False) -> Scopes:
    """What some batches show, and the events that they cover without showing them.

    Args:
        session: sees the batches applied.
        batch_ids: of them.
        by_run: also what the transformation at hand, which applied them, touched or wrote.
    """
    found = shown_by(session, batch_ids)
    events = {*found["gold.events"], *_keys(session, _COVERED, list(batch_ids))}
    if by_run:
        by_event = [table.name for table in stored_tables() if table.scope_key == "event_id"]
        events.update(_keys(session, _OF_RUN, by_event))
    return {table.name: sorted(events) if table.scope_key == "event_id" else found[table.name] for table in stored_tables()}


def refuse_what_is_archived(session: Session, batch_ids: Sequence[str], scopes: Scopes, what: str) -> None:
    """See that all answers about some events are here.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``.
    """
    refuse_archived(session, _times(session, "captured_at from bronze.exchanges where batch_id", batch_ids), what)
    refuse_archived(session, _times(session, "first_seen_at from gold.events where event_id", scopes["gold.events"]), what)


def compare_anew(session: Session, warehouse: Warehouse, engine: Engine, scopes: Scopes) -> tuple[Comparison, ...]:
    """Compute some events anew from bronze, compare, and take it back: the transaction is as it was.

    Gold's rows of those events are taken away first, and every answer that shows one of them is applied again; so nothing of
    what stands is an input. It costs what those events' answers cost.

    Args:
        session: of the transformer, under its lock; what is compared is applied and settled.
        warehouse: that it is connected to.
        engine: what runs the project's SQL.
        scopes: what is compared; without an event nothing is computed.

    Returns:
        A comparison per stored table.
    """
    stand = _digests(session, scopes)
    if not scopes["gold.events"]:
        return tuple(_compared(table.name, stand[table.name], stand[table.name]) for table in stored_tables())
    _execute(session, "savepoint computed_anew")
    _take_back(session, scopes)
    results = engine.run(session, warehouse, "batch")
    failed = next((f"{result.name}: {result.message}" for result in results if not result.ok), None)
    anew = stand if failed else _digests(session, scopes)
    first = {table: min(keys) for table in stored_tables() if (keys := _differing(stand[table.name], anew[table.name]))}
    rows_anew = {table: _rows(session, table, key) for table, key in first.items()}
    _execute(session, "rollback to savepoint computed_anew")
    _execute(session, "release savepoint computed_anew")
    rows = {table.name: _first_row(table, _rows(session, table, key), rows_anew[table]) for table, key in first.items()}
    return tuple(
        _compared(table.name, stand[table.name], anew[table.name], rows.get(table.name), failed) for table in stored_tables()
    )


def check_of(comparisons: Sequence[Comparison]) -> CheckResult:
    """The check that all of them are equal, named :data:`REBUILT`."""
    differing = [each for each in comparisons if not each.ok]
    messages = list(dict.fromkeys(each.message or each.table for each in differing))
    more = f" ({len(messages) - 1} more tables differ)" if len(messages) > 1 else ""
    return CheckResult(
        REBUILT,
        not differing,
        sum(each.differing for each in differing),
        f"{messages[0]}{more}" if messages else None,
        tuple(each.row for each in differing if each.row is not None),
    )


def _compared(
    name: str, stand: Mapping[str, str], anew: Mapping[str, str], row: FailingRow | None = None, failed: str | None = None
) -> Comparison:
    keys, differing = stand.keys() | anew.keys(), _differing(stand, anew)
    if failed is not None:
        return Comparison(name, REBUILT, len(keys), 1, f"it cannot be computed anew: {failed}")
    message = None if row is None else f"{name} {row.key}: {row.holds}"
    return Comparison(name, REBUILT, len(keys), len(differing), message, row)


def _differing(stand: Mapping[str, str], anew: Mapping[str, str]) -> list[str]:
    return [key for key in stand.keys() | anew.keys() if stand.get(key) != anew.get(key)]


def _first_row(table: GoldTable, stand: Mapping[str, Any], anew: Mapping[str, Any]) -> FailingRow:
    """The first row, in order of the key's text, that differs between two states of a scope."""
    key = min(key for key in stand.keys() | anew.keys() if stand.get(key) != anew.get(key))
    old, new = stand.get(key), anew.get(key)
    if old is None or new is None:
        return FailingRow(table.name, key, "no such row stands" if old is None else "bronze gives no such row")
    holds = (f"{name}: {_text(old[name])} stands, {_text(new[name])} from bronze" for name in old if old[name] != new[name])
    return FailingRow(table.name, key, ", ".join(holds))


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def _rows(session: Session, table: GoldTable, scope: str) -> dict[str, dict[str, Any]]:
    """The rows of a scope by their key's text."""
    with session.cursor() as cursor:
        cursor.execute(f"select to_jsonb(t)::text from {table.name} as t where t.{table.scope_key} = %s", [scope])
        rows = [json.loads(text, parse_float=str) for (text,) in cursor.fetchall()]
    return {", ".join(f"{name}={_text(row[name])}" for name in table.key): row for row in rows}


def _digests(session: Session, scopes: Scopes) -> dict[str, dict[str, str]]:
    return {table.name: scope_digests(session, table, scopes[table.name]) for table in stored_tables()}


def _shown(session: Session, scope_key: str, batch_ids: Sequence[str]) -> list[str]:
    return _keys(
        session,
        f"select distinct shown.{scope_key} from ops.ledger as ledger"
        f" join silver.{_SHOWN_IN[scope_key]} as shown on shown.exchange_id = ledger.exchange_id"
        " where ledger.batch_id = any (%s) and ledger.applied",
        batch_ids,
    )


def _keys(session: Session, query: str, values: Iterable[str]) -> list[str]:
    with session.cursor() as cursor:
        cursor.execute(query, [list(values)])
        return [key for (key,) in cursor.fetchall()]


def _times(session: Session, column: str, keys: Sequence[str]) -> list[dt.datetime]:
    with session.cursor() as cursor:
        cursor.execute(f"select {column} = any (%s)", [list(keys)])
        return [at for (at,) in cursor.fetchall()]


def _take_back(session: Session, scopes: Scopes) -> None:
    """Take gold's rows of some events away, and let every answer that shows one of them wait to be applied."""
    events = list(scopes["gold.events"])
    _execute(session, "delete from ops.run_batches")
    with session.cursor() as cursor:
        cursor.execute(
            "select distinct sightings.exchange_id::text from silver.event_sightings as sightings"
            " where sightings.event_id = any (%s)",
            [events],
        )
        shown = [exchange_id for (exchange_id,) in cursor.fetchall()]
    _execute(
        session,
        "insert into ops.run_batches select distinct ledger.batch_id from ops.ledger as ledger"
        " where ledger.exchange_id = any (%s::uuid[])",
        [shown],
    )
    # a verdict that waits to be followed is no part of this
    _execute(session, "update ops.ledger set applied = admitted, applied_held = held where not is_settled")
    _execute(session, "update ops.ledger set applied = false where exchange_id = any (%s::uuid[])", [shown])
    for table in stored_tables():
        if table.scope_key == "event_id":
            _execute(session, f"delete from {table.name} where event_id = any (%s)", [events])


def _execute(session: Session, statement: str, values: Sequence[Any] = ()) -> None:
    with session.cursor() as cursor:
        cursor.execute(statement, values or None)
