"""What differs between two states of gold: rows added, removed and changed per table, and changed cells per column.

Tables whose digests are equal are not read. The others are read by both sides as texts of cells, and joined by their keys in
DuckDB, which takes little memory and spills to the disk.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from pipeline.export.readable import readable
from pipeline.export.writers import open_duckdb
from pipeline.replay.diff_found import ABOUT, CELLS, ROWS, CellSample, ColumnDiff, Diff, Named, RowSample, TableDiff
from pipeline.replay.diff_rows import SideRows, columns_of_then
from pipeline.warehouse.digest import Column, relations

_MADE: Final = ("side_a", "side_b", "added", "removed", "changed")
_TIME: Final = "timestamp with time zone"


def compare(
    a: tuple[str, SideRows],
    b: tuple[str, SideRows],
    database: duckdb.DuckDBPyConnection,
    names: Sequence[str] | None = None,
    *,
    with_views: bool = False,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    cells_to: Path | None = None,
) -> Diff:
    """Compare two sides, table by table.

    Args:
        a: what the one is called, and what it holds.
        b: the other.
        database: of DuckDB, for what is compared: of :func:`workroom`.
        names: of the relations that are wanted; None: the tables of both, and what an export holds.
        with_views: without names: the views too.
        progress: called with (relations done, of how many).
        cells_to: a file of Parquet to be made, with a row per changed cell, and per row that is on one side only.
    """
    (name_a, side_a), (name_b, side_b) = a, b
    chosen = _chosen(side_a, side_b, names, with_views)
    tables: list[TableDiff] = []
    equal: list[str] = []
    only: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    left: list[tuple[str, str]] = []
    keys = {relation.name: relation.key for relation in relations()}
    if cells_to is not None:
        database.execute(f"create or replace table cells ({_CELLS})")
    for done, name in enumerate(chosen):
        progress(done, len(chosen))
        sides = (side_a, side_b)
        if lacking := [number for number, side in enumerate(sides) if name not in side.columns]:
            [number] = lacking
            if sides[number].is_part:
                left.append((name, f"the export {'AB'[number]} does not hold it"))
            else:
                only[1 - number].append((name, _count(database, sides[1 - number], name)))
            continue
        why = side_a.refusal(name) or side_b.refusal(name) or _keyless(keys.get(name), side_a, side_b, name)
        if why is not None:
            left.append((name, why))
            continue
        digest = side_a.digests.get(name)
        if digest is not None and digest == side_b.digests.get(name) and side_a.columns[name] == side_b.columns[name]:
            equal.append(name)
            continue
        found = _Comparison.of(name, keys[name], side_a, side_b).run(database, side_a, side_b, cells_to is not None)
        if found.is_empty:
            equal.append(name)
        else:
            tables.append(found)
    progress(len(chosen), len(chosen))
    if cells_to is not None:
        _write_cells(database, cells_to)
    return Diff(name_a, name_b, tuple(tables), tuple(equal), tuple(only[0]), tuple(only[1]), tuple(left))


def workroom(folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A database of DuckDB in memory, which spills into a folder; by default one of the system's."""
    spill = Path(tempfile.gettempdir()) if folder is None else folder
    return open_duckdb(":memory:", spill=spill / "diff-spill")


_CELLS: Final = "table_name varchar, key varchar, change varchar, column_name varchar, a varchar, b varchar"


def _chosen(a: SideRows, b: SideRows, names: Sequence[str] | None, with_views: bool) -> list[str]:
    """The relations to be compared, in the catalogue's order, those that it does not know last."""
    there = a.columns.keys() | b.columns.keys()
    if names is None:
        exported = {name for side in (a, b) if side.is_part for name in side.columns}
        wanted = {name for name in there if with_views or name in exported or name not in a.views | b.views}
    else:
        wanted = there & set(names)
    order = {name: place for place, name in enumerate(readable())}
    return sorted(wanted, key=lambda name: (order.get(name, len(order)), name))


def _keyless(key: Sequence[str] | None, a: SideRows, b: SideRows, name: str) -> str | None:
    """Why the rows of a relation cannot be told apart; None where they can."""
    if key is None:
        return "this version does not know the table, and so not the key of its rows"
    for letter, side in (("A", a), ("B", b)):
        lacking = sorted(set(key) - {column.unquoted for column in side.columns[name]})
        if lacking:
            return f"{letter} has no column {', '.join(lacking)}, which is in the key of its rows"
    return None


