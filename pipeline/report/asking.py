"""How the report asks a warehouse: one statement, its values by name, and all its rows."""

from __future__ import annotations

from typing import Any, Final

from pipeline.warehouse.connect import Connection

# When each event was last shown, and whether that is recent: by the limits that gold has for quotes.
SEEN: Final = """
    with newest as (
        select odds.event_id, max(odds.captured_at) as captured_at from gold.current_odds as odds group by odds.event_id
    ),

    limits as (
        select
            max(value) filter (where name = 'fresh_age_pre_seconds') as pre,
            max(value) filter (where name = 'fresh_age_in_play_seconds') as in_play
        from silver.parameters
    ),

    seen as (
        select
            newest.event_id, newest.captured_at,
            cast(floor(extract(epoch from %(as_of)s - newest.captured_at)) as integer) as seconds,
            extract(epoch from %(as_of)s - newest.captured_at)
            <= case when event.start_at <= %(as_of)s then limits.in_play else limits.pre end as is_fresh
        from newest
        join gold.events as event on event.event_id = newest.event_id
        cross join limits
    )"""


def ask(connection: Connection, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, arrays as tuples. A query without values is sent as it stands."""
    rows = connection.execute(query.encode(), values or None).fetchall()
    return [tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in rows]
