"""One live run: collect a batch into the spool, and load what of the spool the warehouse does not hold."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.bronze.sources import refuse_calls
from pipeline.clock import to_iso
from pipeline.collect.abandoned import seal_abandoned
from pipeline.collect.live import Conduct
from pipeline.collect.plan_file import PlanFile
from pipeline.collect.scheduled import check_cost, claimed, collect_slot, slot, spool_of
from pipeline.errors import ApiError
from pipeline.odds_api.client import OddsApiClient
from pipeline.odds_api.credits import Bill
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.runs.context import RunContext
from pipeline.runs.load import LoadSummary, load_batches, unfinished
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import stored_digests, view_digests

# Runs of a plan without a cadence that begin in one minute are one batch.
SLOT: Final = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What a run did.

    Attributes:
        spool: the recording that it collects into.
        batch: the batch, sealed; None where another run was at work in the spool, and nothing was done.
        load: what was loaded.
        abandoned: batches of earlier slots that were stopped half-way, and are sealed as they are.
        digests: of gold's stored tables and views after it, where they were asked for; they cost a look at all rows.
    """

    spool: Path
    batch: Batch | None
    load: LoadSummary | None
    abandoned: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)

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

    @property
    def is_unanswered(self) -> bool:
        """Whether not one request got an answer of any kind."""
        return self.batch is not None and all(exchange.status is None for exchange in self.batch.exchanges)

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
            "abandoned": list(self.abandoned),
            "credits": {
                "reported": bill.reported,
                "computed": bill.computed,
                "unreported": bill.unreported,
                "doubtful": bill.doubtful,
                "differing": list(bill.differing),
            },
            "load": {name: value for name, value in self.load.to_json().items() if name != "digests"},
            "digests": self.digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        if self.batch is None or self.load is None:
            return [f"Another run is at work in {self.spool}; nothing was done."]
        bill = self.bill
        failed = ", ".join(f"{number} {code}" for code, number in self.failures.items()) or "none"
        lines = [
            *(f"{batch_id}: stopped half-way in its time, and sealed as it is" for batch_id in self.abandoned),
            f"{self.batch.batch_id}: {len(self.batch.exchanges)} calls, requests without an answer: {failed}",
            *(["Nothing answered there: check the network and the address of the API."] if self.is_unanswered else []),
            f"credits: {bill.charged} charged, up to {bill.doubtful} more for answers that were lost",
            *(f"The API and the rules differ on what this cost: {request}" for request in bill.differing),
        ]
        return lines + self.load.lines()


def ingest_once(
    file: PlanFile,
    client: OddsApiClient,
    spool: Path,
    context: RunContext,
    conduct: Conduct,
    scheduled_at: dt.datetime | None = None,
    *,
    mix_sources: bool = False,
) -> IngestSummary:
    """Collect the batch of this moment's slot and load it, with what else of the spool was never loaded to its end.

    A second run in the same slot goes on where the first was cut short, and asks nothing where that was done. What was cut
    short in an earlier slot is sealed with what it has. What is sealed is loaded, whether or not this run comes to its end.

    Args:
        file: what to ask, how often (the slots), and what it may cost.
        client: sends the requests.
        spool: the recording that all runs of this place collect into.
        context: what it works with; its clock tells the slot.
        conduct: how to deal with the server; the budget is the file's.
        scheduled_at: the batch's time; None = the beginning of this moment's slot.
        mix_sources: take it even where the warehouse holds another source.

    Raises:
        ConflictError: ``SOURCES_MIXED``: the warehouse is a simulated one, and the API is real; no call is made.
        UsageError: ``PLAN_OVER_BUDGET``: it costs more than its budget even where no event is listed.
        ApiError: the key is refused, the credits are used up, or the budget forbids more. What was answered is kept.
        SportsMarketError: as ``collect`` and ``load_batches`` do.
    """
    check_cost(file)
    if not mix_sources:
        refuse_calls(context.warehouse, client.base_url)
    with claimed(spool) as ours:
        if not ours:
            return IngestSummary(spool, None, None)
        writer = spool_of(spool)
        at = scheduled_at or slot(context.clock.now(), file.every or SLOT)
        abandoned = seal_abandoned(file, at, client, writer, conduct, "live")

        def load(*collected: str) -> LoadSummary:
            left = {*collected, *unfinished(context.warehouse, writer.batch_ids)}
            return load_batches(Recording.open(spool), sorted(left), context, mix_sources=mix_sources)

        try:
            batch = collect_slot(file, at, client, writer, conduct, "live")
        except ApiError:
            if unfinished(context.warehouse, writer.batch_ids):
                load()
            raise
        return IngestSummary(spool, batch, load(batch.batch_id), abandoned)


def gold_digests(warehouse: Warehouse) -> dict[str, str]:
    """Digests of gold as it stands, stored tables and views, as a replay tells them."""
    with warehouse.connect(Role.TRANSFORMER) as connection:
        return {**stored_digests(connection), **view_digests(connection)}
