"""The shape of answers (fields, their JSON types, the keys they name), and how two shapes differ.

A shape is a set of marks. It forgets every price and name, so shapes of one exchange add up to that of a batch or of a whole
recording, in any order. Outcomes are told apart by market, and answers by the parameters that add fields or widen lists:
what a market never shows, or nobody asked for, is not missing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any, Final, NamedTuple

from pipeline.contracts import strict_json
from pipeline.odds_api.api_errors import ERROR_CODES
from pipeline.odds_api.endpoints import IMPORTED
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Exchange

# A field is gone when it was in every one of so many objects, and is in none of so many.
ENOUGH: Final = 10

# Honest answers stay far below these bounds; what an answer shows beyond them is left out, whatever else was seen.
MAX_FIELDS = 100
MAX_PLACES = 1_000
MAX_WORDS = 1_000
MAX_WORD: Final = 120
MAX_NAME: Final = 60
MAX_PATH: Final = 200
_ERROR_BODY: Final = 100_000

_TYPES: Final[Mapping[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY: Final = re.compile(r"[a-z0-9_]{1,120}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,119}")
_MARKET: Final = re.compile(r"\bmarkets\[([a-z0-9_]+)\]")

# mark → kind of drift, for the closed vocabularies
WORDS: Final[Mapping[str, str]] = {
    "sport": "sport_new",
    "book": "book_new",
    "market": "market_new",
    "enum": "enum_value_new",
    "error_code": "error_code_new",
}


# Members of bets and predictions that name words of the API.
_LEDGER_WORDS: Final[Mapping[str, str]] = {"market": "market", "bookmaker_key": "book", "odds_format": "enum"}

# They list what there is, asked for or not: read for the first time, they name hundreds of words.
CATALOGUES: Final = ("sports", "event_markets")


class Mark(NamedTuple):
    """One thing that an answer shows.

    Attributes:
        kind: ``place`` (objects at a path), ``type`` (of a field), or a vocabulary of :data:`WORDS`.
        endpoint: with the parameters that change its shape, e.g. ``odds?includeLinks``.
        path: of the object, e.g. ``[].bookmakers[].markets[spreads].outcomes[]``; of a word, the field that holds it.
        name: the field; ``[]`` for the items of the list at the path, empty for the answer itself and for words.
        value: the JSON type (integers and fractions are both ``number``), or the word.
    """

    kind: str
    endpoint: str
    path: str = ""
    name: str = ""
    value: str = ""

    @property
    def field(self) -> str:
        """The path of the field itself."""
        return _join(self.path, self.name) if self.kind == "type" else self.path


class Seen(NamedTuple):
    """How often a mark was seen, and the first exchange that shows it.

    Attributes:
        times: objects, values, or times that a word was named.
        example: batch id and place in its plan; the smallest.
    """

    times: int
    example: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """What answers look like, as a sum of marks."""

    marks: Mapping[Mark, Seen]


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference in shape.

    Attributes:
        kind: ``field_new``, ``field_gone``, ``type_changed``, ``sport_new``, ``book_new``, ``market_new``,
            ``enum_value_new`` or ``error_code_new``.
        endpoint: as in :class:`Mark`.
        path: of the field, e.g. ``[].bookmakers[].key``; empty for the answer itself and for error codes.
        before: the types that the field had; None where there is nothing to tell.
        after: the types or the word that are new; None for what is gone.
        batch_id: where to look: a batch that shows it, or that showed what is gone,
        place: and the exchange's place in its plan.
    """

    kind: str
    endpoint: str
    path: str
    before: str | None
    after: str | None
    batch_id: str
    place: int

    def order(self) -> tuple[str, ...]:
        """What differences are sorted by."""
        return self.kind, self.endpoint, self.path, self.before or "", self.after or ""

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "kind": self.kind,
            "endpoint": self.endpoint,
            "path": self.path,
            "before": self.before,
            "after": self.after,
            "example": {"batch_id": self.batch_id, "place": self.place},
        }


