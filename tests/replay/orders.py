"""A market taken in in many orders: the model's rows and one set of digests each time."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pipeline.recording.model import Batch
from pipeline.warehouse.connect import Role
from pipeline.warehouse.digest import view_digests
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import Databases, differences, digests, read_gold, take
from tests.replay.transcript import Transcript


def prove(batches: Sequence[Batch], seed: int, databases: Databases, project: Project, transcript: Transcript) -> None:
    """The model's rows, one set of digests, and one of the views, in whatever order the batches are taken."""
    model = Gold(batches).tables()
    shuffled = random.Random(seed).sample(batches, len(batches))
    ways = {
        "recorded": (batches, 1),
        "recorded, by twos": (batches, 2),
        "shuffled": (shuffled, 1),
        "reversed by threes": (batches[::-1], 3),
        "in one go": (shuffled, 0),
    }
    golden = {}
    with transcript.on_small_markets():
        for way, (order, step) in ways.items():
            with databases() as warehouse:
                take(warehouse, project, order, step=step)
                lines = differences(read_gold(warehouse), model)
                assert not lines, "\n".join([f"{way}: SQL and the model differ", *lines])
                with warehouse.connect(Role.READER) as connection:
                    golden[way] = (digests(warehouse), view_digests(connection))
    assert all(found == golden["recorded"] for found in golden.values()), golden
