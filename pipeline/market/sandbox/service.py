"""From a request to an answer: the market behind a key, a rate limit and an account."""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any, Final

from pipeline.clock import UTC, Timer, to_iso
from pipeline.market.sandbox.account import Account, RateLimit
from pipeline.market.sandbox.faults import Fault, FaultScript, parse_fault
from pipeline.market.sandbox.protocol import Asked, check_key, read
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.simulator import SimulatedMarket
from pipeline.market.simulator.answers import Refused
from pipeline.odds_api.endpoints import url
from pipeline.odds_api.redaction import SIMULATED_HEADER
from pipeline.secret import Secret

DEFAULT_CREDITS: Final = 100_000
CALLS_KEPT: Final = 10_000
_SIMULATED: Final = (SIMULATED_HEADER, "true")
_JSON: Final = ("content-type", "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Attributes:
        status: HTTP status.
        headers: (lower-case name, value) pairs.
        body: the body before it is compressed.
        fault: what its transport makes of it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fault: Fault | None = None


class Sandbox:
    """The API's server, without sockets.

    A call is looked at in this order: path, key, rate, fault on demand, parameters, credits. It is charged when its answer is
    made, so an answer that a fault of the transport then loses is paid for, as it would be. What is refused, or
    said by something in front of the API (HTML, a redirect), costs nothing.

    Args:
        market: answers.
        clock: the time that is asked about, by which dates are written and credits come back.
        timer: real seconds, for the rate limit.
        key: the only key that is good; None = any well-formed one.
        credits: per month. The account is the sandbox's, whatever the key.
        faults: for the first calls.

    Raises:
        UsageError: ``FAULT_INVALID``.
    """

    def __init__(
        self,
        market: SimulatedMarket,
        clock: SandboxClock,
        timer: Timer,
        *,
        key: Secret | None = None,
        credits: int = DEFAULT_CREDITS,
        faults: Iterable[str] = (),
    ) -> None:
        self.clock = clock
        self.faults = FaultScript(faults)
        self.account = Account(credits, _month(clock.now()))
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self._market = market
        self._timer = timer
        self._key = key
        self._rate = RateLimit()
        self._changed = 0

    def answer(self, method: str, path: str, query: str = "", fault: str | None = None) -> Reply:
        """Answer one call; each answer bears the header that it is simulated.

        Args:
            method: HTTP method.
            path: as sent, quoted.
            query: as sent.
            fault: a fault that the call itself asks for, from its header.

        Raises:
            UsageError: ``FAULT_INVALID``: the call asks for one that is not there.
        """
        reply = self._answer(method, path, query, fault)
        return replace(reply, headers=(*reply.headers, _SIMULATED))

    def _answer(self, method: str, path: str, query: str, fault: str | None) -> Reply:
        now = self.clock.now()
        self.account = self.account.at(_month(now))
        try:
            asked = read(method, path, query)
            check_key(asked.key, self._key)
        except Refused as refused:
            return Reply(refused.status, (_JSON, _date(now)), _body(refused))
        wanted = fault or asked.fault
        happening = parse_fault(wanted) if wanted else self.faults.take(asked.request.endpoint)
        reply = _in_front(asked, now, happening) or self._charged(asked, now, happening)
        self.calls.append(
            {
                "request": asked.request.text,
                "status": reply.status,
                "cost": int(dict(reply.headers).get("x-requests-last", 0)),
                "fault": None if happening is None else happening.kind,
                "used": self.account.used,
            }
        )
        return reply

    def state(self) -> dict[str, Any]:
        """What ``GET /sandbox`` shows."""
        account = self.account.at(_month(self.clock.now()))
        return {
            "now": to_iso(self.clock.now()),
            "rate": self.clock.rate,
            "credits": {"quota": account.quota, "used": account.used, "remaining": account.remaining},
            "faults": self.faults.waiting,
            "calls": list(self.calls),
        }

    def _charged(self, asked: Asked, now: dt.datetime, fault: Fault | None) -> Reply:
        """What the API itself says, and what that costs."""
        extra: tuple[tuple[str, str], ...] = ()
        try:
            if not self._rate.admits(self._timer.elapsed()):
                raise Refused(429, "EXCEEDED_FREQ_LIMIT", "Requests are too frequent. Please slow down")
            if fault is not None and (refused := fault.refusal()):
                extra = (("retry-after", fault.argument),) if fault.argument else ()
                raise refused
            status, body, cost = self._asked_of_the_market(asked, now, fault)
            charged = self.account.charged(cost)
            if charged is None:
                raise Refused(
                    401, "OUT_OF_USAGE_CREDITS", "Usage quota has been reached. See usage plans at https://the-odds-api.com"
                )
        except Refused as refused:
            status, body, cost, charged = refused.status, _body(refused), 0, self.account
        self.account = charged
        credits = (
            ("x-requests-last", str(cost)),
            ("x-requests-remaining", str(charged.remaining)),
            ("x-requests-used", str(charged.used)),
        )
        return Reply(status, (_JSON, _date(now), *credits, *extra), body, fault)

    def _asked_of_the_market(self, asked: Asked, now: dt.datetime, fault: Fault | None) -> tuple[int, bytes, int]:
        if fault is not None and fault.kind == "change":
            # the market moves on behind the back of whoever asks twice
            self._changed += 1
            now += dt.timedelta(minutes=self._changed)
        answer = self._market.answer(asked.request, now)
        return answer.status, answer.body, int(dict(answer.headers)["x-requests-last"])


def _in_front(asked: Asked, now: dt.datetime, fault: Fault | None) -> Reply | None:
    """What something that stands before the API says in its place."""
    if fault is not None and fault.kind == "html":
        return Reply(200, (("content-type", "text/html"), _date(now)), b"<!doctype html><title>Please wait</title>")
    if fault is not None and fault.kind == "HTTP_500":
        return Reply(500, (("content-type", "text/plain"), _date(now)), b"Internal Server Error")
    if fault is not None and fault.kind == "redirect":
        return Reply(302, (("location", url(fault.argument, asked.request)), _date(now)), b"")
    return None


def _month(moment: dt.datetime) -> tuple[int, int]:
    return moment.year, moment.month


def _date(moment: dt.datetime) -> tuple[str, str]:
    return "date", format_datetime(moment.astimezone(UTC), usegmt=True)


def _body(refused: Refused) -> bytes:
    return json.dumps(refused.document(), ensure_ascii=False, separators=(",", ":")).encode()
