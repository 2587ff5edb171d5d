"""Judge an answer against the contract of its endpoint.

The contract is a JSON Schema per endpoint (top-level ``contracts/odds_api/``), strict on what the API promises and open to
fields that it adds. A few rules stand here because no schema can say them: that the answer is JSON which PostgreSQL reads
alike, that it answers the request, that its prices are of the format asked for. An accepted answer can never make SQL fail.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

import jsonschema_rs

from pipeline.contracts import strict_json
from pipeline.contracts.strict_json import NotStrict, escape
from pipeline.errors import UsageError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Exchange
from pipeline.resources import resource

Verdict = Literal["accepted", "accepted_with_findings", "quarantined"]

MAX_FINDINGS = 20
MAX_TEXT = 200
# Values up to which all errors of a part are made, and up to which the first one is.
_ALL_ERRORS = 10_000
_FIRST_ERROR = 100_000
_UPCOMING = "upcoming"
# What a body (or an envelope's data) is made of.
_EVENT_LISTS = ("events", "odds", "scores", "historical_events", "historical_odds")
_ONE_EVENT = ("event_odds", "event_markets", "historical_event_odds")
_PRICED = ("odds", "event_odds", "historical_odds", "historical_event_odds")
_OTHERS = ("sports", "participants")
ENDPOINT_NAMES = (*_EVENT_LISTS, *_ONE_EVENT, *_OTHERS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an answer.

    Attributes:
        rule: stable id: ``body.missing``, ``body.size``, ``body.utf8``, ``json.syntax``, ``json.depth``, ``json.constant``,
            ``json.duplicate_key``, ``json.number``, ``json.surrogate``, ``json.nul``, ``schema``, ``identity.sport``,
            ``identity.event``, ``identity.duplicate_event``, ``identity.duplicate_sport``, ``odds.format``.
        pointer: JSON pointer of the place in the body; empty for the whole.
        value: the offending value, as Python would print it, at most 200 characters, all of them printable.
        message: what is wrong; printable too.
    """

    rule: str
    pointer: str
    value: str
    message: str

    def to_json(self) -> dict[str, str]:
        """The JSON object of the verdict's row."""
        return {"rule": self.rule, "pointer": self.pointer, "value": self.value, "message": self.message}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the contract says about one answer.

    Attributes:
        verdict: ``quarantined`` answers stay in bronze and reach nothing else.
        findings: in the order of the rules, at most 20 per rule.
        outcomes: outcome objects in the body; 0 for endpoints without odds and for bodies that are no JSON.
        document_text: the body as text, fit for ``jsonb``; None where it is no JSON that is read alike everywhere.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    outcomes: int
    document_text: str | None


def contract_version() -> str:
    """The version of the answer contracts with a hash of their texts, e.g. ``1.0.0+3f2a9c01``."""
    return _load()[0]


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
        return Judgement("quarantined", (_finding("body.missing", "", "", "status 200 came without a body"),), 0, None)
    try:
        document, text = strict_json.parse(exchange.body)
    except NotStrict as error:
        return Judgement("quarantined", (_finding(error.rule, error.pointer, error.value, error.message),), 0, None)
    outcomes = sum(len(market["outcomes"]) for _, market in _markets(request.endpoint, document))
    if not validator.is_valid(document):
        return Judgement("quarantined", tuple(_schema(validator, request.endpoint, document)), outcomes, text)
    findings = (*islice(_identity(request, document), MAX_FINDINGS), *islice(_odds_format(request, document), MAX_FINDINGS))
    return Judgement("quarantined" if findings else "accepted", findings, outcomes, text)


def _schema(validator: jsonschema_rs.Draft202012Validator, endpoint: str, document: Any) -> list[Finding]:
    """The first errors of an invalid document, at most 20.

    The validator makes every error of what it is given at once, at some 2 kB each, so of a large document it is given one
    item of the list at a time, and of a large item only the first error is asked for.
    """
    data = document.get("data") if endpoint.startswith("historical_") and isinstance(document, dict) else document
    if not isinstance(data, list) or _size(document, _ALL_ERRORS) <= _ALL_ERRORS:
        return _errors(validator, document)

    def holding(items: list[Any]) -> Any:
        return items if data is document else {**document, "data": items}

    findings = _errors(validator, holding([]))
    place = 0 if data is document else 1
    # What is wrong with the envelope would come again with every item.
    for index, item in enumerate(data if not findings else ()):
        findings += _errors(validator, holding([item]), place, index)
        if len(findings) >= MAX_FINDINGS:
            break
    return findings[:MAX_FINDINGS] or [_finding("schema", "", data, f"{len(data)} items are more than there may be")]


def _errors(
    validator: jsonschema_rs.Draft202012Validator, part: Any, place: int = 0, index: int | None = None
) -> list[Finding]:
    """The errors of one part, whose step ``place`` of the pointer stands for ``index`` in the whole."""
    if validator.is_valid(part):
        return []
    size = _size(part, _FIRST_ERROR)
    if size > _FIRST_ERROR:
        pointer = "" if index is None else f"{'/data' * place}/{index}"
        return [_finding("schema", pointer, part, "it breaks the schema, and is too large to say where")]
    errors: Iterable[jsonschema_rs.ValidationError] = ()
    if size <= _ALL_ERRORS:
        errors = validator.iter_errors(part)
    else:
        try:
            validator.validate(part)
        except jsonschema_rs.ValidationError as error:
            errors = (error,)
    findings = []
    for found in islice(errors, MAX_FINDINGS):
        path = list(found.instance_path)
        if index is not None and len(path) > place:
            path[place] = index
        pointer = "".join(f"/{escape(step)}" for step in path)
        findings.append(_finding("schema", pointer, found.instance, found.message))
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


