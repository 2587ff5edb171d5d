"""Live runs one after the other, by the plan's cadence, until somebody stops them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeline.clock import Clock, Timer, to_iso
from pipeline.collect.chosen import listed
from pipeline.collect.plan_file import PlanFile
from pipeline.collect.scheduled import slot
from pipeline.errors import ApiError
from pipeline.odds_api.api_errors import API_UNREACHABLE, OUT_OF_CREDITS
from pipeline.runs.ingest import SLOT, IngestSummary

# What passes with time; a key that is refused does not.
SKIPPED: Final = ("BUDGET_SPENT", "CLOSING_HOUR_KEPT", "RESERVE_REACHED", "CREDITS_UNKNOWN", API_UNREACHABLE, OUT_OF_CREDITS)
# A clock may be set, or run at another rate: it is looked at this often.
_NAP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LoopSummary:
    """What the runs did.

    Attributes:
        batches: collected.
        published: batches.
        withheld: batches.
        skipped: runs that the budget or the credits forbade to go on.
        credits: known to be charged.
        digests: as of one run.
    """

    batches: int = 0
    published: int = 0
    withheld: int = 0
    skipped: int = 0
    credits: int = 0
    digests: dict[str, str] = field(default_factory=dict)

    def after(self, run: IngestSummary) -> LoopSummary:
        """The summary with one run more."""
        if run.batch is None or run.load is None:
            return self
        return replace(
            self,
            batches=self.batches + 1,
            published=self.published + run.load.published,
            withheld=self.withheld + run.load.withheld,
            credits=self.credits + run.bill.charged,
        )

    @property
    def exit_code(self) -> int:
        """0, or 1 where a batch was withheld."""
        return 1 if self.withheld else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "state": "stopped",
            "batches": self.batches,
            "published": self.published,
            "withheld": self.withheld,
            "skipped": self.skipped,
            "credits": self.credits,
            "digests": self.digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.batches} batches collected, {self.published} published, {self.withheld} withheld;"
            f" {self.skipped} runs skipped; {self.credits} credits charged"
        ]


def ingest_on(
    once: Callable[[dt.datetime], IngestSummary], file: PlanFile, clock: Clock, timer: Timer, tell: Callable[[str], None]
) -> LoopSummary:
    """Run whenever something is due, until an interrupt comes while it waits; one that comes in a run ends that run.

    Moments that passed while a run took long are left out, but for the last.

    Args:
        once: collects and loads the batch of one moment.
        file: its cadence.
        clock: tells what is due.
        timer: waits.
        tell: told of runs that were skipped.

    Raises:
        SportsMarketError: as a run does; but where credits or budget forbid more, the next moment is waited for.
    """
    summary, starts = LoopSummary(), frozenset[dt.datetime | None]()
    every = file.every or SLOT
    at = slot(clock.now(), every)
    while True:
        try:
            run = once(at)
            summary = summary.after(run)
            if run.batch is not None:
                starts = frozenset(start for found in listed(run.batch.exchanges).values() for start in found.values())
        except ApiError as error:
            if error.code not in SKIPPED:
                raise
            summary = replace(summary, skipped=summary.skipped + 1)
            tell(f"{to_iso(at)} skipped: {error.code}: {error.message}")

        def following(moment: dt.datetime, known: frozenset[dt.datetime | None] = starts) -> dt.datetime:
            return moment + every if file.tiers is None else file.tiers.next_due(moment, known)

        at = following(at)
        try:
            while (left := (at - clock.now()).total_seconds()) > 0:
                timer.sleep(min(left, _NAP_SECONDS))
        except KeyboardInterrupt:
            return summary
        while (later := following(at)) <= clock.now():
            at = later
