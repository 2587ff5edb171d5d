"""Look up answers and what was decided about them: who is held back and why, and all there is to know about one."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pipeline.bronze.held_elements import Part, element_of
from pipeline.bronze.read_back import read_exchange
from pipeline.bronze.verdicts import DECISIONS, QUARANTINED
from pipeline.clock import to_iso
from pipeline.contracts.rules import RULES
from pipeline.errors import UsageError
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.months import refuse_archived

# So many digits of an id are shown where one is shown to be typed again, and so many ids where a prefix has several.
SHORT: Final = 12
_NAMED: Final = 4
_MAX_VALUE: Final = 40

_HEX: Final = re.compile(r"[0-9a-f]{1,32}")
# The last verdict on an answer, and on each element of one that is admitted.
_LAST_OF_EACH: Final = """
    (
        select null as pointer, 'answer' as kind, not ledger.admitted as is_held, verdicts.verdict, verdicts.findings,
            verdicts.contract_version, verdicts.decided_at, verdicts.reason, array[]::integer[] as place
        from ops.verdicts as verdicts
        where verdicts.exchange_id = ledger.exchange_id
        order by verdicts.verdict_no desc limit 1
    )
    union all
    (
        select distinct on (elements.pointer) elements.pointer, elements.kind, elements.pointer = any (ledger.held),
            verdicts.verdict, verdicts.findings, verdicts.contract_version, verdicts.decided_at, verdicts.reason,
            array(select step[1]::integer from regexp_matches(elements.pointer, '[0-9]+', 'g') as step)
        from ops.elements as elements
        join ops.element_verdicts as verdicts
            on verdicts.exchange_id = elements.exchange_id and verdicts.pointer = elements.pointer
        where elements.exchange_id = ledger.exchange_id and ledger.admitted
        order by elements.pointer, verdicts.verdict_no desc
    )
"""
_COUNT: Final = "(select coalesce(sum(1 + coalesce((f ->> 'more')::int, 0)), 0) from jsonb_array_elements({findings}) as f)"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which answers are meant.

    Attributes:
        batch_id: only those of this batch.
        rule: only those with a finding of this rule.
        everything: not only those in quarantine, also what was released, waived or withdrawn.
    """

    batch_id: str | None = None
    rule: str | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """An answer or an element in quarantine, or one that somebody decided on.

    Attributes:
        answer: its exchange id.
        element: JSON pointer of the element; None where it is the whole answer.
        kind: ``answer``, or what kind of element it is.
        batch_id, place, attempt, endpoint, sport: where it came.
        verdict, reason, contract_version, decided_at: of its last verdict.
        rule, pointer, value: of that verdict's first finding; None where it has none.
        findings: how many it has.
    """

    answer: uuid.UUID
    element: str | None
    kind: str
    batch_id: str
    place: int
    attempt: int
    endpoint: str
    sport: str | None
    verdict: str
    rule: str | None
    pointer: str | None
    value: str | None
    findings: int
    contract_version: str
    decided_at: dt.datetime
    reason: str | None

    @property
    def part(self) -> Part:
        """Which answer or element it is."""
        return Part(self.answer, self.element or "")

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {**asdict(self), "answer": str(self.answer), "decided_at": to_iso(self.decided_at)}


@dataclass(frozen=True, slots=True)
class HeldList:
    """What ``quarantine list`` shows."""

    answers: tuple[HeldAnswer, ...]

    @property
    def exit_code(self) -> int:
        """0: being asked is no failure."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        quarantined = [each for each in self.answers if each.verdict == QUARANTINED]
        elements = sum(each.element is not None for each in quarantined)
        return {
            "quarantined": len(quarantined) - elements,
            "elements": elements,
            "answers": [each.to_json() for each in self.answers],
        }

    def lines(self) -> list[str]:
        """A table for people."""
        if not self.answers:
            return ["Nothing is held back."]
        head = (
            "answer", "kind", "batch", "place", "endpoint", "sport", "verdict", "rule", "pointer", "value", "findings",
            "contract", "decided",
        )  # fmt: skip
        rows = [
            (
                each.answer.hex[:SHORT] + (each.element or ""),
                each.kind,
                each.batch_id,
                f"{each.place}.{each.attempt}",
                each.endpoint,
                each.sport or "-",
                each.verdict,
                each.rule or "-",
                each.pointer or "-",
                _shortened(each.value or "-"),
                str(each.findings),
                each.contract_version,
                to_iso(each.decided_at.replace(microsecond=0)),
            )
            for each in self.answers
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict on an answer."""

    number: int
    verdict: str
    reason: str | None
    contract_version: str
    decided_at: dt.datetime
    findings: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """One JSON object; each finding with what its rule says, where this code still has the rule."""
        findings = [{**found, "promise": _promise(found["rule"])} for found in self.findings]
        return {**asdict(self), "decided_at": to_iso(self.decided_at), "findings": findings}


