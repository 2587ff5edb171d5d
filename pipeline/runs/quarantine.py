"""Decide on answers that are in bronze, and on elements of them, and apply each decision to silver and gold at once.

A decision is a verdict first, and is applied by the transformation that every batch goes through. Killed between the two, the
next command that decides anything, or the next load, completes it. A decision whose batch fails is undone, so that the
batch's other answers stay published; but what was withdrawn before silver and gold held it stays withdrawn, as it may be the
first of several that make a batch fail.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from pipeline.bronze.element_verdicts import put_back_element, retry_element, waive_element, withdraw_element
from pipeline.bronze.held_elements import Part
from pipeline.bronze.lookup import Selection, find_part, held_back
from pipeline.bronze.verdicts import DECISIONS, QUARANTINED, Decision, put_back, retry, waive, withdraw
from pipeline.clock import Clock
from pipeline.runs.context import RunContext
from pipeline.runs.load import apply_and_count, failure_text
from pipeline.runs.progress import BatchLine
from pipeline.transform.apply import Applied, Transformer, prepare
from pipeline.warehouse.connect import Connection, Role
from pipeline.warehouse.digest import stored_digests


class Decide(Protocol):
    """Gives a verdict on an answer, or an element of one."""

    def __call__(self, connection: Connection, part: Part, *, clock: Clock) -> Decision:
        """Decide, and say what the last verdict is then."""


# Answers and elements whose last verdict somebody asked for, and which silver and gold do not follow yet.
_NOT_APPLIED: Final = """
    select ledger.batch_id, ledger.exchange_id, '' as pointer, last.verdict
    from ops.ledger as ledger
    cross join lateral (
        select verdicts.verdict from ops.verdicts as verdicts
        where verdicts.exchange_id = ledger.exchange_id order by verdicts.verdict_no desc limit 1
    ) as last
    where not ledger.is_settled and ledger.admitted <> ledger.applied and last.verdict = any (%(decisions)s)
    union all
    select ledger.batch_id, ledger.exchange_id, moved.pointer, last.verdict
    from ops.ledger as ledger
    cross join lateral (
        (select unnest(ledger.held) except select unnest(ledger.applied_held))
        union (select unnest(ledger.applied_held) except select unnest(ledger.held))
    ) as moved (pointer)
    cross join lateral (
        select verdicts.verdict from ops.element_verdicts as verdicts
        where verdicts.exchange_id = ledger.exchange_id and verdicts.pointer = moved.pointer
        order by verdicts.verdict_no desc limit 1
    ) as last
    where not ledger.is_settled and ledger.admitted and ledger.applied and last.verdict = any (%(decisions)s)
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one answer, or of an element of it.

    Attributes:
        part: which one.
        batch_id: its batch.
        outcome: ``released``, ``waived``, ``withdrawn``; ``refused``: the contract still does not take it; ``standing``: it was
            so before; ``undone``: its batch failed with the decision.
        rule, pointer, message: of the first finding of its last verdict; None where it has none.
    """

    part: Part
    batch_id: str
    outcome: str
    rule: str | None
    pointer: str | None
    message: str | None

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "answer": str(self.part.answer),
            "element": self.part.pointer or None,
            "batch_id": self.batch_id,
            "outcome": self.outcome,
            "rule": self.rule,
            "pointer": self.pointer,
            "message": self.message,
        }

    def line(self) -> str:
        """For people."""
        why = f"  {self.rule} at {self.pointer or 'the whole'}: {self.message}" if self.rule else ""
        return f"{self.part} {self.outcome:9} {self.batch_id}{why}"


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """What a command decided, and what became of it.

    Attributes:
        answers: that were asked for, in order of their batches, and those whose decision a command before left to be applied.
        batches: that were transformed anew.
        withheld: of these, those that are not published now.
        failures: the failed check of each batch that failed with a decision.
        digests: of the stored gold tables, at the end.
    """

    answers: tuple[Told, ...]
    batches: int
    withheld: int
    failures: tuple[str, ...]
    digests: dict[str, str]

    def count(self, outcome: str) -> int:
        """Answers with this outcome."""
        return sum(each.outcome == outcome for each in self.answers)

    @property
    def exit_code(self) -> int:
        """0, or 1 where an answer is still refused or a batch failed."""
        return 1 if self.failures or self.withheld or self.count("refused") else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            **{outcome: self.count(outcome) for outcome in (*DECISIONS, "refused", "standing", "undone")},
            "batches": self.batches,
            "withheld": self.withheld,
            "failures": list(self.failures),
            "answers": [each.to_json() for each in self.answers],
            "digests": self.digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        words = {"refused": "still refused", "standing": "as they were"}
        counts = [
            f"{self.count(outcome)} {words.get(outcome, outcome)}"
            for outcome in (*DECISIONS, "refused", "standing", "undone")
            if self.count(outcome)
        ]
        return [
            *(each.line() for each in self.answers),
            f"{len(self.answers)} answers: {', '.join(counts) or 'none to decide on'}; {self.batches} batches applied,"
            f" {self.withheld} withheld",
            *(f"FAILED {each}" for each in self.failures),
        ]

    def every_digest(self) -> dict[str, str]:
        """The digest of each stored table."""
        return self.digests


def retry_answers(context: RunContext, wanted: Sequence[str] | Selection) -> DecisionSummary:
    """Judge answers again by the contract of this code, and apply what it takes now.

    Args:
        context: what it works with.
        wanted: exchange ids or beginnings of them, of an element with its JSON pointer after it; or which of the answers
            and elements in quarantine, those withdrawn and those of archived months not among them.

    Raises:
        UsageError: as :func:`pipeline.bronze.lookup.find_answer` and :func:`pipeline.bronze.lookup.held_back`.
        WarehouseError: ``MODELS_CHANGED``.
    """
    return _drive(context, wanted, _retry)


def waive_answer(context: RunContext, answer: str, reason: str) -> DecisionSummary:
    """Admit an answer although the contract refuses it.

    Raises:
        UsageError: as :func:`pipeline.bronze.lookup.find_answer` and :func:`pipeline.bronze.verdicts.waive`.
        WarehouseError: ``MODELS_CHANGED``.
    """
    return _drive(context, [answer], partial(_waive, reason=reason))


def withdraw_answer(context: RunContext, answer: str, reason: str) -> DecisionSummary:
    """Take back an answer that was admitted.

    Raises:
        UsageError: as :func:`pipeline.bronze.lookup.find_answer` and :func:`pipeline.bronze.verdicts.withdraw`.
        WarehouseError: ``MODELS_CHANGED``.
    """
    return _drive(context, [answer], partial(_withdraw, reason=reason))


def _drive(context: RunContext, wanted: Sequence[str] | Selection, decide: Decide) -> DecisionSummary:
    """Decide and apply, batch by batch in order of their ids; batches with decisions that were left over are among them."""
    warehouse = context.warehouse
    with Transformer(warehouse) as transformer, warehouse.connect(Role.INGESTER, autocommit=True) as ingester:
        if isinstance(wanted, Selection):
            parts = [each.part for each in held_back(ingester, wanted).answers]
            here = _here(ingester, [part.answer for part in parts])
            parts = [part for part in parts if part.answer in here]
        else:
            parts = [find_part(ingester, text) for text in wanted]
        prepare(transformer, context.engine)
        chosen = _by_batch(ingester, parts)
        for batch_id in _left_over(ingester):
            chosen.setdefault(batch_id, [])
        run = _Run(context, transformer, ingester, decide, len(chosen))
        for batch_id in sorted(chosen):
            run.take(batch_id, chosen[batch_id])
    with warehouse.connect(Role.TRANSFORMER) as connection:
        digests = stored_digests(connection)
    return DecisionSummary(tuple(run.told), run.batches, run.withheld, tuple(run.failures), digests)


@dataclass
class _Run:
    """The state of one command."""

    context: RunContext
    transformer: Transformer
    ingester: Connection
    decide: Decide
    total: int
    done: int = 0
    batches: int = 0
    withheld: int = 0
    told: list[Told] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def take(self, batch_id: str, parts: list[Part]) -> None:
        """Decide on answers and elements of one batch, and apply it where there is something to apply."""
        started = self.context.clock.now()
        self.done += 1
        decisions = {part: self.decide(self.ingester, part, clock=self.context.clock) for part in parts}
        at_hand = _not_applied(self.ingester, batch_id)
        outcomes = at_hand | {part: _outcome(each, part in at_hand) for part, each in decisions.items()}
        is_decided = any(each.verdict in DECISIONS for each in decisions.values())
        if at_hand or (is_decided and not _is_published(self.ingester, batch_id)):
            self.batches += 1
            applied, changes = self._apply(batch_id)
            state, detail = "published", failure_text(applied)
            if detail is not None:
                self.failures.append(f"{batch_id}: {detail}")
                reason = f"undone, as its batch failed: {detail}"
                undone = {part: _put_back(self.ingester, part, reason, self.context.clock) for part in at_hand}
                if undone:
                    decisions |= undone
                    outcomes |= dict.fromkeys(undone, "undone")
                    applied, changes = self._apply(batch_id)
                state = "undone" if applied.published else "withheld"
                self.withheld += not applied.published
            self._report(batch_id, state, changes, (self.context.clock.now() - started).total_seconds(), detail)
        self.told += [_told(part, batch_id, outcome, decisions.get(part)) for part, outcome in outcomes.items()]

    def _apply(self, batch_id: str) -> tuple[Applied, int]:
        context = self.context
        return apply_and_count(self.transformer, context.engine, (batch_id,), context.clock, prove=context.prove)

    def _report(self, batch_id: str, state: str, changes: int, seconds: float, detail: str | None) -> None:
        row = self.ingester.execute(
            "select coalesce(sum(outcomes) filter (where admitted), 0), count(*) filter (where not admitted)"
            " from ops.ledger where batch_id = %s",
            [batch_id],
        ).fetchone()
        assert row is not None
        self.context.report(
            BatchLine(self.done, self.total, batch_id, state, int(row[0]), changes, int(row[1]), seconds, detail)
        )


def _outcome(decision: Decision, is_at_hand: bool) -> str:
    if decision.verdict in DECISIONS:
        return decision.verdict if decision.is_new or is_at_hand else "standing"
    return "refused" if decision.verdict == QUARANTINED else "standing"


def _retry(connection: Connection, part: Part, *, clock: Clock) -> Decision:
    return retry_element(connection, part, clock) if part.pointer else retry(connection, part.answer, clock)


def _waive(connection: Connection, part: Part, *, reason: str, clock: Clock) -> Decision:
    if part.pointer:
        return waive_element(connection, part, reason, clock)
    return waive(connection, part.answer, reason, clock)


def _withdraw(connection: Connection, part: Part, *, reason: str, clock: Clock) -> Decision:
    if part.pointer:
        return withdraw_element(connection, part, reason, clock)
    return withdraw(connection, part.answer, reason, clock)


def _put_back(connection: Connection, part: Part, reason: str, clock: Clock) -> Decision:
    if part.pointer:
        return put_back_element(connection, part, reason, clock)
    return put_back(connection, part.answer, reason, clock)


def _told(part: Part, batch_id: str, outcome: str, decision: Decision | None) -> Told:
    first = decision.findings[0] if decision is not None and decision.findings else {}
    return Told(part, batch_id, outcome, first.get("rule"), first.get("pointer"), first.get("message"))


def _here(ingester: Connection, answers: list[uuid.UUID]) -> set[uuid.UUID]:
    """Those of some answers whose month is not archived."""
    rows = ingester.execute(
        "select exchanges.exchange_id from bronze.exchanges as exchanges where exchanges.exchange_id = any (%s)"
        " and ops.month_of(exchanges.captured_at) not in (select month from ops.archived_months)",
        [answers],
    ).fetchall()
    return {answer for (answer,) in rows}


def _by_batch(ingester: Connection, parts: Iterable[Part]) -> dict[str, list[Part]]:
    """The answers and elements by batch, each once, in order of their places."""
    by_answer: dict[uuid.UUID, set[Part]] = {}
    for part in parts:
        by_answer.setdefault(part.answer, set()).add(part)
    rows = ingester.execute(
        "select ledger.batch_id, ledger.exchange_id from ops.ledger as ledger"
        " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
        " where ledger.exchange_id = any (%s) order by exchanges.place, exchanges.attempt",
        [list(by_answer)],
    ).fetchall()
    found: dict[str, list[Part]] = {}
    for batch_id, answer in rows:
        found.setdefault(batch_id, []).extend(sorted(by_answer[answer]))
    return found


def _not_applied(ingester: Connection, batch_id: str) -> dict[Part, str]:
    """Answers and elements of a batch with a decision that is not applied, and what was decided."""
    rows = ingester.execute(
        f"select exchange_id, pointer, verdict from ({_NOT_APPLIED}) as moved"
        " where batch_id = %(batch_id)s order by 1, 2".encode(),
        {"decisions": list(DECISIONS), "batch_id": batch_id},
    )
    return {Part(answer, pointer): verdict for answer, pointer, verdict in rows.fetchall()}


def _left_over(ingester: Connection) -> list[str]:
    """Batches with a decision that was left to be applied."""
    rows = ingester.execute(f"select distinct batch_id from ({_NOT_APPLIED}) as moved".encode(), {"decisions": list(DECISIONS)})
    return [batch_id for (batch_id,) in rows.fetchall()]


def _is_published(ingester: Connection, batch_id: str) -> bool:
    row = ingester.execute("select state = 'published' from ops.batch_states where batch_id = %s", [batch_id]).fetchone()
    assert row is not None
    return bool(row[0])
