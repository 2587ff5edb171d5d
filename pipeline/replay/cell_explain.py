"""From a row of gold to the answers that it came from, level by level: what was read, by which rule, and where the bytes are.

A level is a relation, each row of it stands once, and tells which rows it was computed from. A level is read by one query per
relation below it, so the cost follows the number of relations and not of rows.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeline.clock import from_iso
from pipeline.errors import UsageError
from pipeline.replay.cell_answers import Bodies, Piece, Row, Silences, piece_of, silences
from pipeline.replay.cell_reads import (
    MORE_THAN_READ,
    OF_ANSWERS,
    QUOTES,
    SILVER_KEYS,
    UNEXPLAINED,
    order_of,
    read_of,
    received,
    relations_read,
    seeds_read,
)
from pipeline.replay.diff_found import ABOUT
from pipeline.transform.lineage import read_lineage
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.digest import Columns, GoldTable, columns_of, relations

# Rows of a level for which the next one is read: fewer the more rows there are, and below a row that counts many. What is not
# followed is explained by itself. A view is computed anew for each row that reads it.
LEVEL_ROWS: Final = 40
LEVEL_ROWS_OF_MANY: Final = 4
VIEW_ROWS: Final = 6
# Rows of one relation that the rows of another are told to have read.
READ_ROWS: Final = 200
# Cells of a row that are told in a line.
BRIEF: Final = 12
# Answers whose bodies are opened.
ANSWERS: Final = 40
# Rows that are offered where a key fits several.
CANDIDATES: Final = 50
# Of an aggregate all rows that it counts are named.
INPUTS: Final = 20_000
# Columns that say by which rule a row is what it is.
_REASONS: Final = (
    "end_reason", "close_status", "clv_status", "grade_reason", "override_reason", "rule", "reason", "start_basis", "status",
    "problem", "opening_basis", "ev_basis", "fair_basis", "sharp_basis", "quote_state", "was_there_reason", "match", "kind",
    "quality",
)  # fmt: skip
# as in a diff; a line is told by its point alone
_ABOUT: Final = frozenset(ABOUT) - {"point"}

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00")

Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A row on the way from a cell to the answers.

    Attributes:
        number: of it within the explanation; the row that was asked for is 0.
        relation: that it is of.
        key: what identifies it.
        cells: what of it is told: of gold what the cell above takes from it, else all.
        reads: numbers of the rows that it was computed from.
        left_out: how many more of these there are.
        is_followed: whether what it was computed from was looked for; else it is to be explained by itself.
        piece: where an answer says it; None of rows that were computed, and where the body is archived.
    """

    number: int
    relation: str
    key: Key
    cells: Mapping[str, Any]
    reads: tuple[int, ...] = ()
    left_out: int = 0
    is_followed: bool = True
    piece: Piece | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "number": self.number,
            "relation": self.relation,
            "key": dict(self.key),
            "cells": dict(self.cells),
            "reads": list(self.reads),
            "left_out": self.left_out,
            "is_followed": self.is_followed,
            "answer": None if self.piece is None else self.piece.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Model:
    """A relation on the way.

    Attributes:
        name: with its schema.
        rule: what it says, in its own description's first sentence.
        lineage: column → the columns that it comes from, of those that are told.
        seeds: the tables of rules and parameters that it reads.
    """

    name: str
    rule: str
    lineage: Mapping[str, tuple[str, ...]]
    seeds: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "rule": self.rule,
            "lineage": {name: list(sources) for name, sources in self.lineage.items()},
            "seeds": list(self.seeds),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a cell, or a row, comes from.

    Attributes:
        relation: of the row.
        key: of the row, as far as it was given where there is none.
        columns: those that were asked for; empty for all.
        row: all of it; None where there is no such row.
        reasons: those of its columns that say by which rule it is what it is.
        models: every relation on the way, by name; what was asked for first.
        found: the rows on the way.
        silences: the answers about its event that were looked at and said nothing; None where it is of no event.
        remark: what is to be known of the rows that are named.
    """

    relation: str
    key: Key
    columns: tuple[str, ...]
    row: Row | None
    reasons: Mapping[str, Any]
    models: Mapping[str, Model]
    found: tuple[Found, ...]
    silences: Silences | None
    remark: str | None = None

    @property
    def exit_code(self) -> int:
        """0, or 1 where there is no such row."""
        return 0 if self.row is not None else 1

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What of which answers it came from."""
        return tuple(found.piece for found in self.found if found.piece is not None)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "relation": self.relation,
            "key": dict(self.key),
            "columns": list(self.columns),
            "row": None if self.row is None else dict(self.row),
            "reasons": dict(self.reasons),
            "models": {name: model.to_json() for name, model in self.models.items()},
            "rows": [found.to_json() for found in self.found],
            "said_nothing": None if self.silences is None else self.silences.to_json(),
            "remark": self.remark,
        }

    def lines(self) -> list[str]:
        """For people: a tree. A row that was told before is only named again."""
        lines = [f"{self.relation} [{_words(self.key)}]"]
        if self.row is None:
            lines.append("  there is no such row")
        else:
            chosen = self.columns or tuple(self.models[self.relation].lineage)
            lines += [f"  {name} = {worded(self.row.get(name))}" for name in chosen]
            lines += [f"  by rule: {_words(self.reasons.items())}"] if self.reasons else []
            lines += self._below(0, "", set())
        if self.remark:
            lines.append(f"Note: {self.remark}.")
        if self.silences is not None:
            lines.append(f"Looked at, and said nothing: {self.silences.count:,} answers")
            lines += [f"  {each.line()}" for each in self.silences.named]
        return lines

    def _below(self, number: int, indent: str, told: set[int]) -> list[str]:
        found = self.found[number]
        model = self.models[found.relation]
        lines = []
        if found.relation not in {self.found[each].relation for each in told}:
            lines.append(f"{indent}  rule: {model.rule}")
            lines += [f"{indent}  {name} ← {', '.join(sources)}" for name, sources in model.lineage.items() if number == 0]
            lines += [f"{indent}  parameters: {', '.join(model.seeds)}"] if model.seeds else []
        told.add(number)
        if found.piece is not None:
            lines.append(f"{indent}  answer: {found.piece.line()}")
        elif found.relation in OF_ANSWERS:
            lines.append(f"{indent}  answer: not opened; its month is archived, or {ANSWERS} others were")
        for place, each in enumerate(found.reads):
            last = place == len(found.reads) - 1 and not found.left_out
            child = self.found[each]
            again = " (above)" if each in told else ""
            again = again or ("" if child.is_followed else " (explain it by itself)")
            lines.append(f"{indent}  {'└' if last else '├'}─ {child.relation} [{_words(_brief(child))}]{again}")
            if not again:
                lines += self._below(each, f"{indent}  {' ' if last else '│'} ", told)
        lines += [f"{indent}  └─ and {found.left_out:,} more rows"] if found.left_out else []
        return lines


