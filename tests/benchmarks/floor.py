"""The floor: what ``floor.sql`` does with the bodies of a batch, and what a plain COPY of them costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.recording.model import Batch
from pipeline.warehouse.connect import Connection

FILE = Path(__file__).with_name("floor.sql")


def sections(text: str) -> dict[str, str]:
    """The statements under each ``-- section: NAME``."""
    parts = re.split(r"^-- section: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


class Floor:
    """It takes batches in, one transaction each; a lane beside those of the pipeline.

    Args:
        connection: of the owner of an empty database.
        batches: in the order in which they come.
    """

    def __init__(self, connection: Connection, batches: Sequence[Batch]) -> None:
        self.connection = connection
        self.batches = batches
        self.sql = sections(FILE.read_text())
        connection.execute(self.sql["tables"].encode())
        connection.commit()

    def turn(self, number: int) -> None:
        """Take one batch in."""
        batch = self.batches[number]
        answers = _answers(batch)
        self._copy("answers", [(name, at, body) for name, at, body in answers])
        since = min(at for _, at, _ in answers)
        self.connection.execute(self.sql["flat"].encode(), {"answer_ids": [name for name, _, _ in answers]}, prepare=True)
        self.connection.execute(self.sql["quotes"].encode(), prepare=True)
        self.connection.execute(self.sql["changes"].encode(), {"since": since}, prepare=True)
        self.connection.commit()

    def plain_turn(self, number: int) -> None:
        """Only copy the bodies of one batch."""
        self._copy("plain", [(name, body) for name, _, body in _answers(self.batches[number])])
        self.connection.commit()

    def counts(self) -> tuple[int, int]:
        """Rows of quotes and of changes so far."""
        row = self.connection.execute(
            "select (select count(*) from floor.quotes), (select count(*) from floor.changes)"
        ).fetchone()
        self.connection.commit()
        assert row is not None
        return int(row[0]), int(row[1])

    def _copy(self, section: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(self.sql[section].rstrip(";").encode()) as copy:
            for row in rows:
                copy.write_row(row)


def _answers(batch: Batch) -> list[tuple[str, Any, str]]:
    return [
        (f"{batch.batch_id}/{exchange.place}", exchange.captured_at, exchange.body.decode())
        for exchange in batch.exchanges
        if exchange.status == 200 and exchange.body is not None
    ]
