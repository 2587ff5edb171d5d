"""What the bundled recording asks of the simulated market: a long October weekend of four leagues, golf and fights.

Seed and dates were searched for, so that these 26 batches show what real answers hold: starts nudged, flapped and
rewritten, a game that vanishes before its start and comes back, one game carried on under a second id, a
doubleheader, books that drop out and rejoin, placeholders in play, draws withdrawn, repeated prop rows, lay lists,
empty answers, finished scores, and requests for an event that is not there.
``tests/market/test_simulator_bundled.py`` holds each of them to it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pipeline.clock import UTC
from pipeline.odds_api.request import ApiRequest

SEED = 281
NAME = "simulated_october_weekend"

NFL, NBA, MLB, EPL = "americanfootball_nfl", "basketball_nba", "baseball_mlb", "soccer_epl"
GOLF, MMA = "golf_masters_tournament_winner", "mma_mixed_martial_arts"

NFL_EARLY = "7293e98ba0b97fcf9b8cbbff40fab207"  # Cincinnati at Buffalo, Sunday 17:00: nudged, delayed, rewritten twice
NFL_FLAPPED = "c2ff77ae42996fdb0671d0fbaf8278f8"  # Houston at Los Angeles, Sunday 17:00
NFL_LATE = "5c0ec1d7c0def1ee5a56e54025a46c1b"  # Philadelphia at Tennessee, Sunday 20:05
NFL_WITHDRAWN = "ae7fd1686279f5e4d0093415cc7ad5df"  # San Francisco at New York, a week later: away for a day
NBA_PROPS = "d23cc1473f92ee5a0e67ed358f645a7d"  # Miami at Utah, Saturday 00:10
NBA_OTHER = "13ff495d2c14b52f6d451ee7ce2bfa37"  # Golden State at Memphis, Saturday 00:10
NBA_FIRST_ID = "a2cff7b938ff65155348143486b8ee4d"  # Charlotte at New Orleans, withdrawn …
NBA_SECOND_ID = "bc30083e292a9f0497c19c544ec9b779"  # … and played under this id, Sunday 01:10
MLB_DOUBLE = ("55179e480c54187c41860a447b29261a", "775eabc0529a03fb3be1e1d6648054f9")  # Baltimore at New York, twice on Friday
EPL_EARLY = "c39fa4903334c18182fbf05f27a45664"  # Leicester at Manchester United, Saturday 11:30


@dataclass(frozen=True, slots=True)
class BundledBatch:
    """One batch of the bundled recording.

    Attributes:
        scheduled_at: the batch's time; of a historical batch its first envelope's timestamp.
        asked_at: what the clock shows while its requests are made.
        requests: in the order of the plan.
    """

    scheduled_at: dt.datetime
    asked_at: dt.datetime
    requests: tuple[ApiRequest, ...]

    @property
    def is_historical(self) -> bool:
        """Whether it asks the historical endpoints."""
        return self.requests[0].endpoint.startswith("historical")


def _text(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _october(day: int, hour: int, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(2024, 10, day, hour, minute, second, tzinfo=UTC)


def _ask(endpoint: str, sport: str | None = None, event_id: str | None = None, **params: str) -> ApiRequest:
    return ApiRequest.of(endpoint, sport=sport, event_id=event_id, params=params)


def _ids(*event_ids: str) -> str:
    return ",".join(sorted(event_ids))


def bundled_batches() -> tuple[BundledBatch, ...]:
    """The batches in order of time."""
    games = {"regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
    nfl_odds = _ask("odds", NFL, eventIds=_ids(NFL_EARLY, NFL_FLAPPED, NFL_LATE, NFL_WITHDRAWN), **games)
    nba_odds = _ask("odds", NBA, eventIds=_ids(NBA_PROPS, NBA_OTHER, NBA_FIRST_ID, NBA_SECOND_ID), **games)
    mlb_odds = _ask("odds", MLB, eventIds=_ids(*MLB_DOUBLE), regions="us,us_ex", markets="h2h,totals", oddsFormat="american")
    saturday = {"commenceTimeFrom": _text(_october(26, 11)), "commenceTimeTo": _text(_october(26, 15))}
    epl_odds = _ask("odds", EPL, regions="eu", markets="h2h,spreads,totals", **saturday)
    golf_odds = _ask("odds", GOLF, bookmakers="betfair_ex_uk,draftkings,paddypower")
    card = {
        "commenceTimeFrom": _text(_october(26, 22)),
        "commenceTimeTo": _text(_october(27, 4)),
        "bookmakers": "betfair_ex_uk,draftkings,pinnacle",
    }
    fights = _ask("odds", MMA, **card)
    fights_in_full = _ask("odds", MMA, includeBetLimits="true", includeLinks="true", includeSids="true", **card)
    props = _ask(
        "event_odds",
        NBA,
        NBA_PROPS,
        regions="us,us2",
        markets="alternate_totals,player_double_double,player_points",
        oddsFormat="american",
    )
    shots = _ask(
        "event_odds", EPL, EPL_EARLY, bookmakers="marathonbet,onexbet,pinnacle", markets="alternate_spreads,btts,player_shots"
    )
    nfl, nba, mlb, epl = (_ask("events", sport) for sport in (NFL, NBA, MLB, EPL))

    def scores(sport: str, days: int | None = None) -> ApiRequest:
        return _ask("scores", sport) if days is None else _ask("scores", sport, daysFrom=str(days))

    live = {
        # Friday: the lists, a doubleheader in the afternoon, basketball in the evening
        _october(25, 12): (
            _ask("sports"),
            *(nfl, nba, mlb, epl),
            *(nfl_odds, nba_odds, mlb_odds, epl_odds, golf_odds),
            *(_ask("participants", NBA), _ask("participants", EPL)),
        ),
        _october(25, 18): (
            *(nfl, mlb, nfl_odds, mlb_odds),
            _ask("odds", "icehockey_nhl", regions="us"),  # out of season
            _ask("event_markets", NBA, NBA_PROPS, regions="us,us2"),
        ),
        _october(25, 22, 30): (nba, nba_odds, scores(NBA), props),
        _october(25, 23, 45): (nba_odds, mlb_odds, props),
        _october(26, 0, 45): (
            *(nfl, nba_odds, mlb_odds, scores(NBA), scores(MLB)),
            _ask("event_odds", NBA, NBA_PROPS, regions="us_ex", markets="player_points"),  # nobody there offers it
        ),
        _october(26, 2): (nba_odds, _ask("odds", "upcoming", regions="us", oddsFormat="american"), scores(NBA)),
        _october(26, 6): (nfl, mlb, nfl_odds, fights, scores(NBA, 1)),
        # Saturday: football from England at noon
        _october(26, 10, 30): (epl, epl_odds, shots),
        _october(26, 10, 45): (epl_odds, golf_odds),
        _october(26, 11, 50): (epl, epl_odds, scores(EPL)),
        _october(26, 13, 6): (epl_odds, scores(EPL)),
        _october(26, 13, 20): (epl_odds, mlb_odds),
        _october(26, 15, 50): (nfl, epl_odds, nfl_odds, scores(EPL, 1)),
        _october(26, 19): (
            nba,
            mlb,
            nfl_odds,
            nba_odds,
            fights_in_full,
            _ask("event_odds", NFL, NFL_WITHDRAWN, regions="us", markets="h2h"),
        ),
        _october(27, 0, 3): (nba, nba_odds),
        _october(27, 2): (nfl, nba, nba_odds, fights, scores(MLB, 2)),
        # Sunday: American football
        _october(27, 12): (nfl, mlb, nfl_odds, golf_odds),
        _october(27, 16, 30): (nfl, nfl_odds),
        _october(27, 16, 55): (nfl_odds,),
        _october(27, 17, 20): (nfl, nfl_odds, scores(NFL)),
        _october(27, 18, 30): (nfl_odds, scores(NFL)),
        _october(27, 20, 6): (nfl, nfl_odds, scores(NFL)),
        # Monday: results
        _october(28, 12): (
            _ask("sports", all="true"),
            *(nfl, nfl_odds, golf_odds),
            *(scores(NFL, 3), scores(MLB, 3), scores(NBA, 3), scores(EPL, 3)),
            _ask("event_odds", NFL, NFL_EARLY, regions="us", markets="h2h"),  # over: it is not found
        ),
    }
    batches = [BundledBatch(moment, moment, requests) for moment, requests in live.items()]

    # An envelope asked for at a full hour is some minutes and seconds older.
    friday, morning, night = (_text(moment) for moment in (_october(25, 21), _october(26, 9), _october(27, 19)))
    afterwards = _october(29, 0)
    past = {
        _october(25, 20, 55, 40): (
            _ask(
                "historical_event_odds",
                NBA,
                NBA_PROPS,
                date=friday,
                regions="us",
                markets="player_points",
                oddsFormat="american",
            ),
        ),
        _october(26, 8, 55, 42): (
            _ask("historical_events", NFL, date=morning),
            _ask("historical_odds", EPL, date=morning, regions="eu", markets="h2h", **saturday),
        ),
        _october(27, 18, 55, 43): (
            _ask("historical_events", NBA, date=night),
            _ask("historical_odds", NFL, date=night, eventIds=_ids(NFL_EARLY, NFL_FLAPPED, NFL_LATE, NFL_WITHDRAWN), **games),
        ),
    }
    batches += [BundledBatch(envelope, afterwards, requests) for envelope, requests in past.items()]
    return tuple(sorted(batches, key=lambda batch: batch.scheduled_at))
