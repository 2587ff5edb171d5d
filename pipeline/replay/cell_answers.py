"""The answers that a row came from: the exchange, the pointer of what it says, and the bytes of that in the stored body.

And the answers that were looked at and said nothing, with why: absence has reasons too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pipeline.clock import UTC, from_iso, to_iso
from pipeline.contracts.elements import is_within
from pipeline.contracts.shapes import ENVELOPES
from pipeline.replay.cell_reads import COVERAGE, QUOTES
from pipeline.replay.json_positions import Range, locate
from pipeline.warehouse.connect import Connection

# Of a value so many characters are shown.
TEXT: Final = 160
# How many answers that said nothing are named.
SILENCES: Final = 40
_POINTS: Final = Decimal("0.001")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as bronze has it.

    Attributes:
        exchange_id: its own.
        batch_id: of its batch.
        place: in the batch's plan.
        attempt: from 1.
        endpoint: that was asked.
        captured_at: when it was received.
        body_sha256: of its body, hexadecimal.
    """

    exchange_id: str
    batch_id: str
    place: int
    attempt: int
    endpoint: str
    captured_at: str
    body_sha256: str

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "exchange_id": self.exchange_id,
            "batch_id": self.batch_id,
            "place": self.place,
            "attempt": self.attempt,
            "endpoint": self.endpoint,
            "captured_at": self.captured_at,
            "body_sha256": self.body_sha256,
        }


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer.

    Attributes:
        answer: that it is in.
        pointer: JSON pointer of it in the body.
        range: of its bytes in the stored body.
        text: these bytes, cut.
    """

    answer: Answer
    pointer: str
    range: Range
    text: str

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            **self.answer.to_json(),
            "pointer": self.pointer,
            "bytes": [self.range.start, self.range.end],
            "text": self.text,
        }

    def line(self) -> str:
        """For people."""
        answer = self.answer
        return (
            f"{answer.endpoint} of {answer.captured_at}, batch {answer.batch_id}, place {answer.place}: {self.pointer or '/'}"
            f" bytes {self.range.start}–{self.range.end} of {answer.body_sha256[:12]}: {self.text}"
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """An answer that was looked at and said nothing.

    Attributes:
        exchange_id, batch_id, endpoint, captured_at: as of :class:`Answer`.
        why: it said nothing.
    """

    exchange_id: str
    batch_id: str
    endpoint: str
    captured_at: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "exchange_id": self.exchange_id,
            "batch_id": self.batch_id,
            "endpoint": self.endpoint,
            "captured_at": self.captured_at,
            "why": self.why,
        }

    def line(self) -> str:
        """For people."""
        return f"{self.endpoint} of {self.captured_at}, batch {self.batch_id}: {self.why}"


@dataclass
class Body:
    """A stored body, parsed when it is first needed.

    Attributes:
        answer: whose it is.
        data: the bytes.
        held: pointers of the elements that silver and gold are without.
    """

    answer: Answer
    data: bytes
    held: tuple[str, ...]
    _document: Any = field(default=None, repr=False)

    @property
    def document(self) -> Any:
        """All of it."""
        if self._document is None:
            self._document = json.loads(self.data, parse_float=Decimal)
        return self._document

    @property
    def base(self) -> str:
        """Pointer of the answer within the body: that of the history stands in an envelope."""
        return "/data" if self.answer.endpoint in ENVELOPES else ""

    def events(self) -> Iterator[tuple[str, Any]]:
        """Each event, or entry, with its pointer, without those that are held back."""
        found = self.document["data"] if self.base else self.document
        items = (
            [(self.base, found)] if isinstance(found, dict) else [(f"{self.base}/{n}", each) for n, each in enumerate(found)]
        )
        return ((pointer, item) for pointer, item in items if not self._is_held(pointer))

    def below(self, pointer: str, holder: Any, name: str) -> Iterator[tuple[str, Any]]:
        """Each item of a member that is a list, with its pointer, without those that are held back."""
        items = holder.get(name) if isinstance(holder, dict) else None
        for number, item in enumerate(items if isinstance(items, list) else ()):
            place = f"{pointer}/{name}/{number}"
            if not self._is_held(place):
                yield place, item

    def piece(self, pointer: str) -> Piece:
        """What stands at a pointer."""
        found = locate(self.data, pointer)
        text = " ".join(found.of(self.data[: found.start + 4 * TEXT]).decode("utf-8", "replace").split())
        whole = found.end - found.start <= 4 * TEXT and len(text) <= TEXT
        return Piece(self.answer, pointer, found, text if whole else text[: TEXT - 1] + "…")

    def _is_held(self, pointer: str) -> bool:
        return any(is_within(pointer, outer) for outer in self.held)


class Bodies:
    """Bodies of answers, each read once.

    Args:
        connection: of a role that may read bronze.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bodies: dict[str, Body] = {}

    def read(self, exchange_ids: Iterable[str]) -> None:
        """Read those that were not yet; of archived months there are none."""
        wanted = sorted(set(exchange_ids) - self._bodies.keys())
        if not wanted:
            return
        rows = self._connection.execute(
            "select x.exchange_id::text, x.batch_id, x.place, x.attempt, x.endpoint, x.captured_at, x.body_sha256, b.body,"
            " coalesce(l.applied_held, '{}')"
            " from bronze.exchanges as x join bronze.bodies as b"
            " on b.body_sha256 = x.body_sha256 and b.month = ops.month_of(x.captured_at)"
            " left join ops.ledger as l on l.exchange_id = x.exchange_id"
            " where x.exchange_id = any (%s::uuid[])",
            [wanted],
            binary=True,
        ).fetchall()
        for exchange_id, batch_id, place, attempt, endpoint, captured_at, sha256, data, held in rows:
            answer = Answer(exchange_id, batch_id, place, attempt, endpoint, to_iso(captured_at), sha256)
            self._bodies[exchange_id] = Body(answer, bytes(data), tuple(held))

    def answers(self, exchange_ids: Iterable[str]) -> list[Answer]:
        """The answers alone, whether their bodies are there or not."""
        rows = self._connection.execute(
            "select x.exchange_id::text, x.batch_id, x.place, x.attempt, x.endpoint, x.captured_at, x.body_sha256"
            " from bronze.exchanges as x where x.exchange_id = any (%s::uuid[])",
            [sorted(exchange_ids)],
        ).fetchall()
        return [
            Answer(own, batch_id, place, attempt, endpoint, to_iso(captured_at), sha256)
            for own, batch_id, place, attempt, endpoint, captured_at, sha256 in rows
        ]

    def get(self, exchange_id: str) -> Body | None:
        """One that was read; None where it is not in the warehouse."""
        return self._bodies.get(exchange_id)

    def forget(self) -> None:
        """Let go of all that were read."""
        self._bodies.clear()


