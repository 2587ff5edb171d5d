"""How to replay, as a value: light to import, so that what cannot be meant is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.errors import UsageError

ORDERS: Final = ("recorded", "reversed", "shuffled")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    Attributes:
        batches: only the first so many; None for all.
        order: ``recorded``, ``reversed`` or ``shuffled``.
        seed: of the shuffle.
        step: batches per transformation; 0 for all at once.
        require_snapshots: a state without a snapshot counts as a difference.
        update: write the snapshots instead of comparing.
        diff: add up what differs from the snapshots, over all states.
    """

    batches: int | None = None
    order: str = "recorded"
    seed: int = 0
    step: int = 1
    require_snapshots: bool = False
    update: bool = False
    diff: bool = False

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: ``REPLAY_OPTIONS``.
        """
        if self.order not in ORDERS:
            raise UsageError("REPLAY_OPTIONS", f"There is no order {self.order!r}.", f"Choose one of {', '.join(ORDERS)}.")
        if self.step < 0 or (self.batches is not None and self.batches < 1):
            raise UsageError("REPLAY_OPTIONS", "--step is at least 0 and --batches at least 1.", "Give another number.")
        if self.diff and (self.order != "recorded" or self.update):
            raise UsageError(
                "REPLAY_OPTIONS",
                "States are compared with their snapshots in recorded order, and these are left as they are.",
                "Use --diff without --order and --update.",
            )
        if self.update and (self.order != "recorded" or self.step != 1):
            raise UsageError(
                "REPLAY_OPTIONS",
                "Snapshots hold the rows that each batch changed, in recorded order.",
                "Use --update without --order and --step.",
            )
