"""What requests cost, what the API says they cost, and when to stop.

The API reports with each answer what it cost (``x-requests-last``) and what the month has used (``x-requests-used``). An answer
that was lost on its way may have been charged; the next report tells. Until then it counts for the most it can have cost.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from pipeline.errors import ApiError
from pipeline.odds_api.api_errors import NOT_ASKED, Failure
from pipeline.odds_api.endpoints import cost
from pipeline.odds_api.request import ApiRequest

# With these no request has reached the API.
_NOT_SENT: Final = frozenset({"CONNECT", "TLS", NOT_ASKED.code})


class Received(Protocol):
    """What came back for a request: an answer or an exchange."""

    @property
    def status(self) -> int | None:
        """HTTP status, or None."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """(lower-case name, value) pairs."""

    @property
    def body(self) -> bytes | None:
        """The body, or None."""

    @property
    def failure(self) -> Failure | None:
        """Why it is no answer, or None."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the headers of one answer say; None where they do not.

    Attributes:
        last: credits that this call cost.
        used: credits used in this month, this call included.
        remaining: credits left in this month.
        month: the (year, month) of the answer's ``Date``.
    """

    last: int | None
    used: int | None
    remaining: int | None
    month: tuple[int, int] | None = None

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str]]) -> Report:
        """Read the headers."""
        values = dict(headers)
        last, used, remaining = (_number(values.get(f"x-requests-{name}")) for name in ("last", "used", "remaining"))
        return cls(last, used, remaining, _month(values.get("date")))


def computed(request: ApiRequest, received: Received, document: object | None = None) -> int | None:
    """The credits that an answer costs by the documented rules; None where that cannot be told from what came.

    An HTTP error costs nothing. Whether a lost answer was charged is not known, nor what a page is that is no JSON.

    Args:
        request: what was asked.
        received: what came.
        document: its body parsed, where somebody has done that.
    """
    if received.status is None:
        return 0 if received.failure is not None and received.failure.code in _NOT_SENT else None
    if received.status != 200:
        return 0
    try:
        return cost(request, json.loads(received.body or b"") if document is None else document)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Bill:
    """What a batch has cost, as its exchanges tell it, in whatever order they came.

    Attributes:
        reported: credits according to the answers' own headers.
        computed: credits of the same answers according to the rules.
        unreported: credits, by the rules, of answers that bear no such header.
        doubtful: most that lost answers may have cost on top.
        differing: the requests where header and rules differ.
    """

    reported: int = 0
    computed: int = 0
    unreported: int = 0
    doubtful: int = 0
    differing: tuple[str, ...] = ()

    @classmethod
    def of(cls, outcomes: Iterable[tuple[ApiRequest, Received]]) -> Bill:
        """The bill of these requests and what came back."""
        bill = cls()
        for request, received in outcomes:
            last, by_rule = Report.of(received.headers).last, computed(request, received)
            if last is None and by_rule is None:
                bill = replace(bill, doubtful=bill.doubtful + cost(request))
            elif last is None:
                bill = replace(bill, unreported=bill.unreported + (by_rule or 0))
            else:
                differs = () if by_rule in (None, last) else (request.text,)
                bill = replace(
                    bill,
                    reported=bill.reported + last,
                    computed=bill.computed + (last if by_rule is None else by_rule),
                    differing=bill.differing + differs,
                )
        return bill

    @property
    def charged(self) -> int:
        """Credits that are known to be charged."""
        return self.reported + self.unreported


@dataclass(frozen=True, slots=True)
class Account:
    """The credits of one run. Each change gives a new account; nothing here knows a clock or a server.

    Requests under way at the same time are answered in any order, and a report tells of a lost answer only if its request was
    sent after the loss. So reports are reckoned up whenever nothing is under way: a *stretch* lies between two such moments.

    Attributes:
        spent: credits that are known to be charged, up to this stretch.
        doubtful: most that lost answers may have cost on top, where no report will tell any more.
        tellable: the same of answers lost before this stretch, where its reports tell.
        lost: the same of answers lost in this stretch.
        reported: credits of this stretch, according to its answers.
        reports: whether it has any.
        calls: requests that have no outcome yet.
        under_way: most that they can cost.
        base: ``x-requests-used`` as the stretch began; None where that is not known.
        used: the highest ``x-requests-used`` of the newest month, or None.
        remaining: the ``x-requests-remaining`` beside it, or None.
        month: the newest month, or None.
        foreign: credits that were used and not by this run: others have the key too, or a rule differs.
    """

    spent: int = 0
    doubtful: int = 0
    tellable: int = 0
    lost: int = 0
    reported: int = 0
    reports: bool = False
    calls: int = 0
    under_way: int = 0
    base: int | None = None
    used: int | None = None
    remaining: int | None = None
    month: tuple[int, int] | None = None
    foreign: int = 0

    @property
    def least(self) -> int:
        """Credits that the run has cost at least."""
        return self.spent + self.reported

    @property
    def most(self) -> int:
        """Credits that the run has cost at most, what is under way included."""
        return self.least + self.unknown

    @property
    def unknown(self) -> int:
        """Of ``most``, what may not have been charged."""
        return self.doubtful + self.tellable + self.lost + self.under_way

    @classmethod
    def carried(cls, bill: Bill) -> Account:
        """The account where another process goes on: what was lost before stays in doubt, and reports begin anew."""
        return cls(spent=bill.charged, doubtful=bill.doubtful)

    def sent(self, request: ApiRequest) -> Account:
        """The account once a request is on its way."""
        return replace(self, calls=self.calls + 1, under_way=self.under_way + cost(request))

    def received(self, request: ApiRequest, received: Received) -> Account:
        """The account once a request that was sent has its outcome."""
        bound = cost(request)
        account = replace(self, calls=self.calls - 1, under_way=self.under_way - bound)
        report = Report.of(received.headers)
        charged = report.last if report.last is not None else computed(request, received)
        if charged is None:
            account = replace(account, lost=account.lost + bound)
        else:
            if report.used is not None:
                account = account._told(report.used, report.remaining, report.month, charged)
            account = replace(account, reported=account.reported + charged)
        return account if account.calls else account._reckoned()

    def _told(self, used: int, remaining: int | None, month: tuple[int, int] | None, charged: int) -> Account:
        """The newest counts, and a new beginning where they do not go on from the ones before."""
        news = replace(self, reports=True, used=used, remaining=remaining, month=month or self.month)
        if self.used is None:
            return news
        if news.month != self.month or (self.base is not None and used < self.base + charged):
            # a new month or plan: what was lost before is in no difference of two reports
            return replace(news, base=None)
        return news if used >= self.used else replace(self, reports=True)

    def _reckoned(self) -> Account:
        """Nothing is under way: end the stretch."""
        if not self.reports or self.used is None:
            base = None if self.base is None else self.base + self.reported
            spent, tellable = self.spent + self.reported, self.tellable + self.lost
            return replace(self, spent=spent, tellable=tellable, reported=0, lost=0, base=base)
        if self.base is None:
            unexplained = found = tellable = 0
            doubtful = self.doubtful + self.tellable + self.lost
        else:
            unexplained = max(0, self.used - self.base - self.reported)
            found = min(unexplained, self.tellable + self.lost)
            # what was lost in this stretch may have been charged after its last report
            tellable = self.lost - min(self.lost, max(0, unexplained - self.tellable))
            doubtful = self.doubtful
        return replace(
            self,
            spent=self.spent + self.reported + found,
            doubtful=doubtful,
            tellable=tellable,
            lost=0,
            reported=0,
            reports=False,
            base=self.used,
            foreign=self.foreign + unexplained - found,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may spend. None is no limit.

    Attributes:
        per_run: credits of one batch.
        per_month: credits of the account's month, whoever used them.
        reserve: credits that stay untouched in the account; 0 leaves it to the API to refuse.
        closing_hour: of ``per_month``, what only requests in the hour before a start may spend.
    """

    per_run: int | None = None
    per_month: int | None = None
    reserve: int = 0
    closing_hour: int = 0

    @property
    def needs_report(self) -> bool:
        """Whether it cannot be kept without knowing what the month has used."""
        return self.per_month is not None or self.reserve > 0

    def check(self, account: Account, request: ApiRequest, *, is_closing: bool = False) -> None:
        """See whether a request may be sent, should it cost the most it can.

        Args:
            account: what is spent.
            request: the request.
            is_closing: it is about a game that begins within the hour.

        Raises:
            ApiError: ``BUDGET_SPENT``, ``CLOSING_HOUR_KEPT`` or ``RESERVE_REACHED``: it must not. ``CREDITS_UNKNOWN``: the API
                has told nothing.
        """
        price = cost(request)
        if not price:
            return
        asks = f"`{request.text}` can cost {price}"
        kept = "What was answered is kept: run it again with more, or in another month."
        if self.per_run is not None and account.most + price > self.per_run:
            raise ApiError(
                "BUDGET_SPENT", f"{asks}, and this run has up to {account.most} of {self.per_run} credits behind it.", kept
            )
        if not self.needs_report:
            return
        if account.used is None or account.remaining is None:
            raise ApiError("CREDITS_UNKNOWN", f"{asks}, and the API does not tell what this month has used.", kept)
        if self.per_month is not None:
            used = account.used + account.unknown
            if used + price > self.per_month:
                raise ApiError(
                    "BUDGET_SPENT", f"{asks}, and up to {used} of the month's {self.per_month} credits are used.", kept
                )
            if not is_closing and used + price > self.per_month - self.closing_hour:
                raise ApiError(
                    "CLOSING_HOUR_KEPT",
                    f"{asks}, and of the month's {self.per_month} credits {self.closing_hour} are kept for closing hours.",
                    kept,
                )
        if self.reserve and account.remaining - account.unknown - price < self.reserve:
            raise ApiError("RESERVE_REACHED", f"{asks}, of {account.remaining} left credits {self.reserve} are to stay.", kept)


def credits_back_at(now: dt.datetime) -> dt.datetime:
    """When a month's credits are there again: the first of the next one, 00:00 UTC."""
    first = now.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + dt.timedelta(days=32)).replace(day=1)


def _month(date: str | None) -> tuple[int, int] | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, TypeError):
        return None
    return moment.year, moment.month


def _number(text: str | None) -> int | None:
    """A count as a header has it: ``499``, or ``499.0``."""
    whole, _, fraction = (text or "").strip().partition(".")
    is_count = whole.isascii() and whole.isdigit() and len(whole) < 19 and not fraction.strip("0")
    return int(whole) if is_count else None
