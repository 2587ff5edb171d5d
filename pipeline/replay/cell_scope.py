"""All bytes that a row can depend on: of every answer about its event what it says of that, and nothing else.

Gold is a function of what answers say of an event, and of which answers asked about it. So the events' own objects, with every
answer that covers them (also those that do not show them: these are looked at, and say nothing), are enough to compute the row
anew. What a row takes from elsewhere, such as a book's title, is what its explanation names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.bronze.read_back import read_batch
from pipeline.contracts.shapes import ONE_EVENT
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.replay.cell_answers import Answer, Bodies, Body
from pipeline.replay.cell_explain import Explanation
from pipeline.replay.json_positions import Range, locate
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.months import refuse_archived

# The admitted answers that show an event, and those that asked about a sport it belonged to; of those that it left the list by,
# which other games they show decides whether it was played.
_ANSWERS: Final = """
with keys as (
    select distinct k.event_id, k.sport_key from silver.event_sport_keys as k where k.event_id = any (%(events)s)
),
shown as (
    select s.exchange_id, array_agg(s.event_id order by s.event_id) as events
    from silver.event_sightings as s where s.event_id = any (%(events)s) group by s.exchange_id
),
asked as (
    select distinct c.exchange_id from keys
    join silver.coverage as c on c.sport_key = keys.sport_key and c.event_id in ('', keys.event_id)
),
left_by as (
    select distinct c.exchange_id
    from gold.event_listing_intervals as l
    join keys on keys.event_id = l.event_id
    join silver.coverage as c on c.sport_key = keys.sport_key and c.event_id = '' and c.captured_at > l.last_seen_at
        and c.captured_at <= l.valid_to
    where l.event_id = any (%(events)s)
)
select coalesce(shown.exchange_id, asked.exchange_id)::text, coalesce(shown.events, '{}'),
    left_by.exchange_id is not null
from shown full join asked on asked.exchange_id = shown.exchange_id
left join left_by on left_by.exchange_id = coalesce(shown.exchange_id, asked.exchange_id)
"""


@dataclass(frozen=True, slots=True)
class NamedAnswer:
    """An answer that was looked at, and what of it is named.

    Attributes:
        answer: it.
        items: pointer and bytes of each event, or entry, in it that is named; none where it said nothing.
    """

    answer: Answer
    items: tuple[tuple[str, Range], ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            **self.answer.to_json(),
            "items": [{"pointer": pointer, "bytes": [found.start, found.end]} for pointer, found in self.items],
        }


def events_of(explanation: Explanation) -> tuple[str, ...]:
    """The events that a row is about."""
    row = explanation.row or {}
    return tuple(dict.fromkeys(str(row[name]) for name in ("event_id", "other_event_id") if row.get(name) is not None))


def named_answers(connection: Connection, explanation: Explanation) -> tuple[NamedAnswer, ...]:
    """Every answer that a row can depend on, in order of capture, with the bytes in it that it can depend on.

    Args:
        connection: of a role that may read bronze, silver and gold.
        explanation: of the row.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``.
    """
    return answers_about(connection, events_of(explanation), [explanation])


def answers_about(
    connection: Connection, events: Sequence[str], explanations: Iterable[Explanation] = ()
) -> tuple[NamedAnswer, ...]:
    """The same, of some events; with what explanations name beside them."""
    seen = connection.execute("select first_seen_at from gold.events where event_id = any (%s)", [list(events)]).fetchall()
    refuse_archived(connection, [at for (at,) in seen], "To name all answers about an event")
    wanted: dict[str, set[str]] = {}
    left_by: set[str] = set()
    for exchange, shown, is_left_by in connection.execute(_ANSWERS.encode(), {"events": list(events)}).fetchall():
        wanted[exchange] = set(shown)
        if is_left_by:
            left_by.add(exchange)
    beside: dict[str, set[str]] = {}
    for piece in (piece for explanation in explanations for piece in explanation.pieces):
        beside.setdefault(piece.answer.exchange_id, set()).add(piece.pointer)
    bodies = Bodies(connection)
    speaking = {exchange for exchange, shown in wanted.items() if shown} | beside.keys() | left_by
    found = [NamedAnswer(answer, ()) for answer in bodies.answers(wanted.keys() - speaking)]
    for exchange in sorted(speaking):
        bodies.read([exchange])
        body = bodies.get(exchange)
        if body is not None:
            items = tuple(_items(body, wanted.get(exchange, set()), beside.get(exchange, set()), exchange in left_by))
            found.append(NamedAnswer(body.answer, items))
            bodies.forget()
    return tuple(sorted(found, key=lambda each: (each.answer.captured_at, each.answer.exchange_id)))


def _items(body: Body, events: Iterable[str], pointers: Iterable[str], with_another: bool) -> Iterator[tuple[str, Range]]:
    """The events of an answer that are named: those asked for, those that hold a place that is; one more where any counts."""
    wanted, told = set(events), set(pointers)
    others = []
    for pointer, event in body.events():
        is_named = isinstance(event, dict) and event.get("id") in wanted
        if is_named or any(f"{each}/".startswith(f"{pointer}/") for each in told):
            yield pointer, locate(body.data, pointer)
        else:
            others.append((pointer, event))
    if with_another and others and body.answer.endpoint not in ONE_EVENT:
        # one in play, as far as this answer tells, else the first
        at = body.answer.captured_at
        pointer = next((each for each, event in others if str(event.get("commence_time", "")) <= at), others[0][0])
        yield pointer, locate(body.data, pointer)


def batches_of_named(connection: Connection, named: Iterable[NamedAnswer]) -> tuple[Batch, ...]:
    """Batches that hold the named bytes alone: what the answers said otherwise is not in them.

    Args:
        connection: of a role that may read bronze.
        named: of :func:`named_answers`.

    Returns:
        The batches, in order of their ids; each with those of its exchanges that are named.
    """
    by_batch: dict[str, dict[str, NamedAnswer]] = {}
    for each in named:
        by_batch.setdefault(each.answer.batch_id, {})[each.answer.exchange_id] = each
    return tuple(_reduced(read_batch(connection, batch_id), answers) for batch_id, answers in sorted(by_batch.items()))


def _reduced(batch: Batch, answers: Mapping[str, NamedAnswer]) -> Batch:
    exchanges = []
    for exchange in batch.exchanges:
        found = answers.get(str(exchange_id(batch.batch_id, exchange.place, exchange.attempt)))
        if found is not None:
            exchanges.append(replace(exchange, body=named_bytes(exchange, found)))
    return replace(batch, exchanges=tuple(exchanges))


def named_bytes(exchange: Exchange, named: NamedAnswer) -> bytes:
    """A body with nothing but the items that are named, and the envelope of the history around them."""
    assert exchange.body is not None
    items = [found.of(exchange.body) for _, found in sorted(named.items, key=lambda item: item[1])]
    base = "/data" if exchange.request.endpoint.startswith("historical") else ""
    whole = locate(exchange.body, base)
    is_list = exchange.body[whole.start : whole.start + 1] == b"["
    inside = b"[" + b",".join(items) + b"]" if is_list else b"".join(items)
    return exchange.body[: whole.start] + inside + exchange.body[whole.end :]
