"""Judge an answer against the contract of its endpoint.

The contract is a JSON Schema per endpoint (top-level ``contracts/odds_api/``), strict on what the API promises and open to
fields that it adds. Beside it stand rules that no schema can say: that the answer is JSON which PostgreSQL reads alike, that it
answers the request, that its markets make sense. ``rules`` lists them all. An admitted answer can never make SQL fail.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, Literal

import jsonschema_rs

from pipeline.contracts import strict_json
from pipeline.contracts.elements import (
    Element,
    WholeAnswer,
    broken_elements,
    count_outcomes,
    element_at,
    is_within,
    original,
    without,
)
from pipeline.contracts.finding import MAX_FINDINGS, Finding, Findings, finding
from pipeline.contracts.rules import RULES
from pipeline.contracts.semantics import examine, seeds
from pipeline.contracts.shapes import ENDPOINT_NAMES, ENTRY_KEYS, ENVELOPES, EVENT_LISTS, ONE_EVENT, PRICED, data_of, events_of
from pipeline.contracts.strict_json import NotStrict, escape
from pipeline.errors import UsageError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Exchange
from pipeline.resources import resource

__all__ = ["ENDPOINT_NAMES", "MAX_FINDINGS", "Finding", "Judgement", "Verdict", "contract_version", "judge", "schemas"]

Verdict = Literal["accepted", "accepted_with_findings", "quarantined"]

# Values up to which all errors of a part are made, and up to which the first one is.
_ALL_ERRORS = 10_000
_FIRST_ERROR = 100_000
_UPCOMING = "upcoming"
# What tells the items of a list apart.
_TWICE: Final = "it stands twice in the answer"
_DUPLICATE: Final = {
    "event": "identity.duplicate_event",
    "sport": "identity.duplicate_sport",
    "participant": "identity.duplicate_participant",
    "bet": "identity.duplicate_bet",
    "prediction": "identity.duplicate_prediction",
}
_REPEATED: Final[Mapping[str, tuple[str, ...]]] = {**dict.fromkeys(EVENT_LISTS, ("id",)), **ENTRY_KEYS}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the contract says about one answer.

    Attributes:
        verdict: ``quarantined`` answers stay in bronze and reach nothing else; all others are admitted.
        findings: in the order of the rules, at most 20 per rule.
        outcomes: outcome objects in the body but for those held back with their element; 0 for endpoints without odds and
            for bodies that are no JSON.
        held: the elements that are held back, in their order; what else an admitted answer says is let in.
        document_text: the body as text, fit for ``jsonb``; None where it is no JSON that is read alike everywhere.
        document: the body as parsed values, for whoever looks at it next; None where there is no text.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    outcomes: int
    document_text: str | None
    document: Any = field(default=None, repr=False, compare=False)
    held: tuple[Element, ...] = ()

    def holds_back(self, found: Finding) -> bool:
        """Whether the place of a finding is within an element that is held back."""
        return any(is_within(found.pointer, each.pointer) for each in self.held)


def contract_version() -> str:
    """The version of the answer contracts with a hash of their texts, e.g. ``1.0.0+3f2a9c01``."""
    return _load()[0]


def schemas() -> Mapping[str, Any]:
    """The JSON Schemas of the answers, by file name, e.g. ``odds.schema.json``."""
    return _load()[1]


def judge(exchange: Exchange) -> Judgement:
    """The verdict on an answer.

    Args:
        exchange: with status 200 and no failure; a failed request is a classified failure, which nobody judges.

    Returns:
        A judgement, whatever the bytes are: no body makes this raise.

    Raises:
        ValueError: the exchange is a failure.
        UsageError: ``UNKNOWN_ENDPOINT``, there is no contract for its endpoint.
    """
    if exchange.failure is not None or exchange.status != 200:
        raise ValueError(f"a failed request is not judged: {exchange.request.text}")
    request = exchange.request
    validator = _validator(request.endpoint)
    if exchange.body is None:
        return Judgement("quarantined", (finding("body.missing", "", "", "status 200 came without a body"),), 0, None)
    try:
        document, text = strict_json.parse(exchange.body)
    except NotStrict as error:
        return Judgement("quarantined", (finding(error.rule, error.pointer, error.value, error.message),), 0, None)
    endpoint, noted = request.endpoint, Findings()
    outcomes = _count_outcomes(endpoint, document)
    try:
        held = _held(validator, endpoint, document, noted)
    except WholeAnswer:
        findings = noted.all() if validator.is_valid(document) else tuple(_schema(validator, endpoint, document))
        return Judgement("quarantined", findings, outcomes, text, document)
    admitted = without(document, pointers := [each.pointer for each in held])
    of_rest = Findings()
    _identity(request, admitted, of_rest)
    examine(request, exchange.captured_at, admitted, of_rest)
    noted.include(of_rest, lambda pointer: original(pointer, pointers))
    findings = noted.all()
    if any(RULES[found.rule].severity == "quarantine" for found in findings):
        return Judgement("quarantined", findings, outcomes, text, document)
    outcomes -= sum(each.outcomes for each in held)
    return Judgement("accepted_with_findings" if findings else "accepted", findings, outcomes, text, document, tuple(held))


def _held(validator: jsonschema_rs.Draft202012Validator, endpoint: str, document: Any, noted: Findings) -> list[Element]:
    """The elements that cannot be admitted; what is wrong with them is noted.

    Raises:
        WholeAnswer: it is not a part of the answer that is wrong, or nothing of it stands.
    """
    held: list[Element] = []
    if not validator.is_valid(document):
        broken = broken_elements(endpoint, document, validator.is_valid)
        held = [each.element for each in broken]
        for each in broken:
            for found in _errors(validator, each.part, each.indexes) if len(noted) < MAX_FINDINGS else ():
                noted.keep(replace(found, about=tuple(each.element.about.items())))
    if (keys := _REPEATED.get(endpoint)) is not None:

        def key_of(item: Mapping[str, Any]) -> tuple[Any, ...]:
            return tuple(item[key] for key in keys)

        gone = {each.pointer for each in held}
        data, base = data_of(endpoint, document)
        seen = Counter(key_of(item) for index, item in enumerate(data) if f"{base}/{index}" not in gone)
        for index, item in enumerate(data):
            pointer = f"{base}/{index}"
            if pointer not in gone and seen[key_of(item)] > 1:
                element = element_at(endpoint, document, pointer)
                assert element is not None
                # what hangs in it is held back with it
                held = [*(each for each in held if not each.pointer.startswith(f"{pointer}/")), element]
                noted.add(_DUPLICATE[element.kind], f"{pointer}/{keys[-1]}", item[keys[-1]], _TWICE, element.about)
        if held and len(held) == len(data) and all(each.kind not in ("bookmaker", "market") for each in held):
            raise WholeAnswer
    return sorted(held, key=lambda each: [int(step) if step.isdecimal() else 0 for step in each.pointer.split("/")])


def _schema(validator: jsonschema_rs.Draft202012Validator, endpoint: str, document: Any) -> list[Finding]:
    """The first errors of an invalid document, at most 20.

    The validator makes every error of what it is given at once, at some 2 kB each, so of a large document it is given one
    item of the list at a time, and of a large item only the first error is asked for.
    """
    data = document.get("data") if endpoint in ENVELOPES and isinstance(document, dict) else document
    if not isinstance(data, list) or _size(document, _ALL_ERRORS) <= _ALL_ERRORS:
        return _errors(validator, document)

    def holding(items: list[Any]) -> Any:
        return items if data is document else {**document, "data": items}

    findings = _errors(validator, holding([]))
    place = 0 if data is document else 1
    # What is wrong with the envelope would come again with every item.
    for index, item in enumerate(data if not findings else ()):
        findings += _errors(validator, holding([item]), {place: index})
        if len(findings) >= MAX_FINDINGS:
            break
    return findings[:MAX_FINDINGS] or [finding("schema", "", data, f"{len(data)} items are more than there may be")]


def _errors(
    validator: jsonschema_rs.Draft202012Validator, part: Any, indexes: Mapping[int, int] = MappingProxyType({})
) -> list[Finding]:
    """The errors of one part, of whose pointers some steps are another index in the whole."""
    if validator.is_valid(part):
        return []
    size = _size(part, _FIRST_ERROR)
    if size > _FIRST_ERROR:
        pointer = "" if not indexes else f"{'/data' * min(indexes)}/{indexes[min(indexes)]}"
        return [finding("schema", pointer, part, "it breaks the schema, and is too large to say where")]
    errors: Iterable[jsonschema_rs.ValidationError] = ()
    if size <= _ALL_ERRORS:
        errors = validator.iter_errors(part)
    else:
        try:
            validator.validate(part)
        except jsonschema_rs.ValidationError as first:
            errors = (first,)
    findings = []
    for error in islice(errors, MAX_FINDINGS):
        path = list(error.instance_path)
        for place, index in indexes.items():
            if len(path) > place:
                path[place] = index
        pointer = "".join(f"/{escape(step)}" for step in path)
        findings.append(finding("schema", pointer, error.instance, error.message))
    return findings


def _size(value: Any, most: int) -> int:
    """How many values it consists of; counting ends soon after ``most``."""
    count, waiting = 1, [value]
    while waiting and count <= most:
        value = waiting.pop()
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += len(inner)
        waiting.extend(inner[:most])
    return count


def _identity(request: ApiRequest, document: Any, found: Findings) -> None:
    """The answer is about what was asked."""
    data, base = data_of(request.endpoint, document)
    if request.endpoint in ONE_EVENT and request.event_id is not None and data["id"] != request.event_id:
        found.add("identity.event", f"{base}/id", data["id"], f"the event asked for is {request.event_id}")
    if request.sport is not None and request.sport != _UPCOMING:
        for event, place in zip(*events_of(request.endpoint, document), strict=True):
            if event["sport_key"] != request.sport:
                message = f"the sport asked for is {request.sport}"
                found.add("identity.sport", f"{place}/sport_key", event["sport_key"], message)


def _count_outcomes(endpoint: str, document: Any) -> int:
    """Outcome objects of an answer; takes documents that break the schema as well."""
    if endpoint not in PRICED:
        return 0
    if endpoint in ENVELOPES:
        document = document.get("data") if isinstance(document, dict) else None
    return count_outcomes([document] if endpoint in ONE_EVENT else document if isinstance(document, list) else [])


@cache
def _load() -> tuple[str, dict[str, Any], jsonschema_rs.Registry]:
    """Version, schemas by file name, and the registry that resolves their references without any network."""
    folder = resource("contracts/odds_api")
    digest = hashlib.sha256()
    documents: dict[str, Any] = {}
    for path in sorted(folder.glob("*.schema.json")):
        documents[path.name] = json.loads(path.read_text(encoding="utf-8"))
        # Hashed as a value, so that line ends of a checkout do not make another contract.
        digest.update(json.dumps([path.name, documents[path.name]], sort_keys=True).encode())
    # The seeds are part of the contract: what is normal in a market stands there.
    digest.update(json.dumps(seeds(), sort_keys=True).encode())
    version = (folder / "VERSION").read_text(encoding="utf-8").strip()
    registry = jsonschema_rs.Registry([(each["$id"], each) for each in documents.values()], draft=jsonschema_rs.Draft202012)
    return f"{version}+{digest.hexdigest()[:8]}", documents, registry


@cache
def _validator(endpoint: str) -> jsonschema_rs.Draft202012Validator:
    if endpoint not in ENDPOINT_NAMES:
        raise UsageError("UNKNOWN_ENDPOINT", f"There is no contract for the endpoint {endpoint!r}.", "Check its spelling.")
    _, documents, registry = _load()
    return jsonschema_rs.Draft202012Validator(
        documents[f"{endpoint}.schema.json"], registry=registry, offline=True, validate_formats=True, mask="the value"
    )
