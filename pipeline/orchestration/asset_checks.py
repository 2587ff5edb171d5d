"""The checks: what is looked at for every batch, as it is published; and what looks at whole tables, at night.

That a batch is withheld is decided below, in the transaction that would have published it; a check here says why. Evaluations
are told per partition, one per table and kind, with the details inside.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster_shared.record import copy

from pipeline.bronze.batch_numbers import BatchNumbers
from pipeline.errors import SportsMarketError
from pipeline.orchestration.dagster_resources import WAREHOUSE_POOL, Workshop, said
from pipeline.orchestration.partitions import batches
from pipeline.orchestration.translator import CONTRACTS, STORED_MODELS, test_specs
from pipeline.replay.publish import Publication
from pipeline.replay.verify import verify
from pipeline.transform.apply import prepare
from pipeline.transform.checks import CheckResult
from pipeline.warehouse.digest import stored_tables

BATCHES: Final = dg.AssetKey(["bronze", "batches"])
EXCHANGES: Final = dg.AssetKey(["bronze", "exchanges"])
QUOTES: Final = dg.AssetKey(["silver", "quotes"])
PRICES: Final = dg.AssetKey(["gold", "price_history"])

TABLE_CONTRACTS: Final = dg.AssetKey(["contracts", "tables"])

CONTRACT: Final = "contract"
RECONCILIATION: Final = "outcomes_reconcile"
# Metadata of a check that could not be made.
NOT_MADE: Final = "not_made"

BRONZE: Final = (
    dg.AssetCheckSpec(
        "loaded", asset=BATCHES, partitions_def=batches, description="The sealed batch is in bronze, byte for byte."
    ),
    dg.AssetCheckSpec(
        "quarantine",
        asset=EXCHANGES,
        partitions_def=batches,
        description="No answer breaks its contract, nor any element of one.",
    ),
    dg.AssetCheckSpec(
        "drift",
        asset=EXCHANGES,
        partitions_def=batches,
        description="No new or lost field, type, market, book or sport, as known when the batch was loaded.",
    ),
)


# The checks of every batch on silver and gold.
STORED: Final = (
    *test_specs(blocking=True),
    *(
        dg.AssetCheckSpec(
            CONTRACT,
            asset=spec.key,
            additional_deps=[TABLE_CONTRACTS],
            partitions_def=batches,
            description="The rows that the batch touched keep the table's contract.",
        )
        for spec in STORED_MODELS
    ),
    *(
        dg.AssetCheckSpec(
            "determinism",
            asset=table.name.split("."),
            partitions_def=batches,
            description="The table is what the snapshot says, or what bronze gives anew for the batch's events.",
        )
        for table in stored_tables()
    ),
    dg.AssetCheckSpec(
        "reconciliation",
        asset=QUOTES,
        partitions_def=batches,
        description="Every outcome of every admitted answer is in silver exactly once, by a count in Python.",
    ),
    dg.AssetCheckSpec(
        "freshness",
        asset=PRICES,
        partitions_def=batches,
        description="The batch was in gold within the time that the contracts promise.",
    ),
)
DBT_BLOCKING: Final = {spec.name: spec.asset_key for spec in test_specs(blocking=True)}


# --- whole tables ----------------------------------------------------------------------------------------------------

DBT_NIGHTLY: Final = tuple(test_specs(blocking=False))
# Which table a reconciliation of the whole is shown with.
RECONCILED: Final = {
    "every_body_is_there": dg.AssetKey(["bronze", "bodies"]),
    "bodies_hash_to_their_key": dg.AssetKey(["bronze", "bodies"]),
    "every_outcome_in_silver_once": QUOTES,
    "nothing_in_silver_that_is_not_applied": QUOTES,
    "every_quote_in_price_history": PRICES,
}
DIGEST: Final = "digest"
WHOLE: Final = {
    **{spec.name: spec.key for spec in DBT_NIGHTLY},
    **{name: dg.AssetCheckKey(key, name) for name, key in RECONCILED.items()},
    **{f"{DIGEST}_{table.name}": dg.AssetCheckKey(dg.AssetKey(table.name.split(".")), DIGEST) for table in stored_tables()},
}


@dg.multi_asset_check(
    name="whole_tables",
    specs=[
        *DBT_NIGHTLY,
        *(
            dg.AssetCheckSpec(key.name, asset=key.asset_key, description="The kept digests are those of the rows.")
            if key.name == DIGEST
            else dg.AssetCheckSpec(key.name, asset=key.asset_key, description=f"Of all rows: {key.name.replace('_', ' ')}.")
            for name, key in WHOLE.items()
            if name not in {spec.name for spec in DBT_NIGHTLY}
        ),
    ],
    can_subset=True,
    pool=WAREHOUSE_POOL,
)
def whole_tables(context: dg.AssetCheckExecutionContext, workshop: Workshop) -> Iterator[dg.AssetCheckResult]:
    """Dbt's tests of whole tables, every digest from all rows, and bronze, silver and gold reconciled."""
    with said():
        prepare(workshop.warehouse, workshop.engine)
        report = verify(workshop.warehouse, workshop.engine)
    for result in report.checks:
        key = WHOLE.get(result.name)
        if key is not None and key in context.selected_asset_check_keys:
            yield _result(key, result.ok, rows_of(result), _in_short(result))


