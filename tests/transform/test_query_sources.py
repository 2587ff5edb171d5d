"""Where a query's columns come from, on small queries whose answer is plain to a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import SetupError
from pipeline.transform.query_sources import column_sources
from pipeline.warehouse.connect import Connection, Role
from pipeline.warehouse.database import Server

TABLES = """
create schema s;
create table s.a (id integer, x integer, y integer, gone integer, names text[], marks text[]);
alter table s.a drop column gone;
create table s.b (id integer, a_id integer, v integer, w integer, document jsonb);
create table s.tree (id integer, parent integer, label text);
create view s.of_b as select a_id, sum(v) as total from s.b group by a_id;
"""


@pytest.fixture(scope="module")
def connection(server: Server, clone_names: Iterator[str]) -> Iterator[Connection]:
    made = server.create_database(next(clone_names))
    with made.connect(Role.OWNER, autocommit=True) as opened:
        opened.execute(TABLES.encode())
        yield opened
    server.drop_database(made)


def sources(connection: Any, query: str) -> dict[str, str]:
    found = column_sources(connection, query)
    return {name: " ".join(f"{c.table}.{c.name}" for c in sorted(columns)) for name, columns in found.items()}


CASES = {
    "plain": ("select id, x as renamed, x + y as total from s.a", {"id": "a.id", "renamed": "a.x", "total": "a.x a.y"}),
    "a constant": ("select 1 as one, 'a (b) {c} :d \\ <> \"' as text, null as nothing", {"one": "", "text": "", "nothing": ""}),
    "a column with a strange name": ('select x as "a b({\\<>" from s.a', {"a b({\\<>": "a.x"}),
    "star, without what was dropped": (
        "select * from s.a",
        {"id": "a.id", "x": "a.x", "y": "a.y", "names": "a.names", "marks": "a.marks"},
    ),
    "star of a join": (
        "select one.*, v from (select id, x from s.a) as one join s.b on b.a_id = one.id",
        {"id": "a.id", "x": "a.x", "v": "b.v"},
    ),
    "one name, two tables": ("select a.id, b.id as other from s.a, s.b where a.x = b.v", {"id": "a.id", "other": "b.id"}),
    "what picks rows does not count": (
        "select distinct on (y) x from s.a where id > 1 order by y, id limit 1",
        {"x": "a.x"},
    ),
    "groups": (
        "select x, x + 1 as more, sum(y) as total, count(*) as rows from s.a group by x having max(id) > 1",
        {"x": "a.x", "more": "a.x", "total": "a.y", "rows": ""},
    ),
    "groups by an expression": (
        "select x * y as product, max(id) as id from s.a group by x * y, grouping sets ((), (x))",
        {"product": "a.x a.y", "id": "a.id"},
    ),
    "join using": ("select id, x, v from s.a join s.b using (id)", {"id": "a.id", "x": "a.x", "v": "b.v"}),
    "full join using": (
        "select id, x, v from s.a full join s.b using (id)",
        {"id": "a.id b.id", "x": "a.x", "v": "b.v"},
    ),
    "full join using two": (
        "select n, v, x from (select id, x, y as n from s.a) as one"
        " full join (select id, w as n, v from s.b) as two using (id, n)",
        {"n": "a.y b.w", "v": "b.v", "x": "a.x"},
    ),
    "an alias for columns": ("select p, q from s.a as t (o, p, q)", {"p": "a.x", "q": "a.y"}),
    "lateral": (
        "select a.id, latest.v from s.a cross join lateral"
        " (select b.v, b.w from s.b where b.a_id = a.id order by b.w desc limit 1) as latest",
        {"id": "a.id", "v": "b.v"},
    ),
    "lateral that gives the outer column back": (
        "select f.x, f.sum from s.a cross join lateral (select a.x, a.y + b.v as sum from s.b where b.a_id = a.id) as f",
        {"x": "a.x", "sum": "a.y b.v"},
    ),
    "lateral within lateral, over two levels": (
        "select g.z from s.a cross join lateral (select h.z from s.b cross join lateral (select a.x + b.w as z) as h) as g",
        {"z": "a.x b.w"},
    ),
    "a correlated subquery": (
        "select id, (select max(b.v) from s.b where b.a_id = a.id and b.w > a.x) as best from s.a",
        {"id": "a.id", "best": "b.v"},
    ),
    "a subquery that computes with the outer row": (
        "select (select max(b.v - a.x) from s.b where b.a_id = a.id) as best from s.a",
        {"best": "a.x b.v"},
    ),
    "array of a subquery": (
        "select array(select b.v from s.b where b.a_id = a.id order by b.w) as all_of from s.a",
        {"all_of": "b.v"},
    ),
    "exists is made of its conditions": (
        "select exists (select 1 from s.b where b.a_id = a.id and b.v > 0) as has_any from s.a",
        {"has_any": "a.id b.a_id b.v"},
    ),
    "in a subquery": ("select x in (select b.v from s.b where b.w > 0) as is_in from s.a", {"is_in": "a.x b.v"}),
    "case": (
        "select case when x > 0 then 'yes' when y > 0 then names[1] end as said, case id when 1 then 2 end as simple from s.a",
        {"said": "a.names a.x a.y", "simple": "a.id"},
    ),
    "common table expressions": (
        "with one as (select id, x from s.a), two as materialized (select one.x, one.id as x_id from one)"
        " select two.x_id, (select max(x) from one) as most from two",
        {"x_id": "a.id", "most": "a.x"},
    ),
    "a common table expression that hides a name": (
        "with a as (select id, v as x from s.b) select a.x, inner_one.x as other"
        " from a cross join lateral (with a as (select w as x from s.b) select x from a) as inner_one",
        {"x": "b.v", "other": "b.w"},
    ),
    "a common table expression, seen from a lateral": (
        "with one as (select id, x from s.a)"
        " select f.m from s.b cross join lateral (select max(one.x) + b.v as m from one where one.id = b.a_id) as f",
        {"m": "a.x b.v"},
    ),
    "recursion": (
        "with recursive up as (select id, id as top, label, 0 as depth from s.tree where parent is null union all"
        " select tree.id, up.top, up.label || '/' || tree.label, depth + 1 from up join s.tree on tree.parent = up.id)"
        " select * from up",
        {"id": "tree.id", "top": "tree.id", "label": "tree.label", "depth": ""},
    ),
    "recursion that hands its columns around": (
        "with recursive turned as (select x as p, y as q, id as r from s.a union select q, r, p from turned)"
        " select p from turned",
        {"p": "a.id a.x a.y"},
    ),
    "union, by position": (
        "select id, x from s.a union all select v, w from s.b union select 1, 2 order by 1",
        {"id": "a.id b.v", "x": "a.x b.w"},
    ),
    "intersect": ("select x from s.a intersect select v from s.b", {"x": "a.x b.v"}),
    "except takes away only": (
        "(select x from s.a union select y from s.a) except select v from s.b",
        {"x": "a.x a.y"},
    ),
    "unions in laterals": (
        "select f.n from s.a cross join lateral (select a.x as n union all select b.v from s.b where b.a_id = a.id) as f",
        {"n": "a.x b.v"},
    ),
    "values": (
        "select kinds.is_one, kinds.n from s.a cross join lateral (values (true, a.x), (false, a.y)) as kinds (is_one, n)",
        {"is_one": "", "n": "a.x a.y"},
    ),
    "unnest with ordinality": (
        "select item.name, item.place from s.a cross join lateral unnest(a.names) with ordinality as item (name, place)",
        {"name": "a.names", "place": "a.names"},
    ),
    "unnest of two arrays": (
        "select item.mark, item.place from s.a, unnest(a.names, a.marks) with ordinality as item (name, mark, place)",
        {"mark": "a.marks", "place": "a.marks a.names"},
    ),
    "a function of a subquery's document": (
        "select item.key, item.value ->> 'a' as word from (select document as d from s.b) as docs"
        " cross join lateral jsonb_each(docs.d -> 'items') as item",
        {"key": "b.document", "word": "b.document"},
    ),
    "windows": (
        "select lag(x) over (partition by y order by id) as before, row_number() over w as place,"
        " count(*) over (partition by y) as rows, first_value(y + 1) over w as first"
        " from s.a window w as (partition by y order by x, id)",
        {"before": "a.x", "place": "a.id a.x", "rows": "", "first": "a.y"},
    ),
    "filters": (
        "select count(*) filter (where x > 0) as positive, max(y) filter (where x > 0) as most,"
        " count(*) filter (where y > 0) over (partition by id) as near from s.a group by grouping sets ((x, y, id))",
        {"positive": "a.x", "most": "a.y", "near": "a.y"},
    ),
    "an aggregate in order": (
        "select array_agg(x order by y, id) as xs, percentile_disc(0.5) within group (order by y) as middle from s.a",
        {"xs": "a.x", "middle": "a.y"},
    ),
    "whole rows": (
        "select to_jsonb(one) as document from (select x, y from s.a) as one",
        {"document": "a.x a.y"},
    ),
    "a view is where it ends": ("select total from s.of_b", {"total": "of_b.total"}),
}


@pytest.mark.parametrize("case", CASES)
def test_sources(connection: Connection, case: str) -> None:
    query, expected = CASES[case]
    assert sources(connection, query) == expected


def test_columns_come_in_their_order_and_nothing_stays(connection: Connection) -> None:
    assert [*column_sources(connection, "select y, x, id from s.a")] == ["y", "x", "id"]
    left = connection.execute("select count(*) from pg_class where relname like 'query_whose%'").fetchall()
    assert left == [(0,)]


def test_what_is_not_known_is_said(connection: Connection) -> None:
    with pytest.raises(SetupError, match="system column"):
        column_sources(connection, "select ctid from s.a")
    with pytest.raises(SetupError, match="CYCLE"):
        column_sources(
            connection,
            "with recursive up as (select id from s.tree union all select tree.id from up join s.tree on parent = up.id)"
            " cycle id set is_cycle using path select is_cycle from up",
        )
