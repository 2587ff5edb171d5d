"""Apply batches to silver and gold: prepare, models, checks, progress; one transaction, published whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol

import psycopg
import psycopg2
import psycopg2.errors

from pipeline.clock import Clock, to_iso
from pipeline.contracts.drift_store import CHECK as DRIFT_CHECK
from pipeline.errors import CheckFailed, WarehouseError
from pipeline.transform.alerts import raise_alerts, raise_withheld
from pipeline.transform.anew import REBUILT, Comparison, borne_on, check_of, compare_anew
from pipeline.transform.checks import Checked, FailingRow, batch_checks, holding, is_aborted
from pipeline.transform.checks import CheckResult as CheckResult
from pipeline.transform.checks import Session as Session
from pipeline.transform.computed import Computed
from pipeline.transform.engine import Engine, NodeResult, Work
from pipeline.transform.fingerprints import stored_fingerprints, write_fingerprints
from pipeline.transform.preparing import PreparingSession, send
from pipeline.transform.upkeep import empty_scratch, note_growth, refresh_statistics
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import refresh_digests
from pipeline.warehouse.months import refuse_any_archived
from pipeline.warehouse.psycopg2_session import open_session

# Of two transformations of a database the second one waits. Nobody but the transformer and the owner may lock this table, and
# whoever only reads it, such as a backup, is in nobody's way.
TRANSFORM_LOCK: Final = "lock table ops.transform_lock in exclusive mode"
# In one round trip; the savepoint goes with the patience that was set in it.
_TAKE_LOCK: Final = (
    "savepoint waiting; set local lock_timeout = '{patience}s'; {lock};"
    " release savepoint waiting; set local lock_timeout = '{patience_after}s'"
)
# So long nothing is told; so often an interrupt is heeded while it waits.
_PATIENCE_SECONDS: Final = 2
_LOG: Final = logging.getLogger("sports_market")
# What each work of an engine does, for who wants to be told.
_SAID_OF: Final[Mapping[Work, str]] = {
    "make": "making relations",
    "batch": "applying a batch",
    "silver": "computing silver anew",
    "blocking": "running the tests between tables",
    "whole": "running the tests of whole tables",
}
# Of what broke a check, so many rows are told.
ROWS_SHOWN: Final = 3
# … and so many are kept, for who has the room of a table.
ROWS_KEPT: Final = 20
# The partitions of silver that the batches need; what is archived is refused later, where it can be said in full.
_MAKE_MONTHS: Final = """
select ops.make_months(parted.partrelid::regclass, needed.months)
from pg_partitioned_table as parted
join pg_class as parent on parent.oid = parted.partrelid
cross join (
    select array_agg(distinct ops.month_of(exchanges.captured_at)) as months
    from ops.ledger as ledger
    join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id
    where ledger.batch_id = any ($1)
        and not ledger.is_settled
        and ops.month_of(exchanges.captured_at) not in (select archived_months.month from ops.archived_months)
) as needed
where parent.relnamespace = 'silver'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Applied(Checked):
    """What became of the batches of one run.

    Attributes:
        batch_ids: the batches.
        published: False where a check failed: nothing of them is in silver or gold, and they are withheld.
        checks: every blocking check: dbt's in its order, the contracts' of the stored tables, the count of outcomes; where the
            batches are proven, ``rebuilt``.
        comparisons: of that last check, per gold table; empty where it was not made.
    """

    batch_ids: tuple[str, ...]
    published: bool
    checks: tuple[CheckResult, ...]
    comparisons: tuple[Comparison, ...] = ()