# --- profile ---------------------------------------------------------------------------------------------------------


def shape_of(batch_id: str, exchange: Exchange, document: Any) -> Shape:
    """The shape of one exchange with a parsed answer.

    Args:
        batch_id: its batch, for the examples.
        exchange: status 200, no failure.
        document: its body, parsed; whether it keeps its contract does not matter.
    """
    endpoint, example = _label(exchange.request), (batch_id, exchange.place)
    counts: Counter[Mark] = Counter()
    for mark, count in _survey(endpoint, document):
        counts[mark] += count  # names that are cut may meet
    return Shape({mark: Seen(count, example) for mark, count in counts.items()})


def shape_of_failure(batch_id: str, exchange: Exchange) -> Shape:
    """The shape of a failed exchange: the error code that the API answered with; nothing where no answer came."""
    if exchange.failure is None or exchange.status is None:
        return Shape({})
    code = exchange.failure.code
    if code not in ERROR_CODES:
        code = _unknown_code(exchange.body) or code
    return Shape({Mark("error_code", _label(exchange.request), value=code): Seen(1, (batch_id, exchange.place))})


def union(shapes: Iterable[Shape]) -> Shape:
    """The shape of all of them together, whatever their order."""
    marks: dict[Mark, Seen] = {}
    for shape in shapes:
        for mark, seen in shape.marks.items():
            known = marks.get(mark)
            marks[mark] = seen if known is None else Seen(known.times + seen.times, min(known.example, seen.example))
    return Shape(marks)


def profile(batch: Batch) -> Shape:
    """The shape of a batch whose answers nobody has parsed yet; what is no strict JSON has none."""
    return union(_shapes(batch))


def _shapes(batch: Batch) -> Iterator[Shape]:
    for exchange in batch.exchanges:
        if exchange.failure is not None:
            yield shape_of_failure(batch.batch_id, exchange)
        elif exchange.body is not None:
            try:
                document, _ = strict_json.parse(exchange.body)
            except strict_json.NotStrict:
                continue
            yield shape_of(batch.batch_id, exchange, document)


def _label(request: ApiRequest) -> str:
    """The endpoint with the parameters that add fields, widen the list, or write another type."""
    added = [name for name, value in request.params if (name.startswith("include") or name == "all") and value == "true"]
    # its times are numbers
    added += ["dateFormat=unix"] if request.param("dateFormat") == "unix" else []
    return request.endpoint + ("?" + "&".join(added) if added else "")


