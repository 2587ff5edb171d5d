"""Break good rows in every way that a contract's rule is there for, and see each of them noticed, at every place that says so.

A mutant is one good row with some columns set to something else: the promise of a table says under each of its rules which rows
break it (``broken_by``), and what its structure says is broken by nulls, unknown values and keys that stand twice. Where a rule
is enforced:

suite  of Great Expectations, on whole tables. The mutants of a contract lie side by side in a table without constraints. The
       rules are asked about each of them alone; the suite, which sees all of them, must count as many broken rows of each rule.
batch  the question that is asked in a batch's transaction, about the rows it touched: of the real table, in which the row is
       broken, in a transaction that is rolled back. What a table refuses by itself is broken by taking its constraint away.
table  the real table refuses the row: a null, or a second row of one key.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg

from pipeline.contracts.promises import WHERE, project_files, read_promises
from pipeline.contracts.row_rules import RuleCount, batch_query, broken_query, broken_rules, rows_query
from pipeline.contracts.suites import run_suites
from pipeline.contracts.tables import KEY_IS_UNIQUE, Rule, TableContract, read_contracts
from pipeline.warehouse.connect import Connection, Role, Warehouse
from tests.contracts.mutations.score import Score, Trial

SUITE: Final = "suite"
BATCH: Final = "batch"
TABLE: Final = "table"
# Where the rows are laid out that are to be broken.
GOOD: Final = "silver.good"


@dataclass(frozen=True, slots=True)
class RowMutant:
    """How a row is broken.

    Attributes:
        changes: column → SQL expression over the good row.
        of: which rows can be broken so.
        copies: how many rows of it there are.
        refused_by: the error with which the real table refuses it, if it does.
    """

    changes: Mapping[str, str]
    of: str = "true"
    copies: int = 1
    refused_by: type[psycopg.Error] | None = field(default=None)

    def __str__(self) -> str:
        if self.copies > 1:
            return f"{self.copies} times the same row"
        return ", ".join(f"{column} = {value}" for column, value in self.changes.items())


def mutants_of(contract: TableContract, rule: Rule) -> tuple[RowMutant, ...]:
    """How rows of a table are broken so that one rule must notice; empty where nobody wrote it down."""
    column = rule.name.removesuffix("_is_there")
    if column != rule.name and rule.condition == f"{column} is not null":
        return (RowMutant({column: "null"}, refused_by=None if contract.is_view else psycopg.errors.NotNullViolation),)
    if rule.name.endswith("_is_known") and rule not in contract.written_rules:
        return (RowMutant({rule.name.removesuffix("_is_known"): "'no such value'"}),)
    if rule.name == KEY_IS_UNIQUE:
        return (RowMutant({}, copies=2, refused_by=None if contract.is_view else psycopg.errors.UniqueViolation),)
    return tuple(
        RowMutant({column: value for column, value in row.items() if column != WHERE}, row.get(WHERE, "true"))
        for row in broken_rows().get((contract.name, rule.name), ())
    )


@functools.cache
def broken_rows() -> Mapping[tuple[str, str], tuple[Mapping[str, str], ...]]:
    """How good rows are broken, by name and rule id: column → SQL over the good row, and under ``where``, of which rows."""
    _, promises = read_promises(project_files())
    return {(each.name, rule): tuple(facts["broken_by"]) for each in promises for rule, facts in each.rules.items()}


@functools.cache
def written_rows() -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """Rows that keep all rules and that the bundled recording does not have: name → column → value."""
    _, promises = read_promises(project_files())
    return {each.name: tuple(each.facts["good_rows"]) for each in promises if "good_rows" in each.facts}


def count_broken(connection: Connection, contract: TableContract, relation: str | None = None) -> tuple[RuleCount, ...]:
    """The rules that some row breaks, on a connection of ours; without Great Expectations."""
    return broken_rules(contract, connection.execute(rows_query(contract, relation).encode()).fetchall())


def places(contract: TableContract, mutant: RowMutant) -> tuple[str, ...]:
    """Where a mutant of a contract must be noticed."""
    batch = (BATCH,) if contract.is_checked_per_batch else ()
    return (SUITE, *batch, *((TABLE,) if mutant.refused_by else ()))


def score(warehouse: Warehouse, scopes: Mapping[str, str], contracts: Sequence[TableContract] | None = None) -> Score:
    """Try every mutant of every rule at every place, and see whether a rule fires on good rows.

    Args:
        warehouse: holds the bundled recording, and is nobody's: tables come and go in it, and are gone at the end.
        scopes: ``schema.table`` of each stored table → the condition over alias ``t`` that picks the rows a batch touched.
        contracts: by default the project's own.
    """
    chosen = read_contracts() if contracts is None else contracts
    trials: list[Trial] = []
    silent: list[str] = []
    for contract in chosen:
        mutants = [(rule, mutant) for rule in contract.rules for mutant in mutants_of(contract, rule)]
        killers = _Killers(warehouse, contract, scopes.get(contract.name, "false"), mutants)
        noticed = {SUITE: killers.suite(), BATCH: killers.batch(), TABLE: killers.table()}
        for number, (rule, mutant) in enumerate(mutants):
            wanted = places(contract, mutant)
            trials += [
                Trial(f"{contract.name}.{rule.name}", str(mutant), place, ", ".join(wanted), number in noticed[place])
                for place in wanted
            ]
        silent += [
            f"{contract.name}.{rule.name}: there is no mutant" for rule in contract.rules if not mutants_of(contract, rule)
        ]
    return Score(trials, silent, false_alarms(warehouse, chosen))


def false_alarms(warehouse: Warehouse, contracts: Sequence[TableContract] | None = None) -> list[str]:
    """What rules find in good rows: nothing, or they are wrong."""
    with warehouse.connect(Role.READER) as connection:
        return [
            f"{contract.name} ({found.example}) by {found.rule}"
            for contract in (read_contracts() if contracts is None else contracts)
            for found in count_broken(connection, contract)
        ]


@dataclass(frozen=True)
class _Killers:
    """What notices the mutants of one contract. Each place gives the numbers of those that it noticed."""

    warehouse: Warehouse
    contract: TableContract
    scope: str
    mutants: Sequence[tuple[Rule, RowMutant]]

    def suite(self) -> set[int]:
        columns = ", ".join(column.name for column in self.contract.columns)
        # a row of one key twice would be seen among the others; it lies apart
        shown = {"mutants": "not is_key", "twins": "is_key"}
        contracts = [replace(self.contract, table=name, is_view=True) for name in shown]
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            good_rows(connection, self.contract)
            alone = self._lay_out(connection)
            _execute(connection, f"drop table {GOOD}")
            for name, condition in shown.items():
                _execute(
                    connection,
                    f"create view {self.contract.schema}.{name} as select {columns} from {self._laid} where {condition}",
                )
            connection.commit()
            try:
                found = run_suites(self.warehouse, contracts)
            finally:
                _execute(connection, f"drop table {self._laid} cascade")
                connection.commit()
        counted = [Counter({each.rule: each.failing for each in suite.broken}) for suite in found]
        noticed = set()
        for number, (rule, _) in enumerate(self.mutants):
            is_key = _is_key(rule)
            expected = sum(alone[other][rule.name] for other, (own, _) in enumerate(self.mutants) if _is_key(own) == is_key)
            if alone[number][rule.name] and counted[is_key][rule.name] == expected:
                noticed.add(number)
        return noticed

    @property
    def _laid(self) -> str:
        return f"{self.contract.schema}.all_mutants"

    def _lay_out(self, connection: Connection) -> list[Counter[str]]:
        """All mutants in one table; of each, how many rows break which rule."""
        columns = ", ".join(column.name for column in self.contract.columns)
        _execute(connection, f"create table {self._laid} as select 0 as number, false as is_key, {columns} from {GOOD} limit 0")
        alone = []
        for number, (rule, mutant) in enumerate(self.mutants):
            _execute(
                connection,
                f"insert into {self._laid} select {number}, {_is_key(rule)}, made.*"
                f" from ({_broken_row(self.contract, mutant)}) as made, generate_series(1, {mutant.copies})",
            )
            relation = f"(select {columns} from {self._laid} where number = {number}) as one"
            alone.append(Counter({each.rule: each.failing for each in count_broken(connection, self.contract, relation)}))
        return alone

    def batch(self) -> set[int]:
        if not self.contract.is_checked_per_batch:
            return set()
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            try:
                good_rows(connection, self.contract)
                _execute(connection, f"insert into {self.contract.name} select * from {GOOD} on conflict do nothing")
                found = [self._in_batch(connection, rule, mutant) for rule, mutant in self.mutants]
            finally:
                connection.rollback()
        return {number for number, is_noticed in enumerate(found) if is_noticed}

    def _in_batch(self, connection: Connection, rule: Rule, mutant: RowMutant) -> bool:
        with connection.transaction(force_rollback=True):
            if mutant.refused_by:
                for column in ["", *mutant.changes]:
                    _execute(connection, _without_constraint(connection, self.contract, column))
            else:
                touched = connection.execute(_update(self.contract, mutant).encode()).fetchall()
                if len(touched) != 1:
                    return False
                _touch(connection, *touched[0])
            # the one query of a batch tells that something is broken, the contract's own which rule
            is_told = connection.execute(broken_query({self.contract.name: self.scope}, [self.contract]).encode()).fetchone()
            rows = connection.execute(batch_query(self.contract, self.scope).encode()).fetchall()
            return is_told is not None and rule.name in {found.rule for found in broken_rules(self.contract, rows)}

    def table(self) -> set[int]:
        noticed = set()
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            good_rows(connection, self.contract)
            for number, (_, mutant) in enumerate(self.mutants):
                if mutant.refused_by and self._is_refused(connection, mutant, mutant.refused_by):
                    noticed.add(number)
            connection.rollback()
        return noticed

    def _is_refused(self, connection: Connection, mutant: RowMutant, error: type[psycopg.Error]) -> bool:
        """Whether the real table refuses the broken rows, with this error."""
        try:
            with connection.transaction(force_rollback=True):
                for _ in range(mutant.copies):
                    _execute(connection, f"insert into {self.contract.name} {_broken_row(self.contract, mutant)}")
        except (
            error,
            psycopg.errors.CheckViolation,
        ):  # of a table that is kept by month, no month takes a row without its time
            return True
        return False


def good_rows(connection: Connection, contract: TableContract) -> None:
    """Copy a table, or what a view shows, into ``silver.good``, with rows of what the bundled recording does not hold.

    Whoever commits drops it before: it is no temporary table, as the transformer may make none.
    """
    _execute(connection, f"create unlogged table {GOOD} as select * from {contract.name}")
    if contract.name in written_rows():
        rows = json.dumps(written_rows()[contract.name]).replace("'", "''")
        _execute(connection, f"insert into {GOOD} select * from jsonb_populate_recordset(null::{GOOD}, '{rows}'::jsonb)")
    if any(column.name == "captured_at" for column in contract.columns):
        # where the table is kept by month, those rows must find theirs
        _execute(
            connection,
            "select ops.make_months(parted.partrelid::regclass, array("
            f" select distinct ops.month_of(good.captured_at) from {GOOD} as good"
            " where good.captured_at is not null order by 1))"
            f" from pg_partitioned_table as parted where parted.partrelid = to_regclass('{contract.name}')",
        )


def _is_key(rule: Rule) -> bool:
    return rule.name == KEY_IS_UNIQUE


def _first(contract: TableContract, mutant: RowMutant, columns: str) -> str:
    """The first good row that can be broken so."""
    return f"select {columns} from {GOOD} where {mutant.of} order by {', '.join(contract.key)} limit 1"


def _broken_row(contract: TableContract, mutant: RowMutant) -> str:
    columns = ", ".join(
        f"cast({mutant.changes.get(column.name, column.name)} as {column.physical_type}) as {column.name}"
        for column in contract.columns
    )
    return f"select {columns} from ({_first(contract, mutant, '*')}) as good"


def _update(contract: TableContract, mutant: RowMutant) -> str:
    """Break the row in the real table; gives its event and its answer, where it has them."""
    types = {column.name: column.physical_type for column in contract.columns}
    changes = ", ".join(f"{name} = cast({value} as {types[name]})" for name, value in mutant.changes.items())
    key = ", ".join(contract.key)
    scope = ", ".join(name if name in types else "null" for name in ("event_id", "exchange_id"))
    return f"update {contract.name} set {changes} where ({key}) = ({_first(contract, mutant, key)}) returning {scope}"


def _touch(connection: Connection, event_id: str | None, exchange_id: str | None) -> None:
    """As if a batch had come that touches this row: one that takes an answer away, which touches whatever it may have told."""
    _execute(connection, "delete from ops.pending")
    _execute(connection, "delete from ops.touched_events")
    _execute(connection, "delete from ops.due_events")
    connection.execute(
        "insert into ops.pending (exchange_id, admitted) values (coalesce(%s::uuid, gen_random_uuid()), false)", [exchange_id]
    )
    if event_id is not None:
        connection.execute("insert into ops.touched_events (event_id, tail_from) values (%s, '-infinity')", [event_id])
        connection.execute("insert into ops.due_events (event_id, is_reached) values (%s, true)", [event_id])


def _without_constraint(connection: Connection, contract: TableContract, column: str) -> str:
    """A statement that lets a table take a null in a column, or, without one, two rows of one key."""
    if column:
        return f"alter table {contract.name} alter column {column} drop not null"
    row = connection.execute(
        "select conname from pg_constraint where conrelid = to_regclass(%s) and contype = 'p'", [contract.name]
    ).fetchone()
    assert row is not None, contract.name
    return f'alter table {contract.name} drop constraint "{row[0]}"'


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(statement.encode())
