"""Ways to break an answer, each with the rule that must notice. A mutator gives None where the answer has nothing to break."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.clock import from_iso, to_iso
from pipeline.contracts import strict_json
from pipeline.contracts.shapes import ENVELOPES, EVENT_LISTS, ONE_EVENT, PRICED, data_of, events_of
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Exchange

# The book that every base answer has: one market of each kind that a rule knows.
BOOK: Final = "mutated_book"
_HOUR: Final = dt.timedelta(hours=1)

Change = Callable[[Exchange, Any], Exchange | None]


@dataclass(frozen=True, slots=True)
class Mutator:
    """One way to break an answer.

    Attributes:
        name: what it does.
        rule: that must fire.
        change: takes the exchange and a copy of its document, which it may change.
    """

    name: str
    rule: str
    change: Change


def furnished(exchange: Exchange) -> Exchange:
    """The same good answer; of one with prices, the first event with teams shows one more book, with a market of each kind."""
    endpoint = exchange.request.endpoint
    if endpoint not in PRICED:
        return exchange
    document = json.loads(exchange.body or b"")
    american = exchange.request.param("oddsFormat") == "american"
    at = document["timestamp"] if endpoint in ENVELOPES else to_iso(exchange.captured_at.replace(microsecond=0))
    for event in events_of(endpoint, document)[0]:
        teams = [event["home_team"], event["away_team"]]
        if None not in teams:
            three = (170, 240, 180) if american else (2.7, 3.4, 2.8)
            two = (-110, -110) if american else (1.91, 1.91)
            markets: dict[str, list[tuple[str, float, float | None]]] = {
                "h2h": list(zip([*teams, "Draw"], three, (None,) * 3, strict=True)),
                "spreads": list(zip(teams, two, (1.5, -1.5), strict=True)),
                "totals": list(zip(("Over", "Under"), two, (44.5, 44.5), strict=True)),
            }
            event["bookmakers"].insert(0, {"key": BOOK, "title": "Mutated", "last_update": at, "markets": []})
            for key, outcomes in markets.items():
                rows = [
                    {"name": name, "price": price, **({} if point is None else {"point": point})}
                    for name, price, point in outcomes
                ]
                event["bookmakers"][0]["markets"].append({"key": key, "last_update": at, "outcomes": rows})
            break
    return replace(exchange, body=json.dumps(document).encode())


def _body(make: Callable[[bytes], bytes | None]) -> Change:
    """Breaks the bytes."""
    return lambda exchange, document: replace(exchange, body=make(exchange.body or b""))


def _token(token: bytes) -> Change:
    """Writes something into the first object, which every answer has."""
    return _body(lambda body: body.replace(b"{", b"{" + token + b",", 1))


def _document(change: Callable[[str, Any], Any]) -> Change:
    """Changes the document in place, by its endpoint; an answer of False tells that there was nothing to change."""

    def changed(exchange: Exchange, document: Any) -> Exchange | None:
        done = change(exchange.request.endpoint, document)
        return None if done is False else replace(exchange, body=json.dumps(document).encode())

    return changed


def _event(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Changes the first event that can be changed."""

    def changed(endpoint: str, document: Any) -> bool:
        return any(change(event) is not False for event in events_of(endpoint, document)[0])

    return _document(changed)


def _market(key: str, change: Callable[[dict[str, Any]], Any]) -> Change:
    """Changes a market of the book that was put in."""

    def changed(event: dict[str, Any]) -> Any:
        found = [
            market for book in event["bookmakers"] if book["key"] == BOOK for market in book["markets"] if market["key"] == key
        ]
        return change(found[0]) if found else False

    return _event(changed)


def _outcome(key: str, index: int, **fields: Any) -> Change:
    return _market(key, lambda market: market["outcomes"][index].update(fields))


def _prices(key: str, american: float, decimal: float, count: int) -> Change:
    """Sets the first prices of a market, in the format asked for."""

    def changed(exchange: Exchange, document: Any) -> Exchange | None:
        price = american if exchange.request.param("oddsFormat") == "american" else decimal

        def set_prices(market: dict[str, Any]) -> None:
            for outcome in market["outcomes"][:count]:
                outcome["price"] = price

        return _market(key, set_prices)(exchange, document)

    return changed


def _at(step: dt.timedelta) -> Change:
    """Shifts a market's last_update; that of a score where there are no markets."""

    def shift(holder: dict[str, Any]) -> Any:
        if holder["last_update"] is None:
            return False
        holder["last_update"] = to_iso(from_iso(holder["last_update"]) + step)
        return None

    in_market, in_score = _market("h2h", shift), _event(shift)
    return lambda exchange, document: (in_score if exchange.request.endpoint == "scores" else in_market)(exchange, document)


