"""The simulated market: from a request and a time to an answer."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from pipeline.clock import UTC
from pipeline.market.simulator.answers import Refused, SimulatedAnswer, event_not_found, invalid, unknown_sport
from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.feeds import Feeds
from pipeline.market.simulator.fixtures import active, block_days, block_of, games_of_block
from pipeline.market.simulator.history import ADDITIONAL_FROM, FEATURED_FROM, SETTLE, History
from pipeline.market.simulator.listings import Listing, listings_of, reach
from pipeline.market.simulator.maths import american_of, cents_of
from pipeline.market.simulator.parameters import Options, books, checked_event_id, epoch_of, flag, markets, options
from pipeline.market.simulator.play import Play
from pipeline.market.simulator.props import field_of, outright_quotes, prop_markets, prop_quotes
from pipeline.market.simulator.quotes import Quote, View
from pipeline.market.simulator.world import DAY, SPORT_BY_KEY, SPORTS, Book, Sport
from pipeline.odds_api.request import ApiRequest

Json = dict[str, Any]
_FEATURED = frozenset(("h2h", "h2h_lay", "spreads", "totals"))
_LAY = {"h2h": "h2h_lay", "outrights": "outrights_lay"}
_OPENERS = ("draftkings", "fanduel", "betonlineag")
_QUOTA = 100_000  # credits of the simulated plan per month
_ADDITIONAL_READS = 67
_OUTRIGHT_READS = 290
_BLOCKS_KEPT = 256
_PLAYS_KEPT = 4096
_ULID = "0123456789abcdefghjkmnpqrstvwxyz"


@lru_cache(maxsize=8192)
def _iso(epoch: int) -> str:
    return dt.datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SimulatedMarket:
    """The Odds API over an invented world.

    An answer is a pure function of (seed, request, at): asked in any order, at any time, any number of times, in any
    process, it has the same bytes. What the object remembers only saves work.

    Args:
        seed: any integer; another seed is another world.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._draws = Draws(seed)
        self._feeds = Feeds(self._draws)
        self._history = History(self._draws)
        self._blocks: dict[tuple[str, int], tuple[Listing, ...]] = {}
        self._plays: dict[str, Play] = {}
        self._handlers: dict[str, Callable[[ApiRequest, int], tuple[Any, int]]] = {
            "sports": self._sports,
            "events": self._events,
            "odds": self._odds,
            "event_odds": self._event_odds,
            "event_markets": self._event_markets,
            "scores": self._scores,
            "participants": self._participants,
            "historical_events": self._historical,
            "historical_odds": self._historical,
            "historical_event_odds": self._historical,
        }

    def answer(self, request: ApiRequest, at: dt.datetime) -> SimulatedAnswer:
        """What the API answers.

        Args:
            request: any request; a wrong one gets the documented error answer.
            at: aware time of asking; fractions of a second are cut.

        Returns:
            Status 200 with the endpoint's JSON, or 404 / 422 with an error body.

        Raises:
            ValueError: ``at`` is naive, or the endpoint is unknown.
        """
        if at.tzinfo is None:
            raise ValueError("the time of a request must name its zone")
        handler = self._handlers.get(request.endpoint)
        if handler is None:
            raise ValueError(f"unknown endpoint {request.endpoint!r}")
        now = (at - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(seconds=1)
        try:
            document, cost = handler(request, now)
            status = 200
        except Refused as refusal:
            document, cost, status = refusal.document(), 0, refusal.status
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return SimulatedAnswer(status, _headers(now, cost), body)

    # --- the world -----------------------------------------------------------------------------------------------------

    def _listings(self, sport: Sport, at: int) -> list[Listing]:
        """All ids of a sport that can matter at a moment."""
        before, after = reach(sport)
        found: list[Listing] = []
        first, last = block_of(sport, (at - after) // DAY - 1), block_of(sport, (at + before) // DAY + 1)
        if block_days(sport) == 365:
            first, last = first - 1, last + 1
        for block in range(first, last + 1):
            key = (sport.key, block)
            made = self._blocks.get(key)
            if made is None:
                if len(self._blocks) >= _BLOCKS_KEPT:
                    self._blocks.clear()
                games = games_of_block(self._draws, sport, block)
                made = tuple(listing for game in games for listing in listings_of(self._draws, game))
                self._blocks[key] = made
            found.extend(made)
        return found

    def _listed(self, sport: Sport, at: int) -> list[Listing]:
        """The events that odds and events show, by commence_time."""
        shown = [listing for listing in self._listings(sport, at) if listing.is_listed(at)]
        return sorted(shown, key=lambda listing: (listing.commence(at), listing.event_id))

    def _play(self, listing: Listing) -> Play:
        play = self._plays.get(listing.event_id)
        if play is None:
            if len(self._plays) >= _PLAYS_KEPT:
                self._plays.clear()
            play = self._plays[listing.event_id] = Play(self._draws, listing)
        return play

    def listings(self, sport: str, at: dt.datetime) -> tuple[Listing, ...]:
        """The truth behind the answers, for tests and for choosing what to record.

        Args:
            sport: sport key.
            at: aware time.

        Returns:
            Every id of the sport that can matter at that moment, listed or not.
        """
        return tuple(self._listings(_sport(sport), int(at.timestamp())))

    def _presence(self, listing: Listing, book: Book, at: int, every: int) -> int | None:
        """When the book was read for this event, if it shows it now."""
        kind = listing.sport.kind
        if kind not in book.kinds:
            return None
        begin, gone = listing.listed[0][0], listing.listed[-1][1]
        opener = False
        if kind != "outright":
            place = self._draws.integer(f"{listing.event_id}/opener")
            opener = _OPENERS[place % len(_OPENERS)] == book.key
            if opener:
                # Now and then an event shows for some minutes before any book has priced it.
                joins = begin + (1200 if self._draws.integer(f"{listing.event_id}/early") % 100 < 2 else 0)
            else:
                second = _OPENERS[(place + 1) % len(_OPENERS)] == book.key
                unit = 1.0 - self._draws.unit(f"{listing.event_id}/{book.desk}/joins")
                late = unit
                for _ in range(listing.sport.join_skew - 1):
                    late *= unit
                joins = begin + int((listing.game.scheduled - begin) * (1.0 - late) * (0.1 if second else 0.97))
            if at < joins:
                return None
            if at >= listing.start - 120:
                stays = opener or self._draws.chance(f"{listing.event_id}/{book.desk}/in-play", 0.75 + 0.25 * book.in_play)
                leaves = listing.start + self._draws.between(f"{listing.event_id}/{book.key}/leaves", -120, 90)
                if stays:
                    leaves = gone - (0 if opener else self._draws.between(f"{listing.event_id}/{book.key}/ends", 0, 150))
                if at >= leaves:
                    return None
        return self._feeds.event_read(listing, book, at, every, steady=opener)

    # --- documents -----------------------------------------------------------------------------------------------------

    def _event_document(self, listing: Listing, at: int, chosen: Options) -> Json:
        game, sport = listing.game, listing.sport
        document: Json = {"id": listing.event_id}
        if sport.kind == "outright":
            document["has_outrights"] = True
        document |= {
            "sport_key": sport.key,
            "sport_title": sport.title,
            "commence_time": _time(listing.commence(at), chosen),
            "home_team": game.home or None,
            "away_team": game.away or None,
        }
        if "rotation_numbers" in chosen.include and sport.has_rotation:
            number = self._draws.integer(f"{listing.event_id}/rotation")
            known = number % 20 > 0
            away = 101 + 2 * ((number >> 8) % 400)
            document["home_rotation"] = away + 1 if known else None
            document["away_rotation"] = away if known else None
        return document

    def _with_books(
        self, listing: Listing, asked: Iterable[Book], keys: frozenset[str], at: int, chosen: Options, *, book_time: bool
    ) -> Json:
        """An event with the books that show any of the markets."""
        document = self._event_document(listing, at, chosen)
        found: list[tuple[int, Json]] = []
        turn = at // 1800
        for book in asked:
            shown = self._book_document(listing, book, keys, at, chosen, book_time)
            if shown is not None:
                place = self._draws.integer(f"{listing.event_id}/place/{book.key}/{turn}") >> 2
                # A few books mostly lead the list; the order is nothing to rely on.
                found.append((place if book.key not in _OPENERS else place >> 2, shown))
        found.sort(key=lambda pair: pair[0])
        document["bookmakers"] = [shown for _, shown in found]
        return document

    def _book_document(
        self, listing: Listing, book: Book, keys: frozenset[str], at: int, chosen: Options, book_time: bool
    ) -> Json | None:
        play = self._play(listing)
        shown: list[tuple[str, Json]] = []
        newest = 0
        if listing.sport.kind == "outright":
            read = self._presence(listing, book, at, _OUTRIGHT_READS)
            if read is None:
                return None
            newest = read
            for key in ("outrights", "outrights_lay"):
                if key in keys and (key == "outrights" or book.lay):
                    quotes = outright_quotes(self._draws, play, book, read, key)
                    shown.append((key, self._market_document(listing, book, key, read, quotes, chosen)))
        else:
            if keys & _FEATURED:
                read = self._presence(listing, book, at, book.reads)
                if read is not None:
                    newest = read
                    self._add_featured(shown, listing, play, book, keys, read, chosen)
            if keys - _FEATURED:
                read = self._presence(listing, book, at, _ADDITIONAL_READS)
                if read is not None:
                    newest = max(newest, read)
                    view = View(self._draws, play, book, read)
                    for key in view.additional():
                        if key in keys:
                            shown.append(
                                (key, self._market_document(listing, book, key, read, view.additional_quotes(key), chosen))
                            )
                    for key in prop_markets(self._draws, play, book, read):
                        if key in keys:
                            quotes = prop_quotes(self._draws, play, book, read, key)
                            shown.append((key, self._market_document(listing, book, key, read, quotes, chosen)))
        if not shown:
            return None
        shown.sort(key=lambda pair: pair[0])
        document: Json = {"key": book.key, "title": book.title}
        if book_time:
            document["last_update"] = _time(newest, chosen)
        document["markets"] = [market for _, market in shown]
        if "links" in chosen.include:
            known = self._draws.integer(f"{listing.event_id}/{book.key}/link") % 10 < 8
            document["link"] = f"https://{book.key}.example/event/{listing.event_id[:10]}" if known else None
        if "sids" in chosen.include:
            number = self._draws.integer(f"{listing.event_id}/{book.key}/sid")
            document["sid"] = str(number % 10**8) if number >> 60 < 13 else None
        return document

    def _add_featured(
        self,
        shown: list[tuple[str, Json]],
        listing: Listing,
        play: Play,
        book: Book,
        keys: frozenset[str],
        read: int,
        chosen: Options,
    ) -> None:
        view = View(self._draws, play, book, read)
        odd = self._draws.integer(f"{listing.event_id}/{book.key}/odd/{read}")
        for place, key in enumerate(view.featured()):
            if key not in keys:
                continue
            seen, used = read, view
            if (odd >> 48) % 4096 == place:  # this market was skipped: it still stands as read before
                before = self._feeds.last_read(listing.sport.key, book, read - 1, book.reads)
                if before is not None and before >= listing.listed[0][0] and (before >= listing.start) == view.live:
                    seen, used = before, View(self._draws, play, book, before)
            quotes = used.quotes(key)
            if quotes:
                shown.append((key, self._market_document(listing, book, key, seen, quotes, chosen)))

    def _market_document(
        self,
        listing: Listing,
        book: Book,
        key: str,
        read: int,
        quotes: list[Quote],
        chosen: Options,
    ) -> Json:
        # The market's own time is mostly the book's, in some 7 % of cases a second earlier.
        second = self._draws.integer(f"{listing.event_id}/{book.key}/second/{read}")
        place = (len(key) * 5 + ord(key[0])) % 7
        earlier = 1 if (second >> (8 * place)) & 255 < 18 else 0
        document: Json = {"key": key, "last_update": _time(read - earlier, chosen)}
        american, include = chosen.american, chosen.include
        outcomes: list[Json] = []
        for quote in quotes:
            outcome: Json = {"name": quote.name}
            if quote.description is not None:
                outcome["description"] = quote.description
            if american:
                outcome["price"] = american_of(quote.price) if quote.decimal else quote.price
            else:
                outcome["price"] = (quote.price if quote.decimal else cents_of(quote.price)) / 100
            if quote.point is not None:
                outcome["point"] = quote.point / 4
            if include:
                self._add_extras(outcome, listing, book, key, quote, include)
            outcomes.append(outcome)
        document["outcomes"] = outcomes
        if "links" in include:
            document["link"] = None
        if "sids" in include:
            document["sid"] = str(self._draws.integer(f"{listing.event_id}/{book.key}/{key}/sid") % 10**9)
        return document

    def _add_extras(self, outcome: Json, listing: Listing, book: Book, key: str, quote: Quote, include: frozenset[str]) -> None:
        number = self._draws.integer(f"{listing.event_id}/{book.key}/{key}/{quote.name}/{quote.description}/{quote.point}/sid")
        if "links" in include:
            outcome["link"] = f"https://{book.key}.example/slip/{number % 10**10}" if number >> 60 < 10 else None
        if "sids" in include:
            outcome["sid"] = str(number % 10**10) if number >> 60 < 13 else None
        if "bet_limits" in include:
            limited = book.exchange or book.key in ("pinnacle", "betonlineag", "lowvig")
            outcome["bet_limit"] = (number >> 8) % 60 * 250 + 250 if limited else None
        if "multipliers" in include:
            outcome["multiplier"] = None

    # --- endpoints -----------------------------------------------------------------------------------------------------

    def _sports(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        everything = flag(request, "all", "INVALID_ALL_SPORTS_PARAM")
        rows = []
        for sport in SPORTS:
            on = active(sport, at // DAY)
            if on or everything:
                rows.append(
                    {
                        "key": sport.key,
                        "group": sport.group,
                        "title": sport.title,
                        "description": sport.description,
                        "active": on,
                        "has_outrights": sport.kind == "outright",
                    }
                )
        return rows, 0

    def _filtered(self, listings: Iterable[Listing], at: int, chosen: Options) -> list[Listing]:
        kept = []
        for listing in listings:
            commence = listing.commence(at)
            if chosen.event_ids is not None and listing.event_id not in chosen.event_ids:
                continue
            if chosen.commence_from is not None and commence < chosen.commence_from:
                continue
            if chosen.commence_to is not None and commence > chosen.commence_to:
                continue
            kept.append(listing)
        return kept

    def _events(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        sport, chosen = _sport(request.sport), options(request)
        shown = self._filtered(self._listed(sport, at), at, chosen)
        return [self._event_document(listing, at, chosen) for listing in shown], 0

    def _odds(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        upcoming = request.sport == "upcoming"
        sport = None if upcoming else _sport(request.sport)
        chosen = options(request)
        keys = markets(request, sport, every=False)
        asked, regions = books(request)
        if sport is None:
            listings = self._upcoming(at)
            if chosen.event_ids is not None:
                listings = [listing for listing in listings if listing.event_id in chosen.event_ids]
        else:
            listings = self._filtered(self._listed(sport, at), at, chosen)
        wanted = _with_lay(keys)
        rows = [self._with_books(listing, asked, wanted, at, chosen, book_time=True) for listing in listings]
        return rows, len(keys) * regions if rows else 0

    def _upcoming(self, at: int) -> list[Listing]:
        """All live games and the next eight, over all sports."""
        listed = [listing for sport in SPORTS if sport.kind not in ("outright", "none") for listing in self._listed(sport, at)]
        listed.sort(key=lambda listing: (listing.commence(at), listing.event_id))
        live = [listing for listing in listed if listing.commence(at) <= at]
        return live + [listing for listing in listed if listing.commence(at) > at][:8]

    def _one(self, request: ApiRequest, at: int) -> Listing:
        sport = _sport(request.sport)
        event_id = checked_event_id(request)
        for listing in self._listings(sport, at):
            if listing.event_id == event_id and listing.is_listed(at):
                return listing
        raise event_not_found(event_id)

    def _event_odds(self, request: ApiRequest, at: int, *, book_time: bool = False) -> tuple[Any, int]:
        sport, chosen = _sport(request.sport), options(request)
        keys = markets(request, sport, every=True)
        asked, regions = books(request)
        listing = self._one(request, at)
        document = self._with_books(listing, asked, _with_lay(keys), at, chosen, book_time=book_time)
        returned = {market["key"] for book in document["bookmakers"] for market in book["markets"]}
        return document, len(returned & set(keys)) * regions

    def _event_markets(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        chosen = options(request)
        asked, _ = books(request)
        listing = self._one(request, at)
        document = self._event_document(listing, at, chosen)
        play = self._play(listing)
        rows = []
        for book in asked:
            keys: dict[str, int] = {}
            if listing.sport.kind == "outright":
                read = self._presence(listing, book, at, _OUTRIGHT_READS)
                if read is not None:
                    keys = dict.fromkeys(("outrights", "outrights_lay") if book.lay else ("outrights",), read)
            else:
                if (read := self._presence(listing, book, at, book.reads)) is not None:
                    keys |= dict.fromkeys(View(self._draws, play, book, read).featured(), read)
                if (read := self._presence(listing, book, at, _ADDITIONAL_READS)) is not None:
                    keys |= dict.fromkeys(View(self._draws, play, book, read).additional(), read)
                    keys |= dict.fromkeys(prop_markets(self._draws, play, book, read), read)
            if keys:
                shown = [{"key": key, "last_update": _time(keys[key], chosen)} for key in sorted(keys)]
                rows.append({"key": book.key, "title": book.title, "markets": shown})
        document["bookmakers"] = rows
        return document, 1

    def _scores(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        sport, chosen = _sport(request.sport), options(request)
        if sport.kind == "outright":
            raise invalid("INVALID_SPORT", f"Scores are not available for sport: {sport.key}")
        text = request.param("daysFrom")
        if text is not None and text not in ("1", "2", "3"):
            raise invalid("INVALID_SCORES_DAYS_FROM", "Invalid daysFrom parameter. Valid values are integers from 1 to 3")
        rows: list[tuple[int, str, Json]] = []
        for listing in self._listings(sport, at) if sport.has_scores else []:
            commence = listing.commence_in_scores(at)
            started = listing.played and at >= listing.start
            completed = started and at >= listing.end + 60
            if completed:
                if text is None or commence < at - int(text) * DAY or sport.kind == "fight":
                    continue
            elif not started and not listing.is_listed(at):
                continue
            if chosen.event_ids is not None and listing.event_id not in chosen.event_ids:
                continue
            document = self._event_document(listing, at, chosen)
            scores: list[Json] | None = None
            updated: Any = None
            if started and sport.kind != "fight":
                phase = self._draws.integer(f"{listing.event_id}/scores") % 30
                read = min(at - (at - phase) % 30, listing.end + 900)
                score = self._play(listing).score(read)
                scores = [
                    {"name": listing.game.home, "score": str(score.home)},
                    {"name": listing.game.away, "score": str(score.away)},
                ]
                updated = _time(read, chosen)
            row: Json = {
                "id": document["id"],
                "sport_key": sport.key,
                "sport_title": sport.title,
                "commence_time": _time(commence, chosen),
                "completed": completed,
                "home_team": listing.game.home,
                "away_team": listing.game.away,
                "scores": scores,
                "last_update": updated,
            }
            rows.append((commence, listing.event_id, row))
        rows.sort(key=lambda row: row[:2])
        return [row for _, _, row in rows], 1 if text is None else 2

    def _participants(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        sport = _sport(request.sport)
        names: Iterable[str] = sport.teams
        if sport.kind == "fight":
            names = {name for listing in self._listed(sport, at) for name in (listing.game.home, listing.game.away)}
        elif sport.kind == "outright":
            names = {name for listing in self._listed(sport, at) for name in field_of(self._draws, listing.game)}
        return [{"full_name": name, "id": self._participant_id(sport, name)} for name in sorted(names)], 1

    def _participant_id(self, sport: Sport, name: str) -> str:
        number = int.from_bytes(self._draws.block(f"participant/{sport.key}/{name}", 16), "big")
        letters = []
        for _ in range(20):
            letters.append(_ULID[number & 31])
            number >>= 5
        return "par_01hqmk" + "".join(letters)

    # --- history -------------------------------------------------------------------------------------------------------

    def _historical(self, request: ApiRequest, at: int) -> tuple[Any, int]:
        if request.sport == "upcoming":
            raise invalid("INVALID_SPORT", "Historical data is not available for sport: upcoming")
        sport, chosen = _sport(request.sport), options(request)
        text = request.param("date")
        if text is None:
            raise invalid("MISSING_HISTORICAL_TIMESTAMP", "Missing date parameter")
        asked = epoch_of(text)
        if asked is None:
            raise invalid("INVALID_HISTORICAL_TIMESTAMP", "Invalid date parameter. The format is YYYY-MM-DDTHH:MM:SSZ")
        if request.endpoint == "historical_event_odds":
            additional = bool(set(markets(request, sport, every=True)) - _FEATURED - {"outrights", "outrights_lay"})
            if additional and asked < ADDITIONAL_FROM:
                raise invalid("HISTORICAL_MARKETS_UNAVAILABLE_AT_DATE", "Additional markets are available after 2023-05-03")
        snapshot = self._history.at_or_before(min(asked, at - SETTLE))
        if snapshot is None or asked < FEATURED_FROM:
            raise invalid("HISTORICAL_MARKETS_UNAVAILABLE_AT_DATE", "Historical data is available from 2020-06-06")
        moment = self._history.content_time(snapshot)
        data: Any
        if request.endpoint == "historical_events":
            data, cost = self._events(request, moment)
            cost = 1 if data else 0
        elif request.endpoint == "historical_odds":
            data, cost = self._odds(request, moment)
            cost *= 10
        else:
            data, cost = self._event_odds(request, moment, book_time=True)
            cost *= 10
        previous, following = self._history.at_or_before(snapshot - 1), self._history.after(snapshot)
        return {
            "timestamp": _time(snapshot, chosen),
            "previous_timestamp": None if previous is None else _time(previous, chosen),
            "next_timestamp": _time(following, chosen) if following <= at - SETTLE else None,
            "data": data,
        }, cost


def _with_lay(keys: Iterable[str]) -> frozenset[str]:
    """The keys and the lay markets that come with them by themselves."""
    asked = set(keys)
    return frozenset(asked | {lay for back, lay in _LAY.items() if back in asked})


def _sport(key: str | None) -> Sport:
    sport = SPORT_BY_KEY.get(key or "")
    if sport is None:
        if key == "upcoming":
            raise invalid("INVALID_SPORT", "Invalid sport: upcoming")
        raise unknown_sport()
    return sport


def _time(epoch: int, chosen: Options) -> str | int:
    return epoch if chosen.unix else _iso(epoch)


def _headers(now: int, cost: int) -> tuple[tuple[str, str], ...]:
    moment = dt.datetime.fromtimestamp(now, UTC)
    month = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    used = (now - int(month.timestamp())) // 40  # credits go steadily and come back on the first of the month
    return (
        ("content-type", "application/json; charset=utf-8"),
        ("x-requests-last", str(cost)),
        ("x-requests-remaining", str(_QUOTA - used)),
        ("x-requests-used", str(used)),
    )