def piece_of(relation: str, row: Row, body: Body) -> Piece | None:
    """Where an answer says what a row of silver tells; None where it is not found.

    Args:
        relation: of the row.
        row: as JSON.
        body: of the answer that it is of.
    """
    pointer = next(_pointers(relation, row, body), None)
    return None if pointer is None else body.piece(pointer)


def _pointers(relation: str, row: Row, body: Body) -> Iterator[str]:
    if relation == QUOTES:
        yield from _outcomes(row, body)
    elif relation in ("silver.event_sightings", "silver.scores"):
        yield from (pointer for pointer, event in body.events() if event.get("id") == row["event_id"])
    elif relation == "silver.bookmaker_sightings":
        for pointer, event in body.events():
            yield from (
                place for place, book in body.below(pointer, event, "bookmakers") if book.get("key") == row["bookmaker_key"]
            )
    elif relation == "silver.sport_sightings":
        name = "key" if body.answer.endpoint == "sports" else "sport_key"
        yield from (pointer for pointer, entry in body.events() if entry.get(name) == row["sport_key"])
    elif relation == COVERAGE:
        yield ""
    elif relation == "silver.participants":
        yield from (pointer for pointer, entry in body.events() if entry.get("id") == row["participant_id"])
    elif relation == "silver.offered_markets":
        for pointer, event in body.events():
            for book_at, book in body.below(pointer, event, "bookmakers"):
                if book.get("key") == row["bookmaker_key"]:
                    found = body.below(book_at, book, "markets")
                    yield from (place for place, market in found if market.get("key") == row["market_key"])
    elif relation in ("silver.bet_captures", "silver.prediction_captures"):
        name = "bet_id" if relation == "silver.bet_captures" else "prediction_id"
        yield from (
            pointer for pointer, entry in body.events() if entry.get(name) == row[name] and entry.get("ledger") == row["ledger"]
        )


