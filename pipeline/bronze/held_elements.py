"""The elements of answers that are held back: verdicts on each, and what silver and gold are to be without.

As with answers, each decision appends a verdict and moves the ledger in one transaction; silver and gold follow with the next
transformation of the answer's batch.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.types.json import Jsonb

from pipeline.contracts import strict_json
from pipeline.contracts.elements import Element, element_at, is_within
from pipeline.contracts.finding import MAX_TEXT, printable
from pipeline.contracts.judgement import Judgement, contract_version
from pipeline.errors import UsageError
from pipeline.recording.model import Exchange
from pipeline.warehouse.connect import Connection

# Verdicts that hold an element back.
HOLDING: Final = ("quarantined", "withdrawn")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """An answer, or one element of it.

    Attributes:
        answer: the exchange id.
        pointer: JSON pointer of the element; empty for the answer itself.
    """

    answer: uuid.UUID
    pointer: str = ""

    def __str__(self) -> str:
        return f"{self.answer}{self.pointer}"


@dataclass(frozen=True, slots=True)
class ElementVerdict:
    """The last verdict on an element.

    Attributes:
        number: of the verdict, from 1.
        verdict: ``quarantined``, ``released``, ``waived`` or ``withdrawn``.
        findings, contract_version: of the verdict, as they are stored.
    """

    number: int
    verdict: str
    findings: tuple[dict[str, Any], ...]
    contract_version: str


def element_of(exchange: Exchange, part: Part) -> Element:
    """The element of an answer that is meant.

    Raises:
        UsageError: ``ELEMENT_UNKNOWN``.
    """
    try:
        document, _ = strict_json.parse(exchange.body or b"")
        element = element_at(exchange.request.endpoint, document, part.pointer)
    except strict_json.NotStrict:
        element = None
    if element is None:
        raise UsageError(
            "ELEMENT_UNKNOWN",
            f"The answer {part.answer} has no element at {printable(part.pointer, MAX_TEXT)}.",
            "Elements are events, their bookmakers, and their markets, such as ANSWER/0/bookmakers/2/markets/1.",
        )
    return element


def last_verdicts(connection: Connection, answer: uuid.UUID) -> dict[str, ElementVerdict]:
    """The last verdict on each element of an answer that ever had one, by pointer."""
    rows = connection.execute(
        "select distinct on (pointer) pointer, verdict_no, verdict, findings, contract_version"
        " from ops.element_verdicts where exchange_id = %s order by pointer, verdict_no desc",
        [answer],
    ).fetchall()
    return {pointer: ElementVerdict(number, word, tuple(found), version) for pointer, number, word, found, version in rows}


def findings_on(judgement: Judgement, element: Element) -> tuple[dict[str, Any], ...]:
    """What a judgement finds in an element, as it is stored."""
    return tuple(each.to_json() for each in judgement.findings if is_within(each.pointer, element.pointer))


def hold_back(connection: Connection, answer: uuid.UUID, judgement: Judgement, decided_at: dt.datetime) -> None:
    """Hold back what a judgement says of an answer that is let in, but for what was waived, and what is withdrawn already.

    The ledger's outcomes must be those of the whole body. Within the caller's transaction.
    """
    before = last_verdicts(connection, answer)
    held = {pointer for pointer, last in before.items() if last.verdict == "withdrawn"}
    for element in judgement.held:
        last = before.get(element.pointer)
        if last is not None and last.verdict == "waived":
            continue
        held.add(element.pointer)
        found = findings_on(judgement, element)
        if last is None or (last.verdict, last.findings, last.contract_version) != ("quarantined", found, contract_version()):
            number = 1 if last is None else last.number + 1
            append_verdict(connection, answer, element, number, "quarantined", found, decided_at)
    if held:
        set_held(connection, answer, held)


def append_verdict(
    connection: Connection,
    answer: uuid.UUID,
    element: Element,
    number: int,
    verdict: str,
    findings: Sequence[Mapping[str, Any]],
    decided_at: dt.datetime,
    reason: str | None = None,
    version: str | None = None,
) -> None:
    """Append a verdict on an element; within the caller's transaction."""
    connection.execute(
        "insert into ops.elements (exchange_id, pointer, kind, event_id, bookmaker_key, market_key, outcomes)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [
            answer,
            element.pointer,
            element.kind,
            element.event_id,
            element.bookmaker_key,
            element.market_key,
            element.outcomes,
        ],
    )
    connection.execute(
        "insert into ops.element_verdicts"
        " (exchange_id, pointer, verdict_no, verdict, findings, contract_version, reason, decided_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            answer,
            element.pointer,
            number,
            verdict,
            Jsonb([dict(each) for each in findings]),
            version or contract_version(),
            reason,
            decided_at,
        ],
    )


def set_held(connection: Connection, answer: uuid.UUID, pointers: Iterable[str]) -> None:
    """Say in the ledger which elements of an answer are held back; its outcomes are counted by what they hold."""
    connection.execute(
        "update ops.ledger as ledger set held = given.pointers, held_outcomes = given.outcomes,"
        " outcomes = ledger.outcomes + ledger.held_outcomes - given.outcomes"
        " from (select %(pointers)s::text[] as pointers, ops.outcomes_in(%(answer)s, %(pointers)s) as outcomes) as given"
        " where ledger.exchange_id = %(answer)s",
        {"answer": answer, "pointers": sorted(pointers)},
    )
