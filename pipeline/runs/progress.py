"""What a run tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One batch is done.

    Attributes:
        done, total: how far the run is.
        batch_id: the batch.
        state: ``proven``, ``new``, ``covered``, ``different``, ``withheld``, ``published``, ``standing``, or ``applied``
            where its state is compared later.
        outcomes: outcome objects in the bodies of its admitted answers.
        changes: rows of gold that the run it was applied in added, changed or removed.
        quarantined: answers of it that were quarantined.
        held: elements of its other answers that are held back.
        seconds: wall time.
        detail: why it is withheld, or which row differs first.
    """

    done: int
    total: int
    batch_id: str
    state: str
    outcomes: int
    changes: int
    quarantined: int
    seconds: float
    detail: str | None = None
    held: int = 0
