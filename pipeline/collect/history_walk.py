"""Walk the history from one moment to another, by the links of its own envelopes."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeline.clock import UTC, from_answer, is_datable, to_iso
from pipeline.collect.collector import collect
from pipeline.collect.live import Conduct
from pipeline.collect.plan import MarketPlan
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
    links, purse, at = _Links(span.file.plan, writer), _Purse(span.credits, client, writer, conduct, tell), span.begin
    while at <= span.end:
        known = links.at(at)
        if known is None:
            batch = purse.collect(span.file, at)
            if batch is None or batch.batch_id in links.batch_ids:  # paid for, and a duplicate: nothing newer is there yet
                break
            purse.note(batch)
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
            purse.walked = replace(purse.walked, known=purse.walked.known + 1)
        # what was the newest snapshot when it was collected may have one after it by now
        at = span.after(known.at, known.following or known.at + _grid(known.at))
    return purse.walked


@dataclass(frozen=True, slots=True)
class Visit:
    """A moment of the history that is wanted by itself.

    Attributes:
        file: a historical plan.
        at: aware, whole seconds; the API answers with the snapshot at or before it.
    """

    file: PlanFile
    at: dt.datetime


def visit(
    visits: Iterable[Visit],
    credits: int,
    client: OddsApiClient,
    writer: RecordingWriter,
    conduct: Conduct,
    tell: Callable[[str], None] = lambda line: None,
) -> Walked:
    """Collect the snapshots at some moments that the recording does not hold, in the order given, until the credits are spent.

    Args:
        visits: where to look.
        credits: that this may spend.
        client: sends the requests.
        writer: the recording; nobody else writes it.
        conduct: how to deal with the server; the budget is each plan's, within the credits.
        tell: told of each batch.

    Raises:
        ApiError: the key is refused or the credits are used up.
        SportsMarketError: as ``collect`` does.
    """
    purse, held = _Purse(credits, client, writer, conduct, tell), Held(writer)
    for each in visits:
        links = held.of(each.file.plan)
        if links.at(each.at) is not None:
            purse.walked = replace(purse.walked, known=purse.walked.known + 1)
            continue
        batch = purse.collect(each.file, each.at)
        if batch is None:
            break
        if batch.batch_id in links.batch_ids:  # paid for, and a duplicate
            purse.walked = replace(purse.walked, known=purse.walked.known + 1)
        else:
            purse.note(batch)
            links.add(batch)
    return purse.walked


class Held:
    """The snapshots that a recording has, by plan.

    Args:
        writer: the recording; what it takes meanwhile is not seen.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self._writer = writer
        self._links: dict[str, _Links] = {}

    def of(self, plan: MarketPlan) -> _Links:
        """Those of one plan."""
        plan_id = plan.identity.plan_id
        if plan_id not in self._links:
            self._links[plan_id] = _Links(plan, self._writer)
        return self._links[plan_id]

    def __contains__(self, one: Visit) -> bool:
        """Whether it has the snapshot that the API would answer with."""
        return self.of(one.file.plan).at(one.at) is not None


@dataclass
class _Purse:
    """What a walk may spend, and what it has."""

    credits: int
    client: OddsApiClient
    writer: RecordingWriter
    conduct: Conduct
    tell: Callable[[str], None]
    walked: Walked = field(default_factory=Walked)

    def collect(self, file: PlanFile, at: dt.datetime) -> Batch | None:
        """The snapshot at or before a moment; None where the credits do not suffice, and why is noted."""
        left = self.credits - self.walked.bill.charged - self.walked.bill.doubtful
        if PlanCost.of(file, 0).per_run > left:
            self.walked = replace(self.walked, stopped_at=at, why=f"of {self.credits} credits {left} are left")
            return None
        limit = left if file.budget.per_run is None else min(left, file.budget.per_run)
        conduct = replace(self.conduct, budget=replace(file.budget, per_run=limit))
        try:
            return collect(file.plan, at, self.client, self.writer, source=SOURCE, conduct=conduct)
        except ApiError as error:
            if error.code not in ("BUDGET_SPENT", "CLOSING_HOUR_KEPT", "RESERVE_REACHED"):
                raise
            self.walked = replace(self.walked, stopped_at=at, why=error.message)
            return None

    def note(self, batch: Batch) -> None:
        """It is new."""
        bill = _bill(batch)
        self.walked = replace(self.walked, batches=(*self.walked.batches, batch.batch_id), bill=_sum(self.walked.bill, bill))
        self.tell(f"{batch.batch_id}: {bill.charged} credits")


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
        links, at, snapshots = None if writer is None else _Links(span.file.plan, writer), span.begin, 0
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

    def __init__(self, plan: MarketPlan, writer: RecordingWriter) -> None:
        self._writer = writer
        plan_id = plan.identity.plan_id
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
