"""Answers cut by event: nothing is lost, nothing is written anew, and what is held back stays in its place."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.bronze.batch_load import look_at
from pipeline.compute.cutting import NO_EVENT, cut_batch, looked_at_by
from pipeline.contracts.elements import count_outcomes
from pipeline.recording.model import Batch, Exchange
from pipeline.recording.store import Recording, content_sha256
from pipeline.resources import resource
from tests.recordings import BUNDLED


@pytest.fixture(scope="module")
def batches() -> tuple[Batch, ...]:
    return tuple(Recording.open(resource(BUNDLED)).batches())


def lists_of(batches: tuple[Batch, ...], endpoint: str) -> list[tuple[Batch, int, Exchange]]:
    return [
        (batch, number, exchange)
        for batch in batches
        for number, exchange in enumerate(batch.exchanges)
        if exchange.request.endpoint == endpoint and exchange.failure is None
    ]


def test_pieces_are_the_exact_text(batches: tuple[Batch, ...]) -> None:
    for batch in batches:
        _, pieces = cut_batch(batch)
        for piece in pieces:
            body = batch.exchanges[piece.number].body
            assert body is not None and piece.text in body.decode()


def test_all_pieces_make_the_answers_again(batches: tuple[Batch, ...]) -> None:
    """With every piece a task has what a load has, hash and verdict included."""
    for batch in batches:
        head, pieces = cut_batch(batch)
        whole, again = look_at(batch, content_sha256(batch)), looked_at_by(head, pieces)
        assert again.hashes == whole.hashes
        assert again.content == whole.content
        for number, (ours, theirs) in enumerate(zip(again.judgements, whole.judgements, strict=True)):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None and theirs.verdict != "quarantined":
                assert (ours.outcomes, ours.held, ours.findings) == (theirs.outcomes, theirs.held, theirs.findings)
                # one that lists nothing has nothing for silver
                body = batch.exchanges[number].body
                assert again.batch.exchanges[number].body is not None or json.loads(body or b"") == []


def test_a_number_keeps_its_digits(batches: tuple[Batch, ...]) -> None:
    batch, _number, exchange = lists_of(batches, "odds")[0]
    event = json.loads(exchange.body or b"")[0]
    price = event["bookmakers"][0]["markets"][0]["outcomes"][0]["price"]
    text = json.dumps([event]).replace(f'"price": {json.dumps(price)}', '"price": 1.9500000000000000001', 1)
    odd = replace(batch, exchanges=(replace(exchange, body=f" {text} ".encode()),))
    _, pieces = cut_batch(odd)
    assert "1.9500000000000000001" in pieces[0].text


def test_what_is_held_back_moves_with_its_event(batches: tuple[Batch, ...]) -> None:
    """Of another task's event it points where the cut answer has nothing."""
    batch, _, exchange = next(
        each for each in lists_of(batches, "odds") if len([e for e in json.loads(each[2].body or b"") if e["bookmakers"]]) > 2
    )
    events = [event for event in json.loads(exchange.body or b"") if event["bookmakers"]]
    events[1]["bookmakers"][0]["markets"][0]["outcomes"][0]["price"] = "much"
    broken = replace(batch, exchanges=(replace(exchange, body=json.dumps(events).encode()),))
    head, pieces = cut_batch(broken)
    [judgement] = head.looked.judgements
    assert judgement is not None and [each.pointer for each in judgement.held] == ["/1/bookmakers/0/markets/0"]

    def held_by(*ids: str) -> tuple[list[str], int]:
        own = [piece for piece in pieces if piece.event_id in ids]
        [found] = looked_at_by(head, own).judgements
        assert found is not None
        return [each.pointer for each in found.held], found.outcomes

    ids = [event["id"] for event in events]
    market = len(events[1]["bookmakers"][0]["markets"][0]["outcomes"])
    assert held_by(ids[1]) == (["/0/bookmakers/0/markets/0"], count_outcomes([events[1]]) - market)
    assert held_by(ids[0], ids[1]) == (
        ["/1/bookmakers/0/markets/0"],
        count_outcomes(events[:2]) - market,
    )
    assert held_by(ids[0]) == (["/2/bookmakers/0/markets/0"], count_outcomes(events[:1]))
    assert held_by() == (["/1/bookmakers/0/markets/0"], 0)


def test_an_answer_about_no_event_is_one_piece(batches: tuple[Batch, ...]) -> None:
    batch, number, exchange = lists_of(batches, "sports")[0]
    _, pieces = cut_batch(batch)
    [piece] = [piece for piece in pieces if piece.number == number]
    assert piece.event_id == NO_EVENT
    assert piece.text.encode() == exchange.body


def test_a_quarantined_answer_has_no_piece(batches: tuple[Batch, ...]) -> None:
    """The verdict is of the whole answer: none of its events comes in."""
    batch, _, exchange = lists_of(batches, "odds")[0]
    bad = replace(batch, exchanges=(replace(exchange, body=(exchange.body or b"") + b"]"),))
    head, pieces = cut_batch(bad)
    assert pieces == ()
    [judgement] = looked_at_by(head, pieces).judgements
    assert judgement is not None and judgement.verdict == "quarantined"