def _unknown_code(body: bytes | None) -> str | None:
    """An ``error_code`` that is not among the known ones."""
    if body is None or len(body) > _ERROR_BODY:
        return None
    try:
        document, _ = strict_json.parse(body)
    except strict_json.NotStrict:
        return None
    code = document.get("error_code") if isinstance(document, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _survey(endpoint: str, document: Any) -> Iterator[tuple[Mark, int]]:
    """Every mark of a document with its count.

    All values at one path are looked at together, so that the loops over single values run in C.
    """
    found = _Values([document])
    yield from found.marks(endpoint, "", "")
    waiting = [("", found)]
    for path, values in waiting:  # grows as it goes
        inner: list[tuple[str, _Values]] = []
        if list in values.types:
            items = _Values(list(chain.from_iterable(values.of(list))))
            yield from items.marks(endpoint, path, "[]")
            inner.append((path + "[]", items))
        if dict in values.types:
            objects = values.of(dict)
            yield Mark("place", endpoint, path), len(objects)
            names = Counter(chain.from_iterable(objects))
            for name in nsmallest(MAX_FIELDS, names) if len(names) > MAX_FIELDS else names:
                in_all = names[name] == len(objects)
                found = _Values(list(map(itemgetter(name), objects if in_all else [each for each in objects if name in each])))
                step = _name(name)
                yield from found.marks(endpoint, path, step)
                kind = _vocabulary(endpoint, path, name)
                if kind is not None:
                    yield from _words(kind, endpoint, _join(path, step), found)
                if name == "outcomes" and path.endswith("markets[]"):
                    inner += _by_market(path, objects)
                else:
                    inner.append((_join(path, step), found))
        waiting += [
            (step, found) for step, found in inner if len(step) <= MAX_PATH and (dict in found.types or list in found.types)
        ][: MAX_PLACES - len(waiting)]


class _Values:
    """All values at one path, and how many there are of each type."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.types = Counter(map(type, values))

    def of(self, kind: type) -> list[Any]:
        """The values of one type."""
        return self.values if self.types.keys() == {kind} else [value for value in self.values if type(value) is kind]

    def marks(self, endpoint: str, path: str, name: str) -> Iterator[tuple[Mark, int]]:
        """A mark of each JSON type."""
        types: Counter[str] = Counter()
        for kind, count in self.types.items():
            types[_TYPES[kind]] += count
        for value, count in types.items():
            yield Mark("type", endpoint, path, name, value), count


def _vocabulary(endpoint: str, path: str, name: str) -> str | None:
    """Which closed vocabulary the values of a field belong to."""
    asked = endpoint.partition("?")[0]
    of_sports = path == "[]" and asked == "sports"
    if path == "[]" and asked in IMPORTED and name in _LEDGER_WORDS:
        return _LEDGER_WORDS[name]
    if name == "sport_key" or (name == "key" and of_sports):
        return "sport"
    if name == "key" and path.endswith("bookmakers[]"):
        return "book"
    if name == "key" and path.endswith("markets[]"):
        return "market"
    return "enum" if name == "group" and of_sports else None


def _words(kind: str, endpoint: str, path: str, values: _Values) -> Iterator[tuple[Mark, int]]:
    counts = Counter(values.of(str))
    words = [word for word in counts if (len(word) <= MAX_WORD if kind == "enum" else _KEY.fullmatch(word))]
    for word in nsmallest(MAX_WORDS, words) if len(words) > MAX_WORDS else words:
        yield Mark(kind, endpoint, path, value=word), counts[word]


def _by_market(path: str, markets: list[dict[str, Any]]) -> list[tuple[str, _Values]]:
    """The outcomes of each market key; those of a key that is none together."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for market in markets:
        if "outcomes" in market:
            found[_market_key(market.get("key"))].append(market["outcomes"])
    return [(f"{path[:-2]}[{key}].outcomes", _Values(found[key])) for key in sorted(found)]


def _market_key(key: Any) -> str:
    return key if type(key) is str and _is_key(key) else ""


@lru_cache(1_000)
def _is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and len(name) <= MAX_NAME else ascii(name[:MAX_NAME])


def _join(path: str, name: str) -> str:
    return path + name if name in ("", "[]") or not path else f"{path}.{name}"


# --- compare ---------------------------------------------------------------------------------------------------------


def compare(before: Shape, after: Shape) -> tuple[Drift, ...]:
    """What ``after`` has that ``before`` had not, and the other way round, sorted.

    Something is new only where ``before`` had looked: a field of an object that it had seen, a word where it had read words of
    that kind (each catalogue for itself), a code of an endpoint that it had asked. A field is gone that every one of
    :data:`ENOUGH` objects had, and none of as many has. Words do not go.
    """
    old, new = _Index(before), _Index(after)
    found = chain(_new_fields(old, new), _gone_fields(old, new), _new_words(before, after))
    return tuple(sorted(found, key=Drift.order))


class _Index:
    """The marks of a shape by what is asked about them.

    Attributes:
        objects: how many there are, by endpoint and path.
        fields: the types of each field, by endpoint, path and name.
    """

    def __init__(self, shape: Shape) -> None:
        self.objects: dict[tuple[str, str], int] = {}
        self.fields: defaultdict[tuple[str, str, str], dict[Mark, Seen]] = defaultdict(dict)
        for mark, seen in shape.marks.items():
            if mark.kind == "place":
                self.objects[mark.endpoint, mark.path] = seen.times
            elif mark.kind == "type":
                self.fields[mark.endpoint, mark.path, mark.name][mark] = seen


def _new_fields(old: _Index, new: _Index) -> Iterator[Drift]:
    for field, types in new.fields.items():
        known = old.fields.get(field, {})
        fresh = {mark: seen for mark, seen in types.items() if mark not in known}
        if not fresh or (not known and (field[:2] not in old.objects or field[2] in ("", "[]"))):
            continue
        path = _join(*field[1:])
        example = min(seen.example for seen in fresh.values())
        if known:
            yield Drift("type_changed", field[0], path, _listed(known), _listed(fresh), *example)
        else:
            yield Drift("field_new", field[0], path, None, _listed(fresh), *example)


def _gone_fields(old: _Index, new: _Index) -> Iterator[Drift]:
    for field, types in old.fields.items():
        had, has = old.objects.get(field[:2], 0), new.objects.get(field[:2], 0)
        if field in new.fields or had < ENOUGH or has < ENOUGH:
            continue
        if sum(seen.times for seen in types.values()) == had:
            example = min(seen.example for seen in types.values())
            yield Drift("field_gone", field[0], _join(*field[1:]), _listed(types), None, *example)


def _new_words(before: Shape, after: Shape) -> Iterator[Drift]:
    known = {(mark.kind, mark.value) for mark in before.marks}
    looked = {_where(mark.kind, mark.endpoint) for mark in before.marks}
    looked |= {_where("error_code", mark.endpoint) for mark in before.marks}
    for mark in sorted(after.marks):
        if mark.kind in WORDS and (mark.kind, mark.value) not in known and _where(mark.kind, mark.endpoint) in looked:
            known.add((mark.kind, mark.value))
            example = after.marks[mark].example
            yield Drift(WORDS[mark.kind], mark.endpoint, mark.path, None, mark.value, *example)


def _where(kind: str, endpoint: str) -> tuple[str, str]:
    """What must have been looked at for a word to be news: its catalogue, its endpoint, or any answer about events."""
    return kind, endpoint if kind == "error_code" or endpoint.partition("?")[0] in CATALOGUES else ""


def _listed(types: Mapping[Mark, Seen]) -> str:
    return ", ".join(sorted(mark.value for mark in types))


# --- words -----------------------------------------------------------------------------------------------------------

# Of words and of markets in a line.
SHOWN: Final = 8


def lines_of(drifts: Iterable[Drift], batch_id: str) -> list[str]:
    """A line per kind and field; words, and markets that drift alike, share one.

    Args:
        drifts: in the order of the lines.
        batch_id: the batch at hand, whose name need not be said again.
    """
    groups: defaultdict[tuple[str, ...], list[Drift]] = defaultdict(list)
    for drift in drifts:
        change = "" if drift.kind in WORDS.values() else " → ".join(filter(None, (drift.before, drift.after)))
        groups[drift.kind, drift.endpoint, _MARKET.sub("markets[*]", drift.path), change].append(drift)
    return [_line(key, group, batch_id) for key, group in groups.items()]


def _line(key: tuple[str, ...], group: list[Drift], batch_id: str) -> str:
    *subject, change = key
    names = [drift.after or "" for drift in group] if not change else [m for d in group for m in _MARKET.findall(d.path)]
    told = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    if change:
        told = f"{change} ({told})" if told else change
    first = min((drift.batch_id, drift.place) for drift in group)
    where = f"place {first[1]}" if first[0] == batch_id else f"{first[0]} place {first[1]}"
    return f"{' '.join(filter(None, subject))}: {told}, e.g. {where}"
