"""bet_ledger, prediction_scores and prediction_evaluation in plain Python, from the definitions and not from the SQL.

What stood, what closed and how it was settled is that of the other models; here an entry is put on its line, and compared.
Entries are drawn from what a recording quotes, and bent: other prices, points, formats, times and names, corrections.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import isqrt
from typing import Any, Final

from pipeline.clock import to_iso
from pipeline.recording.model import Batch
from tests.final_scores import Game, score_batch
from tests.ledgers import answer, ledger_batch
from tests.replay.hindsight_model import Hindsight, has_own_prices, price_net, stands
from tests.replay.model import (
    Quote,
    Row,
    Table,
    Time,
    _shows,
    market_rule,
    parameter,
    parse_time,
    priced,
    rounded,
    sport_rule,
)

MINUTE: Final = dt.timedelta(minutes=1)
HALF: Final = Decimal("0.5")
BET_KEY: Final = ("ledger", "bet_id")
PREDICTION_KEY: Final = ("ledger", "prediction_id")
EVALUATION_KEY: Final = ("ledger", "sport_key", "market_key", "outcome_set", "scored_as")
Item = Mapping[str, Any]
Group = tuple[Any, ...]


# --- entries ----------------------------------------------------------------------------------------------------------


def drawn(hindsight: Hindsight, bets: int, predictions: int, seed: int = 0) -> list[Batch]:
    """Batches of entries about what was quoted, and about what was not; some are corrected in a second batch."""
    chance = random.Random(seed)
    gold = hindsight.gold
    quotes = [
        quote
        for series in sorted(gold.quotes, key=repr)
        for quote in gold.quotes[series]
        if quote.price_decimal is not None
        and market_rule(quote.market)["price_side"] == "back"
        and market_rule(quote.market)["family"] != "outrights"
    ]
    if not quotes:
        return []
    placed = [_bet(chance, chance.choice(quotes), number, gold.start_known) for number in range(bets)]
    made = [item for number in range(predictions) for item in _prediction(chance, chance.choice(quotes), number, hindsight)]
    written = max(a.captured_at for a in gold.answers) + dt.timedelta(days=30)
    first = [answer("bets", placed), answer("predictions", made, ledger="model")]
    corrected = [{**item, "stake": item["stake"] + 1} for item in placed if chance.random() < 0.1]
    source = "simulated" if gold.answers[0].source == "simulated" else "import"
    batches = [ledger_batch(*first, at=written, source=source)]
    if corrected:
        batches.append(ledger_batch(answer("bets", corrected), at=written + MINUTE, source=source))
    return batches


def drawn_scores(hindsight: Hindsight, seed: int = 0) -> list[Batch]:
    """Final scores of the games that have begun, two hours after the start, in batches as an answer to a poll has them."""
    chance = random.Random(seed)
    games: dict[tuple[str, Time], list[Game]] = defaultdict(list)
    for event_id in sorted(hindsight.reached):
        event = hindsight.events[event_id]
        if event["home_team"] is not None and event["away_team"] is not None:
            game = Game(event_id, event["start_at"], event["home_team"], event["away_team"])
            games[(event["sport_key"], event["start_at"])].append(game)
    return [score_batch(sport, begun, start + 120 * MINUTE, chance) for (sport, start), begun in sorted(games.items())]


def _about(chance: random.Random, quote: Quote) -> dict[str, Any]:
    item: dict[str, Any] = {
        "event_id": quote.event_id,
        "sport_key": quote.sport,
        "market": quote.market,
        "description": quote.description,
        "outcome": quote.name,
        "point": None if quote.point is None else float(quote.point),
    }
    bend = chance.random()
    if bend < 0.03:
        item["event_id"] = f"{chance.randrange(16**32):032x}"
    elif bend < 0.06:
        item["outcome"] = "Nobody"
    elif bend < 0.16 and item["point"] is not None:
        item["point"] += chance.choice((-1, -0.5, 0.5, 1, 0.25))
    return item


def _bet(chance: random.Random, quote: Quote, number: int, start_known: Any) -> dict[str, Any]:
    captured = quote.answer.captured_at.replace(microsecond=0)
    minutes = chance.choice((0, 0, 1, 3, 10, 14, 15, 16, 40, 200, -1))
    odds_format, price = quote.answer.odds_format, float(quote.native)
    bend = chance.random()
    if bend < 0.15 and odds_format == "decimal":
        price = round(price * chance.choice((0.97, 1.03)) + 0.01, 2)
    elif bend < 0.15:
        price += chance.choice((-5, 5)) if abs(price) >= 106 else 0
    elif bend < 0.3 and odds_format == "american":
        odds_format, price = "decimal", round(float(quote.price_decimal or 0), 2)
    return {
        "ledger": chance.choice(("mine", "yours")),
        "bet_id": f"{number:04}",
        "placed_at": to_iso(captured + minutes * MINUTE),
        **_about(chance, quote),
        "bookmaker_key": chance.choice((quote.book,) * 9 + ("corner_shop",)),
        "price": price if odds_format == "american" or price > 1 else 1.01,
        "odds_format": odds_format,
        "stake": chance.choice((1, 10, 25.5)),
    }


def _prediction(chance: random.Random, quote: Quote, number: int, hindsight: Hindsight) -> Iterator[dict[str, Any]]:
    """One outcome, or the whole set of its answer; now and then one that does not sum to 1, or names an outcome twice."""
    made = to_iso(quote.answer.captured_at.replace(microsecond=0) + chance.choice((-90, 0, 1, 30, 300)) * MINUTE)
    about = _about(chance, quote)
    told = [(quote.name, quote.point, chance.randint(1, 99))]
    if chance.random() < 0.6:
        members = {
            each.name: each
            for series in hindsight._quoted[(quote.event_id, quote.book, quote.market, quote.description)]
            for each in hindsight.gold.quotes[series]
            if each.answer is quote.answer and each.line == quote.line
        }
        total = 100 if chance.random() < 0.9 else 90
        shares = [1] * len(members)
        for _ in range(total - len(members)):
            shares[chance.randrange(len(shares))] += 1
        if len(members) > 1:
            told = [(each.name, each.point, share) for each, share in zip(members.values(), shares, strict=True)]
        if chance.random() < 0.05:
            told.append(told[0])
    moved = 0.0 if about["point"] is None or quote.point is None else about["point"] - float(quote.point)
    for place, (name, point, share) in enumerate(told):
        is_mirrored = market_rule(quote.market)["family"] == "spreads" and name != quote.name
        yield {
            "ledger": "model",
            "prediction_id": f"{number:04}-{place}",
            "made_at": made,
            **about,
            "outcome": about["outcome"] if len(told) == 1 else name,
            "point": None if point is None else float(point) + (-moved if is_mirrored else moved),
            "probability": share / 100,
        }


def entries_of(batches: Iterable[Batch], endpoint: str, key: str) -> Iterator[Row]:
    """The newest capture of each entry, with its numbers as they were written."""
    newest: dict[tuple[str, str], Row] = {}
    for batch in sorted(batches, key=lambda each: each.scheduled_at):
        for exchange in batch.exchanges:
            if exchange.request.endpoint == endpoint:
                for item in json.loads(exchange.body or b"", parse_float=Decimal, parse_int=Decimal):
                    newest[(item["ledger"], item[key])] = {**item, "captured_at": exchange.captured_at}
    yield from newest.values()


# --- what both are compared with --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lined:
    """An entry on its line."""

    item: Row
    event: Row | None
    sport: str
    family: str
    side: str
    point: Decimal | None
    line_point: Decimal | None
    kind: str
    is_reached: bool

    @property
    def line(self) -> Group:
        return (self.item["event_id"], self.item["market"], self.item.get("description"), self.line_point)

    @property
    def start(self) -> Time | None:
        return None if self.event is None else self.event["start_at"]


class Ledgers:
    """What people bet and foresaw, against the market."""

    def __init__(self, hindsight: Hindsight, batches: Sequence[Batch]) -> None:
        self.hindsight, self.gold, self.batches = hindsight, hindsight.gold, batches
        self.closes, self.agreed = hindsight.closes, hindsight.agreed
        self.grades = hindsight.outcome_grades()
        self.consensus: dict[Group, list[Row]] = defaultdict(list)
        for key, row in self.gold.consensus(hindsight.margins).items():
            self.consensus[key[:6]].append(row | {"valid_from": key[-1]})

    def _lined(self, item: Row) -> Lined:
        event = self.hindsight.events.get(item["event_id"])
        sport = event["sport_key"] if event is not None else item["sport_key"]
        family = market_rule(item["market"])["family"]
        name = item["outcome"]
        teams = {} if event is None else {event["home_team"]: "home", event["away_team"]: "away"}
        others = {"Draw": "draw", "Over": "over", "Under": "under", "Yes": "yes", "No": "no"}
        side = teams.get(name) or others.get(name, "runner")
        point = None if item.get("point") is None else rounded(item["point"], 3)
        if family == "spreads":
            line_point = {"home": point, "away": None if point is None else -point}.get(side)
        else:
            line_point = None if family == "h2h" else point
        expected = 2
        if family == "h2h":
            expected = 3 if item["market"].startswith("h2h_3_way") else int(sport_rule(sport)["h2h_outcomes"])
        kind = "yes_no" if side in ("yes", "no") else "three_way" if expected == 3 or side == "draw" else "two_way"
        is_reached = event is not None and not event["start_is_suspect"] and self.hindsight.is_reached(item["event_id"])
        return Lined(item, event, sport, family, side, point, line_point, kind, is_reached)

    def _agreed_close(self, lined: Lined, kind: str) -> Row | None:
        close = self.agreed.get((*lined.line, kind, lined.item["outcome"]))
        return close if close is not None and close["is_closing"] else None

    def _phase(self, lined: Lined, at: Time) -> str | None:
        if lined.event is None or at < lined.event["first_seen_at"]:
            return None
        return self.gold.phase(lined.item["event_id"], at)

    # bets

    def bet_ledger(self) -> Table:
        return {
            (item["ledger"], item["bet_id"]): self._judged_bet(self._lined(item))
            for item in entries_of(self.batches, "bets", "bet_id")
        }

    def _covered_at(self, lined: Lined, at: Time) -> Time | None:
        """When the last answer that told of the book's market came, not long before."""
        event_id, book, market = lined.item["event_id"], lined.item["bookmaker_key"], lined.item["market"]
        since = at - dt.timedelta(seconds=int(parameter("bet_covered_seconds")))
        return max(
            (
                a.captured_at
                for a in (self.gold.covering(event_id) if lined.event is not None else ())
                if since < a.captured_at <= at
                and a.tells_of(event_id, book, market)
                and (_shows(a, event_id, book, market) or (market in a.coverage.markets and book in a.coverage.books))
            ),
            default=None,
        )

    def _shown(self, lined: Lined, at: Time) -> Row | None:
        """What stood at the book: of several points of an outcome the bet's own."""
        item = lined.item
        is_keyed = market_rule(item["market"])["is_point_in_key"] == "true"
        named = (
            item["event_id"], item["bookmaker_key"], item["market"], item.get("description"), item["outcome"],
            lined.point if is_keyed else None,
        )  # fmt: skip
        standing = [
            (series[-1], row)
            for series, rows in self.hindsight._series_of_event[item["event_id"]].items()
            if series[:-1] == named
            for row in rows
            if stands(row, at)
        ]
        return min(standing, key=lambda each: (each[1]["point"] != lined.point, each[0]), default=(0, None))[1]

    def _fair_then(self, lined: Lined, at: Time) -> tuple[str, Decimal] | None:
        """What the book's own sound set on the line held the outcome for, and which set that was."""
        item = lined.item
        for row in self.hindsight._sets_of_event[item["event_id"]]:
            is_its_own = (row["bookmaker_key"], row["event_id"], row["market_key"], row["description"], row["line_point"]) == (
                item["bookmaker_key"], *lined.line,
            )  # fmt: skip
            if (
                is_its_own
                and row["set_no"] == 1
                and row["is_sound"]
                and stands(row, at)
                and item["outcome"] in row["outcome_names"]
            ):
                return row["outcome_set"], row["fair_power"][row["outcome_names"].index(item["outcome"])]
        return None

    def _judged_bet(self, lined: Lined) -> Row:
        item, event, at = lined.item, lined.event, parse_time(lined.item["placed_at"])
        book = item["bookmaker_key"]
        native = rounded(item["price"], 8)
        price = priced(native, item["odds_format"])
        assert price is not None
        decimal = rounded(price[0], 8)
        net = price_net(decimal, book)
        covered = self._covered_at(lined, at)
        shown = None if covered is None else self._shown(lined, at)
        fair = None if covered is None else self._fair_then(lined, at)
        is_keyed = market_rule(item["market"])["is_point_in_key"] == "true"
        series = (*lined.line[:1], book, *lined.line[1:3], item["outcome"], lined.point if is_keyed else None, 1)
        close = self.closes.get(series) if has_own_prices(book) else None
        quote = None if close is None else close.quote
        kind = fair[0] if fair is not None else quote.outcome_set if quote is not None else lined.kind
        is_before = lined.is_reached and lined.start is not None and at < lined.start
        closed = quote if is_before and close is not None and close.is_closing else None
        is_on_line = closed is not None and (closed.outcome_set, closed.line_point) == (kind, lined.line_point)
        agreed = self._agreed_close(lined, kind) if is_before else None
        then = next(
            (
                row
                for row in self.consensus[(*lined.line, kind, item["outcome"])]
                if stands(row, at) and row["fair_median"] is not None
            ),
            None,
        )
        point_closing = closed.point if closed is not None else None
        if point_closing is None and is_before:
            main = [
                key[3]
                for key, row in self.agreed.items()
                if key[:3] == lined.line[:3]
                and key[4:] == (kind, item["outcome"])
                and row["is_main_line"]
                and row["is_closing"]
                and key[3] is not None
            ]
            is_turned = lined.family == "spreads" and lined.side == "away"
            point_closing = (-main[0] if is_turned else main[0]) if main else None
        grade = self.grades.get((*lined.line, kind, item["outcome"]))
        price_closing = price_net(closed.price_decimal, book) if is_on_line and closed and closed.price_decimal else None
        fair_closing = close.fair if is_on_line and close is not None else None
        consensus_closing = None if agreed is None else agreed["fair_median"]
        return {
            "captured_at": item["captured_at"],
            "placed_at": at,
            "event_id": item["event_id"],
            "sport_key": lined.sport,
            "market_key": item["market"],
            "description": item.get("description"),
            "outcome_name": item["outcome"],
            "outcome_side": lined.side,
            "point": lined.point,
            "line_point": lined.line_point,
            "outcome_set": kind,
            "bookmaker_key": book,
            "price_native": native,
            "odds_format": item["odds_format"],
            "price_decimal": decimal,
            "stake": rounded(item["stake"], 8),
            "start_at": lined.start,
            "phase_as_known": self._phase(lined, at),
            "status": self._status(lined, grade),
            **_was_there(lined, native, decimal, covered, shown),
            "price_taken": net,
            "probability_taken": None if fair is None else fair[1],
            "consensus_taken": None if then is None else then["fair_median"],
            "group_count_taken": None if then is None else then["group_count"],
            "ev_taken": None if then is None else rounded(Fraction(net) * Fraction(then["fair_median"]) - 1, 10),
            "point_closing": point_closing,
            "price_closing": price_closing,
            "probability_closing": fair_closing,
            "consensus_closing": consensus_closing,
            "clv_ev": None if consensus_closing is None else rounded(Fraction(net) * Fraction(consensus_closing) - 1, 10),
            "clv_price": None if price_closing is None else rounded(Fraction(net) / Fraction(price_closing) - 1, 10),
            "clv_probability": None
            if fair_closing is None or fair is None
            else rounded(100 * (Fraction(fair_closing) - Fraction(fair[1])), 8),
            "clv_points": _points_gained(lined, point_closing),
            "clv_status": "in_play"
            if lined.start is not None and at >= lined.start
            else "same_point"
            if is_on_line or consensus_closing is not None
            else "point_moved"
            if point_closing is not None and point_closing != lined.point
            else "no_close",
            "close_status": close.status
            if close is not None and lined.is_reached
            else "unplayed"
            if event is not None and event["status"] == "gone_early"
            else "none"
            if lined.is_reached or event is None
            else "provisional",
            "consensus_close_status": None if agreed is None else agreed["close_status"],
            "grade": None if grade is None else grade["grade"],
            "grade_reason": None if grade is None else grade["grade_reason"],
            "profit": None
            if grade is None or grade["won_share"] is None
            else rounded(Fraction(item["stake"]) * (grade["won_share"] * Fraction(decimal) + grade["refunded_share"] - 1), 8),
        }

    @staticmethod
    def _status(lined: Lined, grade: Row | None) -> str:
        if lined.event is None:
            return "unknown_event"
        if grade is not None and grade["grade"] != "unresolved":
            return "settled"
        if not lined.is_reached or (grade is not None and grade["grade_reason"] == "not_completed"):
            return "open"
        return "unknown_line" if grade is None else "unresolved"

    # predictions

    def prediction_scores(self) -> Table:
        sets: dict[Group, list[tuple[Lined, Time]]] = defaultdict(list)
        for item in entries_of(self.batches, "predictions", "prediction_id"):
            lined, made = self._lined(item), parse_time(item["made_at"])
            sets[(item["ledger"], *lined.line, made)].append((lined, made))
        alone = [row for members in sets.values() for row in self._told([lined for lined, _ in members], members[0][1])]
        # of what is good, the last word of a ledger about one thing counts
        last: dict[Group, Time] = {}
        for _, row, subject in alone:
            if row["status"] == "ok":
                last[subject] = max(last.get(subject, row["made_at"]), row["made_at"])
        for _, row, subject in alone:
            if row["status"] == "ok" and row["made_at"] < last[subject]:
                row["status"] = "superseded"
        return {key: row for key, row, _ in alone}

    def _told(self, members: Sequence[Lined], made: Time) -> Iterator[tuple[Group, Row, Group]]:
        """One row of a whole set, by its first side, else one of each member; and its subject, of which the last counts."""
        kinds = {lined.kind for lined in members}
        kind_of_set = "three_way" if "three_way" in kinds else None
        names = [lined.item["outcome"] for lined in members]
        is_repeated = len(set(names)) < len(names)
        in_order = sorted(members, key=lambda each: (each.item["outcome"], each.item["prediction_id"]))
        first = min(
            in_order,
            key=lambda each: (each.side not in ("home", "over", "yes"), each.item["outcome"], each.item["prediction_id"]),
        )
        for lined in in_order:
            kind = kind_of_set or lined.kind
            is_whole = not is_repeated and len(members) == (3 if kind == "three_way" else 2)
            if is_whole and lined is not first:
                continue
            is_set_of_three = is_whole and kind == "three_way"
            grades = [self.grades.get((*each.line, kind, each.item["outcome"])) for each in in_order]
            closes = [self._agreed_close(each, kind) if each.is_reached else None for each in in_order]
            place = in_order.index(lined)
            grade, close = grades[place], closes[place]
            status = self._prediction_status(lined, made, grade)
            if lined.event is None:
                status = "unknown_event"
            elif is_repeated:
                status = "repeated"
            elif is_whole and abs(sum(each.item["probability"] for each in members) - 1) > parameter("prediction_sum_slack"):
                status = "incoherent"
            elif (
                status in ("push", "half_stake", "ok") and is_whole and any(g is None or g["won_share"] is None for g in grades)
            ):
                status = "not_graded"
            held = [each.item["probability"] for each in in_order] if is_set_of_three else [lined.item["probability"]]
            by_close = [c and c["fair_median"] for c in closes] if is_set_of_three else [close and close["fair_median"]]
            came = [g and g["won_share"] for g in grades] if is_set_of_three else [grade and grade["won_share"]]
            own_score = scored(held, came) if status == "ok" else (None, None)
            close_score = scored(by_close, came) if status == "ok" and None not in by_close else (None, None)
            row: Row = {
                "captured_at": lined.item["captured_at"],
                "first_captured_at": lined.item["captured_at"],
                "made_at": made,
                "event_id": lined.item["event_id"],
                "sport_key": lined.sport,
                "market_key": lined.item["market"],
                "description": lined.item.get("description"),
                "outcome_name": lined.item["outcome"],
                "outcome_side": lined.side,
                "point": lined.point,
                "line_point": lined.line_point,
                "outcome_set": kind,
                "scored_as": "three_way" if is_set_of_three else "binary",
                "prediction_count": len(members) if is_whole else 1,
                "probability": rounded(lined.item["probability"], 10),
                "start_at": lined.start,
                "status": status,
                "grade": grade and grade["grade"],
                "grade_reason": grade and grade["grade_reason"],
                "outcome": None if status != "ok" or grade is None else int(grade["won_share"]),
                "brier": own_score[0],
                "log_loss": own_score[1],
                "close_status": close and close["close_status"],
                "close_probability": close and close["fair_median"],
                "close_brier": close_score[0],
                "close_log_loss": close_score[1],
            }
            subject = (lined.item["ledger"], *lined.line, row["scored_as"])
            if kind == "three_way" and not is_whole:
                subject += (lined.item["outcome"],)
            yield (lined.item["ledger"], lined.item["prediction_id"]), row, subject

    def _prediction_status(self, lined: Lined, made: Time, grade: Row | None) -> str:
        event = lined.event
        if event is None:
            return "unknown_event"
        if made >= event["start_at"] or self._phase(lined, made) == "in_play":
            return "after_start"
        if event["start_is_suspect"] or event["start_basis"] == "kept_unproven":
            return "suspect_start"
        if grade is None or grade["grade"] == "unresolved" or event["status"] == "gone_early":
            return "not_graded"
        if grade["grade"] in ("push", "void"):
            return "push"
        return "ok" if lined.line_point is None or lined.line_point % HALF == 0 else "half_stake"

    def prediction_evaluation(self) -> Table:
        groups: dict[Group, list[Row]] = defaultdict(list)
        for (ledger, _), row in self.prediction_scores().items():
            if row["status"] == "ok":
                groups[(ledger, *(row[name] for name in EVALUATION_KEY[1:]))].append(row)
        return {key: _evaluated(rows) for key, rows in groups.items()}


