"""One back-fill: walk the history into the spool, and load what of it the warehouse does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bronze.sources import refuse_calls
from pipeline.clock import to_iso
from pipeline.collect.history_walk import Span, Walked, walk
from pipeline.collect.live import Conduct
from pipeline.collect.scheduled import claimed, spool_of
from pipeline.odds_api.client import OddsApiClient
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.runs.context import RunContext
from pipeline.runs.load import LoadSummary, load_batches, unfinished


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """What a back-fill did.

    Attributes:
        spool: the recording that it collects into.
        walked: how far it came; None where another run was at work in the spool, and nothing was done.
        load: what was loaded.
    """

    spool: Path
    walked: Walked | None
    load: LoadSummary | None

    @property
    def exit_code(self) -> int:
        """0, or 1 where a batch is withheld."""
        return 0 if self.load is None else self.load.exit_code

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        if self.walked is None:
            return {"state": "busy", "spool": str(self.spool)}
        walked, bill = self.walked, self.walked.bill
        return {
            "state": "done" if walked.stopped_at is None else "stopped",
            "spool": str(self.spool),
            "collected": len(walked.batches),
            "known": walked.known,
            "stopped_at": None if walked.stopped_at is None else to_iso(walked.stopped_at),
            "why": walked.why,
            "credits": {"reported": bill.reported, "computed": bill.computed, "doubtful": bill.doubtful},
            "load": None
            if self.load is None
            else {name: value for name, value in self.load.to_json().items() if name != "digests"},
        }

    def lines(self) -> list[str]:
        """For people."""
        if self.walked is None:
            return [f"Another run is at work in {self.spool}; nothing was done."]
        walked, bill = self.walked, self.walked.bill
        lines = [
            f"{len(walked.batches)} snapshots collected, {walked.known} were there;"
            f" {bill.charged} credits charged, up to {bill.doubtful} more for answers that were lost"
        ]
        if walked.stopped_at is not None:
            lines.append(f"stopped before {to_iso(walked.stopped_at)}: {walked.why}; run it again to go on")
        return lines + (self.load.lines() if self.load else [])


def backfill(
    span: Span,
    client: OddsApiClient,
    spool: Path,
    context: RunContext,
    conduct: Conduct,
    tell: Callable[[str], None],
    *,
    mix_sources: bool = False,
) -> BackfillSummary:
    """Walk a span, then load what the spool holds and nobody has loaded to its end.

    Args:
        span: what is wanted, and what it may cost.
        client: sends the requests.
        spool: the recording that it collects into.
        context: what it works with.
        conduct: how to deal with the server.
        tell: told of each snapshot that is collected.
        mix_sources: take them even where the warehouse holds another source.

    Raises:
        SportsMarketError: as ``walk`` and :func:`collected_and_loaded` do.
    """
    return collected_and_loaded(
        lambda writer: walk(span, client, writer, conduct, tell), client, spool, context, mix_sources=mix_sources
    )


def collected_and_loaded(
    gather: Callable[[RecordingWriter], Walked],
    client: OddsApiClient,
    spool: Path,
    context: RunContext,
    *,
    mix_sources: bool,
) -> BackfillSummary:
    """Let something collect into the spool, if nobody else does, then load what nobody has loaded to its end.

    Args:
        gather: collects into the spool.
        client: that it sends requests with.
        spool: the recording that it collects into.
        context: what it works with.
        mix_sources: take them even where the warehouse holds another source.

    Raises:
        ConflictError: ``SOURCES_MIXED``: the warehouse is a simulated one, and the API is real; no call is made.
        SportsMarketError: as ``gather`` and ``load_batches`` do.
    """
    if not mix_sources:
        refuse_calls(context.warehouse, client.base_url)
    with claimed(spool) as ours:
        if not ours:
            return BackfillSummary(spool, None, None)
        writer = spool_of(spool)
        walked = gather(writer)
        left = unfinished(context.warehouse, writer.batch_ids)
        load = load_batches(Recording.open(spool), left, context, mix_sources=mix_sources) if left else None
    return BackfillSummary(spool, walked, load)