class Transformer:
    """The transformer's one connection of a run: made with its first transaction, kept for the next ones, made anew where lost.

    What the server learned on it (catalog, functions, plans) is there for the next batch. A context manager: leaving closes it.

    Attributes:
        warehouse: where it connects to.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self._session: PreparingSession | None = None

    def __enter__(self) -> Transformer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next transaction makes another one. Closing twice is fine."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction, under the transform lock; rolled back unless it is committed.

        A connection that was lost since the last one is made anew. One on which something failed is not used again.

        Raises:
            WarehouseError: ``TRANSFORM_LOCK_TIMEOUT``: another one held it for longer than ``warehouse.lock_seconds``; or one
                of connecting.
        """
        session = self._at_hand()
        try:
            take_transform_lock(session, self.warehouse)
            yield session
        except BaseException:
            self.close()
            raise
        try:
            session.rollback()
        except psycopg2.Error:  # it is gone, and so is what was not committed
            self.close()

    def _at_hand(self) -> PreparingSession:
        if self._session is not None:
            try:
                self._session.begin_run()
            except psycopg2.Error:
                # the server ended it while it was idle, or went away and may be there again
                self.close()
        if self._session is None:
            self._session = _connected(self.warehouse)
        return self._session


@contextmanager
def transformer_session(warehouse: Warehouse) -> Iterator[Session]:
    """A session of the transformer for one transaction, as :meth:`Transformer.transaction` has it, closed after it.

    Raises:
        WarehouseError: ``TRANSFORM_LOCK_TIMEOUT``; or one of connecting.
    """
    with Transformer(warehouse) as transformer, transformer.transaction() as session:
        yield session


def _connected(warehouse: Warehouse) -> PreparingSession:
    settings = {
        "work_mem": "64MB",
        # what is looked up per element of an answer never comes twice: hashing the elements costs more than the look-up
        "enable_memoize": "off",
        # what names batches is planned for any batches: a plan for each would cost more than it does
        "plan_cache_mode": "force_generic_plan",
        # no statement waits for ever for a table that somebody else holds
        "lock_timeout": f"{warehouse.lock_seconds}s",
    }
    return open_session(warehouse, Role.TRANSFORMER, PreparingSession, settings)


@contextmanager
def _transaction(at: Warehouse | Transformer) -> Iterator[Session]:
    with transformer_session(at) if isinstance(at, Warehouse) else at.transaction() as session:
        yield session


def take_transform_lock(session: Session | Connection, warehouse: Warehouse) -> None:
    """Take the transform lock for the transaction at hand; while another one holds it, wait, and tell whose it is.

    Args:
        session: of the transformer or the owner.
        warehouse: says how long to wait.

    Raises:
        WarehouseError: ``TRANSFORM_LOCK_TIMEOUT``.
    """
    for waited in range(0, warehouse.lock_seconds, _PATIENCE_SECONDS):
        patience = min(_PATIENCE_SECONDS, warehouse.lock_seconds - waited)
        with session.cursor() as cursor:
            try:
                cursor.execute(_TAKE_LOCK.format(patience=patience, lock=TRANSFORM_LOCK, patience_after=warehouse.lock_seconds))
            except (psycopg2.errors.LockNotAvailable, psycopg.errors.LockNotAvailable):
                cursor.execute("rollback to savepoint waiting")
                cursor.execute("release savepoint waiting")
                if waited == 0:
                    _LOG.warning("Waiting for another transformation of %s: %s.", warehouse.place, _holders(session))
                continue
            return
    raise WarehouseError(
        "TRANSFORM_LOCK_TIMEOUT",
        f"Another transformation of {warehouse.place} goes on for more than {warehouse.lock_seconds} s: {_holders(session)}.",
        "Nothing was changed. Run it again when it has ended (SPORTS_MARKET_LOCK_SECONDS is how long to wait), or end one that"
        " hangs, as its user: select pg_terminate_backend(PID).",
    )


def _holders(session: Session | Connection) -> str:
    """Who transforms, in words; application names are anybody's, so what could forge a line is escaped."""
    with session.cursor() as cursor:
        cursor.execute("select pid, application_name, user_name, since from ops.transform_lock_holders()")
        rows = cursor.fetchall()
    told = [
        f"process {pid} ({application!a}, user {user!a}) since {'an unknown time' if since is None else to_iso(since)}"
        for pid, application, user, since in rows
    ]
    return "; ".join(told) or "it has just ended"


