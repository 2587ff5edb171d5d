"""What is checked of a batch by us: the contracts' rules, on the rows it touched; and on all rows of a warehouse."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg2
import psycopg2.extensions

from pipeline.contracts.row_rules import Answer, batch_query, broken_query, broken_rules, newest_answers, rows_query
from pipeline.contracts.tables import TableContract, read_contracts
from pipeline.transform.computed import Computed
from pipeline.transform.engine import Session as Session
from pipeline.transform.preparing import send

# Of the rules that a table breaks, so many are told.
RULES_SHOWN: Final = 3
# So many contracts are asked by one statement: it is planned anew when one of its tables was analyzed, so not all are in one.
_TOGETHER: Final = 6


@dataclass(frozen=True, slots=True)
class FailingRow:
    """A row that a check found.

    Attributes:
        rule: that it breaks.
        key: which row, as text.
        holds: what it holds, ``column: value`` with commas between; empty where that is not known.
        rows: that break the rule, this one included; None where they are not counted by rule.
    """

    rule: str
    key: str
    holds: str = ""
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One blocking check of a run.

    Attributes:
        name: the dbt test's name, ``contract.`` with a table's, or the name of a check of ours.
        ok: whether it passed.
        failures: failing rows.
        message: what failed, if anything.
        rows: the first of those.
    """

    name: str
    ok: bool
    failures: int
    message: str | None
    rows: tuple[FailingRow, ...] = ()

    @property
    def line(self) -> str:
        """Its name and what failed, for people."""
        return f"{self.name}: {self.message or f'{self.failures} rows'}"


class Checked:
    """What has ``checks``; the base of frozen values with such an attribute."""

    __slots__ = ()

    checks: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def exit_code(self) -> int:
        """0, or 1 where a check failed."""
        return 1 if self.failed else 0


def batch_checks(
    session: Session, scopes: Mapping[str, str], contracts: Sequence[TableContract] | None = None
) -> tuple[CheckResult, ...]:
    """Whether the rows that the run at hand touched keep the contracts of their tables: a check per stored table.

    Args:
        session: in the run's transaction, after the models.
        scopes: of the engine; a table without one cannot be checked, which is a failure.
        contracts: by default the project's own.
    """
    checked = _checked(_contracts() if contracts is None else contracts)
    scoped = tuple(contract for contract in checked if contract.name in scopes)
    asked: set[str] = set()
    for first in range(0, len(scoped), _TOGETHER):
        group = scoped[first : first + _TOGETHER]
        broken = _asked(session, _broken_query(tuple(scopes.items()), group))
        # where some rule cannot run each contract is asked by itself, so that it tells that of itself alone
        asked |= {each.name for each in group} if isinstance(broken, psycopg2.Error) else {name for (name,) in broken}
    return tuple(_check_of_batch(session, contract, scopes.get(contract.name), contract.name in asked) for contract in checked)


def whole_table_checks(
    session: Session, computed: Computed, contracts: Sequence[TableContract] | None = None
) -> tuple[CheckResult, ...]:
    """Whether all rows of a warehouse keep their contracts: a check per table and view; of staging, the newest answers' rows.

    Args:
        session: of the transformer.
        computed: the views' rows, where they are at hand.
        contracts: by default the project's own.
    """
    return tuple(
        _check(session, each, rows_query(each, computed.get(each.name) or newest_answers(each)))
        for each in (_contracts() if contracts is None else contracts)
    )


def is_aborted(session: Session) -> bool:
    """Whether a statement of the transaction failed, so that nothing more can be asked in it."""
    return session.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_INERROR


def _checked(contracts: Sequence[TableContract]) -> tuple[TableContract, ...]:
    return tuple(contract for contract in contracts if contract.is_checked_per_batch)


@functools.lru_cache(maxsize=32)
def _broken_query(scopes: tuple[tuple[str, str], ...], contracts: tuple[TableContract, ...]) -> str:
    return broken_query(dict(scopes), contracts)


def _check_of_batch(session: Session, contract: TableContract, scope: str | None, is_asked: bool) -> CheckResult:
    if scope is None:
        return _did_not_run(contract, "dbt stores no such table")
    return _check(session, contract, batch_query(contract, scope)) if is_asked else _kept(contract)


def _check(session: Session, contract: TableContract, query: str) -> CheckResult:
    asked = _asked(session, query)
    return _did_not_run(contract, str(asked).splitlines()[0]) if isinstance(asked, psycopg2.Error) else _judged(contract, asked)


def _asked(session: Session, query: str) -> Sequence[Any] | psycopg2.Error:
    """The rows of a query, or why it cannot run: the transaction is as it was then."""
    with session.cursor() as cursor:
        cursor.execute("savepoint contracts")
        try:
            send(cursor, query)
            rows: list[Any] = cursor.fetchall()
        except psycopg2.OperationalError:  # the server, and no fault of a rule
            raise
        except psycopg2.Error as error:
            cursor.execute("rollback to savepoint contracts")
            return error
        cursor.execute("release savepoint contracts")
    return rows


def _kept(contract: TableContract) -> CheckResult:
    return CheckResult(f"contract.{contract.name}", True, 0, None)


def _did_not_run(contract: TableContract, why: str) -> CheckResult:
    return CheckResult(f"contract.{contract.name}", False, 1, f"its rules did not run: {why}")


def _judged(contract: TableContract, answered: Sequence[Answer]) -> CheckResult:
    """The check of a contract, by what its rules found."""
    broken = broken_rules(contract, answered)
    warnings = {rule.name for rule in contract.rules if rule.severity == "warning"}
    told = [f"{found.rule}: {found.example} ({found.failing} rows)" for found in broken]
    return CheckResult(
        f"contract.{contract.name}",
        ok=all(found.rule in warnings for found in broken),
        failures=sum(found.failing for found in broken),
        message=" | ".join([*told[:RULES_SHOWN], *([f"{len(told)} rules in all"] if len(told) > RULES_SHOWN else [])]) or None,
        rows=tuple(FailingRow(found.rule, *_key_and_row(found.example), found.failing) for found in broken),
    )


def _key_and_row(example: str | None) -> tuple[str, str]:
    """The two parts of an example, a key and a row as JSON. Of a rule on the key there is that alone; it may hold anything."""
    text = example or ""
    for found in re.finditer(r": (?=\{)", text):
        with contextlib.suppress(ValueError):
            return text[: found.start()], holding(json.loads(text[found.end() :], parse_float=str))
    return text, ""


def holding(row: Mapping[str, Any]) -> str:
    """What a row holds, for people."""
    return ", ".join(f"{name}: {'null' if value is None else value}" for name, value in row.items())


@functools.cache
def _contracts() -> tuple[TableContract, ...]:
    """The project's own, read once per process."""
    return read_contracts()
