"""One partition per batch: its key is the batch's id, which begins with its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import dagster as dg

batches: Final = dg.DynamicPartitionsDefinition(name="batches")

# Dagster shows a few thousand partitions well; older ones leave its pages, and stay in the warehouse.
MOST_PARTITIONS: Final = 5000


def newest(batch_ids: Iterable[str]) -> list[str]:
    """The batches that are worth a partition, in order of time."""
    return sorted(batch_ids)[-MOST_PARTITIONS:]


def ranges(known: Sequence[str], wanted: Iterable[str]) -> Iterator[tuple[str, str]]:
    """First and last key of each stretch of known partitions that are all wanted: what one run can take.

    Args:
        known: all partitions in Dagster's order, which is the one in which they were added.
        wanted: some of them.
    """
    chosen = set(wanted)
    stretch: list[str] = []
    for key in (*known, None):
        if key is not None and key in chosen:
            stretch.append(key)
        elif stretch:
            yield stretch[0], stretch[-1]
            stretch = []