def prepare(at: Warehouse | Transformer, engine: Engine) -> bool:
    """Make silver's and gold's relations where there are none yet; check that what is there was made by this code.

    Args:
        at: a warehouse, bootstrapped; or the connection to one that a run keeps.
        engine: what runs the project's SQL.

    Returns:
        Whether they were made now.

    Raises:
        WarehouseError: ``MODELS_CHANGED``: rows of other code; names the models and the command that rebuilds them.
    """
    warehouse = at if isinstance(at, Warehouse) else at.warehouse
    wanted = engine.fingerprints()
    with _transaction(at) as session:
        found = stored_fingerprints(session)
        if not found:
            # Empty: what is sealed is published by its own run, with its checks. No batch has this name.
            _execute(session, "delete from ops.run_batches")
            _execute(session, "insert into ops.run_batches values ('')")
            _make_relations(session, warehouse, engine)
            _execute(session, "delete from ops.run_batches")
            write_fingerprints(session, wanted)
            session.commit()
            return True
    changed = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if changed:
        raise WarehouseError(
            "MODELS_CHANGED",
            f"The rows in {warehouse.place} were computed by other code; what differs: {', '.join(changed)}.",
            "Run `sports-market rebuild` to compute silver and gold anew from bronze.",
        )
    return False


def rebuild(warehouse: Warehouse, engine: Engine) -> None:
    """Compute silver and gold anew from the admitted answers of all published batches, in one transaction.

    Readers wait while it swaps the tables, and see the old rows or the new ones.

    Raises:
        WarehouseError: ``REBUILD_FAILED``: a model or a check failed; ``WAREHOUSE_BUSY``: readers never left the tables alone;
            ``MONTHS_ARCHIVED``: some of the answers are not here. Everything is as it was.
    """
    with transformer_session(warehouse) as session:
        refuse_any_archived(session, "To compute silver and gold anew")
        _lock_out_readers(session, warehouse)
        _execute(session, "delete from ops.run_batches")
        _make_relations(session, warehouse, engine)
        tested = _run(session, warehouse, engine, "blocking")
        checks = _checks(tested, session, dict.fromkeys(engine.scopes(), "true"))
        failed = [check for check in checks if not check.ok]
        if failed:
            raise WarehouseError(
                "REBUILD_FAILED",
                f"{failed[0].line} ({len(failed)} checks failed).",
                "The warehouse is as it was. Mend the model, and rebuild again.",
            )
        _execute(session, "update ops.batch_states set state = 'published', detail = null where state = 'sealed'")
        _settle(session)
        refresh_digests(session, whole=True)
        write_fingerprints(session, engine.fingerprints())
        note_growth(session)
        session.commit()
        refresh_statistics(session)


