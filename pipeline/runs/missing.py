"""What closes a warehouse lacks, and the snapshots of the API's history that would have them: told, priced, and collected.

A close is lacking where a book's market, of those that a plan asks for, has no closing quote of a game whose start has passed.
The snapshot at the start has it, as far as anybody does. Games that left before they began have none; starts that nobody
can be sure of would be asked for in vain. What is told of a game counts as its close once an answer is later than its
start: where none is, the list of the sport's events a little after the last one is asked for too, for a credit.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeline.clock import to_iso
from pipeline.collect.history_walk import Held, Visit, visit
from pipeline.collect.live import Conduct
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_cost import PlanCost
from pipeline.collect.plan_file import PlanFile
from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.client import OddsApiClient
from pipeline.recording.store import RecordingWriter
from pipeline.runs.backfill import BackfillSummary, collected_and_loaded
from pipeline.runs.context import RunContext
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.months import archived_months, following

# How long after a start the history has a later snapshot for sure, whatever its grid.
_LATER: Final = dt.timedelta(minutes=15)
# So many moments are told to people.
SHOWN: Final = 10

_GAMES: Final = """
select e.event_id, e.sport_key, e.start_at
from gold.events as e
where e.sport_key = any (%(sports)s) and not e.has_outrights and not e.start_is_suspect and e.status <> 'gone_early'
    and e.start_at >= coalesce(%(begin)s::timestamptz, '-infinity') and e.start_at <= %(end)s
    -- what is late may not come into a month that is archived
    and e.first_seen_at >= coalesce(%(kept_since)s::timestamptz, '-infinity')
order by e.start_at, e.sport_key, e.event_id
"""
_CLOSES: Final = """
select distinct c.event_id, c.bookmaker_key, c.market_key
from gold.closings as c
where c.event_id = any (%(events)s) and c.is_closing
"""


_KNOWN_UNTIL: Final = """
select c.sport_key, max(c.captured_at)
from silver.coverage as c
where c.sport_key = any (%(sports)s) and c.event_id = ''
group by c.sport_key
"""


@dataclass(frozen=True, slots=True)
class Lacking:
    """A start at which closes are lacking, and the snapshot that would have them.

    Attributes:
        visit: the plan, for the one sport, and the moment.
        games: that began then.
        closes: books' markets of these games that have no close.
        credits: that the snapshot costs at most.
    """

    visit: Visit
    games: int
    closes: int
    credits: int

    @property
    def sport_key(self) -> str:
        """The sport that is asked for."""
        [sport] = self.visit.file.plan.sports
        return sport

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the forecast."""
        return {
            "at": to_iso(self.visit.at),
            "sport": self.sport_key,
            "games": self.games,
            "closes": self.closes,
            "credits": self.credits,
        }


