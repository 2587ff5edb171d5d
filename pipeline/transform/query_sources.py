"""Where the columns of a query come from, as PostgreSQL itself understands the query.

PostgreSQL keeps a view as a tree in which every name is resolved: a reference says which relation of which enclosing query
it means, and which column of it. So no SQL is parsed here, and no name is looked up: laterals, correlated subqueries, stars
and common table expressions are what PostgreSQL took them for. The tree is read from ``pg_rewrite``; the fields that are used
are the same in PostgreSQL 15 to 18.

**What a source is.** A column whose values an output column is computed from:

* All that stands in its expression counts: arguments, conditions of CASE, both sides of a comparison. So do the columns that
  a scalar subquery, ARRAY or IN (subquery) selects, those of all branches of UNION and INTERSECT, of the first of EXCEPT, and
  the arguments of a function in FROM, for each of its columns (of unnest with several arrays: the column's own).
* What picks rows or puts them in order does not: WHERE, ON, GROUP BY, HAVING, DISTINCT, ORDER BY, LIMIT, PARTITION BY, FILTER.
* But what is made of nothing else has that for its sources: an aggregate or window function whose arguments name no column,
  such as ``count(*)`` or ``row_number()``, has its FILTER's and its window's ORDER BY columns; EXISTS its own conditions'.

What a function reads by itself is not seen. A column of constants, or a count of all rows, has no source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.warehouse.connect import Connection

_TOKEN: Final = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NOTHING: Final = "<>"
_EXISTS: Final = "0"
_EXCEPT: Final = "3"

_VIEW: Final = "query_whose_sources_are_asked"
_TREE: Final = f"select ev_action::text from pg_rewrite where ev_class = 'pg_temp.{_VIEW}'::regclass"
_NAMES: Final = """
select attrelid::bigint, attnum, nspname, relname, attname
from pg_attribute
join pg_class on pg_class.oid = attrelid
join pg_namespace on pg_namespace.oid = relnamespace
where attrelid = any (%s::oid[]) and attnum > 0
"""


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A column of a table or view.

    Attributes:
        schema: its relation's schema.
        table: its relation's name.
        name: its own.
    """

    schema: str
    table: str
    name: str


class UnknownTreeError(Exception):
    """A query holds something that this module does not know; its text says what."""


def column_sources(connection: Connection, query: str) -> dict[str, frozenset[Column]]:
    """The sources of each output column of a query; of the relations that it names itself, not of those behind a view.

    Args:
        connection: to a database with all that the query names; nothing stays there.
        query: one SELECT without a semicolon. It is analysed and not run.

    Returns:
        Output column → its sources, in the order of the query's columns.

    Raises:
        psycopg.Error: the query is wrong.
        UnknownTreeError: it has a construct that is not known here.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(f"create temporary view {_VIEW} as {query}".encode())
        ((tree,),) = connection.execute(_TREE.encode()).fetchall()
        found = _outputs(_parsed(tree))
        tables = sorted({table for sources in found.values() for table, _ in sources})
        rows = connection.execute(_NAMES.encode(), [tables]).fetchall()
    names = {(table, number): Column(*words) for table, number, *words in rows}
    return {name: frozenset(names[each] for each in sources) for name, sources in found.items()}


# --- the tree ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    tag: str
    fields: Mapping[str, _Value]

    def node(self, name: str) -> _Node:
        found = self.fields[name]
        assert isinstance(found, _Node), f"{self.tag}.{name}"
        return found

    def nodes(self, name: str) -> list[_Node]:
        return [each for each in self.values(name) if isinstance(each, _Node)]

    def values(self, name: str) -> list[_Value]:
        """A list; empty where the tree has none."""
        found = self.fields[name]
        return found if isinstance(found, list) else []

    def text(self, name: str) -> str:
        found = self.fields[name]
        assert isinstance(found, str), f"{self.tag}.{name}"
        return found

    def number(self, name: str) -> int:
        return int(self.text(name))


_Value: TypeAlias = "_Node | list[_Value] | str | None"


def _parsed(text: str) -> _Node:
    """The query of a view's rule: ``({QUERY :field value … })``; a value is a node, a list in brackets, or words."""
    open_: list[list[_Value]] = [[]]
    for token in _TOKEN.findall(text):
        if token in "({":
            open_.append([])
        elif token in ")}":
            items = open_.pop()
            open_[-1].append(items if token == ")" else _node(items))
        else:
            open_[-1].append(None if token == _NOTHING else _ESCAPED.sub(r"\1", token))
    ((rule,),) = open_
    assert isinstance(rule, list)
    (query,) = rule
    assert isinstance(query, _Node)
    return query


def _node(items: list[_Value]) -> _Node:
    tag, *rest = items
    fields: dict[str, list[_Value]] = {}
    for item in rest:
        if isinstance(item, str) and item.startswith(":"):
            values = fields[item[1:]] = []
        else:
            values.append(item)
    # a constant's bytes are many words
    return _Node(str(tag), {name: values[0] if len(values) == 1 else values for name, values in fields.items()})


# --- from an output column to columns of tables -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scope:
    """A query, and the one around it. Two of the same query are equal."""

    query: _Node
    outer: _Scope | None = None

    def up(self, levels: int) -> _Scope:
        scope = self
        for _ in range(levels):
            assert scope.outer is not None
            scope = scope.outer
        return scope

    def targets(self) -> list[_Node]:
        """What it gives, without what it has for sorting and grouping only."""
        return [each for each in self.query.nodes("targetList") if each.text("resjunk") == "false"]