def apply_batches(
    at: Warehouse | Transformer,
    engine: Engine,
    batch_ids: Sequence[str],
    clock: Clock,
    before_commit: Callable[[Session], None] = lambda session: None,
    *,
    prove: bool = False,
) -> Applied:
    """Apply sealed batches: silver, gold, checks and progress are committed together, or the batches are withheld.

    Args:
        at: a warehouse, bootstrapped and prepared; or the connection to one that a run keeps.
        engine: what runs the project's SQL.
        batch_ids: loaded batches; those already applied cost a look.
        clock: dates states and checks; nothing in silver or gold depends on it.
        before_commit: called within the transaction once everything passed, e.g. to read digests and row changes.
        prove: before the commit, compute the events that they bear on anew from bronze and compare: the check ``rebuilt``.
            What that check held back before is always proven.
    """
    warehouse = at if isinstance(at, Warehouse) else at.warehouse
    with _transaction(at) as session:
        # before what fills them: a reader whose query was planned without a month must not see what is computed from its rows
        _send(session, _MAKE_MONTHS, [list(batch_ids)])
        empty_scratch(session)
        take_transform_lock(session, warehouse)
        _execute(session, "delete from ops.run_batches")
        _execute(session, "insert into ops.run_batches select unnest(%s::text[])", [list(batch_ids)])
        checks = _checks(_run(session, warehouse, engine, "batch"), session, engine.scopes())
        comparisons: tuple[Comparison, ...] = ()
        if all(check.ok for check in checks):
            raise_alerts(session, batch_ids)
            _settle(session)
            if prove or _was_not_rebuilt(session, batch_ids):
                _LOG.debug("In %s: computing the events of the batch anew.", warehouse.place)
                comparisons = compare_anew(session, warehouse, engine, borne_on(session, batch_ids, by_run=True))
                checks += (check_of(comparisons),)
        published = all(check.ok for check in checks)
        if published:
            _note_states(session, batch_ids, "published", None, clock)
            refresh_digests(session)
            before_commit(session)
        else:
            session.rollback()
            reasons = ", ".join(check.name for check in checks if not check.ok)
            _note_states(session, batch_ids, "withheld", f"failed: {reasons}", clock)
            raise_withheld(session, batch_ids, reasons)
        _note_checks(session, batch_ids, checks, clock)
        note_growth(session)
        session.commit()
        refresh_statistics(session)
    return Applied(tuple(batch_ids), published, checks, comparisons)


class ComputedGold(Protocol):
    """Gold that was computed elsewhere, to be put where none is."""

    def allow(self, session: Session) -> None:
        """See that nothing is in its way; raises where something is. Nobody else transforms meanwhile."""

    def fill(self, session: Session) -> None:
        """Put its rows into gold's stored tables; raises where the ledger has other answers than those that it is made of."""

    def prove(self, session: Session) -> None:
        """Raise where what stands now is not what was computed."""


def publish_computed(
    at: Warehouse | Transformer, engine: Engine, batch_ids: Sequence[str], clock: Clock, gold: ComputedGold
) -> tuple[CheckResult, ...]:
    """Publish sealed batches, all in one transaction, with gold that was computed elsewhere.

    Silver is flattened from their bodies, which costs about what the loading of these does; gold is not computed. All that is
    checked of rows of a rebuild is checked of these.

    Args:
        at: a warehouse, bootstrapped and prepared, in which nothing is published; or the connection to one.
        engine: what runs the project's SQL.
        batch_ids: all that it holds.
        clock: dates states and checks.
        gold: the rows.

    Returns:
        What was checked.

    Raises:
        CheckFailed: ``GOLD_REFUSED``: a model of silver, or a check, failed. Nothing is published; the batches stay sealed.
        SportsMarketError: what ``gold`` raises; so does nothing of it stay.
    """
    warehouse = at if isinstance(at, Warehouse) else at.warehouse
    with _transaction(at) as session:
        gold.allow(session)
        _send(session, _MAKE_MONTHS, [list(batch_ids)])
        _execute(session, "delete from ops.run_batches")
        _execute(session, "insert into ops.run_batches select unnest(%s::text[])", [list(batch_ids)])
        flattened = _run(session, warehouse, engine, "silver")
        if all(result.ok for result in flattened):
            # from here on the ledger says what gold is to be made of
            _settle(session)
            _note_states(session, batch_ids, "published", None, clock)
            gold.fill(session)
            flattened += _run(session, warehouse, engine, "blocking")
        checks = _checks(flattened, session, dict.fromkeys(engine.scopes(), "true"))
        failed = [check for check in checks if not check.ok]
        if failed:
            raise CheckFailed(
                "GOLD_REFUSED",
                f"{failed[0].line} ({len(failed)} checks failed).",
                "Nothing of it was published. Load the recordings without the lake (`sports-market load DIR`): it computes gold"
                " here, and tells which batch it is.",
            )
        raise_alerts(session, batch_ids)
        refresh_digests(session, whole=True)
        gold.prove(session)
        _note_checks(session, batch_ids, checks, clock)
        note_growth(session)
        session.commit()
        refresh_statistics(session)
    return checks


