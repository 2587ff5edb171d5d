"""A session on which a statement that comes again and again is parsed once, and planned now and then.

A fourth of what the server spends on a small batch is reading and planning the same texts again. Hardly a statement has
parameters here, so a plan is one for all runs. The server makes it anew where a table of it was analyzed or changed, but not
where one only grew: so all are forgotten at the runs 1, 2, 4, 8, … and from then on every so often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg2.extensions

# From so many runs on plans are made anew once in so many; a table that grew by a 32nd since wants no other plan.
_PLANS_LAST: Final = 32


class PreparingSession(psycopg2.extensions.connection):
    """A connection that prepares what it sends by :func:`send` for the second time, or with values."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._runs = 0
        # text → its name; None where it was sent once
        self._names: dict[str, str | None] = {}

    def begin_run(self) -> None:
        """Count a run, and forget the plans where it is time to. Fails where the connection is lost, and only there."""
        self._runs += 1
        is_due = self._runs % _PLANS_LAST == 0 or self._runs & (self._runs - 1) == 0
        with self.cursor() as cursor:
            cursor.execute("discard plans" if is_due else "select 1")

    def prepared(self, cursor: Any, text: str, values: int = 0) -> str:
        """What to send for a text: itself for the first time, then the call of what it is prepared as.

        One with values is prepared at once, and called with placeholders of psycopg2's.
        """
        if text not in self._names and not values:
            self._names[text] = None
            return text
        name = self._names.get(text)
        if name is None:
            name = f"sports_market_{sum(known is not None for known in self._names.values())}"
            cursor.execute(f"prepare {name} as {text}")
            self._names[text] = name
        return f"execute {name}({', '.join(['%s'] * values)})" if values else f"execute {name}"


def send(cursor: Any, text: str, values: Sequence[Any] = ()) -> None:
    """Execute one statement that may come again.

    Args:
        cursor: of psycopg2; where its session is no :class:`PreparingSession`, a text without parameters is sent as it is.
        text: one ``select``, ``insert``, ``update`` or ``delete``, with its CTEs, whose result has the same columns each time.
        values: of its parameters ``$1``, ``$2``, …

    Raises:
        TypeError: there are values, and the session does not prepare.
    """
    session = cursor.connection
    if isinstance(session, PreparingSession):
        cursor.execute(session.prepared(cursor, text, len(values)), list(values) or None)
    elif values:
        raise TypeError("a statement with parameters needs a session that prepares")
    else:
        cursor.execute(text)
