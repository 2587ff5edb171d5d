"""A plan file: what to ask, how often, and what it may cost."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from pipeline.collect.plan import MarketPlan, parse_plan, read_document
from pipeline.errors import UsageError
from pipeline.odds_api.credits import Budget
from pipeline.odds_api.endpoints import nearest

_CADENCE: Final = re.compile(r"([1-9]\d{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What a plan file says.

    Attributes:
        name: its ``name``, else the file's.
        plan: what to ask. Nothing else is part of its identity.
        every: ``cadence``, such as ``90s``, ``15m``, ``6h`` or ``1d``; None = it has none.
        budget: what it may cost; no limit where the file has none.
    """

    name: str
    plan: MarketPlan
    every: dt.timedelta | None
    budget: Budget


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
    return PlanFile(
        document.get("name", Path(path).stem), plan, _cadence(document.get("cadence")), _budget(document.get("budget"))
    )


def _cadence(value: Any) -> dt.timedelta | None:
    if value is None:
        return None
    found = _CADENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _invalid(f"cadence is {value!r}", "It is a number and a unit, such as 90s, 15m, 6h or 1d.")
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


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
    return Budget(**value)


def _invalid(why: str, next_step: str) -> UsageError:
    return UsageError("PLAN_INVALID", f"The plan cannot be used: {why}.", next_step)