def _count(database: duckdb.DuckDBPyConnection, side: SideRows, name: str) -> int:
    if side.refusal(name) is not None:
        return 0
    side.fill(database, "alone", name, side.columns[name][:1])
    [(rows,)] = database.execute("select count(*) from alone").fetchall()
    database.execute("drop table alone")
    return int(rows)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How the rows of one relation are compared.

    Attributes:
        name: of the relation.
        columns: those of both sides that are compared, the key's first, as A has them.
        others: the same, as B has them.
        keys: how many of them are the key.
        only_a, only_b, retyped: as of :class:`TableDiff`.
    """

    name: str
    columns: tuple[Column, ...]
    others: tuple[Column, ...]
    keys: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    retyped: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, name: str, key: Sequence[str], a: SideRows, b: SideRows) -> _Comparison:
        in_a, in_b = ({column.unquoted: column for column in side.columns[name]} for side in (a, b))
        # what is not kept of then would differ from what is kept of now
        left = frozenset() if a.at is None and b.at is None else columns_of_then(name)
        both = [*key, *(each for each in in_a if each in in_b and each not in key and each not in left)]
        retyped = tuple(
            (each, in_a[each].type_name, in_b[each].type_name)
            for each in in_a
            if each in in_b and in_a[each].type_name != in_b[each].type_name
        )
        return cls(
            name,
            tuple(in_a[each] for each in both),
            tuple(in_b[each] for each in both),
            len(key),
            tuple(each for each in in_a if each not in in_b),
            tuple(each for each in in_b if each not in in_a),
            retyped,
        )

    def run(self, database: duckdb.DuckDBPyConnection, a: SideRows, b: SideRows, with_cells: bool) -> TableDiff:
        """Read both sides, and compare them."""
        a.fill(database, "side_a", self.name, self.columns)
        b.fill(database, "side_b", self.name, self.others)
        rest = range(self.keys, len(self.columns))
        join = " and ".join(f"a.c{number} = b.c{number}" for number in range(self.keys))
        differs = " or ".join(f"a.c{number} <> b.c{number}" for number in rest) or "false"
        pairs = ", ".join(
            [*(f"a.c{number} as k{number}" for number in range(self.keys))]
            + [f"a.c{number} as a{number}, b.c{number} as b{number}" for number in rest]
        )
        database.execute(f"create table changed as select {pairs} from side_a as a join side_b as b on {join} where {differs}")
        for table, one, other in (("added", "side_b", "side_a"), ("removed", "side_a", "side_b")):
            lacks = " and ".join(f"a.c{number} = b.c{number}" for number in range(self.keys))
            database.execute(f"create table {table} as select b.* from {one} as b anti join {other} as a on {lacks}")
        counts = ", ".join(f"(select count(*) from {table})" for table in _MADE)
        [(rows_a, rows_b, added, removed, changed)] = database.execute(f"select {counts}").fetchall()
        found = TableDiff(
            self.name,
            rows_a,
            rows_b,
            added,
            removed,
            changed,
            self._columns(database) if changed else (),
            self._rows(database, "added", self.others),
            self._rows(database, "removed", self.columns),
            self.only_a,
            self.only_b,
            self.retyped,
        )
        if with_cells:
            self._cells(database, found)
        for table in _MADE:
            database.execute(f"drop table {table}")
        return found

    def _columns(self, database: duckdb.DuckDBPyConnection) -> tuple[ColumnDiff, ...]:
        rest = range(self.keys, len(self.columns))
        counts = ", ".join(f"count(*) filter (a{number} <> b{number})" for number in rest)
        [cells] = database.execute(f"select {counts} from changed").fetchall()
        found = [
            ColumnDiff(self.columns[number].unquoted, count, self._samples(database, number))
            for number, count in zip(rest, cells, strict=True)
            if count
        ]
        return tuple(sorted(found, key=lambda column: (-column.cells, column.name)))

    def _samples(self, database: duckdb.DuckDBPyConnection, number: int) -> tuple[CellSample, ...]:
        keys = [shown_sql(f"k{place}", self.columns[place]) for place in range(self.keys)]
        about = self._about(number)
        told = [shown_sql(f"b{place}", self.others[place]) for place in about]
        cells = [shown_sql(f"a{number}", self.columns[number]), shown_sql(f"b{number}", self.others[number])]
        rows = database.execute(
            f"select {', '.join([*keys, *told, *cells])} from changed where a{number} <> b{number}"
            f" order by {', '.join(f'k{place}' for place in range(self.keys))} limit {CELLS}"
        ).fetchall()
        return tuple(CellSample(*self._named(row, about), row[-2], row[-1]) for row in rows)

    def _rows(self, database: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]) -> tuple[RowSample, ...]:
        about = self._about()
        told = [shown_sql(f"c{place}", columns[place]) for place in (*range(self.keys), *about)]
        rows = database.execute(
            f"select {', '.join(told)} from {table}"
            f" order by {', '.join(f'c{place}' for place in range(self.keys))} limit {ROWS}"
        ).fetchall()
        return tuple(RowSample(*self._named(row, about)) for row in rows)

    def _about(self, but: int | None = None) -> list[int]:
        """The places of the columns that tell a person which row it is."""
        places = {column.unquoted: place for place, column in enumerate(self.columns)}
        return [places[name] for name in ABOUT if places.get(name, 0) >= self.keys and places[name] != but]

    def _named(self, row: Sequence[str | None], about: Sequence[int]) -> tuple[Named, Named]:
        key = tuple((self.columns[place].unquoted, row[place]) for place in range(self.keys))
        told = tuple(
            (self.columns[place].unquoted, row[self.keys + number])
            for number, place in enumerate(about)
            if row[self.keys + number] is not None
        )
        return key, told

    def _cells(self, database: duckdb.DuckDBPyConnection, found: TableDiff) -> None:
        """Note every changed cell, and every row that is on one side only."""
        places = {column.unquoted: place for place, column in enumerate(self.columns)}
        name = _literal(self.name)
        for column in found.columns:
            place = places[column.name]
            a, b = shown_sql(f"a{place}", self.columns[place]), shown_sql(f"b{place}", self.others[place])
            database.execute(
                f"insert into cells select {name}, {self._key('k')}, 'changed', {_literal(column.name)}, {a}, {b}"
                f" from changed where a{place} <> b{place}"
            )
        for change in ("added", "removed"):
            database.execute(f"insert into cells select {name}, {self._key('c')}, '{change}', null, null, null from {change}")

    def _key(self, letter: str) -> str:
        pairs = (
            f"{_literal(self.columns[place].unquoted)}, {shown_sql(f'{letter}{place}', self.columns[place])}"
            for place in range(self.keys)
        )
        return f"json_object({', '.join(pairs)})::varchar"


def shown_sql(text: str, column: Column) -> str:
    """An expression of DuckDB: a cell as people read it, of its text in a row; null where it has no value.

    Args:
        text: an expression of the cell's text.
        column: whose type it has.
    """
    name = column.type_name
    if name == "text" or name.endswith("[]"):
        plain = f"replace(substr({text}, 2, length({text}) - 2), '''''', '''')"
        escaped = f"replace(replace(substr({text}, 3, length({text}) - 3), '''''', ''''), '\\\\', '\\')"
        value = f"case when starts_with({text}, 'E') then {escaped} else {plain} end"
    elif name == _TIME:
        moment = f"strftime(make_timestamp(try_cast(replace({text}, '.', '') as bigint)), '%Y-%m-%dT%H:%M:%S.%f')"
        value = f"coalesce(replace({moment}, '.000000', '') || 'Z', {text})"
    elif name == "date":
        value = f"coalesce(strftime(date '1970-01-01' + (try_cast({text} as bigint) // 86400)::integer, '%Y-%m-%d'), {text})"
    else:
        value = text
    return f"case when {text} = 'NULL' then null else {value} end"


def _write_cells(database: duckdb.DuckDBPyConnection, file: Path) -> None:
    order = {name: place for place, name in enumerate(readable())}
    database.execute("set preserve_insertion_order = true")
    places = json.dumps(list(order))
    database.execute(
        f"copy (select cells.* from cells order by list_position({_literal(places)}::json::varchar[], table_name) nulls last,"
        f" table_name, change, key, column_name) to {_literal(str(file))} (format parquet, compression zstd)"
    )
    database.execute("set preserve_insertion_order = false")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