@dataclass(frozen=True, slots=True)
class _Output:
    """A column that a query gives, by its position from 1."""

    scope: _Scope
    position: int


# A table's oid and a column's number.
_Stored: TypeAlias = tuple[int, int]
_Found: TypeAlias = Iterator[_Stored | _Output]


def _outputs(query: _Node) -> dict[str, set[_Stored]]:
    scope = _Scope(query)
    return {each.text("resname"): _sources(_Output(scope, each.number("resno"))) for each in scope.targets()}


def _sources(output: _Output) -> set[_Stored]:
    """All that can be reached; a recursive query leads back to itself, which adds nothing."""
    seen: set[_Output] = {output}
    waiting = [output]
    stored: set[_Stored] = set()
    while waiting:
        for each in _of_output(waiting.pop()):
            if not isinstance(each, _Output):
                stored.add(each)
            elif each not in seen:
                seen.add(each)
                waiting.append(each)
    return stored


def _of_output(output: _Output) -> _Found:
    scope, position = output.scope, output.position
    branches = scope.query.fields["setOperations"]
    if isinstance(branches, _Node):
        for number in _branches(branches):
            yield from _of_range(scope, number, position)
        return
    for target in scope.targets():
        if target.number("resno") == position:
            yield from _of_expression(scope, target.fields["expr"])
            return
    raise UnknownTreeError(f"a column {position} that its query does not select (SEARCH and CYCLE make such)")


def _branches(operation: _Node) -> Iterator[int]:
    if operation.tag == "RANGETBLREF":
        yield operation.number("rtindex")
        return
    yield from _branches(operation.node("larg"))
    if operation.text("op") != _EXCEPT:
        yield from _branches(operation.node("rarg"))


def _of_expression(scope: _Scope, value: _Value) -> _Found:
    if isinstance(value, list):
        for each in value:
            yield from _of_expression(scope, each)
    elif isinstance(value, _Node):
        match value.tag:
            case "VAR":
                yield from _of_range(scope.up(value.number("varlevelsup")), value.number("varno"), value.number("varattno"))
            case "SUBLINK":
                yield from _of_subquery(scope, value)
            case "AGGREF":
                own = [*_of_expression(scope, [value.fields["args"], value.fields["aggdirectargs"]])]
                yield from own or _of_expression(scope, value.fields["aggfilter"])
            case "WINDOWFUNC":
                own = [*_of_expression(scope, value.fields["args"])]
                yield from own or _of_expression(scope, [value.fields["aggfilter"], *_order(scope, value.text("winref"))])
            case "TARGETENTRY" if value.text("resjunk") == "true":  # an aggregate's ORDER BY
                pass
            case _:
                yield from _of_expression(scope, list(value.fields.values()))


def _of_subquery(scope: _Scope, link: _Node) -> _Found:
    inner = _Scope(link.node("subselect"), scope)
    yield from _of_expression(scope, link.fields["testexpr"])
    if link.text("subLinkType") == _EXISTS:
        yield from _of_expression(inner, inner.query.fields["jointree"])
    else:
        yield from (_Output(inner, each.number("resno")) for each in inner.targets())


def _order(scope: _Scope, window: str) -> list[_Value]:
    sorted_by = {
        each.text("tleSortGroupRef")
        for clause in scope.query.nodes("windowClause")
        if clause.text("winref") == window
        for each in clause.nodes("orderClause")
    }
    return [each.fields["expr"] for each in scope.query.nodes("targetList") if each.text("ressortgroupref") in sorted_by]


def _of_range(scope: _Scope, number: int, position: int) -> _Found:
    """The sources of a column of what stands in FROM, by its number there; position 0 is the whole row."""
    entry = scope.query.nodes("rtable")[number - 1]
    if position == 0:
        for each in range(1, len(entry.node("eref").values("colnames")) + 1):
            yield from _of_range(scope, number, each)
        return
    if position < 0:
        raise UnknownTreeError("a system column, such as ctid")
    match entry.number("rtekind"):
        case 0:  # a table or view
            yield entry.number("relid"), position
        case 1:  # a subquery
            yield _Output(_Scope(entry.node("subquery"), scope), position)
        case 2:  # a join with USING
            yield from _of_expression(scope, entry.values("joinaliasvars")[position - 1])
        case 3:
            yield from _of_function(scope, entry, position)
        case 5:  # VALUES
            for row in entry.values("values_lists"):
                assert isinstance(row, list)
                yield from _of_expression(scope, row[position - 1])
        case 6:  # a common table expression
            owner = scope.up(entry.number("ctelevelsup"))
            (cte,) = (each for each in owner.query.nodes("cteList") if each.text("ctename") == entry.text("ctename"))
            yield _Output(_Scope(cte.node("ctequery"), owner), position)
        case 9:  # what a query groups by
            yield from _of_expression(scope, entry.values("groupexprs")[position - 1])
        case kind:
            raise UnknownTreeError(f"what stands in FROM has the unknown kind {kind}")


def _of_function(scope: _Scope, entry: _Node, position: int) -> _Found:
    for function in entry.nodes("functions"):
        if position <= function.number("funccolcount"):
            yield from _of_expression(scope, function.fields["funcexpr"])
            return
        position -= function.number("funccolcount")
    # WITH ORDINALITY: the place in what all of them give
    yield from _of_expression(scope, entry.fields["functions"])
