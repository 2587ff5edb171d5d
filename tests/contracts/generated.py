"""Answers for property tests: made from the schemas, and good ones with some values changed for others of their kind."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from pipeline.contracts.judgement import schemas
from pipeline.contracts.shapes import ENDPOINT_NAMES, ENTRY_KEYS, ENVELOPES, EVENT_LISTS, ONE_EVENT
from pipeline.odds_api.endpoints import IMPORTED
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Coverage, Exchange
from tests.contracts.mutations.answers import good_answers
from tests.contracts.mutations.schema import whole

NOON = dt.datetime(2024, 10, 27, 12, tzinfo=dt.UTC)
SPORT = "soccer_epl"
EVENT = "e" * 32

# Few names, so that outcomes meet their teams, and answers each other's events.
names = st.sampled_from(["Home", "Away", "Draw", "Over", "Under", "Yes", "No", "Straße 9 \U0001f600", "'; --", "\\", "\u2028"])
texts = names | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
markets = st.sampled_from(
    [
        "h2h",
        "h2h_lay",
        "h2h_3_way",
        "h2h_q1",
        "spreads",
        "totals",
        "alternate_totals",
        "team_totals",
        "outrights",
        "btts",
        "player_x",
        "new",
    ]
)
ids = st.sampled_from([f"{number:032x}" for number in range(12)] + [EVENT] * 4)
keys = {
    "sport_key": st.sampled_from([SPORT, SPORT, "mma_x"]),
    "event_id": ids,
    "market": markets,
    "bookmaker_key": st.sampled_from(["book_a", "book_b"]),
}
moments = st.integers(-5000, 5000).map(lambda seconds: NOON + dt.timedelta(seconds=seconds)) | st.datetimes(
    dt.datetime(1000, 1, 1), dt.datetime(2999, 12, 31)
)
times = moments.map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"))
prices = (
    st.sampled_from(
        [1, 1.0, 1.001, 1.5, 2.0, 3, 36.5, 99.999, 100, 110, 100000, 999999, -1, -99.5, -100, -110, -100000, -999999]
    )
    | st.floats(1, 999999)
    | st.floats(-999999, -1)
)
numbers = st.sampled_from([0, -0.0, 0.5, -1.5, 2.25, 7, 44.5]) | st.floats(-99999, 99999)
foreign = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


def of_schema(part: Any, name: str = "", key_of: str = "") -> st.SearchStrategy[Any]:
    """Values that a schema takes (nearly all of them), leaning to those that mean something to each other."""
    node = whole(part)
    kinds = {node["type"]} if isinstance(node.get("type"), str) else set(node.get("type", ()))
    ways: list[st.SearchStrategy[Any]] = []
    if "null" in kinds:
        ways.append(st.none())
    if "boolean" in kinds:
        ways.append(st.booleans())
    if "anyOf" in node:
        ways.append(prices)
    elif kinds & {"number", "integer"}:
        bounds = node.get("minimum", -99999), node.get("maximum", 99999)
        ways.append(
            st.integers(*bounds) if "integer" in kinds else numbers.filter(lambda value: bounds[0] <= value <= bounds[1])
        )
    if "string" in kinds:
        ways.append(_string(node, name, key_of))
    if "array" in kinds:
        ways.append(st.lists(of_schema(node["items"], "", name), max_size=3))
    if "properties" in node:
        inner = {each: of_schema(below, each, key_of) for each, below in node["properties"].items()}
        needed = set(node.get("required", ()))
        ways.append(
            st.fixed_dictionaries(
                {each: way for each, way in inner.items() if each in needed},
                optional={**{each: way for each, way in inner.items() if each not in needed}, "unknown_field": foreign},
            )
        )
    return st.one_of(ways)


def _string(node: Any, name: str, key_of: str) -> st.SearchStrategy[str]:
    if node.get("format") == "date-time":
        return times
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "pattern" not in node:
        return texts.filter(lambda text: node.get("minLength", 0) <= len(text) <= node.get("maxLength", len(text)))
    if name == "id":
        return ids if "{32}" in node["pattern"] else st.sampled_from(["par_0a", "par_0b", "par_0c"])
    if name == "key":
        return markets if key_of == "markets" else st.sampled_from(["book_a", "book_b", "book_c"])
    return keys[name]


@st.composite
def from_schemas(draw: st.DrawFn) -> Exchange:
    """An exchange of any endpoint; with the identity of what was asked, mostly."""
    endpoint = draw(st.sampled_from(ENDPOINT_NAMES))
    document = draw(of_schema(schemas()[f"{endpoint}.schema.json"]))
    if draw(st.integers(0, 9)):
        data = document["data"] if endpoint in ENVELOPES else document
        if endpoint in ONE_EVENT:
            data.update(id=EVENT, sport_key=SPORT)
        else:
            apart = ENTRY_KEYS.get(endpoint, ("id",))
            data[:] = {
                tuple(each[key] for key in apart): {**each, **({"sport_key": SPORT} if endpoint in EVENT_LISTS else {})}
                for each in data
            }.values()
    params = {
        "oddsFormat": draw(st.sampled_from(["american", "decimal"])),
        "markets": "h2h,spreads,totals",
        "bookmakers": "book_a,book_b",
    }
    request = ApiRequest.of(
        endpoint,
        sport=None if endpoint in ("sports", *IMPORTED) else SPORT,
        event_id=EVENT if endpoint in ONE_EVENT else None,
        params=params if "odds" in endpoint else {},
    )
    coverage = Coverage(
        sport=request.sport,
        events=(EVENT,) if endpoint in ONE_EVENT else () if endpoint in ENTRY_KEYS else None,
        markets=("h2h", "h2h_lay", "spreads", "totals") if "odds" in endpoint else (),
        books=("book_a", "book_b") if "odds" in endpoint else (),
    )
    at = NOON + dt.timedelta(seconds=draw(st.integers(0, 3)))
    return Exchange(0, 1, request, coverage, at, 200, (), json.dumps(document).encode())


def _small(exchange: Exchange) -> Exchange:
    document = json.loads(exchange.body or b"")
    data = document["data"] if exchange.request.endpoint in ENVELOPES else document
    if isinstance(data, list):
        del data[3:]
    return replace(exchange, body=json.dumps(document).encode())


GOOD = tuple(map(_small, good_answers()))


@st.composite
def mutated(draw: st.DrawFn) -> Exchange:
    """A good answer with up to three values changed: mostly for others of their kind, sometimes for anything, or gone."""
    exchange = draw(st.sampled_from(GOOD))
    document = json.loads(exchange.body or b"")
    for _ in range(draw(st.integers(1, 3))):
        holder, step = document, None
        while isinstance(holder, dict | list) and holder:
            steps = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            step = draw(st.sampled_from(steps))
            if not isinstance(holder[step], dict | list) or not holder[step] or not draw(st.integers(0, 5)):
                break
            holder = holder[step]
        if step is None:
            continue
        match draw(st.integers(0, 7)):
            case 0:
                holder[step] = draw(foreign)
            case 1:
                del holder[step]
            case 2 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[step]))
            case _:
                holder[step] = draw(_alike(holder[step], step, exchange.request.sport))
    return replace(exchange, body=json.dumps(document).encode())


def _alike(value: Any, step: str | int, sport: str | None) -> st.SearchStrategy[Any]:
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int | float):
        return prices if step == "price" else numbers
    if not isinstance(value, str):
        return st.just(copy.deepcopy(value))
    if step == "id":
        # the API gives an id to one sport only, which no single answer can tell
        return st.sampled_from([hashlib.md5(f"{sport} {number}".encode()).hexdigest() for number in range(6)])
    if value[4:5] == "-" and value.endswith("Z"):
        return times
    return markets if step == "key" else texts