def _was_there(lined: Lined, native: Decimal, decimal: Decimal, covered: Time | None, shown: Row | None) -> Row:
    if lined.event is None:
        verdict, reason = "unknown", "unknown_event"
    elif covered is None:
        verdict, reason = "unknown", "not_covered"
    elif shown is None:
        verdict, reason = "no", "not_quoted"
    elif shown["point"] != lined.point:
        verdict, reason = "no", "other_point"
    else:
        if shown["odds_format"] == lined.item["odds_format"]:
            is_same = shown["price_native"] == native
        else:
            # as far as the rounding of the one format lets the other differ
            near = Fraction(6, 1000) + Fraction(5, 10000) * Fraction(decimal) ** 2
            is_same = abs(Fraction(shown["price_decimal"]) - Fraction(decimal)) <= near
        is_better = shown["price_decimal"] > decimal
        verdict = "yes" if is_same or is_better else "no"
        reason = "same_price" if is_same else "better_price" if is_better else "worse_price"
    return {
        "was_there": verdict,
        "was_there_reason": reason,
        "covered_at": covered,
        "shown_point": shown and shown["point"],
        "shown_price_decimal": shown and shown["price_decimal"],
    }


def _points_gained(lined: Lined, closing: Decimal | None) -> Decimal | None:
    if closing is None or lined.point is None:
        return None
    if lined.side == "over":
        return closing - lined.point
    return lined.point - closing if lined.side in ("home", "away", "under") else None


