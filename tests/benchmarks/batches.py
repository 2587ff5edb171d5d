"""Batches to measure with, made of a recording's: later ones without end, and one event whose every price moves."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.clock import to_iso
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Batch, Exchange
from pipeline.recording.store import Recording
from pipeline.resources import resource as packaged

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("SPORTS_MARKET_RECORDED") or REPOSITORY.parent / "shared" / "recorded")
BUNDLED = "fixtures/recordings/simulated"


def recorded(archive: str, work: Path, *, by_folder: bool = False) -> Recording | None:
    """One recorded archive, imported; its answers are odds, unless its folders tell. None where it is not here."""
    file = RECORDED / f"{archive}.tar.xz"
    if not file.is_file():
        return None
    import_recording(file, work / archive, ImportOptions.parse(endpoints=[] if by_folder else ["odds"]))
    return Recording.open(work / archive)


def nfl_or_bundled(work: Path) -> tuple[Recording, bool]:
    """The recorded NFL week, else the bundled recording; and whether it is the first."""
    nfl = recorded("nfl_week6_2025", work)
    return nfl or Recording.open(packaged(BUNDLED)), nfl is not None


def shifted(batch: Batch, weeks: int) -> Batch:
    """The same batch some weeks later, with event ids of its own."""
    by = dt.timedelta(weeks=weeks)

    def later(match: re.Match[bytes]) -> bytes:
        return to_iso(dt.datetime.fromisoformat(match[0].decode()) + by).encode()

    def renamed(match: re.Match[bytes]) -> bytes:
        return match[1] + hashlib.md5(match[2] + str(weeks).encode()).hexdigest().encode() + b'"'

    exchanges = []
    for exchange in batch.exchanges:
        body = exchange.body
        if body is not None:
            body = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", later, body)
            body = re.sub(rb'("id":\s*")([0-9a-f]{32})"', renamed, body)
        exchanges.append(replace(exchange, body=body, captured_at=exchange.captured_at + by))
    at = batch.scheduled_at + by
    return Batch(batch.plan.batch_id(at), at, batch.plan, batch.source, tuple(exchanges))


def timeline(recording: Recording, first: int, count: int) -> Iterator[Batch]:
    """Batches ``first`` to ``first + count`` of a recording that is played again and again, each time some weeks later."""
    ids = recording.batch_ids
    for number in range(first, first + count):
        yield shifted(recording.read(ids[number % len(ids)]), 3 * (number // len(ids)))


def moving_event(batch: Batch, first: int, count: int, *, newcomers: int = 0) -> Iterator[Batch]:
    """Polls of a batch's richest event alone, every five minutes, of which each tells another price of every outcome.

    Args:
        batch: with a list of odds in American format.
        first: number of the first poll; each is the same whatever polls go before.
        count: how many.
        newcomers: it is another event after every so many polls, counted back from the last one; 0: always the same.
    """
    exchange, event = max(_american(batch), key=lambda found: len(json.dumps(found[1])))
    start = batch.scheduled_at + dt.timedelta(days=60)
    for number in range(first, first + count):
        at = batch.scheduled_at + number * dt.timedelta(minutes=5)
        generation = (first + count - 1 - number) // newcomers if newcomers else 0
        own_id = hashlib.md5(f"{event['id']}{generation}".encode()).hexdigest() if generation else event["id"]
        body = json.dumps([_moved({**event, "id": own_id}, number, start, at)]).encode()
        poll = replace(exchange, place=0, body=body, captured_at=at)
        yield Batch(batch.plan.batch_id(at), at, batch.plan, batch.source, (poll,))


def outcomes(batch: Batch) -> int:
    """How many outcomes the answers of a batch of :func:`moving_event` tell."""
    return sum((exchange.body or b"").count(b'"price"') for exchange in batch.exchanges)


def with_american_odds(batches: Iterable[Batch]) -> Batch:
    """The first batch that :func:`moving_event` can be made of."""
    return next(batch for batch in batches if any(True for _ in _american(batch)))


def _american(batch: Batch) -> Iterator[tuple[Exchange, dict[str, Any]]]:
    for exchange in batch.exchanges:
        if exchange.request.text.startswith("odds ") and exchange.status == 200:
            for event in json.loads(exchange.body or b"[]"):
                prices = [
                    one["price"] for book in event["bookmakers"] for market in book["markets"] for one in market["outcomes"]
                ]
                if prices and all(abs(price) >= 100 for price in prices):
                    yield exchange, event


def _moved(event: dict[str, Any], number: int, start: dt.datetime, at: dt.datetime) -> dict[str, Any]:
    told = to_iso(at - dt.timedelta(seconds=30))
    books = []
    for book in event["bookmakers"]:
        markets = []
        for market in book["markets"]:
            moved = [
                {**one, "price": one["price"] + (number % 5 if one["price"] > 0 else -(number % 5))}
                for one in market["outcomes"]
            ]
            markets.append({**market, "last_update": told, "outcomes": moved})
        books.append({**book, "last_update": told, "markets": markets})
    return {**event, "commence_time": to_iso(start), "bookmakers": books}
