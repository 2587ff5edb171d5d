"""A long past of a warehouse, made by copying rows."""

from __future__ import annotations

from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import refresh_digests


def lengthen(warehouse: Warehouse, times: int) -> None:
    """Put copies of all that a warehouse holds before it: each some weeks earlier than the one after it, with ids of its own.

    The rows are those that loading the recording again and again, shifted in time, would have left, and come in minutes.
    """
    with warehouse.connect(Role.OWNER) as owner:
        spans = owner.execute(
            "select ceil(extract(epoch from max(captured_at) - min(captured_at)) / 604800)::int from bronze.exchanges"
        ).fetchone()
        assert spans is not None
        earlier = f"copy.n * interval '{spans[0]} weeks'"
        tables = owner.execute(
            "select table_schema || '.' || table_name, array_agg(column_name::text order by ordinal_position),"
            " array_agg(data_type::text order by ordinal_position)"
            " from information_schema.columns join information_schema.tables using (table_schema, table_name)"
            " where table_type = 'BASE TABLE' and is_generated = 'NEVER'"
            " and not exists ("
            "  select 1 from pg_class where oid = to_regclass(table_schema || '.' || table_name) and relispartition)"
            " and ("
            "  table_schema = 'gold'"
            "  or table_schema = 'silver' and table_name not in ('parameters', 'sport_rules', 'market_rules', 'book_profile',"
            "   'event_override')"
            "  or table_schema || '.' || table_name in ('bronze.batches', 'bronze.exchanges', 'ops.ledger', 'ops.batch_states',"
            "   'ops.verdicts', 'ops.batch_shapes'))"
            " group by table_schema, table_name order by table_schema, table_name"
        ).fetchall()
        # the owner would own what it makes
        owner.execute(f'set role "{warehouse.user(Role.TRANSFORMER)}"'.encode())
        owner.execute(
            "select ops.make_months(parted.partrelid::regclass, array("
            f" select distinct ops.month_of(t.captured_at - {earlier})"
            f" from bronze.exchanges as t cross join generate_series(1, {times}) as copy (n) order by 1))"
            " from pg_partitioned_table as parted where parted.partrelid <> 'bronze.bodies'::regclass"
        )
        owner.execute("reset role")
        for name, columns, types in tables:
            parts = ", ".join(_renamed(column, kind, earlier) for column, kind in zip(columns, types, strict=True))
            owner.execute(
                f"insert into {name} ({', '.join(columns)}) select {parts} from {name} as t"
                f" cross join generate_series(1, {times}) as copy (n)"
                # what is open in the last batch would have been closed by the next one; but an event keeps its sport
                f" {'where t.valid_to is not null' if 'valid_to' in columns and 'moved_from' not in columns else ''}"
                " on conflict do nothing"
            )
        refresh_digests(owner, whole=True)
        # a run keeps statistics as its tables grow; nothing is vacuumed
        owner.execute("analyze")
        owner.commit()


def _renamed(column: str, kind: str, earlier: str) -> str:
    if kind == "timestamp with time zone":
        return f"t.{column} - {earlier}"
    if kind == "uuid":
        return f"md5(t.{column}::text || copy.n)::uuid"
    if column == "event_id":
        return f"case when t.{column} ~ '^[0-9a-f]{{32}}$' then md5(t.{column} || copy.n) else t.{column} end"
    return f"t.{column} || '-' || copy.n" if column == "batch_id" else f"t.{column}"