def _asked(change: Callable[[ApiRequest, Any], ApiRequest]) -> Change:
    """Lets the answer be that of another request."""
    return lambda exchange, document: replace(exchange, request=change(exchange.request, document))


def _other_sport(request: ApiRequest, document: Any) -> ApiRequest:
    return replace(request, sport="chess_blitz")


def _earlier_date(request: ApiRequest, document: Any) -> ApiRequest:
    date = to_iso(from_iso(document["timestamp"]) - dt.timedelta(seconds=1))
    return ApiRequest.of(
        request.endpoint, sport=request.sport, event_id=request.event_id, params={**dict(request.params), "date": date}
    )


def _of_another_endpoint(exchange: Exchange, document: Any) -> Exchange:
    """The event without its list, the list instead of the event, the answer without its envelope."""
    endpoint = exchange.request.endpoint
    data = data_of(endpoint, document)[0]
    other = data if endpoint in ENVELOPES else [document] if endpoint in ONE_EVENT else document[0]
    return replace(exchange, body=json.dumps(other).encode())


def _twice(endpoint: str, document: Any) -> None:
    data = data_of(endpoint, document)[0]
    data.append(data[-1])


def _swap_teams(endpoint: str, document: Any) -> Any:
    """Two events exchange their home teams; a lone event gets a team that plays elsewhere."""
    shown = [event for event in events_of(endpoint, document)[0] if event["home_team"] is not None]
    if not shown or not shown[0]["bookmakers"]:
        return False
    first, last = shown[0], shown[-1]
    if first is last or first["home_team"] == last["home_team"]:
        first["home_team"] = "Elsewhere United"
    else:
        first["home_team"], last["home_team"] = last["home_team"], first["home_team"]
    return None


def _disorder(endpoint: str, document: Any) -> Any:
    data = data_of(endpoint, document)[0]
    if endpoint not in EVENT_LISTS or len(data) < 2:
        return False
    data[0]["commence_time"] = to_iso(from_iso(data[-1]["commence_time"]) + _HOUR)
    return None


def _one_team_twice(event: dict[str, Any]) -> Any:
    if event["home_team"] is None:
        return False
    event["away_team"] = event["home_team"]
    return None


def _book_twice(event: dict[str, Any]) -> Any:
    if not event["bookmakers"]:
        return False
    event["bookmakers"].append(event["bookmakers"][0])
    return None


def _market_twice(event: dict[str, Any]) -> Any:
    if not event["bookmakers"] or not event["bookmakers"][0]["markets"]:
        return False
    markets = event["bookmakers"][0]["markets"]
    markets.append(markets[0])
    return None


def _renamed_score(event: dict[str, Any]) -> Any:
    if not event["scores"]:
        return False
    event["scores"][0]["name"] = "Elsewhere United"
    return None


_ERROR: Final = b'{"message": "Unknown sport", "error_code": "UNKNOWN_SPORT", "details_url": "https://api.example/errors"}'
_HTML: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body></body></html>"