def _outcomes(row: Row, body: Body) -> Iterator[str]:
    """The outcome of a quote: of those that are told apart by nothing else, the one of its number."""
    entries, found = [], []
    for event_at, event in body.events():
        if event.get("id") != row["event_id"]:
            continue
        for book_no, (book_at, book) in enumerate(body.below(event_at, event, "bookmakers")):
            if book.get("key") != row["bookmaker_key"]:
                continue
            for market_no, (market_at, market) in enumerate(body.below(book_at, book, "markets")):
                if market.get("key") == row["market_key"] and market.get("outcomes"):
                    read_at = _time(market.get("last_update") or book.get("last_update"))
                    entries.append((-(read_at or float("-inf")), book_no, market_no, market_at, market))
    # the entry that was read last speaks, then the first in the document
    for number, (_, book_no, market_no, market_at, market) in enumerate(sorted(entries, key=lambda each: each[:3])):
        for place, (outcome_at, outcome) in enumerate(body.below(market_at, market, "outcomes")):
            if (
                outcome.get("name") == row["outcome_name"]
                and outcome.get("description") == row.get("description")
                and _point(outcome.get("point")) == _point(row.get("point"))
            ):
                found.append(((number > 0, book_no, market_no, place), outcome_at))
    found.sort()
    yield from (pointer for _, pointer in found[row["duplicate_no"] - 1 : row["duplicate_no"]])


def _point(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value)).quantize(_POINTS)
    except InvalidOperation:
        return None


def _time(value: Any) -> float | None:
    """A time as the API writes it, either way."""
    try:
        if isinstance(value, str):
            return from_iso(value).timestamp()
        return None if value is None else float(value)
    except ValueError:
        return None


# --- what was looked at ----------------------------------------------------------------------------------------------