def _identity(request: ApiRequest, document: Any) -> Iterator[Finding]:
    """The answer is about what was asked, and says each thing once."""
    if request.endpoint == "sports":
        yield from _repeated("identity.duplicate_sport", "key", "", document, "the sport stands twice in the answer")
        return
    data, base = _data(request.endpoint, document)
    if request.endpoint in _ONE_EVENT:
        if request.event_id is not None and data["id"] != request.event_id:
            yield _finding("identity.event", f"{base}/id", data["id"], f"the event asked for is {request.event_id}")
        events, places = [data], [base]
    elif request.endpoint in _EVENT_LISTS:
        events, places = data, [f"{base}/{index}" for index in range(len(data))]
        yield from _repeated("identity.duplicate_event", "id", base, data, "the event stands twice in the answer")
    else:
        return
    if request.sport is not None and request.sport != _UPCOMING:
        for event, place in zip(events, places, strict=True):
            if event["sport_key"] != request.sport:
                message = f"the sport asked for is {request.sport}"
                yield _finding("identity.sport", f"{place}/sport_key", event["sport_key"], message)


def _repeated(rule: str, key: str, base: str, items: list[Any], message: str) -> Iterator[Finding]:
    if len({item[key] for item in items}) == len(items):
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item[key] in seen:
            yield _finding(rule, f"{base}/{index}/{key}", item[key], message)
        seen.add(item[key])


def _odds_format(request: ApiRequest, document: Any) -> Iterator[Finding]:
    """A price of the other format would be read as something else altogether: 2.5 as american, -110 as decimal."""
    if request.endpoint not in _PRICED:
        return
    american = request.param("oddsFormat", "decimal") == "american"
    for pointer, market in _markets(request.endpoint, document):
        for index, outcome in enumerate(market["outcomes"]):
            price = outcome["price"]
            if (abs(price) < 100) if american else price < 1:
                message = f"no price in {'american' if american else 'decimal'} odds, which were asked for"
                yield _finding("odds.format", f"{pointer}/outcomes/{index}/price", price, message)


def _data(endpoint: str, document: Any) -> tuple[Any, str]:
    """What the envelope holds, and its pointer."""
    return (document["data"], "/data") if endpoint.startswith("historical_") else (document, "")


def _markets(endpoint: str, document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every market with a list of outcomes, with its pointer; takes documents that break the schema as well."""
    if endpoint not in _PRICED:
        return
    base = ""
    if endpoint.startswith("historical_"):
        document, base = (document.get("data") if isinstance(document, dict) else None), "/data"
    if endpoint in _ONE_EVENT:
        events: Any = [document]
        places = [base]
    else:
        events = document if isinstance(document, list) else []
        places = [f"{base}/{index}" for index in range(len(events))]
    for event, place in zip(events, places, strict=True):
        for book_no, book in enumerate(_list(event, "bookmakers")):
            for market_no, market in enumerate(_list(book, "markets")):
                if isinstance(market, dict) and isinstance(market.get("outcomes"), list):
                    yield f"{place}/bookmakers/{book_no}/markets/{market_no}", market


def _list(holder: Any, key: str) -> list[Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MAX_TEXT
_REPR.maxlist = _REPR.maxdict = 4
_REPR.maxlevel = 2


def _finding(rule: str, pointer: str, value: Any, message: str) -> Finding:
    """A finding whose texts are short and printable, so that they can be stored and shown anywhere."""
    shown = _printable(value, MAX_TEXT) if isinstance(value, str) else _REPR.repr(value)
    return Finding(rule, _printable(pointer, MAX_TEXT), shown[:MAX_TEXT], _printable(message, 2 * MAX_TEXT))


def _printable(text: str, most: int) -> str:
    """At most so many characters, without quotes around, unprintable ones escaped as Python does."""
    text = text[:most]
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:most]


@cache
def _load() -> tuple[str, dict[str, Any], jsonschema_rs.Registry]:
    """Version, schemas by file name, and the registry that resolves their references without any network."""
    folder = resource("contracts/odds_api")
    digest = hashlib.sha256()
    schemas: dict[str, Any] = {}
    for path in sorted(folder.glob("*.schema.json")):
        schemas[path.name] = json.loads(path.read_text(encoding="utf-8"))
        # Hashed as a value, so that line ends of a checkout do not make another contract.
        digest.update(json.dumps([path.name, schemas[path.name]], sort_keys=True).encode())
    version = (folder / "VERSION").read_text(encoding="utf-8").strip()
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas.values()], draft=jsonschema_rs.Draft202012)
    return f"{version}+{digest.hexdigest()[:8]}", schemas, registry


@cache
def _validator(endpoint: str) -> jsonschema_rs.Draft202012Validator:
    if endpoint not in ENDPOINT_NAMES:
        raise UsageError("UNKNOWN_ENDPOINT", f"There is no contract for the endpoint {endpoint!r}.", "Check its spelling.")
    _, schemas, registry = _load()
    return jsonschema_rs.Draft202012Validator(
        schemas[f"{endpoint}.schema.json"], registry=registry, offline=True, validate_formats=True, mask="the value"
    )