def restore_silver(warehouse: Warehouse, engine: Engine, months: Sequence[dt.date]) -> None:
    """Compute the silver rows of archived months anew from their bodies, which are back; from then on they are not archived.

    Gold is not touched: it is what it was when they were archived.

    Args:
        warehouse: prepared; bronze has the bodies of these months.
        engine: what runs the project's SQL.
        months: the latest archived ones.

    Raises:
        WarehouseError: ``RESTORE_FAILED``: a model failed, or silver would not hold what the bodies do. All is as it was.
    """
    with transformer_session(warehouse) as session:
        with session.cursor() as cursor:
            cursor.execute("delete from ops.archived_months returning month, recording, batches, archived_at")
            others = [row for row in cursor.fetchall() if row[0] not in months]
            cursor.execute(
                "update ops.ledger as ledger set applied = false from bronze.exchanges as exchanges"
                " where exchanges.exchange_id = ledger.exchange_id and ledger.applied"
                " and ops.month_of(exchanges.captured_at) = any (%s)",
                [list(months)],
            )
            answers = cursor.rowcount
            cursor.execute("delete from ops.run_batches")
            cursor.execute(
                "insert into ops.run_batches select distinct exchanges.batch_id from bronze.exchanges as exchanges"
                " where ops.month_of(exchanges.captured_at) = any (%s)",
                [list(months)],
            )
        checks = [
            *_dbt_checks(_run(session, warehouse, engine, "silver"), session),
            *([] if is_aborted(session) else [_outcomes_reconcile(session)]),
        ]
        failed = [check for check in checks if not check.ok]
        if not failed:
            with session.cursor() as cursor:
                cursor.execute("select count(*) from ops.pending")
                ((pending,),) = cursor.fetchall()
            if pending != answers:
                failed = [CheckResult("pending", False, 1, "an answer of their batches waits to be applied: load it first")]
        if failed:
            raise WarehouseError(
                "RESTORE_FAILED",
                f"{failed[0].line}",
                "The months stay archived. Mend what is named, and run it again.",
            )
        _settle(session)
        for row in others:
            _execute(
                session, "insert into ops.archived_months (month, recording, batches, archived_at) values (%s, %s, %s, %s)", row
            )
        session.commit()


def run_whole_tests(session: Session, warehouse: Warehouse, engine: Engine, computed: Computed) -> tuple[CheckResult, ...]:
    """Run the tests of whole tables on what a session sees; ``computed`` are the views' rows, where they are at hand."""
    return _dbt_checks(engine.run(session, warehouse, "whole", computed), session)


def count_changes(session: Session) -> int:
    """How many rows of gold the transformation at hand added, changed or removed."""
    with session.cursor() as cursor:
        cursor.execute("select count(*) from ops.row_changes")
        return int(cursor.fetchall()[0][0])


def _run(session: Session, warehouse: Warehouse, engine: Engine, work: Work) -> tuple[NodeResult, ...]:
    _LOG.debug("In %s: %s.", warehouse.place, _SAID_OF[work])
    return engine.run(session, warehouse, work)


# Of relations those that stand and are views, or are to be: what each is now.
_STANDING: Final = """
select named.name, case relations.relkind when 'v' then 'view' else 'table' end
from unnest(%s::text []) as named (name)
join pg_class as relations on relations.oid = to_regclass(named.name)
where relations.relkind = 'v' or named.name = any (%s::text [])
order by named.name
"""


def _make_relations(session: Session, warehouse: Warehouse, engine: Engine) -> None:
    # A view goes with the table that is made anew under it, and dbt would not notice: its list of relations is older.
    # What another release kept as a table may be a view now, and the other way round.
    with session.cursor() as cursor:
        cursor.execute(_STANDING, ([*engine.views(), *engine.scopes()], [*engine.views()]))
        standing = cursor.fetchall()
    for name, kind in standing:
        _execute(session, f"drop {kind} if exists {name} cascade")
    results = _run(session, warehouse, engine, "make")
    broken = [result for result in results if not result.ok]
    if broken:
        raise WarehouseError(
            "MODEL_FAILED",
            f"{broken[0].unique_id}: {broken[0].message}",
            "Nothing was changed. Mend the model, and run it again.",
        )