_SPAN: Final = "c.captured_at >= %(since)s and c.captured_at <= %(until)s"
# The admitted answers that asked about an event without showing it, or without a book or a market of it.
_SILENT: Final = f"""
with keys as (
    select k.sport_key, k.valid_from, coalesce(k.valid_to, 'infinity') as valid_to
    from silver.event_sport_keys as k where k.event_id = %(event_id)s
),
asked as (
    select distinct on (c.captured_at, c.exchange_id)
        c.exchange_id, c.captured_at, c.endpoint, c.markets, c.books, c.held_back, c.event_id,
        c.commence_from is not null or c.commence_to is not null as has_window
    from keys
    join silver.coverage as c on c.sport_key = keys.sport_key and c.event_id in ('', %(event_id)s)
        and c.captured_at >= keys.valid_from and c.captured_at < keys.valid_to
    -- of a market those that asked for none say nothing, and were not looked at
    where {_SPAN} and (%(market_key)s::text is null or c.markets <> '{{}}')
    order by c.captured_at, c.exchange_id, c.event_id desc
),
told as (
    select asked.*, s.exchange_id is not null as shows_event, s.books as shown_books, s.book_markets as shown_markets
    from asked
    left join silver.event_sightings as s
        on s.exchange_id = asked.exchange_id and s.captured_at = asked.captured_at and s.event_id = %(event_id)s
),
judged as (
    select told.*,
        case
            when %(event_id)s = any (told.held_back) then 'holds the event back'
            when not told.shows_event and told.has_window then 'does not show the event; it asked for a window of starts'
            when not told.shows_event then 'asked about the event''s sport, and does not show the event'
            when %(market_key)s::text is null then null
            when not %(market_key)s = any (told.markets) then 'did not ask for the market'
            when %(bookmaker_key)s::text is null then null
            when not %(bookmaker_key)s = any (told.books) then 'did not ask for the book'
            when told.held_back && array[%(event_id)s || '|', %(event_id)s || '|' || %(bookmaker_key)s,
                    %(event_id)s || '|' || %(bookmaker_key)s || '|' || %(market_key)s]
                then 'holds the book, or its market, back'
            when not coalesce(told.shown_books ? %(bookmaker_key)s, false) then 'shows the event without the book'
            when not %(bookmaker_key)s || '|' || %(market_key)s = any (told.shown_markets)
                then 'shows the book without the market'
            when %(series_id)s::uuid is not null and not exists (
                select 1 from silver.quotes as q
                where q.exchange_id = told.exchange_id and q.event_id = %(event_id)s and q.captured_at = told.captured_at
                    and q.series_id = %(series_id)s::uuid
            ) then 'shows the market without the outcome'
        end as why
    from told
)
select judged.exchange_id::text, x.batch_id, judged.endpoint, judged.captured_at, judged.why, count(*) over ()
from judged join bronze.exchanges as x on x.exchange_id = judged.exchange_id
where judged.why is not null
order by judged.captured_at, judged.exchange_id
limit {SILENCES}
"""
# Of its sports what was asked and never came to be an answer that counts.
_REFUSED: Final = f"""
select x.exchange_id::text, x.batch_id, x.endpoint, x.captured_at,
    case when x.failure_code is not null then 'failed: ' || x.failure_code
        when l.admitted then 'is admitted, and not yet applied'
        else (select v.verdict || coalesce(': ' || (v.findings -> 0 ->> 'rule'), '') from ops.verdicts as v
            where v.exchange_id = x.exchange_id order by v.verdict_no desc limit 1)
    end,
    count(*) over ()
from bronze.exchanges as x
left join ops.ledger as l on l.exchange_id = x.exchange_id
where (x.event_id = %(event_id)s or (x.event_id is null
        and x.sport_key in (select k.sport_key from silver.event_sport_keys as k where k.event_id = %(event_id)s)))
    and x.captured_at >= %(since)s and x.captured_at <= %(until)s and l.applied is distinct from true
order by x.captured_at, x.exchange_id
limit {SILENCES}
"""


@dataclass(frozen=True, slots=True)
class Silences:
    """Answers that were looked at and said nothing.

    Attributes:
        since, until: from when to when they were looked for.
        named: the first of them.
        count: of all.
    """

    since: str
    until: str
    named: tuple[Silence, ...] = ()
    count: int = 0

    def to_json(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "since": self.since,
            "until": self.until,
            "count": self.count,
            "answers": [each.to_json() for each in self.named],
        }


def silences(connection: Connection, event_id: str, row: Row, times: Sequence[dt.datetime]) -> Silences:
    """The answers about an event that said nothing about a row.

    Args:
        connection: of a role that may read bronze and silver.
        event_id: the event.
        row: whose market and book, where it has any, are asked for.
        times: those that the row names; answers from the first to the last are looked at. None: all.
    """
    since = min(times, default=dt.datetime(1, 1, 1, tzinfo=UTC))
    until = max(times, default=dt.datetime(9999, 12, 31, tzinfo=UTC))
    values = {
        "event_id": event_id,
        "market_key": row.get("market_key"),
        "bookmaker_key": row.get("bookmaker_key"),
        "series_id": row.get("series_id"),
        "since": since,
        "until": until,
    }
    named: list[Silence] = []
    count = 0
    for query in (_SILENT, _REFUSED):
        rows = connection.execute(query.encode(), values).fetchall()
        named += [Silence(each[0], each[1], each[2], to_iso(each[3]), each[4] or "has no verdict") for each in rows]
        count += rows[0][5] if rows else 0
    named.sort(key=lambda each: (each.captured_at, each.exchange_id))
    return Silences(to_iso(since), to_iso(until), tuple(named[:SILENCES]), count)
