"""Asking the API: ``plan cost``, ``ingest``, ``backfill`` and ``credits``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import (
    Commands,
    at_least,
    command,
    database_option,
    group,
    json_option,
    mix_sources_option,
    prove_option,
)
from pipeline.cli.opening import check_database, check_spool, context_of, engine_of, server_of, settings_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from datetime import timedelta

    from pipeline.clock import SystemClock
    from pipeline.collect.live import Conduct
    from pipeline.odds_api.client import OddsApiClient
    from pipeline.runs.context import RunContext
    from pipeline.runs.missing import MissingForecast
    from pipeline.secret import Secret
    from pipeline.warehouse.connect import Warehouse


def add_plan(commands: Commands) -> None:
    """``plan cost``, and what it accepts."""
    steps = group(commands, "plan", "what to ask the API")
    one = command(steps, "cost", _run_cost, "tell what a plan costs at most, per run and per month, before any call")
    one.add_argument("plan", metavar="FILE", type=Path, help="a YAML file, or the name of an example")
    one.add_argument("--events", metavar="N", type=at_least(0), default=20, help="events that a sport lists (default: 20)")
    one.add_argument("--sports", metavar="N", type=at_least(0), default=20, help="sports in season, of groups (default: 20)")
    one.add_argument("--starts", metavar="N", type=at_least(0), help="different starts of those events (default: as many)")
    one.add_argument("--listed", metavar="TIME", default="7d", help="how long they are listed before it (default: 7d)")
    one.add_argument("--in-play", metavar="TIME", default="4h", help="how long they are listed after it (default: 4h)")
    json_option(one)


def _run_cost(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.collect.plan_cost import PlanCost
    from pipeline.collect.plan_file import load_plan_file
    from pipeline.collect.plan_month import Listing

    starts = options.events if options.starts is None else min(options.starts, options.events)
    listing = Listing(options.events, starts, _period(options.listed), _period(options.in_play))
    return screen.end(PlanCost.of(load_plan_file(options.plan), options.events, options.sports, listing))


def _period(text: str) -> timedelta:
    from pipeline.collect.cadence import parse_duration

    period = parse_duration(text)
    if period is None:
        raise UsageError("PERIOD_INVALID", f"{text!r} is no period.", "Write 90s, 15m, 6h or 1d.")
    return period


def add_ingest(commands: Commands) -> None:
    """``ingest``, and what it accepts."""
    one = command(commands, "ingest", _run_ingest, "ask the API what a plan says, keep the answers in a recording, and load it")
    one.add_argument("--live", action="store_true", required=True, help="make real calls, which cost credits")
    how = one.add_mutually_exclusive_group(required=True)
    how.add_argument("--once", action="store_true", help="one batch, then end")
    how.add_argument(
        "--every", metavar="TIME", nargs="?", const="", help="go on by the plan's cadence, or every 90s, 15m, 6h; until stopped"
    )
    one.add_argument("--plan", metavar="FILE", type=Path, required=True, help="what to ask: a YAML file, or an example's name")
    one.add_argument("--spool", metavar="DIR", type=Path, required=True, help="the recording that all runs collect into")
    one.add_argument("--api-url", metavar="URL", help="the API, or a sandbox (default: SPORTS_MARKET_API_BASE_URL)")
    one.add_argument("--sandbox-clock", action="store_true", help="take the time from the sandbox at that URL")
    one.add_argument("--workers", metavar="N", type=at_least(1), default=4, help="calls under way at a time (default: 4)")
    prove_option(one, " (as the plan's `prove: true` does)")
    mix_sources_option(one)
    database_option(one)
    json_option(one)


def _run_ingest(options: argparse.Namespace, screen: Screen) -> int:
    from datetime import datetime

    from pipeline.clock import Clock, SystemClock
    from pipeline.collect.live import Conduct
    from pipeline.collect.plan_file import load_plan_file, with_period
    from pipeline.market.sandbox.sandbox_clock import FollowingClock
    from pipeline.odds_api.client import OddsApiClient, open_session
    from pipeline.odds_api.retry import Pace
    from pipeline.recording.adapters import LiveAdapter
    from pipeline.warehouse.database import bootstrap

    file, settings, system = load_plan_file(options.plan), settings_of(options), SystemClock()
    if options.every is not None:
        file = with_period(file, options.every)
    api_url, api_key = _api(options, settings)
    check_spool(options, screen)
    check_database(options)
    from pipeline.runs.alerting import send_alerts
    from pipeline.runs.context import RunContext
    from pipeline.runs.ingest import IngestSummary, gold_digests, ingest_once
    from pipeline.runs.ingest_on import LoopSummary, ingest_on

    clock: Clock = FollowingClock(api_url) if options.sandbox_clock else system
    with server_of(options, screen) as server, open_session(LiveAdapter(clock, system)) as session:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        client = OddsApiClient(session, clock=clock, base_url=api_url, api_key=api_key, pace=Pace(system))
        conduct = Conduct(timer=system, workers=options.workers)
        prove = file.prove or options.prove
        context = RunContext(warehouse, engine_of(options, screen), clock, screen.batch, prove)

        def once(at: datetime | None = None) -> IngestSummary:
            try:
                return ingest_once(file, client, options.spool, context, conduct, at, mix_sources=options.mix_sources)
            finally:
                plan_id = file.plan.identity.plan_id
                send_alerts(warehouse, settings.webhook_url, file.alerts, plan_id, clock, screen.note)

        summary: IngestSummary | LoopSummary = once() if options.once else ingest_on(once, file, clock, system, screen.note)
        if options.json:
            summary = replace(summary, digests=gold_digests(warehouse))
        return screen.end(summary)


def _api(options: argparse.Namespace, settings: Settings) -> tuple[str, Secret]:
    """Where the API is, and the key to ask it with."""
    from pipeline.settings import check_api_key, check_base_url

    api_url = check_base_url(options.api_url) if options.api_url else settings.api_base_url
    return api_url, check_api_key(settings.api_key, "Set SPORTS_MARKET_API_KEY; a sandbox takes any 32 digits.")


def add_backfill(commands: Commands) -> None:
    """``backfill``, and what it accepts."""
    one = command(commands, "backfill", _run_backfill, "collect what the API's history holds of a stretch of time, and load it")
    one.add_argument("--plan", metavar="FILE", type=Path, required=True, help="what to ask: a plan with `historical: true`")
    one.add_argument("--spool", metavar="DIR", type=Path, required=True, help="the recording that it collects into")
    one.add_argument("--missing", action="store_true", help="only the starts of games whose close the warehouse lacks")
    one.add_argument(
        "--from", metavar="TIME", dest="begin", help="the first moment, such as 2025-10-09T00:00:00Z; needed without --missing"
    )
    one.add_argument("--to", metavar="TIME", dest="end", help="the last moment; needed without --missing")
    one.add_argument("--credits", metavar="N", type=at_least(0), required=True, help="what this call may spend at most")
    one.add_argument("--dry-run", action="store_true", help="tell calls and credits, and make no call")
    one.add_argument(
        "--events", metavar="N", type=at_least(0), default=20, help="events of a sport, for --dry-run (default: 20)"
    )
    one.add_argument("--api-url", metavar="URL", help="the API, or a sandbox (default: SPORTS_MARKET_API_BASE_URL)")
    one.add_argument("--workers", metavar="N", type=at_least(1), default=4, help="calls under way at a time (default: 4)")
    prove_option(one, " (as the plan's `prove: true` does)")
    mix_sources_option(one)
    database_option(one)
    json_option(one)


def _run_backfill(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.collect.history_walk import Forecast, Span, parse_moment
    from pipeline.collect.plan_file import load_plan_file
    from pipeline.collect.scheduled import spool_of

    if options.missing:
        return _run_missing(options, screen)
    if options.begin is None or options.end is None:
        raise UsageError("USAGE", "A stretch of time has two ends.", "Give --from and --to, or --missing.")
    begin, end = parse_moment(options.begin), parse_moment(options.end)
    file, clock = load_plan_file(options.plan), SystemClock()
    span = Span(file, begin, end, options.credits)
    if options.dry_run:
        return screen.end(Forecast.of(span, spool_of(options.spool) if options.spool.is_dir() else None, options.events))
    with _asking(options, screen, clock, file.prove) as (context, client, conduct):
        from pipeline.runs.backfill import backfill

        summary = backfill(span, client, options.spool, context, conduct, screen.note, mix_sources=options.mix_sources)
    return screen.end(summary)


@contextmanager
def _asking(
    options: argparse.Namespace, screen: Screen, clock: SystemClock, prove: bool
) -> Iterator[tuple[RunContext, OddsApiClient, Conduct]]:
    """A warehouse to fill, and a client of the API's history; what is wrong with either, or the spool, is said before."""
    from pipeline.collect.live import Conduct
    from pipeline.odds_api.client import OddsApiClient, open_session
    from pipeline.odds_api.retry import Pace
    from pipeline.recording.adapters import LiveAdapter
    from pipeline.warehouse.database import bootstrap

    api_url, api_key = _api(options, settings_of(options))
    check_spool(options, screen)
    check_database(options)
    with server_of(options, screen) as server, open_session(LiveAdapter(clock)) as session:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        client = OddsApiClient(session, clock=clock, base_url=api_url, api_key=api_key, pace=Pace(clock))
        context = context_of(warehouse, engine_of(options, screen), screen, prove=prove or options.prove)
        yield context, client, Conduct(timer=clock, workers=options.workers)