def _brief(found: Found) -> Iterable[tuple[str, Any]]:
    """The key, and some of the cells that the row above takes; documents say more than a line holds."""
    cells = [(name, value) for name, value in found.cells.items() if not isinstance(value, dict)]
    return {**dict(found.key), **dict(cells[:BRIEF])}.items()


def _words(named: Iterable[tuple[str, Any]]) -> str:
    return " ".join(f"{name}={worded(value)}" for name, value in named)


def worded(value: Any) -> str:
    """A value as people are told it."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value[:-6]}Z" if _TIME.fullmatch(value) else value


class Explainer:
    """Explains rows of one warehouse.

    Args:
        connection: of a role that may read bronze, silver and gold; all is read in one transaction that writes nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("set transaction isolation level repeatable read, read only")
        self._gold = {relation.name: relation for relation in relations()}
        names = [*self._gold.values(), *(GoldTable(name, key) for name, key in SILVER_KEYS.items())]
        self.columns: Mapping[str, Columns] = columns_of(connection, names)
        self._bodies = Bodies(connection)

    def explain(
        self, name: str, key: Mapping[str, str | None], columns: Sequence[str] = (), at: dt.datetime | None = None
    ) -> Explanation:
        """Explain the row that a key names.

        Args:
            name: of the relation, with its schema.
            key: column → value, as texts, None for null; so many of them that one row is left.
            columns: whose cells are asked for; none for all.
            at: of rows that hold over time, the one that held then.

        Raises:
            UsageError: ``TABLE_UNKNOWN``, ``COLUMN_UNKNOWN``, ``EXPLAIN_KEY``: a value that is none of its column's type;
                ``EXPLAIN_MANY``: several rows fit.
        """
        rows = self._rows(name, key, columns, at)
        if len(rows) > 1:
            raise self._many(name, rows)
        if rows:
            return self.explain_row(name, rows[0], columns)
        return self.absent(name, key, columns, at)

    def absent(
        self, name: str, key: Mapping[str, str | None], columns: Sequence[str] = (), at: dt.datetime | None = None
    ) -> Explanation:
        """Explain that there is no row of a key: by the answers about its event that said nothing of it."""
        event_id = key.get("event_id")
        silent = None if event_id is None else silences(self._connection, event_id, key, [] if at is None else [at])
        return Explanation(name, tuple(key.items()), tuple(columns), None, {}, {}, (), silent)

    def candidates(self, name: str, key: Mapping[str, str | None], at: dt.datetime | None = None) -> list[Row]:
        """The first rows that a key fits.

        Raises:
            UsageError: as :meth:`explain`.
        """
        return self._rows(name, key, (), at, CANDIDATES)

    def found(self, name: str, key: Mapping[str, str | None]) -> Row | None:
        """The one row of a relation with a key; None where there is none."""
        rows = self._rows(name, key, (), None)
        return rows[0] if len(rows) == 1 else None

    def explain_row(self, name: str, row: Row, columns: Sequence[str] = ()) -> Explanation:
        """Explain a row, as :meth:`row_at_random` or the warehouse gives it."""
        way = _Way(self, name, row, tuple(columns))
        way.walk()
        found = way.with_pieces(self._bodies)
        about = row.get("event_id")
        # what was not said until a game began counts for what hangs on its start
        named = (*received(self.types(name)), "start_at")
        times = [from_iso(row[each]) for each in named if row.get(each) is not None]
        if "valid_to" in row and row["valid_to"] is None:
            times.append(dt.datetime(9999, 12, 31, tzinfo=dt.UTC))
        silent = None if about is None else silences(self._connection, about, row, times)
        reasons = {each: row[each] for each in _REASONS if row.get(each) is not None}
        return Explanation(
            name, self.key_of(name, row), tuple(columns), row, reasons, way.models(), found, silent, MORE_THAN_READ.get(name)
        )

    def row_at_random(self, name: str, seed: int, number: int, event_id: str | None = None) -> Row | None:
        """A row that nobody chose: the same for the same seed and number; None of a relation without rows.

        Args:
            name: of the relation.
            seed: of the choice.
            number: of the row among those of one seed.
            event_id: only of this event.
        """
        self._check(name)
        word = f"{seed} {number}"
        if event_id is not None:
            return self._chosen(name, word, "t.event_id = %(event_id)s", {"event_id": event_id})
        if "event_id" in self.types(name) and not name.endswith(".events"):
            # one of an event: a view is not computed whole for a row of it
            for _, event_id in self._connection.execute(
                "select md5(%(word)s || e.event_id), e.event_id from gold.events as e order by 1, 2 limit 50", {"word": word}
            ).fetchall():
                if found := self._chosen(name, word, "t.event_id = %(event_id)s", {"event_id": event_id}):
                    return found
        return self._chosen(name, word, "true", {})

    def _chosen(self, name: str, word: str, where: str, values: Mapping[str, Any]) -> Row | None:
        rows = self._connection.execute(
            f"select to_jsonb(t)::text from {name} as t where {where} order by md5(%(word)s || t::text) limit 1".encode(),
            {"word": word, **values},
        ).fetchall()
        return parsed(rows[0][0]) if rows else None

    def key_of(self, name: str, row: Row) -> Key:
        """What identifies a row."""
        relation = self._gold.get(name)
        names = relation.key if relation is not None else SILVER_KEYS[name]
        return tuple((each, row.get(each)) for each in names)

    def is_view(self, name: str) -> bool:
        """Whether a relation is computed on reading."""
        return name in self._gold and self._gold[name].is_view

    def comments(self, names: Sequence[str]) -> dict[str, str]:
        """What each relation is described as, in the database."""
        rows = self._connection.execute(
            "select name, coalesce(obj_description(to_regclass(name), 'pg_class'), '') from unnest(%s::text[]) as name",
            [list(names)],
        ).fetchall()
        return dict(rows)

    def types(self, name: str) -> dict[str, str]:
        """Column → its type."""
        return {column.unquoted: column.type_name for column in self.columns[name]}

    def read(self, name: str, other: str, rows: Sequence[Row], limit: int) -> list[tuple[int, Row]]:
        """The rows of another relation that rows of one were computed from.

        Args:
            name: of the reading relation.
            other: that is read.
            rows: of the one.
            limit: how many are given at most.

        Returns:
            Place of the reading row, and the row that it reads.
        """
        if other == QUOTES:
            query = self._quotes(name)
        else:
            how = read_of(name, self.columns[name], other, self.columns[other])
            query = None if how is None else f"join {other} as u on {how.condition}"
            events = {row.get("event_id") for row in rows}
            if query is not None and "u.event_id = t.event_id" in query and len(events) == 1 and None not in events:
                # a view is computed for the event alone where it is told by its name
                query += " and u.event_id = %(event_id)s"
        if query is None:
            return []
        found = self._connection.execute(
            "select p.place, to_jsonb(u)::text from jsonb_array_elements(%(rows)s::jsonb) with ordinality as p (item, place)"
            f" cross join lateral jsonb_populate_record(null::{name}, p.item) as t {query} limit {limit}".encode(),
            {"rows": json.dumps(rows), "event_id": rows[0].get("event_id") if rows else None},
        ).fetchall()
        return [(place - 1, parsed(text)) for place, text in found]

    def _quotes(self, name: str) -> str | None:
        """How quotes are read: what the last answer until each time that the row names said of its series, or its line's."""
        types = self.types(name)
        times = received(types)
        if "event_id" not in types or not times:
            return None
        line = read_of(name, self.columns[name], "gold.price_history", self.columns["gold.price_history"])
        if "series_id" in types:
            rank = "t.line_rank" if "line_rank" in types else "1"
            series = f"(select t.series_id, {rank} as line_rank)"
        elif line is not None and "market_key" in types:
            series = f"(select distinct u.series_id, u.line_rank from gold.price_history as u where {line.condition})"
        else:
            return None
        return (
            f"cross join lateral {series} as series"
            f" cross join lateral (select distinct at from unnest(array[{', '.join(f't.{each}' for each in times)}]) as at"
            " where at is not null) as named"
            f" cross join lateral (select q.* from {QUOTES} as q"
            " where q.event_id = t.event_id and q.series_id = series.series_id and q.line_rank = series.line_rank"
            " and q.captured_at <= named.at"
            " order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id limit 1) as u"
        )

    def checked(self, name: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Columns that a relation has.

        Raises:
            UsageError: ``TABLE_UNKNOWN``, ``COLUMN_UNKNOWN``.
        """
        self._check(name, columns)
        return tuple(columns)

    def _check(self, name: str, columns: Iterable[str] = ()) -> None:
        relation_named(name)
        there = self.types(name)
        if unknown := [each for each in columns if each not in there]:
            raise UsageError("COLUMN_UNKNOWN", f"{name} has no column {unknown[0]!r}.", f"It has {', '.join(there)}.")

    def _rows(
        self, name: str, key: Mapping[str, str | None], columns: Sequence[str], at: dt.datetime | None, most: int = 6
    ) -> list[Row]:
        self._check(name, [*key, *columns])
        types = self.types(name)
        conditions = [
            f"t.{each} is null" if value is None else f"t.{each} = %({each})s::{types[each]}" for each, value in key.items()
        ]
        if at is not None:
            if not {"valid_from", "valid_to"} <= types.keys():
                raise UsageError(
                    "EXPLAIN_AT", f"Rows of {name} do not hold over time.", "Leave --at out, and name the row by its key."
                )
            conditions.append("t.valid_from <= %(at_)s and (t.valid_to is null or t.valid_to > %(at_)s)")
        import psycopg

        try:
            event = self._event_of(name, key)
            if event is not None:
                conditions.append("t.event_id = %(event_)s")
            values = {**key, "at_": at, "event_": event}
            rows = self._connection.execute(
                f"select to_jsonb(t)::text from {name} as t where {' and '.join(conditions) or 'true'} limit {most}".encode(),
                values,
            ).fetchall()
        except psycopg.DataError as error:
            raise UsageError(
                "EXPLAIN_KEY",
                f"A value of the key is none of its column's type: {next(iter(str(error).splitlines()), '')}.",
                "Write it as --json shows it.",
            ) from None
        return [parsed(text) for (text,) in rows]

    def _event_of(self, name: str, key: Mapping[str, str | None]) -> str | None:
        """The event that a key is about, where it does not say so itself: a view of all events is not computed for one row."""
        if "event_id" in key or "event_id" not in self.types(name):
            return None
        for column, table in (("series_id", "gold.price_history"), ("set_id", "gold.margins"), ("line_id", "gold.best_price")):
            if key.get(column) is not None:
                rows = self._connection.execute(
                    f"select t.event_id from {table} as t where t.{column} = %s::uuid limit 1".encode(), [key[column]]
                ).fetchall()
                return str(rows[0][0]) if rows else None
        return None

    def _many(self, name: str, rows: Sequence[Row]) -> UsageError:
        keys = [dict(self.key_of(name, row)) for row in rows[:3]]
        apart = [each for each in keys[0] if len({json.dumps(key[each]) for key in keys}) > 1]
        shown = "; ".join(_words((each, key[each]) for each in apart) for key in keys)
        return UsageError(
            "EXPLAIN_MANY",
            f"Several rows of {name} fit. They differ in {', '.join(apart)}: {shown}.",
            "Name these too with --key COLUMN=VALUE" + (", or a time with --at." if "valid_from" in apart else "."),
        )


@dataclass
class _Way:
    """The way from one row down."""

    explainer: Explainer
    name: str
    row: Row
    columns: tuple[str, ...]
    rows: list[tuple[str, Row]] = field(default_factory=list)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    reads: dict[int, list[int]] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)
    unfollowed: set[int] = field(default_factory=set)
    # relation → the columns of it that are told
    told: dict[str, set[str]] = field(default_factory=dict)

    def walk(self) -> None:
        """Read level by level; a relation when all that read it have been."""
        self._number(self.name, self.row)
        self.told[self.name] = set(self.columns)
        waiting = {self.name}
        while waiting:
            relation = max(waiting, key=order_of)
            waiting.discard(relation)
            waiting |= self._level(relation)

    def _level(self, relation: str) -> set[str]:
        """Read what the rows of a relation were computed from; the relations that these are of."""
        if relation in OF_ANSWERS:
            return set()
        mine = [number for number, (name, _) in enumerate(self.rows) if name == relation]
        is_small = not is_of_many(self.explainer.types(self.name))
        most = max(LEVEL_ROWS - len(self.rows) // 10 if is_small else 0, LEVEL_ROWS_OF_MANY)
        self.unfollowed.update(mine[most:])
        mine = mine[:most]
        below: set[str] = set()
        is_counted = relation == self.name and is_of_many(self.explainer.types(relation))
        limit = INPUTS if is_counted else READ_ROWS * max(1, len(mine) // 4)
        for other in relations_read(relation):
            columns = self._taken(relation, other)
            if columns is None:
                continue
            asking = mine[:VIEW_ROWS] if self.explainer.is_view(other) else mine
            self.unfollowed.update(mine[len(asking) :])
            found = self.explainer.read(relation, other, [self.rows[number][1] for number in asking], limit + 1)
            self.told.setdefault(other, set()).update(columns)
            for place, row in found[:limit]:
                child = self._number(other, row)
                reads = self.reads.setdefault(mine[place], [])
                if child not in reads:
                    reads.append(child)
            if len(found) > limit:
                self.left_out[mine[0]] = self.left_out.get(mine[0], 0) + 1
            if found:
                below.add(other)
        return below

    def _taken(self, relation: str, other: str) -> set[str] | None:
        """The columns of another relation that what is told of one comes from; None where none does."""
        wanted = self.told.get(relation, set())
        schema, _, table = relation.partition(".")
        lineage = read_lineage()[schema, table]
        sources = {
            source.name
            for column, found in lineage.items()
            for source in found
            if (not wanted or column in wanted) and f"{source.schema}.{source.table}" == other
        }
        # without a choice, what picks rows is told too
        return sources if sources or not self.columns else None

    def _number(self, relation: str, row: Row) -> int:
        key = (relation, json.dumps(self.explainer.key_of(relation, row)))
        if key not in self.numbers:
            self.numbers[key] = len(self.rows)
            self.rows.append((relation, row))
        return self.numbers[key]

    def with_pieces(self, bodies: Bodies) -> tuple[Found, ...]:
        """All rows, those of answers with the bytes."""
        of_answers = [number for number, (name, _) in enumerate(self.rows) if name in OF_ANSWERS]
        # quotes first: what a price is made of
        of_answers.sort(key=lambda number: (self.rows[number][0] != QUOTES, number))
        ids = list(dict.fromkeys(str(self.rows[number][1]["exchange_id"]) for number in of_answers))[:ANSWERS]
        bodies.read(ids)
        found = []
        for number, (relation, row) in enumerate(self.rows):
            one = Found(
                number,
                relation,
                self.explainer.key_of(relation, row),
                self._cells(number, relation, row),
                tuple(self.reads.get(number, ())),
                self.left_out.get(number, 0),
                number not in self.unfollowed,
            )
            body = bodies.get(str(row["exchange_id"])) if relation in OF_ANSWERS else None
            found.append(one if body is None else replace(one, piece=piece_of(relation, row, body)))
        return tuple(found)

    def _cells(self, number: int, relation: str, row: Row) -> dict[str, Any]:
        wanted = self.told.get(relation, set())
        if number == 0:
            return {}
        return {name: value for name, value in row.items() if (name in wanted or name in _ABOUT) and value is not None}

    def models(self) -> dict[str, Model]:
        """Every relation on the way."""
        names = list(dict.fromkeys(name for name, _ in self.rows))
        comments = self.explainer.comments(names)
        return {name: self._model(name, comments[name]) for name in names}

    def _model(self, name: str, comment: str) -> Model:
        schema, _, table = name.partition(".")
        lineage = read_lineage().get((schema, table), {})
        wanted = self.told.get(name, set())
        return Model(
            name,
            " ".join(comment.split()).partition(". ")[0].rstrip(".") + "." if comment else "",
            {
                column: tuple(f"{each.schema}.{each.table}.{each.name}" for each in sources)
                for column, sources in lineage.items()
                if sources and (not wanted or column in wanted)
            },
            seeds_read(name) if name.startswith("gold.") else (),
        )


def relation_named(name: str) -> str:
    """A relation of gold or silver with its schema, as somebody named it.

    Raises:
        UsageError: ``TABLE_UNKNOWN``; ``EXPLAIN_NOT``: it is not explained.
    """
    full = name if name.startswith(("gold.", "silver.")) else f"gold.{name}"
    why = next(
        (reason for each, reason in UNEXPLAINED.items() if full == each or (each[-1] == "_" and full.startswith(each))), None
    )
    if why is not None:
        raise UsageError(
            "EXPLAIN_NOT", f"{full} is not explained: {why}.", "Name a table or view of gold, or a table of silver."
        )
    if full not in SILVER_KEYS and full not in {relation.name for relation in relations()}:
        # finds the nearest, and reads every promise for it
        from pipeline.export.readable import named

        named([name])
    return full


def is_of_many(types: Mapping[str, str]) -> bool:
    """Whether rows of a relation are of no single event, so that they count others."""
    return "event_id" not in types


def parsed(text: str) -> Row:
    """A row, numbers with decimals as texts."""
    found: Row = json.loads(text, parse_float=str)
    return found
