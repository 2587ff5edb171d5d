"""What a plan costs at most, before any call is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pipeline.collect.cadence import Cadence, duration_text
from pipeline.collect.chosen import CLOSING
from pipeline.collect.plan_file import PlanFile
from pipeline.collect.plan_month import MONTH, Asked, Listing
from pipeline.odds_api.catalogue import unknown_markets
from pipeline.odds_api.endpoints import ENDPOINTS, cost


@dataclass(frozen=True, slots=True)
class EndpointCost:
    """What one endpoint adds to a run.

    Attributes:
        endpoint: its name.
        requests: how many at most.
        credits: what they cost at most.
    """

    endpoint: str
    requests: int
    credits: int


@dataclass(frozen=True, slots=True)
class PlanCost:
    """The most that a plan can cost: every request answered, every market returned, no request asked twice.

    Attributes:
        file: the plan, its cadence and budget.
        events_per_sport: what was taken for the number of events that a sport lists.
        endpoints: in the order of the endpoints' table.
        by_tiers: credits of a month, for a plan that has tiers.
        outside_closing: those of them that are not for the hour before a start.
        listing: what that follows from.
    """

    file: PlanFile
    events_per_sport: int
    endpoints: tuple[EndpointCost, ...]
    by_tiers: int | None = None
    outside_closing: int | None = None
    listing: Listing | None = None

    @classmethod
    def of(cls, file: PlanFile, events_per_sport: int, sports: int = 0, listing: Listing | None = None) -> PlanCost:
        """The cost of a plan.

        Args:
            file: the plan.
            events_per_sport: that a sport lists at a time.
            sports: in season, of those that it does not name.
            listing: how the events of a sport come and go; None = as :class:`Listing` has it, each with a start of its own.
        """
        asked = file.plan.most_requests(events_per_sport, sports)
        rows = []
        for name in ENDPOINTS:
            found = [(request, times) for request, times in asked if request.endpoint == name]
            if found:
                credits = sum(cost(request) * times for request, times in found)
                rows.append(EndpointCost(name, sum(times for _, times in found), credits))
        if file.tiers is None:
            return cls(file, events_per_sport, tuple(rows))
        listing = listing or Listing(events_per_sport, events_per_sport)

        def of_month(tiers: Cadence) -> int:
            due = Asked.of(tiers, listing)
            return sum(
                cost(request) * (due.events if ENDPOINTS[request.endpoint].has_event else due.sport * times)
                for request, times in asked
            )

        # at most: without its own tiers the last hour is asked for as the hours before it
        farther = tuple((width, every) for width, every in file.tiers.tiers if width > CLOSING)
        others = replace(file.tiers, tiers=farther)
        outside = of_month(others) if others.periods else 0
        month = of_month(file.tiers)
        return cls(file, events_per_sport, tuple(rows), month, min(outside, month), listing)

    @property
    def per_run(self) -> int:
        """Credits of one run."""
        return sum(row.credits for row in self.endpoints)

    @property
    def runs_per_month(self) -> int | None:
        """Runs in the longest month, with tiers at most; None without a cadence."""
        return None if self.file.every is None else -(-MONTH // self.file.every)

    @property
    def per_month(self) -> int | None:
        """Credits of the longest month; None without a cadence."""
        if self.by_tiers is not None:
            return self.by_tiers
        return None if self.runs_per_month is None else self.per_run * self.runs_per_month

    @property
    def over(self) -> tuple[str, ...]:
        """The limits of the budget that it can exceed."""
        limits = (
            ("per_run", self.per_run, self.file.budget.per_run),
            ("per_month", self.per_month, self.file.budget.per_month),
        )
        over = [name for name, credits, limit in limits if credits is not None and limit is not None and credits > limit]
        budget, outside = self.file.budget, self.per_month if self.file.tiers is None else self.outside_closing
        if budget.closing_hour and budget.per_month is not None and (outside or 0) > budget.per_month - budget.closing_hour:
            over.append("closing_hour")
        return tuple(over)

    @property
    def unknown_markets(self) -> dict[str, str]:
        """Market keys that may not exist, and the nearest one that does."""
        return unknown_markets((*self.file.plan.markets, *self.file.plan.event_markets))

    @property
    def exit_code(self) -> int:
        """1 where it can exceed its budget."""
        return 1 if self.over else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        budget = self.file.budget
        return {
            "plan": self.file.name,
            "plan_id": self.file.plan.identity.plan_id,
            "events_per_sport": self.events_per_sport,
            "endpoints": {row.endpoint: {"requests": row.requests, "credits": row.credits} for row in self.endpoints},
            "credits_per_run": self.per_run,
            "runs_per_month": self.runs_per_month,
            "credits_per_month": self.per_month,
            "assumed": None
            if self.listing is None
            else {
                "events": self.listing.events,
                "starts": self.listing.starts,
                "listed": duration_text(self.listing.before),
                "in_play": duration_text(self.listing.after),
            },
            "credits_outside_closing_hours": self.outside_closing,
            "budget": {
                "per_run": budget.per_run,
                "per_month": budget.per_month,
                "reserve": budget.reserve,
                "closing_hour": budget.closing_hour,
            },
            "over": list(self.over),
            "unknown_markets": self.unknown_markets,
        }

    def lines(self) -> list[str]:
        """For people."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.file.name}: at most, with {self.events_per_sport} events in each sport"
        yield f"{'':24}{'requests':>10}{'credits':>12}"
        for row in self.endpoints:
            yield f"{row.endpoint:24}{row.requests:>10,}{row.credits:>12,}"
        yield f"{'a run':24}{sum(row.requests for row in self.endpoints):>10,}{self.per_run:>12,}"
        if self.listing is not None:
            yield f"{'a month, by the tiers':34}{self.per_month:>12,}"
            yield (
                f"  where the {self.listing.events} events have {self.listing.starts} different starts at a time, which do not"
                f" move,\n  and are listed from {duration_text(self.listing.before)} before theirs"
                f" to {duration_text(self.listing.after)} after it"
            )
        elif self.per_month is not None:
            yield f"{f'a month of {self.runs_per_month:,} runs':34}{self.per_month:>12,}"
        for key, near in self.unknown_markets.items():
            yield f"warning: there may be no market {key}; the nearest that is known is {near}."
        for name in self.over:
            if name == "closing_hour":
                yield f"That can eat into the {self.file.budget.closing_hour:,} credits that are kept for closing hours."
            else:
                yield f"That can exceed the budget {name} of {getattr(self.file.budget, name):,} credits."
