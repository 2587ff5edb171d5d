"""One live run: collect a batch into the spool, and load the spool."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeline.clock import UTC, Clock, to_iso
from pipeline.collect.collector import collect
from pipeline.collect.live import Conduct
from pipeline.collect.plan_cost import PlanCost
from pipeline.collect.plan_file import PlanFile
from pipeline.errors import UsageError
from pipeline.odds_api.client import OddsApiClient
from pipeline.odds_api.credits import Bill
from pipeline.recording.model import Batch
from pipeline.recording.store import RecordingWriter
from pipeline.replay.load import LoadSummary, load_recording
from pipeline.replay.progress import BatchLine
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Warehouse

# Runs of a plan without a cadence that begin in one minute are one batch.
_SLOT: Final = dt.timedelta(minutes=1)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What a run did.

    Attributes:
        spool: the recording that it collects into.
        batch: the batch, sealed; None where another run was at work in the spool, and nothing was done.
        load: what was loaded.
    """

    spool: Path
    batch: Batch | None
    load: LoadSummary | None

    @property
    def exit_code(self) -> int:
        """0, or 1 where a batch is withheld."""
        return 0 if self.load is None else self.load.exit_code

    @property
    def bill(self) -> Bill:
        """What the batch cost."""
        return Bill.of((exchange.request, exchange) for exchange in self.batch.exchanges) if self.batch else Bill()

    @property
    def failures(self) -> dict[str, int]:
        """Requests that have no answer in the end, by code."""
        last = {exchange.place: exchange.failure for exchange in self.batch.exchanges} if self.batch else {}
        return dict(sorted(Counter(failure.code for failure in last.values() if failure is not None).items()))

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        if self.batch is None or self.load is None:
            return {"state": "busy", "spool": str(self.spool)}
        bill = self.bill
        return {
            "state": "done",
            "spool": str(self.spool),
            "batch_id": self.batch.batch_id,
            "scheduled_at": to_iso(self.batch.scheduled_at),
            "requests": len({exchange.place for exchange in self.batch.exchanges}),
            "attempts": len(self.batch.exchanges),
            "failures": self.failures,
            "credits": {
                "reported": bill.reported,
                "computed": bill.computed,
                "unreported": bill.unreported,
                "doubtful": bill.doubtful,
                "differing": list(bill.differing),
            },
            "load": self.load.to_json(),
            "digests": self.load.digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        if self.batch is None or self.load is None:
            return [f"Another run is at work in {self.spool}; nothing was done."]
        bill = self.bill
        failed = ", ".join(f"{number} {code}" for code, number in self.failures.items()) or "none"
        lines = [
            f"{self.batch.batch_id}: {len(self.batch.exchanges)} calls, requests without an answer: {failed}",
            f"credits: {bill.charged} charged, up to {bill.doubtful} more for answers that were lost",
            *(f"The API and the rules differ on what this cost: {request}" for request in bill.differing),
        ]
        return lines + self.load.lines()


def ingest_once(
    file: PlanFile,
    client: OddsApiClient,
    spool: Path,
    warehouse: Warehouse,
    project: DbtProject,
    clock: Clock,
    conduct: Conduct,
    report: Callable[[BatchLine], None],
) -> IngestSummary:
    """Collect the batch of this moment's slot and load it, with whatever else the spool holds and the warehouse does not.

    A second run in the same slot goes on where the first was cut short, and asks nothing where that was done.

    Args:
        file: what to ask, how often (the slots), and what it may cost.
        client: sends the requests.
        spool: the recording that all runs of this place collect into.
        warehouse: bootstrapped.
        project: the dbt project.
        clock: tells the slot, and dates verdicts and states.
        conduct: how to deal with the server; the budget is the file's.
        report: told of each batch that is loaded.

    Raises:
        UsageError: ``PLAN_OVER_BUDGET``: it costs more than its budget even where no event is listed.
        ApiError: the key is refused, the credits are used up, or the budget forbids more. What was answered is kept.
        SportsMarketError: as ``collect`` and ``load_recording`` do.
    """
    least, limit = PlanCost.of(file, 0).per_run, file.budget.per_run
    if limit is not None and least > limit:
        raise UsageError(
            "PLAN_OVER_BUDGET",
            f"The plan {file.name} can cost {least} credits a run and may cost {limit}.",
            "Ask for less, or raise its budget's per_run.",
        )
    with _claimed(spool) as ours:
        if not ours:
            return IngestSummary(spool, None, None)
        writer = RecordingWriter(spool, name="live", created_from="live runs")
        scheduled_at = slot(clock.now(), file.every or _SLOT)
        batch = collect(file.plan, scheduled_at, client, writer, source="live", conduct=replace(conduct, budget=file.budget))
        return IngestSummary(spool, batch, load_recording(spool, warehouse, project, clock, report))


def slot(now: dt.datetime, every: dt.timedelta) -> dt.datetime:
    """The beginning of the slot that a moment lies in; slots are counted from 1970."""
    return now - (now - _EPOCH) % every


@contextlib.contextmanager
def _claimed(spool: Path) -> Iterator[bool]:
    """Whether this run has the spool to itself; the system lets go of it however the run ends."""
    spool.mkdir(parents=True, exist_ok=True)
    with (spool / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