@dataclass(frozen=True, slots=True)
class Case:
    """All about one answer, or one element of it.

    Attributes:
        answer: its exchange id.
        element: JSON pointer of the element; None where it is the whole answer.
        batch_id, batch_state, batch_detail: its batch, and how that stands.
        place, attempt: where it came.
        request: in its readable form.
        captured_at, status: of the answer.
        body_bytes, body_sha256, is_json: of its body; whether SQL can read it.
        is_admitted, is_applied: what its last verdict says, and what silver and gold hold.
        verdicts: in order.
        held: of an answer: the elements of it that are held back, as JSON pointers.
    """

    answer: uuid.UUID
    element: str | None
    batch_id: str
    batch_state: str
    batch_detail: str | None
    place: int
    attempt: int
    request: str
    captured_at: dt.datetime
    status: int | None
    body_bytes: int
    body_sha256: str
    is_json: bool
    is_admitted: bool
    is_applied: bool
    verdicts: tuple[Verdict, ...]
    held: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: being asked is no failure."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            **asdict(self),
            "answer": str(self.answer),
            "captured_at": to_iso(self.captured_at),
            "verdicts": [each.to_json() for each in self.verdicts],
        }

    def lines(self) -> list[str]:
        """For people: the answer, its verdicts, and the findings of the last verdict that has any."""
        detail = f" ({self.batch_detail})" if self.batch_detail else ""
        held = "is" if self.is_applied else "is not"
        lines = [
            f"answer    {self.answer}",
            *([f"element   {self.element}"] if self.element else []),
            f"batch     {self.batch_id}, {self.batch_state}{detail}",
            f"place     {self.place}, attempt {self.attempt}",
            f"request   {self.request}",
            f"answered  {to_iso(self.captured_at)}, status {self.status}",
            f"body      {self.body_bytes:,} bytes, sha256 {self.body_sha256}{'' if self.is_json else ', no JSON for SQL'}",
            f"state     {'admitted' if self.is_admitted else 'held back'}; {held} in silver and gold",
            *(f"held back {self.answer.hex[:SHORT]}{pointer}" for pointer in self.held),
            "verdicts" if self.verdicts else "no verdict of its own",
        ]
        for each in self.verdicts:
            why = f": {each.reason}" if each.reason else ""
            at = to_iso(each.decided_at.replace(microsecond=0))
            lines.append(
                f"  {each.number} {at} {each.verdict}, contract {each.contract_version}, {len(each.findings)} findings{why}"
            )
        findings = next((each.findings for each in reversed(self.verdicts) if each.findings), ())
        if findings:
            lines.append("findings")
        for found in findings:
            more = f" (and {found['more']} more of this rule)" if found.get("more") else ""
            lines += [
                f"  {found['rule']} at {found['pointer'] or 'the whole'}: {found['message']}{more}",
                f"    value: {found['value']}",
                f"    rule:  {_promise(found['rule']) or 'this code has no such rule'}",
            ]
        return lines


