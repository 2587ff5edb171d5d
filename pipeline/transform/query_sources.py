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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.errors import SetupError
from pipeline.transform.parse_tree import Node, Value, parsed
from pipeline.warehouse.connect import Connection

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


def column_sources(connection: Connection, query: str) -> dict[str, frozenset[Column]]:
    """The sources of each output column of a query; of the relations that it names itself, not of those behind a view.

    Args:
        connection: to a database with all that the query names; nothing stays there.
        query: one SELECT without a semicolon. It is analysed and not run.

    Returns:
        Output column → its sources, in the order of the query's columns.

    Raises:
        psycopg.Error: the query is wrong.
        SetupError: ``QUERY_UNKNOWN``: it has a construct that is not known here.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(f"create temporary view {_VIEW} as {query}".encode())
        ((tree,),) = connection.execute(_TREE.encode()).fetchall()
        found = _outputs(parsed(tree))
        tables = sorted({table for sources in found.values() for table, _ in sources})
        rows = connection.execute(_NAMES.encode(), [tables]).fetchall()
    names = {(table, number): Column(*words) for table, number, *words in rows}
    return {name: frozenset(names[each] for each in sources) for name, sources in found.items()}


@dataclass(frozen=True, slots=True)
class _Scope:
    """A query, and the one around it. Two of the same query are equal."""

    query: Node
    outer: _Scope | None = None

    def up(self, levels: int) -> _Scope:
        scope = self
        for _ in range(levels):
            assert scope.outer is not None
            scope = scope.outer
        return scope

    def targets(self) -> list[Node]:
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


def _outputs(query: Node) -> dict[str, set[_Stored]]:
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
    if isinstance(branches, Node):
        for number in _branches(branches):
            yield from _of_range(scope, number, position)
        return
    for target in scope.targets():
        if target.number("resno") == position:
            yield from _of_expression(scope, target.fields["expr"])
            return
    raise _unknown(f"a column {position} that its query does not select (SEARCH and CYCLE make such)")


def _branches(operation: Node) -> Iterator[int]:
    if operation.tag == "RANGETBLREF":
        yield operation.number("rtindex")
        return
    yield from _branches(operation.node("larg"))
    if operation.text("op") != _EXCEPT:
        yield from _branches(operation.node("rarg"))


def _of_expression(scope: _Scope, value: Value) -> _Found:
    if isinstance(value, list):
        for each in value:
            yield from _of_expression(scope, each)
    elif isinstance(value, Node):
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


def _of_subquery(scope: _Scope, link: Node) -> _Found:
    inner = _Scope(link.node("subselect"), scope)
    yield from _of_expression(scope, link.fields["testexpr"])
    if link.text("subLinkType") == _EXISTS:
        yield from _of_expression(inner, inner.query.fields["jointree"])
    else:
        yield from (_Output(inner, each.number("resno")) for each in inner.targets())


def _order(scope: _Scope, window: str) -> list[Value]:
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
        raise _unknown("a system column, such as ctid")
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
            raise _unknown(f"something of the unknown kind {kind} in FROM")


def _of_function(scope: _Scope, entry: Node, position: int) -> _Found:
    for function in entry.nodes("functions"):
        if position <= function.number("funccolcount"):
            yield from _of_expression(scope, function.fields["funcexpr"])
            return
        position -= function.number("funccolcount")
    # WITH ORDINALITY: the place in what all of them give
    yield from _of_expression(scope, entry.fields["functions"])


def _unknown(what: str) -> SetupError:
    return SetupError(
        "QUERY_UNKNOWN", f"The query has {what}.", "Write it in another way, or teach query_sources what it means."
    )
