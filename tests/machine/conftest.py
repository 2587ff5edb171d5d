"""The databases of the machine are those of the proofs."""

from __future__ import annotations

from tests.replay.conftest import databases

__all__ = ["databases"]
