"""Verify a warehouse: recompute digests from all rows, reconcile the layers, run whole-table tests and the contracts' rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pipeline.transform.apply import CheckResult, run_whole_tests, transformer_session
from pipeline.transform.checks import Checked, whole_table_checks
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import Session, recomputed_digests, stored_digests, view_digests
from pipeline.warehouse.months import archived_months, month_text

# Of archived months there are neither bodies nor silver rows to compare with: they are left out, and named in the report.
_HERE: Final = "not exists (select 1 from ops.archived_months as archived where archived.month = ops.month_of({time}))"
_WHOLE: Final = (
    "select e.event_id from gold.events as e where e.first_seen_at >="
    " coalesce((select max(archived.month) from ops.archived_months as archived) + interval '1 month', '-infinity')"
)

# name → a query of the rows that break it; each must return none
RECONCILIATIONS: Final = {
    "every_body_is_there": f"""
        select exchanges.exchange_id from bronze.exchanges as exchanges
        where exchanges.body_sha256 is not null and {_HERE.format(time="exchanges.captured_at")}
            and not exists (
                select 1 from bronze.bodies as bodies
                where bodies.body_sha256 = exchanges.body_sha256 and bodies.month = ops.month_of(exchanges.captured_at)
            )
    """,
    "bodies_hash_to_their_key": """
        select bodies.body_sha256 from bronze.bodies as bodies
        where encode(sha256(bodies.body), 'hex') <> bodies.body_sha256 or octet_length(bodies.body) <> bodies.byte_count
    """,
    "every_outcome_in_silver_once": f"""
        select ledger.exchange_id from ops.ledger as ledger
        join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id
        left join (select exchange_id, count(*) as rows from silver.quotes group by exchange_id) as found
            on found.exchange_id = ledger.exchange_id
        where coalesce(found.rows, 0) <> case when ledger.applied
                then ledger.outcomes + ledger.held_outcomes - ops.outcomes_in(ledger.exchange_id, ledger.applied_held)
                else 0
            end
            and {_HERE.format(time="exchanges.captured_at")}
    """,
    "nothing_in_silver_that_is_not_applied": """
        select quotes.exchange_id from (select distinct exchange_id from silver.quotes) as quotes
        left join ops.ledger as ledger on ledger.exchange_id = quotes.exchange_id
        where ledger.applied is distinct from true
    """,
    # the prices that silver saw, one per series and moment (and time), are the observations that gold's rows count
    "every_quote_in_price_history": f"""
        select coalesce(seen.series_id, told.series_id)
        from (
            select series_id, line_rank, count(distinct last_at) as times
            from (
                select series_id, line_rank, moment_at, max(captured_at) as last_at
                from silver.quotes where event_id in ({_WHOLE}) group by series_id, line_rank, moment_at
            ) as moments
            group by series_id, line_rank
        ) as seen
        full join (
            select series_id, line_rank, sum(observations) as times from gold.price_history_now
            where event_id in ({_WHOLE}) group by series_id, line_rank
        ) as told on told.series_id = seen.series_id and told.line_rank = seen.line_rank
        where seen.times is distinct from told.times
    """,
}


@dataclass(frozen=True, slots=True)
class VerifyReport(Checked):
    """What was verified.

    Attributes:
        checks: digests, reconciliations, dbt's whole-table tests, and the contracts' rules.
        digests: of stored tables, recomputed from all rows.
        view_digests: of views.
        outcomes_in_silver: rows of silver.quotes.
        outcomes_in_bodies: outcome objects in the bodies of applied answers, as counted in Python when they were loaded;
            without those of elements that are held back.
        outcomes_in_elements: those of elements of applied answers that are held back.
        outcomes_in_answers: those of answers that are not applied.
        answers: how many answers are quarantined, waived and withdrawn, by verdict.
        archived: the months that are archived, as ``2025-10``; their bodies and silver rows are not here to be verified.
    """

    checks: tuple[CheckResult, ...]
    digests: dict[str, str]
    view_digests: dict[str, str]
    outcomes_in_bodies: int
    outcomes_in_silver: int
    outcomes_in_elements: int
    outcomes_in_answers: int
    answers: dict[str, int]
    archived: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "checks": len(self.checks),
            "failed_checks": len(self.failed),
            "failed": [{"name": check.name, "failures": check.failures, "message": check.message} for check in self.failed],
            "outcomes": {
                "in_bodies": self.outcomes_in_bodies,
                "in_silver": self.outcomes_in_silver,
                "held_by_element": self.outcomes_in_elements,
                "of_answers_held_back": self.outcomes_in_answers,
            },
            "answers": self.answers,
            "archived": list(self.archived),
            "digests": self.digests,
            "views": self.view_digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{len(self.checks)} checks, {len(self.failed)} failed"]
        lines += [f"  failed: {check.line}" for check in self.failed]
        lines.append(f"outcomes: {self.outcomes_in_bodies:,} in bodies, {self.outcomes_in_silver:,} in silver")
        if self.outcomes_in_elements or self.outcomes_in_answers:
            lines.append(
                f"outcomes held back: {self.outcomes_in_elements:,} by element, {self.outcomes_in_answers:,} with their answer"
            )
        lines.append(f"answers: {', '.join(f'{count:,} {verdict}' for verdict, count in self.answers.items())}")
        if self.archived:
            lines.append(f"archived, and not looked at: {', '.join(self.archived)}")
        return lines

    def every_digest(self) -> dict[str, str]:
        """The digest of each table and view."""
        return {**self.digests, **self.view_digests}


def verify(warehouse: Warehouse, engine: Engine) -> VerifyReport:
    """Verify a whole warehouse; changes nothing in it. Each view is computed once, and takes its room on the disk meanwhile."""
    with transformer_session(warehouse) as session:
        kept, recomputed = stored_digests(session), recomputed_digests(session)
        checks = [
            CheckResult(
                f"digest_{name}",
                kept[name] == digest,
                int(kept[name] != digest),
                None if kept[name] == digest else f"kept {kept[name]}, from the rows {digest}",
            )
            for name, digest in recomputed.items()
        ]
        checks += [_reconcile(session, name, query) for name, query in RECONCILIATIONS.items()]
        computed = engine.compute_views(session)
        checks += run_whole_tests(session, warehouse, engine, computed)
        checks += whole_table_checks(session, computed)
        views = view_digests(session, computed)
        outcomes = _outcomes(session)
        answers = _answers(session)
        archived = tuple(map(month_text, archived_months(session)))
    return VerifyReport(tuple(checks), recomputed, views, *outcomes, answers, archived)


def _reconcile(session: Session, name: str, query: str) -> CheckResult:
    with session.cursor() as cursor:
        cursor.execute(f"select count(*), min(broken.key::text) from ({query}) as broken (key)")
        count, first = cursor.fetchall()[0]
    return CheckResult(name, count == 0, count, None if count == 0 else f"{count} rows, the first {first}")


def _outcomes(session: Session) -> tuple[int, int, int, int]:
    """In bodies and in silver; held back by element, and with answers."""
    held = "case when ledger.applied then ops.outcomes_in(ledger.exchange_id, ledger.applied_held) else 0 end"
    with session.cursor() as cursor:
        cursor.execute(
            "select coalesce(sum(told.outcomes) filter (where told.applied), 0) - coalesce(sum(told.held), 0),"
            " (select count(*) from silver.quotes), coalesce(sum(told.held), 0),"
            " coalesce(sum(told.outcomes) filter (where not told.applied), 0)"
            f" from (select ledger.applied, ledger.outcomes + ledger.held_outcomes as outcomes, {held} as held"
            " from ops.ledger as ledger join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
            f" where {_HERE.format(time='exchanges.captured_at')}) as told"
        )
        in_bodies, in_silver, in_elements, in_answers = map(int, cursor.fetchall()[0])
    return in_bodies, in_silver, in_elements, in_answers


def _answers(session: Session) -> dict[str, int]:
    """How many answers the last verdict of somebody, or of the contract, keeps out or lets in all the same."""
    verdicts = ("quarantined", "waived", "withdrawn")
    with session.cursor() as cursor:
        cursor.execute(f"select {', '.join(f'coalesce(sum({name}), 0)' for name in verdicts)} from ops.batch_health")
        return dict(zip(verdicts, map(int, cursor.fetchall()[0]), strict=True))