def answer_range(text: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The first and the last exchange id that a text can begin.

    Raises:
        UsageError: ``ANSWER_ID_INVALID``.
    """
    digits = text.strip().replace("-", "").lower()
    if not _HEX.fullmatch(digits):
        raise UsageError(
            "ANSWER_ID_INVALID",
            f"{text!r} is no exchange id or the beginning of one.",
            "Take one that `quarantine list` shows.",
        )
    return uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))


def find_answer(connection: Connection, text: str) -> uuid.UUID:
    """The answer that an exchange id, or the beginning of one, means.

    Raises:
        UsageError: ``ANSWER_ID_INVALID``, ``ANSWER_UNKNOWN`` or ``ANSWER_AMBIGUOUS``.
    """
    first, last = answer_range(text)
    found = connection.execute(
        "select exchange_id from ops.ledger where exchange_id between %s and %s order by exchange_id limit %s",
        [first, last, _NAMED],
    ).fetchall()
    if not found:
        raise UsageError(
            "ANSWER_UNKNOWN", f"There is no answer {text} in the warehouse.", "Take one that `quarantine list --all` shows."
        )
    if len(found) > 1:
        named = ", ".join(str(row[0]) for row in found)
        more = ", …" if len(found) == _NAMED else ""
        raise UsageError("ANSWER_AMBIGUOUS", f"{text} begins several ids: {named}{more}.", "Give more of it.")
    answer: uuid.UUID = found[0][0]
    return answer


def find_part(connection: Connection, text: str) -> Part:
    """The answer that an exchange id or the beginning of one means, or the element whose JSON pointer follows it.

    Raises:
        UsageError: as :func:`find_answer`.
    """
    digits, slash, pointer = text.strip().partition("/")
    return Part(find_answer(connection, digits), slash + pointer)


def held_back(connection: Connection, selection: Selection) -> HeldList:
    """The answers and elements in quarantine, or all that were ever decided on, in order of batch and place.

    Raises:
        UsageError: ``BATCH_UNKNOWN`` or ``RULE_UNKNOWN``: nothing is found because there is no such thing.
    """
    rows = connection.execute(
        "select ledger.exchange_id, last.pointer, last.kind, ledger.batch_id, exchanges.place, exchanges.attempt,"
        " exchanges.endpoint, exchanges.sport_key, last.verdict, last.findings -> 0 ->> 'rule',"
        f" last.findings -> 0 ->> 'pointer', last.findings -> 0 ->> 'value', {_COUNT.format(findings='last.findings')},"
        " last.contract_version, last.decided_at, last.reason"
        f" from ops.ledger as ledger cross join lateral ({_LAST_OF_EACH}) as last"
        " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
        " where last.verdict = any (%(verdicts)s) and (%(everything)s or last.is_held)"
        " and (%(batch_id)s::text is null or ledger.batch_id = %(batch_id)s)"
        " and (%(rule)s::text is null or last.findings @> jsonb_build_array(jsonb_build_object('rule', %(rule)s::text)))"
        " order by ledger.batch_id, exchanges.place, exchanges.attempt, last.place".encode(),
        {
            "verdicts": [QUARANTINED, *(DECISIONS if selection.everything else ())],
            "everything": selection.everything,
            "batch_id": selection.batch_id,
            "rule": selection.rule,
        },
    ).fetchall()
    if not rows:
        _check(connection, selection)
    return HeldList(tuple(HeldAnswer(*row) for row in rows))


def case(connection: Connection, part: Part) -> Case:
    """All about one answer that the warehouse has, or an element of it.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``.
        UsageError: ``ELEMENT_UNKNOWN``.
    """
    answer = part.answer
    _refuse_archived(connection, answer)
    if part.pointer:
        element_of(read_exchange(connection, answer), part)
    row = connection.execute(
        "select ledger.exchange_id, nullif(%(pointer)s, ''), ledger.batch_id, states.state, states.detail, exchanges.place,"
        " exchanges.attempt, exchanges.request ->> 'text', exchanges.captured_at, exchanges.status, bodies.byte_count,"
        " bodies.body_sha256, documents.document is not null,"
        " ledger.admitted and not %(pointer)s = any (ledger.held),"
        " ledger.applied and not %(pointer)s = any (ledger.applied_held)"
        " from ops.ledger as ledger"
        " join ops.batch_states as states on states.batch_id = ledger.batch_id"
        " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
        " join bronze.bodies as bodies on bodies.body_sha256 = exchanges.body_sha256"
        " and bodies.month = ops.month_of(exchanges.captured_at)"
        " join bronze.documents as documents on documents.body_sha256 = bodies.body_sha256 and documents.month = bodies.month"
        " where ledger.exchange_id = %(answer)s",
        {"answer": answer, "pointer": part.pointer},
    ).fetchone()
    assert row is not None
    verdicts = connection.execute(
        "select verdict_no, verdict, reason, contract_version, decided_at, findings from ops.verdicts"
        " where exchange_id = %(answer)s and %(pointer)s = ''"
        " union all select verdict_no, verdict, reason, contract_version, decided_at, findings from ops.element_verdicts"
        " where exchange_id = %(answer)s and pointer = %(pointer)s order by verdict_no",
        {"answer": answer, "pointer": part.pointer},
    ).fetchall()
    told = tuple(Verdict(*(*values, tuple(findings))) for *values, findings in verdicts)
    parts = connection.execute(
        "select unnest(held) from ops.ledger where exchange_id = %s and %s = ''", [answer, part.pointer]
    ).fetchall()
    return Case(*(*row, told, tuple(pointer for (pointer,) in parts)))


def body(connection: Connection, answer: uuid.UUID) -> bytes:
    """The body of an answer, as it came.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``.
    """
    _refuse_archived(connection, answer)
    row = connection.execute(
        "select bodies.body from bronze.exchanges as exchanges"
        " join bronze.bodies as bodies on bodies.body_sha256 = exchanges.body_sha256"
        " and bodies.month = ops.month_of(exchanges.captured_at) where exchanges.exchange_id = %s",
        [answer],
    ).fetchone()
    assert row is not None
    return bytes(row[0])


def _refuse_archived(connection: Connection, answer: uuid.UUID) -> None:
    rows = connection.execute("select captured_at from bronze.exchanges where exchange_id = %s", [answer]).fetchall()
    refuse_archived(connection, [at for (at,) in rows], f"The body of {answer}")


def _check(connection: Connection, selection: Selection) -> None:
    """Tell a name that is not there from one under which nothing is held back."""
    if selection.batch_id is not None:
        known = connection.execute("select 1 from bronze.batches where batch_id = %s", [selection.batch_id]).fetchone()
        if known is None:
            raise UsageError("BATCH_UNKNOWN", f"There is no batch {selection.batch_id} in the warehouse.", "Check its id.")
    if selection.rule is not None and selection.rule not in RULES:
        raise UsageError(
            "RULE_UNKNOWN", f"There is no rule {selection.rule!r}, and no finding of one.", f"Rules: {', '.join(RULES)}."
        )


def _promise(rule: str) -> str | None:
    return RULES[rule].promise if rule in RULES else None


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"
