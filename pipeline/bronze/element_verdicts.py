"""Later verdicts on elements of answers that are in bronze: judge one again, let it in all the same, take it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.bronze.held_elements import (
    HOLDING,
    ElementVerdict,
    Part,
    append_verdict,
    element_of,
    findings_on,
    last_verdicts,
    set_held,
)
from pipeline.bronze.read_back import read_exchange
from pipeline.bronze.verdicts import QUARANTINED, Decision, reason_of, standing_of
from pipeline.clock import Clock
from pipeline.contracts.elements import Element, is_within
from pipeline.contracts.judgement import contract_version, judge
from pipeline.errors import UsageError
from pipeline.recording.model import Exchange
from pipeline.warehouse.connect import Connection


def retry_element(connection: Connection, part: Part, clock: Clock) -> Decision:
    """Judge an element that is held back again, by the contract of this code, as :func:`retry` does an answer.

    Raises:
        UsageError: ``ANSWER_UNKNOWN``, ``ANSWER_HELD`` (it is the whole answer), ``ELEMENT_UNKNOWN``.
    """
    with connection.transaction():
        standing = _standing(connection, part)
        if not standing.is_held:
            return standing.decision()
        judgement = judge(standing.exchange)
        refused = next((each for each in judgement.held if is_within(part.pointer, each.pointer)), None)
        if judgement.verdict == QUARANTINED or refused is not None:
            found = tuple(each.to_json() for each in judgement.findings if refused is None or judgement.holds_back(each))
            if refused is not None:
                found = findings_on(judgement, refused)
            if (QUARANTINED, found, contract_version()) == standing.told:
                return standing.decision()
            return _append(connection, standing, QUARANTINED, found, None, clock)
        found = findings_on(judgement, standing.element)
        return _append(connection, standing, "released", found, None, clock)


def waive_element(connection: Connection, part: Part, reason: str, clock: Clock) -> Decision:
    """Admit an element as it is, although the contract refuses it.

    Raises:
        UsageError: ``REASON_MISSING``, ``ANSWER_UNKNOWN``, ``ANSWER_HELD``, ``ELEMENT_UNKNOWN``; ``ELEMENT_ADMITTED``;
            ``ELEMENT_KEEPS_CONTRACT``: there is nothing to waive; ``ELEMENT_OTHER_SHAPE``: SQL would find nothing in it;
            ``ELEMENT_WITHIN_ANOTHER``: what it is in is held back too.
    """
    reason = reason_of(reason)
    with connection.transaction():
        standing = _standing(connection, part)
        if standing.verdict == "waived":
            return standing.decision()
        if not standing.is_held:
            raise UsageError("ELEMENT_ADMITTED", f"The element {part} is admitted already.", "There is nothing to waive.")
        outer = next((each for each in standing.held if each != part.pointer and is_within(part.pointer, each)), None)
        if outer is not None:
            raise UsageError(
                "ELEMENT_WITHIN_ANOTHER", f"The element {part} is in {outer}, which is held back too.", "Decide on that first."
            )
        judgement = judge(standing.exchange)
        if not any(is_within(part.pointer, each.pointer) for each in judgement.held):
            raise UsageError(
                "ELEMENT_KEEPS_CONTRACT",
                f"The contract of this code does not refuse the element {part}.",
                "Admit it with `sports-market quarantine retry`.",
            )
        if not _is_told(standing.element):
            raise UsageError(
                "ELEMENT_OTHER_SHAPE",
                f"What SQL reads of the element {part} is not there, which would look as if nothing were on offer.",
                "It cannot be admitted as it is.",
            )
        return _append(connection, standing, "waived", findings_on(judgement, standing.element), reason, clock)


def withdraw_element(connection: Connection, part: Part, reason: str, clock: Clock) -> Decision:
    """Take back an element of an answer that was admitted by mistake.

    Raises:
        UsageError: ``REASON_MISSING``, ``ANSWER_UNKNOWN``, ``ANSWER_HELD``, ``ELEMENT_UNKNOWN``.
    """
    reason = reason_of(reason)
    with connection.transaction():
        standing = _standing(connection, part)
        if standing.is_held:
            return standing.decision()
        return _append(connection, standing, "withdrawn", (), reason, clock)


def put_back_element(connection: Connection, part: Part, reason: str, clock: Clock) -> Decision:
    """Undo what was decided on an element and could not be applied, as :func:`put_back` does for an answer."""
    with connection.transaction():
        standing = _standing(connection, part)
        if standing.is_held == standing.was_held:
            return standing.decision()
        row = connection.execute(
            "select verdict, findings, contract_version from ops.element_verdicts"
            " where exchange_id = %s and pointer = %s and (verdict = any (%s)) = %s order by verdict_no desc limit 1",
            [part.answer, part.pointer, list(HOLDING), standing.was_held],
        ).fetchone()
        # what was never held back has no verdict of its own
        verdict, found, version = row or ("released", (), contract_version())
        return _append(connection, standing, verdict, tuple(found), reason_of(reason), clock, version)


@dataclass(frozen=True, slots=True)
class _Standing:
    """An element of an admitted answer, and its last verdict, if it ever had one."""

    part: Part
    batch_id: str
    exchange: Exchange
    element: Element
    last: ElementVerdict | None
    held: tuple[str, ...]
    was_held: bool

    @property
    def is_held(self) -> bool:
        return self.part.pointer in self.held

    @property
    def verdict(self) -> str:
        return "accepted" if self.last is None else self.last.verdict

    @property
    def told(self) -> tuple[str, tuple[dict[str, Any], ...], str] | None:
        return None if self.last is None else (self.last.verdict, self.last.findings, self.last.contract_version)

    def decision(self) -> Decision:
        findings = () if self.last is None else self.last.findings
        return Decision(self.part.answer, self.batch_id, self.verdict, False, findings, self.part.pointer)


def _standing(connection: Connection, part: Part) -> _Standing:
    """How an element stands; nobody else decides on its answer until the transaction ends."""
    standing = standing_of(connection, part.answer)
    if not standing.is_admitted:
        raise UsageError(
            "ANSWER_HELD",
            f"Not the element but its whole answer {part.answer} is held back.",
            "Decide on the answer first: leave out what follows its id.",
        )
    row = connection.execute("select held, applied_held from ops.ledger where exchange_id = %s", [part.answer]).fetchone()
    assert row is not None
    held, applied_held = row
    exchange = read_exchange(connection, part.answer)
    element = element_of(exchange, part)
    last = last_verdicts(connection, part.answer).get(part.pointer)
    return _Standing(part, standing.batch_id, exchange, element, last, tuple(held), part.pointer in applied_held)


def _append(
    connection: Connection,
    standing: _Standing,
    verdict: str,
    findings: tuple[dict[str, Any], ...],
    reason: str | None,
    clock: Clock,
    version: str | None = None,
) -> Decision:
    part = standing.part
    number = 1 if standing.last is None else standing.last.number + 1
    append_verdict(
        connection, part.answer, standing.element, number, verdict, findings, clock.now(), reason=reason, version=version
    )
    others = {each for each in standing.held if each != part.pointer}
    set_held(connection, part.answer, others | ({part.pointer} if verdict in HOLDING else set()))
    return Decision(part.answer, standing.batch_id, verdict, True, findings, part.pointer)


def _is_told(element: Element) -> bool:
    """Whether SQL makes rows of an element: it has the key of what it is; what is below may be anything."""
    needed = {
        "event": (element.event_id,),
        "bookmaker": (element.event_id, element.bookmaker_key),
        "market": (element.event_id, element.bookmaker_key, element.market_key),
    }
    return None not in needed.get(element.kind, ())