def _lock_out_readers(session: Session, warehouse: Warehouse) -> None:
    """Take every relation of silver and gold at once, before any of them is made anew.

    Taken one after the other, as dbt comes to them, a reader of two tables would hold one and wait for the other: a deadlock.
    So none is waited for while others are held.
    """
    try:
        _execute(
            session,
            """
            do $$
            declare
                tables text := (
                    select string_agg(format('%I.%I', schemaname, tablename), ', ' order by schemaname, tablename)
                    from pg_tables
                    where schemaname in ('silver', 'gold')
                );
                views text[] := array(
                    select format('%I.%I', schemaname, viewname)
                    from pg_views
                    where schemaname in ('silver', 'gold')
                    order by schemaname, viewname
                );
                name text;
            begin
                for attempt in 1..1200 loop
                    begin
                        -- LOCK TABLE would take what a view reads too, bronze and ops included; this takes the view alone
                        set local lock_timeout = '20ms';
                        foreach name in array views loop
                            execute format('alter view %s owner to current_user', name);
                        end loop;
                        set local lock_timeout = 0;
                        execute 'lock table ' || tables || ' in access exclusive mode nowait';
                        return;
                    exception when lock_not_available then
                        if attempt = 1200 then raise; end if;
                        perform pg_sleep(0.05);
                    end;
                end loop;
            end
            $$
            """,
        )
        _execute(session, f"set local lock_timeout = '{warehouse.lock_seconds}s'")
    except psycopg2.errors.LockNotAvailable:
        raise WarehouseError(
            "WAREHOUSE_BUSY",
            f"For more than a minute there was always somebody reading in {warehouse.place}.",
            "Nothing was changed. Wait for long queries to end, and run it again.",
        ) from None


def _dbt_checks(results: Sequence[NodeResult], session: Session) -> tuple[CheckResult, ...]:
    """The checks among dbt's results. A model that failed is a failed check too; what failed only because of it is left out."""
    checks = tuple(_dbt_check(result, session) for result in results if result.resource_type == "test" or not result.ok)
    causes = tuple(
        check
        for check in checks
        if check.ok or (check.message is not None and "current transaction is aborted" not in check.message)
    )
    return causes if any(not check.ok for check in causes) else checks


def _dbt_check(result: NodeResult, session: Session) -> CheckResult:
    """A check that failed tells the first rows that it found, which are still there to be looked at; else dbt's own message."""
    failures = result.failures or (0 if result.ok else 1)
    if result.status != "fail" or result.sql is None or is_aborted(session):
        return CheckResult(result.name, result.ok, failures, result.message)
    with session.cursor() as cursor:
        cursor.execute(f"select to_jsonb(broken) from ({result.sql}) as broken limit {ROWS_KEPT}")
        found: list[dict[str, Any]] = [row for (row,) in cursor.fetchall()]
    details = [row.pop("detail", None) for row in found]
    shown = ["; ".join(str(value) for value in row.values()) for row in found[:ROWS_SHOWN]]
    rows = (_failing_row(result.name, row, detail) for row, detail in zip(found, details, strict=True))
    return CheckResult(result.name, result.ok, failures, f"{' | '.join(shown)} ({result.failures} rows)", tuple(rows))


def _failing_row(name: str, row: Mapping[str, Any], detail: str | None) -> FailingRow:
    """A row of a test of ours has a rule, a key, and the whole row as JSON; one of dbt's own tests has columns."""
    if row.keys() != {"rule", "key"}:
        return FailingRow(name, "", holding(row))
    if detail is None or not detail.startswith("{"):
        return FailingRow(row["rule"], row["key"], detail or "")
    return FailingRow(row["rule"], row["key"], holding(json.loads(detail, parse_float=str)))


