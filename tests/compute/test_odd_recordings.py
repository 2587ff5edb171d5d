"""Recordings that were made to be hard, and real ones: tasks and a second stage give what one load gives."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import SystemClock
from pipeline.compute.computing import batches_in, compute, shared_out, weights_of
from pipeline.compute.cutting import cut_batch
from pipeline.compute.shard_server import own_server
from pipeline.recording.model import Batch, Exchange, PlanIdentity
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role
from pipeline.warehouse.digest import recomputed_digests, view_digests
from tests.compute.this_process import ThisProcess
from tests.ledgers import BET, PREDICTION, answer, ledger_batch
from tests.recordings import BUNDLED, written
from tests.replay import wild
from tests.replay.support import batches_of

EMPTY = "sum128:0:"


@pytest.fixture(scope="module")
def workers() -> Iterator[ThisProcess]:
    """One server for all of these."""
    with ThisProcess() as workers:
        yield workers


def loaded(batches: Sequence[Batch]) -> dict[str, str]:
    """The digests of gold after one load of all batches."""
    own, clock = own_server(), SystemClock()
    with own.database() as warehouse:
        with warehouse.connect(Role.INGESTER) as ingester:
            for batch in batches:
                load_batch(ingester, batch, clock, mix_sources=True)
        applied = apply_batches(warehouse, own.program, [batch.batch_id for batch in batches], clock)
        assert applied.published, applied.failed
        with warehouse.connect(Role.READER) as reader:
            return {**recomputed_digests(reader), **view_digests(reader)}


def computed(batches: Sequence[Batch], shards: int, folder: Path) -> dict[str, str]:
    """The digests of gold from tasks."""
    recording = written(folder / "recording", batches)
    workers = ThisProcess()  # without its end, which is the fixture's
    summary = compute(batches_in([recording], None, None), folder / f"lake{shards}", workers, shards=shards)
    return dict(summary.digests)


def different(found: dict[str, str], wanted: dict[str, str]) -> dict[str, tuple[str | None, str]]:
    return {name: (found.get(name), digest) for name, digest in wanted.items() if found.get(name) != digest}


def bundled(count: int) -> list[Batch]:
    recording = Recording.open(resource(BUNDLED))
    return [recording.read(batch_id) for batch_id in recording.batch_ids[:count]]


def changed(batch: Batch, change: Any) -> Batch:
    """A batch with other answers: ``change`` gets endpoint and document of each."""

    def one(exchange: Exchange) -> Exchange:
        if exchange.status != 200 or exchange.body is None:
            return exchange
        document = json.loads(exchange.body)
        change(exchange.request.endpoint, document)
        return replace(exchange, body=json.dumps(document).encode())

    return replace(batch, exchanges=tuple(map(one, batch.exchanges)))


@pytest.mark.proof(cases=1)
@pytest.mark.parametrize("name", ["broken elements", *wild.DIRECTED, "wild"])
def test_wild_markets(name: str, workers: ThisProcess, tmp_path: Path) -> None:
    batches = wild.batches_of(wild.DIRECTED[name]) if name in wild.DIRECTED else wild.market_of(36)
    if name == "broken elements":
        batches = [wild.with_broken_elements(batch, 7) for batch in batches]
        held = [judgement.held for batch in batches for judgement in cut_batch(batch)[0].looked.judgements if judgement]
        assert sum(map(len, held)) > 10
    assert different(computed(batches, 3, tmp_path), loaded(batches)) == {}


@pytest.mark.proof
def test_a_renamed_book(workers: ThisProcess, tmp_path: Path) -> None:
    """Its title is the newest one of all events; the events of one task may never have shown it under that."""
    first, *rest, last = bundled(4)

    def rename(endpoint: str, document: Any) -> None:
        if endpoint == "odds" and len(document) > 1:
            for book in document[0]["bookmakers"]:
                book["title"] = f"{book['title']} renamed"

    batches = [first, *rest, changed(last, rename)]
    wanted = loaded(batches)
    assert different(computed(batches, 4, tmp_path), wanted) == {}


@pytest.mark.proof
def test_ledgers_of_events_in_several_tasks(workers: ThisProcess, tmp_path: Path) -> None:
    """One entry that a later capture moves to another game; one on a game that nobody ever showed."""
    batches = bundled(26)
    odds = [each for each in batches[0].exchanges if each.request.endpoint == "odds"]
    exchange = next(each for each in odds if len(json.loads(each.body or b"")) > 2)
    events = json.loads(exchange.body or b"")
    placed = (exchange.captured_at + dt.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def bet(number: int, event: Any) -> dict[str, Any]:
        about = {"event_id": event["id"], "sport_key": event["sport_key"], "market": "h2h", "outcome": event["home_team"]}
        return {**BET, **about, "bet_id": str(number), "point": None, "placed_at": placed}

    def guess(number: int, event: Any) -> dict[str, Any]:
        about = {"event_id": event["id"], "sport_key": event["sport_key"], "outcome": event["home_team"]}
        return {**PREDICTION, **about, "prediction_id": str(number), "made_at": placed}

    unknown = {**events[0], "id": "f" * 32}
    bets = [bet(number, event) for number, event in enumerate([*events, unknown])]
    guesses = [guess(number, event) for number, event in enumerate([*events, unknown])]
    at = batches[-1].scheduled_at + dt.timedelta(hours=1)
    later = at + dt.timedelta(hours=1)
    batches += [
        ledger_batch(answer("bets", bets), answer("predictions", guesses), at=at),
        ledger_batch(answer("bets", [bet(0, events[1])]), answer("predictions", [guess(0, events[2])]), at=later),
    ]
    wanted = loaded(batches)
    ledgers = ("bets", "bet_ledger", "predictions", "prediction_scores", "prediction_evaluation")
    assert not [name for name in ledgers if wanted[f"gold.{name}"].startswith(EMPTY)]
    assert different(computed(batches, 3, tmp_path), wanted) == {}


@pytest.mark.proof
def test_two_ids_of_one_game(workers: ThisProcess, tmp_path: Path) -> None:
    """A pair in two tasks."""
    batches = bundled(3)

    def twin(endpoint: str, document: Any) -> None:
        if endpoint in ("odds", "events") and document:
            document.append({**json.loads(json.dumps(document[0])), "id": "a" * 32})

    batches = [changed(batch, twin) for batch in batches]
    wanted = loaded(batches)
    assert not wanted["gold.event_duplicates"].startswith(EMPTY)
    weights: Counter[str] = Counter()
    for batch in batches:
        for event, weight in weights_of(*cut_batch(batch)):
            weights[event] += weight
    owners = shared_out(weights, 4)
    pairs = [
        json.loads(exchange.body or b"")[0]["id"] for exchange in batches[0].exchanges if exchange.request.endpoint == "odds"
    ]
    assert any(owners[event] != owners["a" * 32] for event in pairs)
    assert different(computed(batches, 4, tmp_path), wanted) == {}


@pytest.mark.proof
def test_an_event_under_two_sports(workers: ThisProcess, tmp_path: Path) -> None:
    """It moves to another sport's list, and is still asked for in the first one's: its task needs the heads of both."""
    batches = bundled(8)

    def odds_of(batch: Batch, sport: str) -> list[Exchange]:
        return [each for each in batch.exchanges if (each.request.endpoint, each.request.sport) == ("odds", sport)]

    moved = json.loads(odds_of(batches[6], "basketball_nba")[0].body or b"")[0]
    [target] = odds_of(batches[7], "americanfootball_nfl")
    event = {**moved, "sport_key": "americanfootball_nfl", "sport_title": "NFL"}
    body = json.dumps([*json.loads(target.body or b""), event]).encode()
    coverage = replace(target.coverage, events=(*(target.coverage.events or ()), event["id"]))
    # after the scores of that batch, which show it under its old key
    at = target.captured_at + dt.timedelta(seconds=1)
    changed_one = replace(target, body=body, coverage=coverage, captured_at=at)
    exchanges = tuple(changed_one if each is target else each for each in batches[7].exchanges)
    batches[7] = replace(batches[7], exchanges=exchanges)
    shown = {
        batch.exchanges[piece.number].request.sport
        for batch in batches
        for piece in cut_batch(batch)[1]
        if piece.event_id == event["id"]
    }
    assert {"basketball_nba", "americanfootball_nfl"} <= shown
    wanted = loaded(batches)
    assert wanted["gold.events"] != loaded(bundled(8))["gold.events"]
    assert different(computed(batches, 4, tmp_path), wanted) == {}


@pytest.mark.proof
def test_a_tie_that_only_the_hash_decides(workers: ThisProcess, tmp_path: Path) -> None:
    """Batches of one time, with the same places and times of answers, and other prices: hashes are those of whole answers."""
    [first] = bundled(1)

    def again(number: int) -> Batch:
        def dearer(endpoint: str, document: Any) -> None:
            if endpoint == "odds":
                for outcome in (
                    o for event in document for b in event["bookmakers"] for m in b["markets"] for o in m["outcomes"]
                ):
                    outcome["price"] += number if outcome["price"] > 0 else -number

        plan = PlanIdentity({**first.plan.document, "seed": number})
        return replace(changed(first, dearer), plan=plan, batch_id=plan.batch_id(first.scheduled_at))

    batches = sorted([first, again(1), again(2)], key=lambda batch: batch.batch_id)
    [place] = [each.place for each in first.exchanges if each.request.endpoint == "odds" and each.request.sport == "soccer_epl"]
    same = [each for batch in batches for each in batch.exchanges if each.place == place]
    assert (len({each.sha256 for each in same}), len({each.captured_at for each in same})) == (3, 1)
    wanted = loaded(batches)
    assert {wanted["gold.price_history"]} & {loaded([batch])["gold.price_history"] for batch in batches} == set()
    assert different(computed(batches, 3, tmp_path), wanted) == {}


UNDATED = {"captured_at": "2021-11-21T12:00:00Z"}


@pytest.mark.proof(cases=1)
@pytest.mark.recorded
@pytest.mark.parametrize(
    ("archive", "places", "declared"),
    [
        ("worldcup_quarterfinals_2026", range(0, 420, 14), {}),
        ("nfl_week6_2025", range(0, 410, 50), {}),
        ("nba_historical_2023", range(0, 470, 20), {}),
        ("outrights_and_lay_2021", range(7), UNDATED),
        ("nba_player_props_2024", range(3), UNDATED),
        ("ncaaf_odds_and_scores_2026", range(2), {}),
        ("nhl_2024_scores_finished", range(4), {}),
        ("nhl_four_endpoints_2025", range(22), {}),
    ],
)
def test_real_answers(
    archive: str, places: Sequence[int], declared: dict[str, Any], recorded_dir: Path, workers: ThisProcess, tmp_path: Path
) -> None:
    batches = batches_of(recorded_dir / f"{archive}.tar.xz", places, declared, tmp_path)
    wanted = loaded(batches)
    assert not wanted["gold.events"].startswith(EMPTY)
    assert different(computed(batches, 3, tmp_path / "computed"), wanted) == {}
