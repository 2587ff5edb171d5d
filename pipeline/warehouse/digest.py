"""Digests of gold: of a relation how many rows it has, and the sum, modulo 2^128, of a hash of each row's text.

Being a sum, a digest does not depend on the order of rows, and is kept up by what a batch wrote, at the price of what it wrote:
the hashes of old rows are subtracted, those of new rows added. Sums of parts (of a shard's events, say) add up to that of the
whole. It finds what went wrong by accident; against somebody who chooses rows so that their sum is the same it is no proof.

The text of a row is laid down in :mod:`pipeline.warehouse.row_text`, for any engine; here it is written in SQL, by an
expression per column that depends on no setting of the session and no version of the server.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from pipeline.errors import WarehouseError
from pipeline.resources import resource
from pipeline.warehouse.row_text import MODULUS, digest_text


@dataclass(frozen=True, slots=True)
class GoldTable:
    """A relation of gold that is digested.

    Attributes:
        name: with its schema, e.g. ``gold.price_history``.
        key: columns that identify a row.
        scope_key: the column that names the event (or the row itself) that a row is about; empty for views, of which no digest
            is kept.
    """

    name: str
    key: tuple[str, ...]
    scope_key: str = ""

    @property
    def is_view(self) -> bool:
        """Whether it is computed on reading."""
        return not self.scope_key


def digest_of_all(digests: Mapping[str, str]) -> str:
    """One digest of several relations, by name: equal where each of theirs is.

    Returns:
        ``sha256:`` and that of their lines, each name and digest, in order of name.
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def overall_digests(digests: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    """``tables`` and ``views``, where there are any → how many, and the digest of them all.

    Apart, as most commands know the digests of stored tables alone, and those are to be comparable.
    """
    stored = {table.name for table in stored_tables()}
    kinds = {
        "tables": {name: digest for name, digest in digests.items() if name in stored},
        "views": {name: digest for name, digest in digests.items() if name not in stored},
    }
    return {kind: (len(own), digest_of_all(own)) for kind, own in kinds.items() if own}


# Written with the program: it follows from dbt's models and their contracts.
FILE: Final = "dbt/relations.json"


@cache
def relations() -> tuple[GoldTable, ...]:
    """All relations of gold; what others are computed from comes first."""
    return relations_of(resource(FILE).read_text(encoding="utf-8"))


@cache
def stored_tables() -> tuple[GoldTable, ...]:
    """Those that are stored: a digest of each is kept."""
    return tuple(relation for relation in relations() if not relation.is_view)


@cache
def views() -> tuple[GoldTable, ...]:
    """Those that are computed on reading."""
    return tuple(relation for relation in relations() if relation.is_view)


def relations_text(found: Sequence[GoldTable]) -> str:
    """The file's text: JSON, one relation a line."""
    lines = (json.dumps({"name": each.name, "key": list(each.key), "scope_key": each.scope_key}) for each in found)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def relations_of(text: str) -> tuple[GoldTable, ...]:
    """The inverse of :func:`relations_text`."""
    return tuple(GoldTable(each["name"], tuple(each["key"]), each["scope_key"]) for each in json.loads(text))


class Session(Protocol):
    """A connection of psycopg or psycopg2."""

    def cursor(self) -> Any:
        """A cursor with execute and fetchall, a context manager."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a relation.

    Attributes:
        name: quoted where SQL needs it.
        type_name: as PostgreSQL's ``format_type`` names it.
    """

    name: str
    type_name: str

    @property
    def unquoted(self) -> str:
        """Its name as it is."""
        return self.name.strip('"')


Columns: TypeAlias = tuple[Column, ...]

_PLAIN: Final = frozenset(("uuid", "boolean", "smallint", "integer", "bigint"))
_SCALED: Final = re.compile(r"numeric\(\d+,\d+\)")
_TIMES: Final = frozenset(("timestamp with time zone", "date"))
# A hash is summed in four numbers of 32 bits each, as a bigint holds the product with a sign, and a sum of them is exact.
_LANES: Final = tuple(
    " | ".join(f"(get_byte(hashed.row_hash, {4 * lane + byte})::bigint << {24 - 8 * byte})" for byte in range(4))
    for lane in range(4)
)


def refresh_digests(session: Session, *, whole: bool = False) -> None:
    """Keep up the digests of stored tables: by the rows that changed in this transaction; from all rows if ``whole``.

    Of a table of which none is kept yet, as after an upgrade, it is computed from all rows.

    Raises:
        WarehouseError: ``DIGEST_TYPE``: a column of a type of which no text is laid down.
    """
    with session.cursor() as cursor:
        cursor.execute("select table_name from ops.table_digests")
        kept = set() if whole else {name for (name,) in cursor.fetchall()}
        if kept:
            cursor.execute(f"execute {_prepared(session, cursor)}")
        missing = [table for table in stored_tables() if table.name not in kept]
        columns = columns_of(session, missing) if missing else {}
        for table in missing:
            cursor.execute(
                "insert into ops.table_digests (table_name, row_count, row_sum)"
                " values (%s, %s, %s) on conflict (table_name)"
                " do update set row_count = excluded.row_count, row_sum = excluded.row_sum",
                [table.name, *_total(cursor, table, columns)],
            )


def kept_digests(session: Session) -> dict[str, str]:
    """Digest of each stored table of which one is kept, ``sum128:ROWS:SUM``."""
    with session.cursor() as cursor:
        cursor.execute("select table_name, row_count, row_sum from ops.table_digests")
        return {name: digest_text(rows, int(total)) for name, rows, total in cursor.fetchall()}


def digest_of_parts(digests: Iterable[str]) -> str:
    """The digest of all rows, from those of parts of them."""
    parts = [digest.split(":") for digest in digests]
    return digest_text(sum(int(rows) for _, rows, _ in parts), sum(int(total, 16) for _, _, total in parts))


def stored_digests(session: Session) -> dict[str, str]:
    """Digest of each stored table, ``sum128:ROWS:SUM``, as it is kept; from all rows where none is kept yet."""
    kept = kept_digests(session)
    missing = [table for table in stored_tables() if table.name not in kept]
    kept |= _digests(session, missing) if missing else {}
    return {table.name: kept[table.name] for table in stored_tables()}


def recomputed_digests(session: Session) -> dict[str, str]:
    """The same, from all rows."""
    return _digests(session, stored_tables())


def view_digests(session: Session, computed: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Digest of each view, ``sum128:ROWS:SUM``, from all its rows.

    Args:
        session: that sees the views.
        computed: ``schema.view`` → a relation that holds its rows, where there is one.
    """
    return _digests(session, views(), computed)


def made_of_digest(session: Session) -> str | None:
    """The digest of what gold is made of, ``sum128:LINES:SUM``: each batch's content, each answer, and what is held back of it.

    None in a database that was bootstrapped by a version that does not tell.
    """
    with session.cursor() as cursor:
        cursor.execute("select to_regclass('ops.made_of') is not null")
        [(is_told,)] = cursor.fetchall()
        if not is_told:
            return None
        hashes = "select sha256(convert_to(made_of.line, 'UTF8')) as row_hash from ops.made_of as made_of offset 0"
        cursor.execute(f"select count(*), coalesce({_summed()}, 0) from ({hashes}) as hashed")
        [(lines, total)] = cursor.fetchall()
        return digest_text(int(lines), int(total))


def scope_digests(session: Session, table: GoldTable, scopes: Sequence[str]) -> dict[str, str]:
    """Digest of the rows of each of these scopes (events, or keys), from the rows; a scope without rows is left out."""
    columns = columns_of(session, [table])[table.name]
    source = f"select t.{table.scope_key} as scope, {row_hash_sql(columns, 't')} as row_hash from {table.name} as t"
    with session.cursor() as cursor:
        cursor.execute(
            f"select hashed.scope, count(*), {_summed()}"
            f" from ({source} where t.{table.scope_key} = any (%s) offset 0) as hashed group by hashed.scope",
            [list(scopes)],
        )
        return {scope: digest_text(rows, int(total)) for scope, rows, total in cursor.fetchall()}


def row_hash_sql(columns: Columns, row: str) -> str:
    """An SQL expression: the sha256 of a row's text.

    Args:
        columns: of its relation, all of them, in order.
        row: what stands before ``.column``: an alias, or a composite value in parentheses.

    Raises:
        WarehouseError: ``DIGEST_TYPE``.
    """
    return f"sha256(convert_to({row_text_sql(columns, row)}, 'UTF8'))"


def row_text_sql(columns: Columns, row: str) -> str:
    """An SQL expression: a row's text."""
    return f"concat_ws(',', {', '.join(cell_text_sql(column, f'{row}.{column.name}') for column in columns)})"


@cache
def changes_statement(tables: tuple[tuple[str, Columns], ...]) -> str:
    """The statement that adds to each kept digest what ``ops.row_changes`` holds of its table; the same for every batch.

    It reads ops.row_changes once; what a table costs are its rows in it.

    Args:
        tables: name and columns of each stored table.
    """
    typed = ",\n        ".join(
        f"case noted.table_name when '{name}' then jsonb_populate_record(null::{name}, noted.noted_row) end as t{number}"
        for number, (name, _) in enumerate(tables)
    )
    hashes = "\n            ".join(
        f"when '{name}' then {row_text_sql(columns, f'(typed.t{number})')}" for number, (name, columns) in enumerate(tables)
    )
    return f"""
with noted as (
    select changes.table_name, sides.sign, sides.noted_row
    from ops.row_changes as changes
    cross join lateral (values (-1::bigint, changes.old_row), (1::bigint, changes.new_row)) as sides (sign, noted_row)
    where sides.noted_row is not null
),
-- the row as it is stored; "offset 0", so that it is made once and not once per column
typed as (
    select noted.table_name, noted.sign,
        {typed}
    from noted
    offset 0
),
hashed as (
    select typed.table_name, typed.sign, sha256(convert_to(case typed.table_name
            {hashes}
        end, 'UTF8')) as row_hash
    from typed
    offset 0
),
delta as (
    select hashed.table_name, sum(hashed.sign) as row_count, {_summed("hashed.sign * ")} as row_sum
    from hashed
    group by hashed.table_name
)
update ops.table_digests as kept
set row_count = kept.row_count + delta.row_count, row_sum = mod(kept.row_sum + delta.row_sum, {MODULUS})
from delta
where kept.table_name = delta.table_name
"""


def _prepared(session: Session, cursor: Any) -> str:
    """The name of :func:`changes_statement` as this session has prepared it: to plan it costs more than a batch of few changes.

    A table that was made anew since has another oid, and may have other columns.
    """
    cursor.execute(
        "select wanted.name, exists (select from pg_prepared_statements as prepared where prepared.name = wanted.name)"
        " from ("
        "  select 'digest_changes_' || md5(string_agg(made.oid || ' ' || made.relnatts, ',' order by made.oid)) as name"
        "  from pg_class as made where made.oid = any (array(select to_regclass(unnest(%s::text[]))))"
        " ) as wanted",
        [[table.name for table in stored_tables()]],
    )
    [(name, is_prepared)] = cursor.fetchall()
    if not is_prepared:
        cursor.execute(f"prepare {name} as {changes_statement(tuple(columns_of(session, stored_tables()).items()))}")
    return str(name)


def cell_text_sql(column: Column, value: str) -> str:
    """An SQL expression: the text of a column's value, never null.

    Args:
        column: whose type tells how the text is laid down.
        value: an SQL expression of its value.

    Raises:
        WarehouseError: ``DIGEST_TYPE``.
    """
    name = column.type_name
    element = name.removesuffix("[]")
    if name == "text":
        return f"quote_nullable({value})"
    if name in _PLAIN or _SCALED.fullmatch(name):
        return f"coalesce({value}::text, 'NULL')"
    if name == "numeric":
        return f"coalesce(trim_scale({value})::text, 'NULL')"
    if name in _TIMES:
        return f"coalesce(extract(epoch from {value})::text, 'NULL')"
    if element != name and (element == "text" or element in _PLAIN or _SCALED.fullmatch(element)):
        return f"quote_nullable(array_to_json({value})::text)"
    raise WarehouseError(
        "DIGEST_TYPE",
        f"No text is laid down for values of type {name} (column {column.name}), so that no digest can be made of them.",
        "Give the column another type, or lay the text down in pipeline/warehouse/row_text.py and digest.py.",
    )


def _summed(factor: str = "") -> str:
    """An SQL aggregate: the sum of ``hashed.row_hash``, each times ``factor``; from 0 to 2^128 - 1."""
    lanes = " + ".join(f"sum({factor}({lane})) * {1 << (96 - 32 * number)}" for number, lane in enumerate(_LANES))
    return f"mod(mod({lanes}, {MODULUS}) + {MODULUS}, {MODULUS})"


def _digests(
    session: Session, relations: Sequence[GoldTable], computed: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    columns = columns_of(session, relations)
    with session.cursor() as cursor:
        return {
            relation.name: digest_text(*_total(cursor, relation, columns, computed.get(relation.name)))
            for relation in relations
        }


def _total(cursor: Any, relation: GoldTable, columns: Mapping[str, Columns], held_by: str | None = None) -> tuple[int, int]:
    """How many rows a relation has, and the sum of their hashes; one that was never made has none."""
    if relation.name not in columns:
        return 0, 0
    read = held_by or relation.name
    hashes = f"select {row_hash_sql(columns[relation.name], 't')} as row_hash from {read} as t offset 0"
    cursor.execute(f"select count(*), coalesce({_summed()}, 0) from ({hashes}) as hashed")
    [(rows, total)] = cursor.fetchall()
    return int(rows), int(total)


def columns_of(session: Session, relations: Iterable[GoldTable]) -> dict[str, Columns]:
    """The columns of those of the relations that were made, in order."""
    wanted = [relation.name for relation in relations]
    with session.cursor() as cursor:
        cursor.execute(
            "select named.name, array_agg(quote_ident(held.attname) order by held.attnum),"
            " array_agg(format_type(held.atttypid, held.atttypmod) order by held.attnum)"
            " from unnest(%s::text[]) with ordinality as named (name, place)"
            " join pg_attribute as held on held.attrelid = to_regclass(named.name)"
            " where held.attnum > 0 and not held.attisdropped"
            " group by named.name, named.place order by named.place",
            [wanted],
        )
        return {name: tuple(map(Column, names, types)) for name, names, types in cursor.fetchall()}
