"""The databases of the proofs: a run is proven as a replay is."""

from __future__ import annotations

from tests.replay.conftest import databases, transcript

__all__ = ["databases", "transcript"]