@dataclass(frozen=True, slots=True)
class MissingForecast:
    """The snapshots that would fill what is lacking, the most closes for a credit first, and what they cost at most.

    Attributes:
        plan: its name.
        lacking: in the order in which they would be asked for.
        chosen: so many of them are within the credits.
        credits: that may be spent.
        later: lists of events after the last of the chosen starts, of sports of which nothing later is known.
    """

    plan: str
    lacking: tuple[Lacking, ...]
    chosen: int
    credits: int
    later: tuple[Visit, ...] = ()

    exit_code = 0

    @property
    def wanted(self) -> tuple[Lacking, ...]:
        """Those that are within the credits."""
        return self.lacking[: self.chosen]

    @property
    def cost(self) -> int:
        """Credits that those cost at most, with the lists of events."""
        return sum(each.credits for each in self.wanted) + sum(PlanCost.of(each.file, 0).per_run for each in self.later)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "plan": self.plan,
            "snapshots": len(self.lacking),
            "closes": sum(each.closes for each in self.lacking),
            "credits": sum(each.credits for each in self.lacking),
            "cap": self.credits,
            "within_cap": {
                "snapshots": self.chosen,
                "closes": sum(each.closes for each in self.wanted),
                "lists_of_events": len(self.later),
                "credits": self.cost,
            },
            "moments": [each.to_json() for each in self.lacking],
        }

    def lines(self) -> list[str]:
        """For people."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        if not self.lacking:
            yield f"{self.plan}: no close is lacking that a snapshot not yet held could have."
            return
        told = self.to_json()
        yield (
            f"{self.plan}: {told['closes']:,} closes are lacking at {told['snapshots']:,} starts;"
            f" at most {told['credits']:,} credits for all of them"
        )
        within = told["within_cap"]
        yield (
            f"{self.credits:,} credits are enough for {within['snapshots']:,} snapshots, with {within['closes']:,} closes"
            f" ({within['credits']:,} credits at most)"
        )
        yield f"  {'start':22}{'sport':36}{'games':>7}{'closes':>8}{'credits':>9}"
        for each in self.lacking[:SHOWN]:
            yield f"  {to_iso(each.visit.at):22}{each.sport_key:36}{each.games:>7,}{each.closes:>8,}{each.credits:>9,}"
        if len(self.lacking) > SHOWN:
            yield f"  and {len(self.lacking) - SHOWN:,} more; --json has all"


def missing(
    warehouse: Warehouse,
    file: PlanFile,
    writer: RecordingWriter | None,
    credits: int,
    begin: dt.datetime | None,
    end: dt.datetime,
    events: int,
) -> MissingForecast:
    """The closes that a warehouse lacks, and the snapshots to ask for.

    Args:
        warehouse: that holds the games; read as the reader.
        file: a historical plan: which sports, markets and books matter.
        writer: the spool; what it holds is not asked for again. None where there is none yet.
        credits: that may be spent.
        begin: only starts from this moment on.
        end: only starts up to this one: now, or earlier.
        events: that a sport lists at a time, for plans that ask for each event.

    Raises:
        UsageError: ``PLAN_NOT_HISTORICAL``.
    """
    plan = file.plan
    if not plan.historical:
        raise UsageError("PLAN_NOT_HISTORICAL", f"The plan {file.name} asks for what is on now.", "Add `historical: true`.")
    markets = {
        *(plan.markets or ("h2h",) if "odds" in plan.endpoints else ()),
        *(plan.event_markets if "event_odds" in plan.endpoints else ()),
    }
    asked = {(book, market) for book in plan.bookmakers or books_of(plan.regions) for market in markets}
    with warehouse.connect(Role.READER) as reader:
        starts = _starts(reader, plan.sports, asked, begin, end)
        known_until: dict[str, dt.datetime] = dict(reader.execute(_KNOWN_UNTIL, {"sports": list(plan.sports)}).fetchall())
    held = None if writer is None else Held(writer)
    # one sport at a time: the others have other starts
    narrow = {sport: replace(file, plan=replace(plan, sports=(sport,))) for sport in plan.sports}
    costs = {sport: PlanCost.of(one, events).per_run for sport, one in narrow.items()}
    found = []
    for (sport, at), lacking in starts.items():
        one = Visit(narrow[sport], at)
        is_there = held is not None and (one in held or Visit(file, at) in held)
        if not is_there and any(lacking):
            found.append(Lacking(one, len(lacking), sum(lacking), costs[sport]))
    found.sort(key=lambda each: (-each.closes / max(each.credits, 1), each.visit.at, each.sport_key))

    def within(chosen: int) -> MissingForecast:
        return MissingForecast(file.name, tuple(found), chosen, credits, _later(file, found[:chosen], known_until, end))

    # each more costs more, so the most that the credits are enough for is found by halving
    return within(bisect_right(range(1, len(found) + 1), credits, key=lambda chosen: within(chosen).cost))


def _later(
    file: PlanFile, chosen: Sequence[Lacking], known_until: Mapping[str, dt.datetime], end: dt.datetime
) -> tuple[Visit, ...]:
    """The lists of events that tell of sports after the last of these starts, where nothing does yet."""
    last: dict[str, dt.datetime] = {}
    for each in chosen:
        last[each.sport_key] = max(each.visit.at, last.get(each.sport_key, each.visit.at))
    lists = {sport: replace(file, plan=MarketPlan(("events",), sports=(sport,), historical=True)) for sport in last}
    return tuple(
        Visit(lists[sport], min(at + _LATER, end))
        for sport, at in sorted(last.items())
        if sport not in known_until or known_until[sport] < at
    )


def _starts(
    reader: Connection,
    sports: Iterable[str],
    asked: set[tuple[str, str]],
    begin: dt.datetime | None,
    end: dt.datetime,
) -> dict[tuple[str, dt.datetime], list[int]]:
    """Sport and start → of each game that began then how many closes it lacks."""
    archived = archived_months(reader)
    wanted = {
        "sports": list(sports),
        "begin": begin,
        "end": end,
        "kept_since": following(archived[-1]) if archived else None,
    }
    games = reader.execute(_GAMES, wanted).fetchall()
    closes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for event_id, book, market in reader.execute(_CLOSES, {"events": [game[0] for game in games]}):
        closes[event_id].add((book, market))
    starts: dict[tuple[str, dt.datetime], list[int]] = defaultdict(list)
    for event_id, sport, start_at in games:
        starts[(sport, start_at)].append(len(asked - closes[event_id]))
    return starts


def fill(
    forecast: MissingForecast,
    client: OddsApiClient,
    spool: Path,
    context: RunContext,
    conduct: Conduct,
    tell: Callable[[str], None],
    *,
    mix_sources: bool = False,
) -> BackfillSummary:
    """Collect what is within the credits, then load what the spool holds and nobody has loaded to its end.

    Args:
        forecast: what is wanted, and what it may cost.
        client: sends the requests.
        spool: the recording that it collects into.
        context: what it works with.
        conduct: how to deal with the server.
        tell: told of each snapshot that is collected.
        mix_sources: take them even where the warehouse holds another source.

    Raises:
        SportsMarketError: as ``visit`` and ``collected_and_loaded`` do.
    """
    visits = (*(each.visit for each in forecast.wanted), *forecast.later)
    return collected_and_loaded(
        lambda writer: visit(visits, forecast.credits, client, writer, conduct, tell),
        client,
        spool,
        context,
        mix_sources=mix_sources,
    )