MUTATORS: Final = (
    Mutator("no body", "body.missing", lambda exchange, document: replace(exchange, body=None)),
    Mutator("33 MiB of blanks", "body.size", _body(lambda body: body + b" " * strict_json.MAX_BYTES)),
    Mutator("a million values more", "body.size", _token(b'"mutant":[' + b"0," * strict_json.MAX_VALUES + b"0]")),
    Mutator("invalid UTF-8", "body.utf8", _token(b'"mut\xe4nt":1')),
    Mutator("a surrogate in UTF-8", "body.utf8", _token(b'"mutant":"\xed\xa0\x80"')),
    Mutator("empty", "json.syntax", _body(lambda body: b"")),
    Mutator("HTML", "json.syntax", _body(lambda body: _HTML)),
    Mutator("cut the body", "json.syntax", _body(lambda body: body[: len(body) // 2])),
    Mutator("progress text in front", "json.syntax", _body(lambda body: b"  % Total    % Received\n" + body)),
    Mutator("a raw NUL", "json.syntax", _token(b'"mut\x00nt":1')),
    Mutator("deep nesting", "json.depth", _token(b'"mutant":' + b"[" * 200 + b"]" * 200)),
    Mutator("megabytes of [", "json.depth", _body(lambda body: b"[" * 3_000_000)),
    Mutator("NaN", "json.constant", _token(b'"mutant":NaN')),
    Mutator("-Infinity", "json.constant", _token(b'"mutant":-Infinity')),
    Mutator("duplicate a JSON key", "json.duplicate_key", _token(b'"mutant":1,"mutant":1')),
    Mutator("a number of 60 digits", "json.number", _token(b'"mutant":' + b"9" * 60)),
    Mutator("a huge exponent", "json.number", _token(b'"mutant":1e99999')),
    Mutator("a lone surrogate", "json.surrogate", _token(b'"mutant":"\\udc00"')),
    Mutator("a NUL in a string", "json.nul", _token(b'"mutant":"\\u0000"')),
    Mutator("an error body", "schema", _body(lambda body: _ERROR)),
    Mutator("the answer of another endpoint", "schema", _of_another_endpoint),
    Mutator("wrong sport", "identity.sport", _asked(_other_sport)),
    Mutator("wrong event", "identity.event", _asked(lambda request, document: replace(request, event_id="f" * 32))),
    Mutator("duplicate an event", "identity.duplicate_event", _document(_twice)),
    Mutator("duplicate a sport", "identity.duplicate_sport", _document(_twice)),
    Mutator("duplicate a participant", "identity.duplicate_participant", _document(_twice)),
    Mutator("duplicate a bet", "identity.duplicate_bet", _document(_twice)),
    Mutator("duplicate a prediction", "identity.duplicate_prediction", _document(_twice)),
    Mutator("an envelope of later", "envelope.after_date", _asked(_earlier_date)),
    Mutator(
        "a next timestamp that is not later",
        "envelope.neighbours",
        _document(lambda endpoint, envelope: envelope.update(next_timestamp=envelope["timestamp"])),
    ),
    Mutator(
        "a previous timestamp that is not earlier",
        "envelope.neighbours",
        _document(lambda endpoint, envelope: envelope.update(previous_timestamp=envelope["timestamp"])),
    ),
    Mutator("shift a commence_time", "list.sorted", _document(_disorder)),
    Mutator("one team twice", "event.teams", _event(_one_team_twice)),
    Mutator(
        "null one team", "event.teams", _event(lambda event: event["home_team"] is not None and event.update(home_team=None))
    ),
    Mutator("rename a score", "scores.names", _event(_renamed_score)),
    Mutator("a book twice", "odds.repeated", _event(_book_twice)),
    Mutator("a market twice", "odds.repeated", _event(_market_twice)),
    Mutator("shift a timestamp ahead", "time.ahead", _at(dt.timedelta(days=7))),
    Mutator("shift a timestamp back", "time.stale", _at(-_HOUR)),
    Mutator("a price of the other format", "odds.format", _prices("h2h", 1.91, -110, 1)),
    Mutator("every price of the other format", "odds.format", _prices("totals", 1.91, -110, 2)),
    Mutator("swap teams", "market.outcome_names", _document(_swap_teams)),
    Mutator("rename a h2h outcome", "market.outcome_names", _outcome("h2h", 0, name="Elsewhere United")),
    Mutator("a Draw in spreads", "market.outcome_names", _outcome("spreads", 1, name="Draw")),
    Mutator("rename a totals outcome", "market.outcome_names", _outcome("totals", 0, name="Above")),
    Mutator("drop a h2h team", "market.outcome_set", _market("h2h", lambda market: market["outcomes"].pop(0))),
    Mutator(
        "repeat a h2h outcome",
        "market.outcome_set",
        _market("h2h", lambda market: market["outcomes"].append(market["outcomes"][0])),
    ),
    Mutator("drop Under", "market.outcome_set", _market("totals", lambda market: market["outcomes"].pop())),
    Mutator("drop one side of spreads", "market.outcome_set", _market("spreads", lambda market: market["outcomes"].pop())),
    Mutator("move a spread's point", "spreads.points", _outcome("spreads", 1, point=2.5)),
    Mutator("turn a spread's point", "spreads.points", _outcome("spreads", 1, point=1.5)),
    Mutator("null a spread's point", "market.point_missing", _outcome("spreads", 0, point=None)),
    Mutator("move a total's point", "totals.points", _outcome("totals", 1, point=45)),
    Mutator(
        "drop a total's points",
        "market.point_missing",
        _market("totals", lambda market: [o.pop("point") for o in market["outcomes"]]),
    ),
    Mutator("a placeholder price", "market.placeholder_price", _prices("h2h", -100000, 1.001, 1)),
    Mutator("a price that pays nothing", "market.placeholder_price", _prices("totals", -999999, 1, 1)),
    Mutator("prices far too long", "market.overround", _prices("h2h", 900, 10, 3)),
    Mutator("prices far too short", "market.overround", _prices("spreads", -1000, 1.1, 2)),
)