@dg.multi_asset_check(
    name="contract_suites",
    specs=[
        dg.AssetCheckSpec(
            f"suite_{schema}_{table}",
            asset=TABLE_CONTRACTS,
            additional_deps=[[schema, table]],
            description=f"All rows of {schema}.{table} keep its contract, by its suite of Great Expectations.",
        )
        for schema, table in CONTRACTS
    ],
    can_subset=True,
    pool=WAREHOUSE_POOL,
)
def contract_suites(context: dg.AssetCheckExecutionContext, workshop: Workshop) -> Iterator[dg.AssetCheckResult]:
    """The suites that are built from the contracts, of tables and of views."""
    from pipeline.contracts.commands import run  # what it stands on takes ten seconds to import

    wanted = {key.name for key in context.selected_asset_check_keys}
    with said():
        prepare(workshop.warehouse, workshop.engine)
        report = run(workshop.warehouse, [each for path, each in CONTRACTS.items() if "_".join(("suite", *path)) in wanted])
    for suite in report.suites:
        broken = [f"{each.rule}: {each.failing} rows, the first {each.example}" for each in suite.broken]
        rows = [dg.TableRecord({"rule": each.rule, "rows": each.failing, "first": str(each.example)}) for each in suite.broken]
        details = {"rules": suite.rules, "version": suite.version, **({"broken": dg.MetadataValue.table(rows)} if rows else {})}
        key = dg.AssetCheckKey(TABLE_CONTRACTS, f"suite_{suite.contract.replace('.', '_')}")
        text = " | ".join([*([suite.problem] if suite.problem else []), *broken]) or None
        yield _result(key, suite.ok, details, text)


NIGHTLY: Final = (whole_tables, contract_suites)


# --- evaluations -----------------------------------------------------------------------------------------------------


def tell(context: dg.AssetExecutionContext | dg.OpExecutionContext, *evaluations: dg.AssetCheckEvaluation) -> None:
    """Log those that were asked for (in a job without assets: all), each of the newest materialization of its partition.

    Dagster shows none that is of an older one.
    """
    asked = context.selected_asset_check_keys if isinstance(context, dg.AssetExecutionContext) else None
    newest: dict[dg.AssetKey, AssetCheckEvaluationTargetMaterializationData | None] = {}
    for each in evaluations:
        if asked is None or each.asset_check_key in asked:
            if each.asset_key not in newest:
                newest[each.asset_key] = _newest_materialization(context.instance, each)
            told = copy(each, target_materialization_data=newest[each.asset_key])
            context.log_event(told)  # type: ignore[arg-type]  # an op takes evaluations too; its type leaves them out


def _newest_materialization(
    instance: dg.DagsterInstance, evaluation: dg.AssetCheckEvaluation
) -> AssetCheckEvaluationTargetMaterializationData | None:
    wanted = dg.AssetRecordsFilter(evaluation.asset_key, asset_partitions=[str(evaluation.partition)])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        return AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
    return None


def loaded(batch_id: str, error: SportsMarketError | None = None) -> dg.AssetCheckEvaluation:
    """Whether a batch is in bronze."""
    details = {} if error is None else {"code": error.code, "next": error.next_step}
    return _evaluation(BATCHES, "loaded", batch_id, error is None, details, None if error is None else error.message)


def quarantine(batch_id: str, numbers: BatchNumbers) -> dg.AssetCheckEvaluation:
    """How many answers are quarantined and elements held back, and why the first of them are."""
    details: dict[str, Any] = {
        "quarantined": numbers.quarantined,
        "answers": numbers.answers,
        "elements held back": numbers.held,
    }
    if numbers.findings:
        details["findings"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "request": each.request,
                        "rule": each.rule,
                        "where": each.pointer,
                        "value": each.value,
                        "what": each.message,
                    }
                )
                for each in numbers.findings
            ]
        )
    told = [f"{numbers.quarantined} of {numbers.answers} answers are quarantined"] if numbers.quarantined else []
    told += [f"{numbers.held} elements of answers are held back"] if numbers.held else []
    text = "; ".join(told) or None
    return _evaluation(EXCHANGES, "quarantine", batch_id, not told, details, text, dg.AssetCheckSeverity.WARN)


