"""Walk the history from one moment to another, by the links of its own envelopes."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeline.clock import UTC, from_answer, is_datable, to_iso
from pipeline.collect.collector import collect
from pipeline.collect.live import Conduct
from pipeline.collect.plan_cost import PlanCost
from pipeline.collect.plan_file import PlanFile
from pipeline.errors import ApiError, UsageError
from pipeline.odds_api.client import OddsApiClient
from pipeline.odds_api.credits import Bill
from pipeline.odds_api.endpoints import ENDPOINTS, envelope_time
from pipeline.recording.model import Batch, batch_time
from pipeline.recording.store import RecordingWriter

SOURCE: Final = "backfill"
# Distance of two snapshots at least, as far as the API says: ten minutes until September 2022.
_FINER_FROM: Final = dt.datetime(2022, 9, 18, tzinfo=UTC)
_COARSE, _FINE = dt.timedelta(minutes=10), dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Span:
    """What of the history is wanted, and what it may cost.

    Attributes:
        file: a historical plan; its cadence is the least distance of two snapshots, else each is taken.
        begin, end: aware, whole seconds.
        credits: that one walk may spend.

    Raises:
        UsageError: ``PLAN_NOT_HISTORICAL``, ``SPAN_INVALID``.
    """

    file: PlanFile
    begin: dt.datetime
    end: dt.datetime
    credits: int

    def __post_init__(self) -> None:
        if not self.file.plan.historical:
            raise UsageError(
                "PLAN_NOT_HISTORICAL", f"The plan {self.file.name} asks for what is on now.", "Add `historical: true`."
            )
        if self.begin > self.end:
            raise UsageError("SPAN_INVALID", f"{to_iso(self.begin)} is after {to_iso(self.end)}.", "Exchange the two.")

    @property
    def least(self) -> int:
        """Credits that one snapshot can cost where it lists no event."""
        return PlanCost.of(self.file, 0).per_run

    def after(self, at: dt.datetime, following: dt.datetime) -> dt.datetime:
        """The moment to ask about after a snapshot; the one at or before it is always a later one."""
        return following if self.file.every is None else max(following, at + self.file.every)


@dataclass(frozen=True, slots=True)
class Walked:
    """How far a walk came.

    Attributes:
        batches: collected now.
        known: snapshots on the way that the recording held already.
        bill: of what was collected now.
        stopped_at: the moment that was not asked about any more; None where the end was reached.
        why: what stopped it.
    """

    batches: tuple[str, ...] = ()
    known: int = 0
    bill: Bill = field(default_factory=Bill)
    stopped_at: dt.datetime | None = None
    why: str | None = None


def parse_moment(text: str) -> dt.datetime:
    """``2025-10-09T00:42:48Z``, as the API takes it: neither fractions of a second nor another offset.

    Raises:
        UsageError: ``DATE_INVALID``.
    """
    with contextlib.suppress(ValueError):
        moment = dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if is_datable(moment):
            return moment
    raise UsageError("DATE_INVALID", f"{text!r} is no moment that the API takes.", "Write 2025-10-09T00:42:48Z.")


def walk(
    span: Span,
    client: OddsApiClient,
    writer: RecordingWriter,
    conduct: Conduct,
    tell: Callable[[str], None] = lambda line: None,
) -> Walked:
    """Collect each snapshot of a span that the recording does not hold, the oldest first.

    A walk that was cut short goes on where it stopped: known snapshots tell by their links where to go on, without a call.

    Args:
        span: what is wanted.
        client: sends the requests.
        writer: the recording; nobody else writes it.
        conduct: how to deal with the server; the budget is the plan's, within the span's credits.
        tell: told of each batch.

    Raises:
        ApiError: the key is refused or the credits are used up; ``BACKFILL_LOST``: no answer tells where to go on.
        SportsMarketError: as ``collect`` does.
    """
    links = _Links(span, writer)
    walked, at, spent = Walked(), span.begin, 0
    while at <= span.end:
        known = links.at(at)
        if known is None:
            left = span.credits - spent
            if span.least > left:
                return replace(walked, stopped_at=at, why=f"of {span.credits} credits {left} are left")
            limit = left if span.file.budget.per_run is None else min(left, span.file.budget.per_run)
            budget = replace(span.file.budget, per_run=limit)
            try:
                batch = collect(span.file.plan, at, client, writer, source=SOURCE, conduct=replace(conduct, budget=budget))
            except ApiError as error:
                if error.code not in ("BUDGET_SPENT", "RESERVE_REACHED"):
                    raise
                return replace(walked, stopped_at=at, why=error.message)
            if batch.batch_id in links.batch_ids:  # paid for, and a duplicate: nothing newer is there yet
                break
            bill = _bill(batch)
            spent += bill.charged + bill.doubtful
            walked = replace(walked, batches=(*walked.batches, batch.batch_id), bill=_sum(walked.bill, bill))
            tell(f"{batch.batch_id}: {bill.charged} credits")
            known = links.add(batch)
            if known is None:
                raise ApiError(
                    "BACKFILL_LOST",
                    f"No answer of {batch.batch_id} tells which snapshot comes next.",
                    "Look at its failures, and begin again behind it.",
                )
            if known.following is None:
                break
        else:
            walked = replace(walked, known=walked.known + 1)
        # what was the newest snapshot when it was collected may have one after it by now
        at = span.after(known.at, known.following or known.at + _grid(known.at))
    return walked


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a walk asks and costs at most, told without a call.

    Attributes:
        span: what is wanted.
        snapshots: that may be there and are not in the recording.
        events: that a sport lists.
    """

    span: Span
    snapshots: int
    events: int

    exit_code = 0

    @classmethod
    def of(cls, span: Span, writer: RecordingWriter | None, events: int) -> Forecast:
        """The forecast, less what the recording holds."""
        links, at, snapshots = None if writer is None else _Links(span, writer), span.begin, 0
        while at <= span.end:
            known = None if links is None else links.at(at)
            snapshots += known is None
            following = at + _grid(at) if known is None else known.following or known.at + _grid(known.at)
            at = span.after(at if known is None else known.at, following)
        return cls(span, snapshots, events)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        cost = PlanCost.of(self.span.file, self.events)
        calls = sum(row.requests for row in cost.endpoints)
        affordable = self.snapshots if not cost.per_run else min(self.snapshots, self.span.credits // cost.per_run)
        return {
            "plan": self.span.file.name,
            "begin": to_iso(self.span.begin),
            "end": to_iso(self.span.end),
            "snapshots": self.snapshots,
            "calls": self.snapshots * calls,
            "credits": self.snapshots * cost.per_run,
            "cap": self.span.credits,
            "snapshots_within_cap": affordable,
        }

    def lines(self) -> list[str]:
        """For people."""
        found = self.to_json()
        return [
            f"{found['plan']} from {found['begin']} to {found['end']}: at most {found['snapshots']:,} snapshots,"
            f" {found['calls']:,} calls, {found['credits']:,} credits, with {self.events} events in each sport",
            f"{found['cap']:,} credits are enough for {found['snapshots_within_cap']:,} of them",
        ]


@dataclass(frozen=True, slots=True)
class _Link:
    """A snapshot, and the one after it; None where it is the newest."""

    at: dt.datetime
    following: dt.datetime | None


class _Links:
    """The snapshots of one plan that a recording holds, by their time."""

    def __init__(self, span: Span, writer: RecordingWriter) -> None:
        self._writer = writer
        plan_id = span.file.plan.identity.plan_id
        ours = (one for one in writer.batch_ids if one.endswith(f"-{plan_id}"))
        self._times = {time: one for one in ours if (time := batch_time(one)) is not None}

    def at(self, moment: dt.datetime) -> _Link | None:
        """The known snapshot that the API would answer with; None where that is not known."""
        earlier = max((time for time in self._times if time <= moment), default=None)
        batch = None if earlier is None else self._writer.sealed(self._times[earlier])
        link = None if batch is None else _link(batch)
        if link is None or (link.at != moment if link.following is None else link.following <= moment):
            return None
        return link

    @property
    def batch_ids(self) -> set[str]:
        """Of the snapshots."""
        return set(self._times.values())

    def add(self, batch: Batch) -> _Link | None:
        """Keep one more; where it leads."""
        self._times[batch.scheduled_at] = batch.batch_id
        return _link(batch)


def _grid(at: dt.datetime) -> dt.timedelta:
    return _FINE if at >= _FINER_FROM else _COARSE


def _link(batch: Batch) -> _Link | None:
    """Of the first envelope, as the batch's time is."""
    for body in _envelopes(batch):
        at = envelope_time(body)
        if at is None:
            continue
        try:
            following = json.loads(body).get("next_timestamp")
            return _Link(at.replace(microsecond=0), None if following is None else from_answer(following))
        except (ValueError, TypeError, AttributeError):
            return None
    return None


def _envelopes(batch: Batch) -> Iterator[bytes]:
    for exchange in batch.exchanges:
        if exchange.status == 200 and exchange.body is not None and ENDPOINTS[exchange.request.endpoint].is_historical:
            yield exchange.body


def _bill(batch: Batch) -> Bill:
    return Bill.of((exchange.request, exchange) for exchange in batch.exchanges)


def _sum(one: Bill, other: Bill) -> Bill:
    return Bill(
        one.reported + other.reported,
        one.computed + other.computed,
        one.unreported + other.unreported,
        one.doubtful + other.doubtful,
        one.differing + other.differing,
    )
