"""What ``sports-market drift`` tells: how two batches or recordings differ in shape, or what batches brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.contracts.drift import Drift, Shape, compare, lines_of, profile, union
from pipeline.contracts.drift_store import drift_of, drift_since, shape_in
from pipeline.errors import UsageError
from pipeline.recording.store import Recording
from pipeline.warehouse.connect import Connection

# So many batches are looked at where none is named.
NEWEST: Final = 100

_INDEX: Final = "index.json"

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Differences in shape.

    Attributes:
        scope: what was looked at, in words.
        found: by what brought them: a batch, or the second of two sides.
        apart: endpoints that only one of two sides has: their fields were compared with nothing.
    """

    scope: str
    found: Mapping[str, tuple[Drift, ...]]
    apart: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 where something differs."""
        return 1 if any(self.found.values()) else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "scope": self.scope,
            "not_compared": list(self.apart),
            "drifts": [{"in": name, **drift.to_json()} for name, drifts in self.found.items() for drift in drifts],
        }

    def lines(self) -> list[str]:
        """For people."""
        count = sum(map(len, self.found.values()))
        lines = [f"{self.scope}: {count or 'no'} difference{'s' * (count != 1)} in shape"]
        if self.apart:
            lines.append(f"on one side only, so not compared: {', '.join(self.apart)}")
        for name, drifts in self.found.items():
            if drifts:
                lines += [name, *(f"  {line}" for line in lines_of(drifts, name))]
        return lines


def drift_between(before: str, after: str, connect: Callable[[], Connection], progress: Progress) -> DriftReport:
    """How two sides differ; each is a recording's folder, a batch's folder in it, or the id of a batch of the warehouse.

    Args:
        before: a side, as typed.
        after: the other one.
        connect: gives a session of the reader; called only where a batch of the warehouse is named.
        progress: told of each batch that is read from a recording.

    Raises:
        UsageError: ``BATCH_UNKNOWN``: neither a folder nor a batch of the warehouse.
        RecordingError: the recording is broken.
    """
    old, new = _shape(before, connect, progress), _shape(after, connect, progress)
    apart = {mark.endpoint for mark in old.marks} ^ {mark.endpoint for mark in new.marks}
    return DriftReport(f"{before} → {after}", {after: compare(old, new)}, tuple(sorted(apart)))


def drift_in(connection: Connection, batch_id: str) -> DriftReport:
    """What one batch of the warehouse brought, against every batch before it in time.

    Raises:
        UsageError: ``BATCH_UNKNOWN``.
    """
    _check_known(connection, batch_id)
    return DriftReport(f"batch {batch_id}", {batch_id: drift_of(connection, batch_id)})


def newest_drift(connection: Connection) -> DriftReport:
    """What the newest batches of the warehouse brought."""
    rows = connection.execute("select batch_id from ops.batch_states order by batch_id desc limit %s", [NEWEST]).fetchall()
    found = drift_since(connection, rows[-1][0], rows[0][0]) if rows else {}
    return DriftReport(f"the newest {len(rows)} batches", found)


def _shape(side: str, connect: Callable[[], Connection], progress: Progress) -> Shape:
    path = Path(side)
    if (path / _INDEX).is_file():
        path = path.resolve()
        return profile(Recording.open(path.parent.parent).read(path.name))
    if path.is_dir():
        return _whole(Recording.open(path), progress)
    connection = connect()
    _check_known(connection, side)
    return shape_in(connection, side)


def _whole(recording: Recording, progress: Progress) -> Shape:
    shape = Shape({})
    for done, batch in enumerate(recording.batches(), start=1):
        shape = union((shape, profile(batch)))
        progress(done, len(recording))
    return shape


def _check_known(connection: Connection, batch_id: str) -> None:
    if connection.execute("select from ops.batch_states where batch_id = %s", [batch_id]).fetchone() is None:
        raise unknown_side(batch_id)


def unknown_side(side: str) -> UsageError:
    """The error of a side that is nothing."""
    return UsageError(
        "BATCH_UNKNOWN",
        f"{side!r} is neither a folder nor a batch of the warehouse.",
        "Name a recording, a batch's folder in it, or a batch id as `ops.batch_states` has it.",
    )
