"""Collect the batch of one slot into the spool: what the command line, its loop and Dagster's schedule have in common."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipeline.clock import to_iso
from pipeline.collect.abandoned import seal_abandoned
from pipeline.collect.cadence import EPOCH
from pipeline.collect.chosen import listed
from pipeline.collect.collector import collect
from pipeline.collect.live import Conduct
from pipeline.collect.plan_cost import PlanCost
from pipeline.collect.plan_file import PlanFile
from pipeline.errors import ApiError, SetupError, SportsMarketError, UsageError
from pipeline.odds_api.api_errors import NOT_ASKED, OUT_OF_CREDITS, unreachable
from pipeline.odds_api.client import OddsApiClient
from pipeline.odds_api.credits import Account, credits_back_at
from pipeline.odds_api.endpoints import cost
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, batch_time
from pipeline.recording.store import RecordingWriter

NAME: Final = "live"
_FREE: Final = ApiRequest.of("sports")


def slot(now: dt.datetime, every: dt.timedelta) -> dt.datetime:
    """The beginning of the slot that a moment lies in; slots are counted from 1970."""
    return now - (now - EPOCH) % every


@contextlib.contextmanager
def claimed(spool: Path) -> Iterator[bool]:
    """Whether this run has the spool to itself; the system lets go of it however the run ends.

    Raises:
        SetupError: ``SPOOL_NOT_WRITABLE``.
    """
    try:
        spool.mkdir(parents=True, exist_ok=True)
        opened = (spool / ".lock").open("w")
    except OSError as error:
        raise SetupError(
            "SPOOL_NOT_WRITABLE",
            f"The spool {spool} cannot be written: {error.strerror}.",
            "Nothing was asked. Check the folder and its permissions, or name another.",
        ) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def spool_of(folder: Path) -> RecordingWriter:
    """The recording that live runs collect into, made where there is none."""
    return RecordingWriter(folder, name=NAME, created_from="live runs")


def check_cost(file: PlanFile) -> None:
    """See whether a plan can keep its budget at all.

    Raises:
        UsageError: ``PLAN_OVER_BUDGET``: it costs more than its budget even where no event is listed.
    """
    least, limit = PlanCost.of(file, 0).per_run, file.budget.per_run
    if limit is not None and least > limit:
        raise UsageError(
            "PLAN_OVER_BUDGET",
            f"The plan {file.name} can cost {least} credits a run and may cost {limit}.",
            "Ask for less, or raise its budget's per_run.",
        )


def collect_slot(
    file: PlanFile, scheduled_at: dt.datetime, client: OddsApiClient, spool: RecordingWriter, conduct: Conduct, source: str
) -> Batch:
    """Collect the batch of one slot, within the plan's budget. The spool is claimed, and the cost was checked.

    Args:
        file: what to ask, and what it may cost.
        scheduled_at: the slot.
        client: sends the requests.
        spool: where it is kept.
        conduct: how to deal with the server; the budget is the file's.
        source: ``live``, or ``simulated``.

    Raises:
        ApiError: the key is refused, the credits are used up, or the budget forbids more. What was answered is kept.
        SportsMarketError: as ``collect`` does.
    """
    return collect(file.asking, scheduled_at, client, spool, source=source, conduct=replace(conduct, budget=file.budget))


def collect_scheduled(
    file: PlanFile, batch_id: str, client: OddsApiClient, folder: Path, conduct: Conduct, source: str = "live"
) -> Batch:
    """Collect the batch of this id, which a schedule made from the plan and the time.

    Args:
        file: what is asked.
        batch_id: of this plan.
        client: sends the requests.
        folder: the spool's.
        conduct: how to deal with the server.
        source: ``live``, or ``simulated``.

    Raises:
        UsageError: ``BATCH_OF_ANOTHER_PLAN``: the plan would call the batch of that time something else; ``PLAN_OVER_BUDGET``.
        SetupError: ``SPOOL_BUSY``: another run is at work in the spool.
        SportsMarketError: as :func:`collect_slot` does.
    """
    identity = file.plan.identity
    scheduled_at = batch_time(batch_id)
    if scheduled_at is None or identity.batch_id(scheduled_at) != batch_id:
        raise UsageError(
            "BATCH_OF_ANOTHER_PLAN",
            f"No recording at hand holds {batch_id}, and the live plan {identity.plan_id} has no such batch.",
            "Put its recording into the folder of recordings (SPORTS_MARKET_RECORDINGS_DIR), or configure its plan.",
        )
    check_cost(file)
    with claimed(folder) as ours:
        if not ours:
            raise SetupError("SPOOL_BUSY", f"Another run is at work in {folder}.", "Run it again when that has ended.")
        spool = spool_of(folder)
        seal_abandoned(file, scheduled_at, client, spool, conduct, source)
        return collect_slot(file, scheduled_at, client, spool, conduct, source)


def nothing_due(file: PlanFile, at: dt.datetime, folder: Path) -> str | None:
    """Why a slot has nothing to ask, by the last batch of the plan in the spool; None where it has, or that is not known."""
    if file.tiers is None:
        return None
    writer = spool_of(folder)
    last = next((one for one in reversed(writer.batch_ids) if one.endswith(f"-{file.plan.identity.plan_id}")), None)
    batch = None if last is None else writer.sealed(last)
    if batch is None or NOT_ASKED in [exchange.failure for exchange in batch.exchanges]:
        return None
    starts = [start for found in listed(batch.exchanges).values() for start in found.values()]
    due = file.tiers.next_due(batch.scheduled_at, starts)
    return f"Nothing is due before {to_iso(due)}." if at < due else None


def forbidden(file: PlanFile, client: OddsApiClient) -> SportsMarketError | None:
    """Why a run must not spend anything now; None where it may. Makes one free call, which tells what the month has used."""
    try:
        check_cost(file)
        told = client.send(_FREE)
        account = Account().sent(_FREE).received(_FREE, told)
        prices = [request for request, _ in file.plan.most_requests(1, 1) if cost(request)]
        cheapest = min(prices, key=cost, default=None)
        if told.failure is not None and told.failure.stops_the_run:
            return ApiError(told.failure.code, told.failure.message, "Check SPORTS_MARKET_API_KEY.")
        if cheapest is None:
            return None
        if told.status is None and told.failure is not None and file.budget.needs_report:
            return unreachable(client.address, told.failure)
        if account.remaining is not None and account.remaining < cost(cheapest):
            back = credits_back_at(told.captured_at)
            return ApiError(
                OUT_OF_CREDITS, f"Of the month's credits {account.remaining} are left; they come back on {back:%Y-%m-%d}.", ""
            )
        # a run may be about games that are about to begin
        file.budget.check(account, cheapest, is_closing=file.tiers is not None)
    except (UsageError, ApiError) as error:
        return error
    return None