def drift(batch_id: str, numbers: BatchNumbers) -> dg.AssetCheckEvaluation:
    """What the batch brought that no batch before it showed."""
    found = {"drifts": numbers.drifts}
    return _evaluation(EXCHANGES, "drift", batch_id, not numbers.drifts, found, numbers.drift, dg.AssetCheckSeverity.WARN)


def published(batch_id: str, one: Publication) -> Iterator[dg.AssetCheckEvaluation]:
    """Every check of a batch on silver and gold; of one that is withheld, some could not be made."""
    found = {each.asset_check_key: each for each in _made(batch_id, one)}
    yield from found.values()
    yield from not_made(batch_id, (spec.key for spec in STORED if spec.key not in found), "the batch is withheld")


def not_made(batch_id: str, keys: Iterable[dg.AssetCheckKey], why: str) -> Iterator[dg.AssetCheckEvaluation]:
    """Checks that have nothing to look at: a warning, since Dagster takes what it hears nothing of for failed."""
    for key in keys:
        text = f"Not looked at: {why}."
        yield _evaluation(key.asset_key, key.name, batch_id, False, {NOT_MADE: True}, text, dg.AssetCheckSeverity.WARN)


def _made(batch_id: str, one: Publication) -> Iterator[dg.AssetCheckEvaluation]:
    for result in one.applied.checks:
        key = DBT_BLOCKING.get(result.name)
        if result.name.startswith(f"{CONTRACT}."):
            yield _of_result(dg.AssetKey(result.name.removeprefix(f"{CONTRACT}.").split(".")), CONTRACT, batch_id, result)
        elif result.name == RECONCILIATION:
            yield _of_result(QUOTES, "reconciliation", batch_id, result)
        elif key is not None:
            yield _of_result(key, result.name, batch_id, result)
    for each in one.comparisons:
        details = {"method": each.method, "compared": each.compared, "differing": each.differing}
        yield _evaluation(dg.AssetKey(each.table.split(".")), "determinism", batch_id, each.ok, details, each.message)
    promised = CONTRACTS[tuple(PRICES.path)].latency
    if one.published and promised is not None:
        fresh = one.latency_seconds <= promised.total_seconds()
        details = {"latency_seconds": one.latency_seconds, "promised_seconds": promised.total_seconds()}
        yield _evaluation(
            PRICES, "freshness", batch_id, fresh, details, None if fresh else "later than promised", dg.AssetCheckSeverity.WARN
        )


def _result(key: dg.AssetCheckKey, passed: bool, details: Mapping[str, Any], text: str | None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        asset_key=key.asset_key,
        check_name=key.name,
        metadata={**details, **_found(details, text)},
        description=text,
    )


def _of_result(key: dg.AssetKey, name: str, batch_id: str, result: CheckResult) -> dg.AssetCheckEvaluation:
    return _evaluation(key, name, batch_id, result.ok, rows_of(result), _in_short(result))


def _in_short(result: CheckResult) -> str | None:
    """What failed: the rules, where the rows stand in a table beside it; else its message."""
    if not result.rows:
        return result.message
    return f"{result.failures:,} rows: {' | '.join(dict.fromkeys(row.rule for row in result.rows))}"


def rows_of(result: CheckResult) -> dict[str, Any]:
    """How many rows a check found, and the first of them as a table."""
    records = [
        dg.TableRecord(
            {"rule": row.rule, **({} if row.rows is None else {"rows": row.rows}), "key": row.key, "holds": row.holds}
        )
        for row in result.rows
    ]
    return {"failing_rows": result.failures, **({"rows": dg.MetadataValue.table(records)} if records else {})}


def _found(details: Mapping[str, Any], text: str | None) -> dict[str, str]:
    """The text again, for lists that show no description; nothing that would push a table of rows off the screen."""
    return {"found": text} if text and "rows" not in details else {}


def _evaluation(
    key: dg.AssetKey,
    name: str,
    batch_id: str,
    passed: bool,
    details: Mapping[str, Any],
    text: str | None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=passed,
        metadata={**details, **_found(details, text)},
        description=text,
        severity=severity,
        partition=batch_id,
    )
