"""Suites of Great Expectations, built from the tables' contracts and run on a whole warehouse as its reader.

Great Expectations is imported when a suite is first built: it costs seconds, once per process. Rules are tested for yes or no;
which rows break them is asked only where one is broken.
"""

from __future__ import annotations

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from pipeline.contracts.freshness import Freshness
from pipeline.contracts.row_rules import RuleCount, rows_query, types_query
from pipeline.contracts.tables import TableContract
from pipeline.warehouse.connect import Role, Warehouse

# columns in order; types; rules of rows
EXPECTATIONS_PER_SUITE: Final = 3
DATASOURCE: Final = "warehouse"


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What the suite of one contract found.

    Attributes:
        contract: ``schema.table``.
        version: of the contract.
        evaluated: expectations that ran.
        rules: rules of rows within them.
        broken: rules that some row breaks, warnings among them.
        warnings: names of the broken rules that are warnings only.
        problem: why the suite did not run, or what else failed; None where nothing did.
    """

    contract: str
    version: str
    evaluated: int
    rules: int
    broken: tuple[RuleCount, ...]
    warnings: tuple[str, ...]
    problem: str | None

    @property
    def ok(self) -> bool:
        """Whether the suite ran, and nothing but warnings was found."""
        return self.problem is None and not any(rule.rule not in self.warnings for rule in self.broken)


@dataclass(frozen=True, slots=True)
class SuitesReport:
    """What the suites of all contracts found.

    Attributes:
        suites: their results.
        freshness: of the tables with a declared latency, where it was asked for.
        must_be_fresh: whether a stale table is a failure; else it is a warning.
    """

    suites: tuple[SuiteResult, ...]
    freshness: tuple[Freshness, ...] = ()
    must_be_fresh: bool = False

    @property
    def exit_code(self) -> int:
        """0, or 1 where a suite failed, did not run, or there was none; and where a table is stale that must be fresh."""
        is_late = self.must_be_fresh and not (self.freshness and all(each.is_fresh for each in self.freshness))
        return 0 if self.suites and all(suite.ok for suite in self.suites) and not is_late else 1

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "contracts": len(self.suites),
            "failed": sum(not suite.ok for suite in self.suites),
            "suites": [
                {
                    "contract": suite.contract,
                    "version": suite.version,
                    "ok": suite.ok,
                    "expectations": suite.evaluated,
                    "rules": suite.rules,
                    "broken": [
                        {
                            "rule": each.rule,
                            "rows": each.failing,
                            "example": each.example,
                            "severity": "warning" if each.rule in suite.warnings else "error",
                        }
                        for each in suite.broken
                    ],
                    "problem": suite.problem,
                }
                for suite in self.suites
            ],
            "must_be_fresh": self.must_be_fresh,
            "freshness": [each.to_json() for each in self.freshness],
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = []
        for suite in self.suites:
            lines.append(f"{'ok    ' if suite.ok else 'FAILED'} {suite.contract} {suite.version}: {suite.rules} rules")
            lines += [f"         {each.rule}: {each.failing} rows, the first {each.example}" for each in suite.broken]
            if suite.problem is not None:
                lines.append(f"         {suite.problem}")
        told = Counter((each.is_fresh, each.line()) for each in self.freshness)
        word = "FAILED" if self.must_be_fresh else "stale "
        lines += [f"{'fresh ' if is_fresh else word} {count} contracts: {line}" for (is_fresh, line), count in told.items()]
        failed = sum(not suite.ok for suite in self.suites)
        lines.append(f"{len(self.suites)} contracts, {sum(suite.rules for suite in self.suites)} rules, {failed} failed")
        return lines


def build_suite(contract: TableContract) -> Any:
    """The suite of a contract: a ``great_expectations.ExpectationSuite``."""
    gx = _great_expectations()
    from pipeline.contracts.expectations import ExpectContractRulesToHold

    return gx.ExpectationSuite(
        name=contract.name,
        expectations=[
            gx.expectations.ExpectTableColumnsToMatchOrderedList(column_list=[column.name for column in contract.columns]),
            ExpectContractRulesToHold(
                query=types_query(contract),
                rules={f"{column.name}_has_its_type": column.physical_type for column in contract.columns},
            ),
            ExpectContractRulesToHold(
                query=rows_query(contract), rules={rule.name: rule.description for rule in contract.rules}
            ),
        ],
    )


def run_suites(
    warehouse: Warehouse, contracts: Sequence[TableContract], progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[SuiteResult, ...]:
    """Run the suite of each contract on all rows, as the reader. A suite that did not run is a failure.

    Args:
        warehouse: which one.
        contracts: whose suites.
        progress: called after each with how many of how many are done.

    Raises:
        WarehouseError: the database cannot be reached.
    """
    # a session of ours first: it tells what is wrong with a database in our words
    with warehouse.connect(Role.READER) as connection:
        host = connection.info.host
        there = {
            row[0]
            for row in connection.execute(
                "select n.nspname || '.' || c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
                " where c.relkind in ('r', 'p', 'v', 'm')"
            )
        }
    context = _context()
    source = context.data_sources.add_or_update_postgres(DATASOURCE, connection_string=_url(warehouse, host))
    try:
        results = []
        for contract in contracts:
            is_there = contract.name in there
            results.append(_run(source, contract) if is_there else _not_run(contract, "the database has no such table or view"))
            progress(len(results), len(contracts))
        return tuple(results)
    finally:
        source.get_engine().dispose()
        context.data_sources.delete(DATASOURCE)


def write_data_docs(contracts: Sequence[TableContract], folder: Path) -> None:
    """Render the suites as Data Docs of Great Expectations.

    Args:
        contracts: whose suites.
        folder: new or empty; its ``index.html`` is the beginning.
    """
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        site_name="contracts",
        site_config={
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.absolute())},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    for contract in contracts:
        context.suites.add(build_suite(contract))
    context.build_data_docs(site_names=["contracts"])


def _run(source: Any, contract: TableContract) -> SuiteResult:
    asset = source.add_table_asset(contract.name, table_name=contract.table, schema_name=contract.schema)
    batch = asset.add_batch_definition_whole_table("all rows").get_batch()
    suite = _suite(contract)
    found = batch.validate(suite, result_format="BOOLEAN_ONLY")
    if not found.success:
        found = batch.validate(suite, result_format="COMPLETE")
    evaluated = int(found.statistics["evaluated_expectations"])
    problems = [] if evaluated == EXPECTATIONS_PER_SUITE else [f"{evaluated} of {EXPECTATIONS_PER_SUITE} expectations ran"]
    broken: list[RuleCount] = []
    for each in found.results:
        if each.success:
            continue
        details = (each.result or {}).get("details") or {}
        if "broken" in details:
            broken += [RuleCount(*rule) for rule in details["broken"]]
        elif _raised(each.exception_info):
            problems.append(f"{each.expectation_config.type} did not run: {_raised(each.exception_info)}")
        else:
            problems.append(f"columns: found {', '.join((each.result or {}).get('observed_value') or ())}")
    if not found.success and not broken and not problems:
        problems.append("it failed once, and passed when asked why")
    warnings = {rule.name for rule in contract.rules if rule.severity == "warning"}
    return SuiteResult(
        contract.name,
        contract.version,
        evaluated,
        len(contract.rules),
        tuple(broken),
        tuple(each.rule for each in broken if each.rule in warnings),
        "; ".join(problems) or None,
    )


def _not_run(contract: TableContract, why: str) -> SuiteResult:
    return SuiteResult(contract.name, contract.version, 0, len(contract.rules), (), (), f"the suite did not run: {why}")


def _raised(info: Any) -> str:
    """The first line of each exception that Great Expectations caught; empty where there was none."""
    infos = [info] if "raised_exception" in (info or {}) else list((info or {}).values())
    messages = [str(each.get("exception_message")) for each in infos if each and each.get("raised_exception")]
    return "; ".join(message.partition("\n")[0] for message in messages)


@functools.lru_cache(maxsize=256)
def _suite(contract: TableContract) -> Any:
    return build_suite(contract)


@functools.cache
def _context() -> Any:
    """One ephemeral context per process; it writes nothing to the disk."""
    context = _great_expectations().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context


def _great_expectations() -> Any:
    # before the import, which reads it; whoever sets it keeps it
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations

    # the second sets a level of its own
    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return great_expectations


def _url(warehouse: Warehouse, host: str) -> str:
    """The reader's connection as SQLAlchemy writes it. It holds the password: never print it."""
    words = {name: str(value) for name, value in conninfo_to_dict(warehouse.conninfo(Role.READER)).items() if value}
    user, password = quote(words.pop("user"), safe=""), quote(words.pop("password", ""), safe="")
    port, dbname = words.pop("port", "5432"), quote(words.pop("dbname"), safe="")
    words.pop("host", None)
    # Great Expectations insists on a host; a socket's folder is a parameter, and wins
    if host.startswith("/"):
        words["host"], host = host, "localhost"
    login = f"{user}:{password}" if password else user
    return f"postgresql+psycopg://{login}@{host}:{port}/{dbname}?{urlencode(words, quote_via=quote)}"