def _run_missing(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.collect.history_walk import parse_moment
    from pipeline.collect.plan_file import load_plan_file
    from pipeline.collect.scheduled import spool_of

    file, clock = load_plan_file(options.plan), SystemClock()
    begin = None if options.begin is None else parse_moment(options.begin)
    end = clock.now() if options.end is None else min(parse_moment(options.end), clock.now())

    def forecast(warehouse: Warehouse) -> MissingForecast:
        from pipeline.runs.missing import missing

        writer = spool_of(options.spool) if options.spool.is_dir() else None
        return missing(warehouse, file, writer, options.credits, begin, end, options.events)

    if options.dry_run:
        check_database(options)
        with server_of(options, screen) as server:
            return screen.end(forecast(server.warehouse()))
    with _asking(options, screen, clock, file.prove) as (context, client, conduct):
        from pipeline.runs.missing import fill

        wanted = forecast(context.warehouse)
        summary = fill(wanted, client, options.spool, context, conduct, screen.note, mix_sources=options.mix_sources)
    return screen.end(summary)


def add_credits(commands: Commands) -> None:
    """``credits``, and what it accepts."""
    one = command(commands, "credits", _run_credits, "show what was spent, per day, endpoint and sport, and where that differs")
    one.add_argument("--days", metavar="N", type=at_least(1), default=31, help="up to the newest with a call (default: 31)")
    database_option(one)
    json_option(one)


def _run_credits(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.report.credits_spent import credits_spent
    from pipeline.warehouse.connect import Role

    with server_of(options, screen) as server, server.warehouse().connect(Role.READER) as reader:
        return screen.end(credits_spent(reader, options.days))
