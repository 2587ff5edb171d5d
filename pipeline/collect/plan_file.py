"""A plan file: what to ask, how often, and what it may cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipeline.collect.cadence import Cadence, parse_cadence, parse_duration
from pipeline.collect.chosen import CLOSING, ChosenPlan
from pipeline.collect.plan import MarketPlan, Plan, parse_plan, read_document
from pipeline.errors import UsageError
from pipeline.odds_api.credits import Budget
from pipeline.odds_api.endpoints import nearest

# Kind → what it tells of.
ALERTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "steam": "many operator groups moved one way at nearly one time, before the start",
        "arbitrage": "a clean one began, before the start",
        "book_quiet": "a book dropped out of at least three games of a sport, and stands in none",
        "close_missed": "a game begins within ten minutes, and no odds of it are younger than ten minutes",
        "credits_low": "less than a tenth of the month's credits are left",
        "withheld": "a batch failed a check, and readers see the state before it",
    }
)


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What a plan file says.

    Attributes:
        name: its ``name``, else the file's.
        plan: what to ask. Nothing else is part of its identity.
        every: ``cadence``, such as ``90s``, ``15m``, ``6h`` or ``1d``, or the shortest period of its tiers; None = it has none.
        budget: what it may cost; no limit where the file has none.
        tiers: of the cadence, by the time to the start.
        alerts: kinds of what its live runs send to the webhook.
        prove: whether what a batch of it bears on is computed anew from bronze before it is committed, and compared.
    """

    name: str
    plan: MarketPlan
    every: dt.timedelta | None
    budget: Budget
    tiers: Cadence | None = None
    alerts: tuple[str, ...] = ()
    prove: bool = False

    @property
    def asking(self) -> Plan:
        """The plan as a run asks it: all of it, or what is on and due."""
        return ChosenPlan(self.plan, self.tiers) if self.plan.is_chosen or self.tiers is not None else self.plan


def load_plan_file(path: Path | str) -> PlanFile:
    """Read a plan file (YAML), all of it.

    Raises:
        UsageError: ``PLAN_NOT_FOUND``, ``PLAN_UNKNOWN_KEY`` (naming the nearest valid one), ``PLAN_INVALID``.
    """
    document = read_document(path)
    plan = parse_plan(document)
    for key in ("name", "description"):
        if not isinstance(document.get(key, ""), str):
            raise _invalid(f"{key} is {document[key]!r}", "It is a text.")
    every, tiers = _cadence(document.get("cadence"))
    if tiers is not None and (plan.historical or "events" not in plan.endpoints):
        raise _invalid("tiers go by the starts that the endpoint `events` lists, which is free", "Add `events`.")
    budget = _budget(document.get("budget"))
    if budget.closing_hour and not (
        plan.historical or (tiers is not None and any(width <= CLOSING for width, _ in tiers.tiers))
    ):
        raise _invalid("nothing of it is asked in the closing hour, for which it keeps credits", "Give cadence a tier `1h`.")
    alerts = _alerts(document.get("alerts", []))
    prove = document.get("prove", False)
    if not isinstance(prove, bool):
        raise _invalid(f"prove is {prove!r}", "It is true or false: whether a batch is proven before it is committed.")
    return PlanFile(document.get("name", Path(path).stem), plan, every, budget, tiers, alerts, prove)


def _alerts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _invalid(f"alerts is {value!r}", f"It is a list of: {', '.join(ALERTS)}.")
    for kind in value:
        if kind not in ALERTS:
            raise UsageError(
                "PLAN_UNKNOWN_KEY",
                f"The plan asks to be told of {kind!r}; the nearest that is known is {nearest(str(kind), ALERTS)!r}.",
                f"Known alerts: {', '.join(ALERTS)}.",
            )
    return tuple(sorted(set(value)))


def _cadence(value: Any) -> tuple[dt.timedelta | None, Cadence | None]:
    """The width of a slot, and the tiers where there are any."""
    if value is None:
        return None, None
    if isinstance(value, Mapping):
        tiers = parse_cadence(value)
        return tiers.periods[0], tiers
    every = parse_duration(value)
    if every is None:
        raise _invalid(f"cadence is {value!r}", "It is a number and a unit, such as 90s, 15m, 6h or 1d, or tiers of those.")
    return every, None


def _budget(value: Any) -> Budget:
    if value is None:
        return Budget()
    known = tuple(item.name for item in fields(Budget))
    if not isinstance(value, Mapping):
        raise _invalid(f"budget is {value!r}", f"It has keys: {', '.join(known)}.")
    for key, number in value.items():
        if key not in known:
            raise UsageError(
                "PLAN_UNKNOWN_KEY",
                f"The plan's budget has an unknown key {key!r}; the nearest is {nearest(str(key), known)!r}.",
                f"Valid keys: {', '.join(known)}.",
            )
        if type(number) is not int or number < 0:
            raise _invalid(f"{key} is {number!r}", "It is a number of credits.")
    budget = Budget(**value)
    month = budget.per_month or 0
    if budget.closing_hour and not month <= 10 * budget.closing_hour <= 10 * month:
        raise _invalid(
            f"closing_hour is {budget.closing_hour}, of {month} credits per_month",
            "It is a tenth of per_month at least, and no more than that.",
        )
    return budget


def _invalid(why: str, next_step: str) -> UsageError:
    return UsageError("PLAN_INVALID", f"The plan cannot be used: {why}.", next_step)


def with_period(file: PlanFile, text: str) -> PlanFile:
    """The plan at another cadence.

    Args:
        file: the plan.
        text: such as ``15m``; empty = its own.

    Raises:
        UsageError: ``CADENCE_MISSING``, ``CADENCE_INVALID``.
    """
    if not text:
        if file.every is None:
            raise UsageError("CADENCE_MISSING", f"The plan {file.name} has no cadence.", "Add one, or give --every 15m.")
        return file
    every = parse_duration(text)
    if every is None:
        raise UsageError("CADENCE_INVALID", f"{text!r} is no period.", "Write 90s, 15m, 6h or 1d.")
    return replace(file, every=every, tiers=None)