def _checks(results: Sequence[NodeResult], session: Session, touched: Mapping[str, str]) -> tuple[CheckResult, ...]:
    """The checks of dbt, and ours: of the contracts on the touched rows, then the count of outcomes.

    Where a statement failed, that alone is told: nothing more can be asked in its transaction, and the batch is withheld.
    """
    checks = list(_dbt_checks(results, session))
    if all(result.ok for result in results if result.resource_type == "model") and not is_aborted(session):
        checks += (*batch_checks(session, touched), _outcomes_reconcile(session))
    return tuple(checks)


def _outcomes_reconcile(session: Session) -> CheckResult:
    """Every outcome of every answer at hand is in silver exactly once, by the count that was made in Python."""
    with session.cursor() as cursor:
        cursor.execute(
            """
            select ledger.exchange_id, case when ledger.admitted then ledger.outcomes else 0 end as expected, found.rows
            from ops.pending as pending
            join ops.ledger as ledger on ledger.exchange_id = pending.exchange_id
            cross join lateral (
                select count(*) as rows from silver.quotes as quotes
                where quotes.exchange_id = pending.exchange_id and quotes.captured_at = pending.captured_at
            ) as found
            where found.rows <> case when ledger.admitted then ledger.outcomes else 0 end
            order by ledger.exchange_id
            """
        )
        rows = cursor.fetchall()
    message = None if not rows else f"exchange {rows[0][0]}: {rows[0][1]} outcomes in the body, {rows[0][2]} in silver"
    return CheckResult("outcomes_reconcile", not rows, len(rows), message)


def _was_not_rebuilt(session: Session, batch_ids: Sequence[str]) -> bool:
    """Whether a proof held one of them back: nobody publishes it without another one."""
    with session.cursor() as cursor:
        cursor.execute(
            "select exists (select from ops.check_results where batch_id = any (%s) and check_name = %s and status = 'fail')",
            [list(batch_ids), REBUILT],
        )
        return bool(cursor.fetchall()[0][0])


def _settle(session: Session) -> None:
    _send(
        session,
        "update ops.ledger as ledger set applied = pending.admitted, applied_held = pending.held from ops.pending as pending"
        " where pending.exchange_id = ledger.exchange_id",
    )
    _execute(session, "delete from ops.run_batches")


def _note_states(session: Session, batch_ids: Sequence[str], state: str, detail: str | None, clock: Clock) -> None:
    _execute(
        session,
        "update ops.batch_states set state = %s, detail = %s, changed_at = %s where batch_id = any (%s)",
        [state, detail, clock.now(), list(batch_ids)],
    )


def _note_checks(session: Session, batch_ids: Sequence[str], checks: Sequence[CheckResult], clock: Clock) -> None:
    # an earlier run's, such as a model that failed then; what the load found stands
    _execute(
        session,
        "delete from ops.check_results where batch_id = any (%s) and check_name <> %s",
        [list(batch_ids), DRIFT_CHECK],
    )
    _execute(
        session,
        "insert into ops.check_results (batch_id, check_name, status, failures, message, checked_at)"
        " select batch.id, given.name, given.status, given.failures, given.message, %s"
        " from unnest(%s::text[]) as batch (id)"
        " cross join unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) as given (name, status, failures, message)",
        [
            clock.now(),
            list(batch_ids),
            [check.name for check in checks],
            ["pass" if check.ok else "fail" for check in checks],
            [check.failures for check in checks],
            [check.message for check in checks],
        ],
    )


def _execute(session: Session, statement: str, values: Sequence[Any] = ()) -> None:
    with session.cursor() as cursor:
        cursor.execute(statement, values or None)


def _send(session: Session, statement: str, values: Sequence[Any] = ()) -> None:
    with session.cursor() as cursor:
        send(cursor, statement, values)