def scored(held: Sequence[Any], came: Sequence[Any]) -> tuple[Decimal, Decimal]:
    """Brier score and log loss, of one outcome and its contrary, or of three."""
    if len(held) == 1:
        [p], [y] = held, came
        brier = (Fraction(p) - y) ** 2
        kept = Fraction(p) if y == 1 else 1 - Fraction(p)
    else:
        brier = sum(((Fraction(p) - y) ** 2 for p, y in zip(held, came, strict=True)), Fraction(0))
        kept = Fraction(held[list(came).index(1)])
    kept = min(max(kept, Fraction(1, 10**6)), 1 - Fraction(1, 10**6))
    precise = Context(prec=60)
    return rounded(brier, 10), rounded(-precise.ln(precise.divide(Decimal(kept.numerator), Decimal(kept.denominator))), 10)


def _mean(values: Sequence[Decimal]) -> Decimal:
    return rounded(sum(map(Fraction, values), Fraction(0)) / len(values), 10)


def _standard_error(values: Sequence[Decimal]) -> Decimal | None:
    n = len(values)
    if n < 2:
        return None
    mean = sum(map(Fraction, values), Fraction(0)) / n
    variance = sum(((Fraction(value) - mean) ** 2 for value in values), Fraction(0)) / (n - 1) / n
    digits = 10**30
    return rounded(Fraction(isqrt(int(variance * digits**2)), digits), 10)


def _evaluated(rows: Sequence[Row]) -> Row:
    common = [row for row in rows if row["close_brier"] is not None]
    enough = parameter("calibration_min_events")
    told: Row = {
        "n_predictions": len(rows),
        "n_events": len({row["event_id"] for row in rows}),
        "common_n": len(common),
        "publishable": len({row["event_id"] for row in rows}) >= enough,
        "difference_is_publishable": len({row["event_id"] for row in common}) >= enough,
    }
    for score in ("brier", "log_loss"):
        values = [row[score] for row in rows]
        gaps = [row[score] - row[f"close_{score}"] for row in common]
        told |= {
            score: _mean(values),
            f"{score}_se": _standard_error(values),
            f"close_{score}": _mean([row[f"close_{score}"] for row in common]) if common else None,
            f"{score}_difference": _mean(gaps) if gaps else None,
            f"{score}_difference_se": _standard_error(gaps) if gaps else None,
        }
    return told
