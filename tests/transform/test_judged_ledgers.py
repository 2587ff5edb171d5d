"""bet_ledger and the tables of predictions against a case that is worked out here by hand; and order freedom of both.

Prices are 1 / p of probabilities that sum to 1, but for what is said: without a margin every method leaves them alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import to_iso
from pipeline.recording.model import exchange_id
from pipeline.runs.context import RunContext
from pipeline.runs.quarantine import retry_answers, withdraw_answer
from pipeline.warehouse.connect import Role
from tests.ledgers import answer, ledger_batch
from tests.transform.conftest import NFL, SmallMarket, at, id_of

SOCCER = "soccer_germany_bundesliga"
BOOKS = ("betmgm", "betus", "bovada", "draftkings", "fanduel")
START, OVER = 120, 400


def d(text: str) -> Decimal:
    return Decimal(text)


def poll(market: SmallMarket, minute: float, home: float, total: float) -> None:
    """Four books hold the home side for ``home``, with a total; bovada has its own spread, and fanduel is asked in vain."""
    shown = [
        market.book(
            key,
            {
                "h2h": [("Home", round(1 / home, 8)), ("Away", round(1 / (1 - home), 8))],
                "spreads": [("Home", 2.0, point), ("Away", 2.0, -point)],
                "totals": [("Over", 2.0, total), ("Under", 2.0, total)],
            },
            minute,
        )
        for key, point in (("betmgm", -3.5), ("betus", -3.5), ("bovada", -4), ("draftkings", -3.5))
    ]
    draw = [market.book(key, {"h2h": [("Home", 2.0), ("Draw", 4.0), ("Away", 4.0)]}, minute) for key in BOOKS[:3]]
    odds = market.odds(market.game("e", START, shown), books=BOOKS, markets=("h2h", "spreads", "totals"))
    soccer = market.odds(market.game("s", START, draw, sport=SOCCER), sport=SOCCER)
    market.load(minute, odds, soccer)


def scores(market: SmallMarket) -> None:
    def final(name: str, sport: str, home: str, away: str) -> dict[str, Any]:
        told = [{"name": "Home", "score": home}, {"name": "Away", "score": away}]
        return market.game(name, START, None, sport=sport, completed=True, scores=told, last_update=None)

    market.load(START + 115, market.scores(final("s", SOCCER, "1", "1"), sport=SOCCER))
    market.load(OVER, market.scores(final("e", NFL, "21", "17")))


def games(market: SmallMarket) -> None:
    """0.5 and 44.5 at 100, 0.625 and 45.5 two minutes before the start; 21 to 17, and 1 to 1."""
    poll(market, 100, 0.5, 44.5)
    poll(market, 118, 0.625, 45.5)
    poll(market, 125, 0.625, 45.5)
    scores(market)


def bet(number: int, outcome: str = "Home", **more: Any) -> dict[str, Any]:
    placed = at(more.pop("placed", 105))
    return {
        "ledger": "mine", "bet_id": f"{number:02}", "placed_at": to_iso(placed), "event_id": id_of("e"), "sport_key": NFL,
        "market": "h2h", "outcome": outcome, "bookmaker_key": "draftkings", "price": 2, "odds_format": "decimal", "stake": 10,
        **more,
    }  # fmt: skip


def prediction(number: int, outcome: str, probability: float, **more: Any) -> dict[str, Any]:
    made = at(more.pop("made", 60))
    return {
        "ledger": "model", "prediction_id": f"{number:02}", "made_at": to_iso(made), "event_id": id_of("e"), "sport_key": NFL,
        "market": "h2h", "outcome": outcome, "probability": probability, **more,
    }  # fmt: skip


BETS = (
    bet(1),
    bet(2, price=2.1),
    bet(3, price=100, odds_format="american"),
    bet(4, "Over", market="totals", point=44.5),
    bet(5, placed=95),
    bet(6, placed=117),
    bet(7, bookmaker_key="corner_shop"),
    bet(8, event_id="f" * 32),
    bet(9, "Away", market="spreads", point=3.5),
    bet(10, "Over", market="totals", point=40.5),
    bet(11, bookmaker_key="fanduel"),
    bet(12, "Home", market="spreads", point=-4, bookmaker_key="bovada", placed=122),
    bet(13, price=1.9),
)
PREDICTIONS = (
    prediction(1, "Home", 0.6),
    prediction(2, "Away", 0.4),
    prediction(3, "Home", 0.7, made=110),
    prediction(4, "Home", 0.9, made=121),
    prediction(5, "Over", 0.55, market="totals", point=44.5),
    prediction(6, "Home", 0.5, market="spreads", point=-4),
    prediction(7, "Home", 0.5, ledger="loose"),
    prediction(8, "Away", 0.6, ledger="loose"),
    prediction(9, "Over", 0.5, market="totals", point=50.5),
    *(
        prediction(number, outcome, probability, event_id=id_of("s"), sport_key=SOCCER)
        for number, outcome, probability in ((10, "Home", 0.5), (11, "Draw", 0.3), (12, "Away", 0.2))
    ),
    prediction(13, "Draw", 0.25, event_id=id_of("s"), sport_key=SOCCER, ledger="draws"),
    prediction(14, "Home", 0.5, event_id="f" * 32),
    prediction(15, "Home", 0.6, ledger="twice"),
    prediction(16, "Home", 0.7, ledger="twice"),
    # with a third name it is no whole set: each stands by itself, and of one time neither is the last word
    prediction(17, "Home", 0.6, ledger="three names"),
    prediction(18, "Away", 0.3, ledger="three names"),
    prediction(19, "Nobody", 0.1, ledger="three names"),
)


def take(market: SmallMarket, minute: float, endpoint: str, items: Sequence[Mapping[str, Any]]) -> str:
    """Load bets or predictions as written down at a minute; the batch's id."""
    batch = ledger_batch(answer(endpoint, list(items)), at=at(minute))
    batch = dataclasses.replace(batch, batch_id=f"{batch.batch_id}{endpoint[0]}{len(market.waiting)}")
    with market.warehouse.connect(Role.INGESTER) as connection:
        assert load_batch(connection, batch, market.clock).quarantined == 0
    market.waiting.append(batch.batch_id)
    return batch.batch_id


@pytest.fixture(scope="module")
def judged(module_market: SmallMarket) -> Iterator[SmallMarket]:
    games(module_market)
    take(module_market, 500, "bets", BETS)
    take(module_market, 500, "predictions", PREDICTIONS)
    module_market.publish()
    yield module_market


def rounded(value: Any) -> Any:
    """What is computed of prices that are rounded, as those of answers are."""
    return round(value, 6) if isinstance(value, Decimal) else value


def ledger(market: SmallMarket, columns: str) -> dict[int, tuple[Any, ...]]:
    """Of each bet, by its number."""
    return {int(row[0]): tuple(map(rounded, row[1:])) for row in market.rows(f"select bet_id, {columns} from gold.bet_ledger")}


def test_whether_the_price_was_there(judged: SmallMarket) -> None:
    assert ledger(judged, "was_there, was_there_reason, covered_at, shown_price_decimal, shown_point") == {
        1: ("yes", "same_price", at(100), 2, None),
        2: ("no", "worse_price", at(100), 2, None),
        3: ("yes", "same_price", at(100), 2, None),
        4: ("yes", "same_price", at(100), 2, d("44.5")),
        5: ("unknown", "not_covered", None, None, None),
        6: ("unknown", "not_covered", None, None, None),  # 17 minutes are too long
        7: ("unknown", "not_covered", None, None, None),
        8: ("unknown", "unknown_event", None, None, None),
        9: ("yes", "same_price", at(100), 2, d("3.5")),
        10: ("no", "other_point", at(100), 2, d("44.5")),
        11: ("no", "not_quoted", at(100), None, None),
        12: ("yes", "same_price", at(118), 2, -4),
        13: ("yes", "better_price", at(100), 2, None),
    }


def test_what_the_bet_was_worth_by_the_close(judged: SmallMarket) -> None:
    none = (None, None, None, None)
    # 2 / 1.6 and 2 · 0.625; 62.5 less 50; what was placed before anybody quoted has no probability of its own
    assert ledger(
        judged, "clv_status, clv_ev, clv_price, clv_probability, clv_points, close_status, consensus_close_status"
    ) == {
        1: ("same_point", d("0.25"), d("0.25"), d("12.5"), None, "ok", "ok"),
        2: ("same_point", d("0.3125"), d("0.3125"), d("12.5"), None, "ok", "ok"),
        3: ("same_point", d("0.25"), d("0.25"), d("12.5"), None, "ok", "ok"),
        4: ("point_moved", None, None, None, 1, "ok", None),
        5: ("same_point", d("0.25"), d("0.25"), None, None, "ok", "ok"),
        6: ("same_point", d("0.25"), d("0.25"), None, None, "ok", "ok"),
        7: ("same_point", d("0.25"), None, None, None, "none", "ok"),
        8: ("no_close", *none, "none", None),
        9: ("same_point", 0, 0, 0, 0, "ok", "ok"),
        10: ("point_moved", None, None, None, 5, "ok", None),
        11: ("same_point", d("0.25"), None, None, None, "none", "ok"),
        12: ("in_play", *none, "ok", None),
        13: ("same_point", d("0.1875"), d("0.1875"), d("12.5"), None, "ok", "ok"),
    }
    assert ledger(judged, "round(consensus_taken, 6), group_count_taken, ev_taken")[2] == (d("0.5"), 4, d("0.05"))


def test_what_came_of_the_bet(judged: SmallMarket) -> None:
    # 21 to 17: home wins by 4, 38 points
    assert ledger(judged, "status, grade, profit, phase_as_known") == {
        1: ("settled", "win", 10, "pre"),
        2: ("settled", "win", 11, "pre"),
        3: ("settled", "win", 10, "pre"),
        4: ("settled", "loss", -10, "pre"),
        5: ("settled", "win", 10, None),
        6: ("settled", "win", 10, "pre"),
        7: ("settled", "win", 10, "pre"),
        8: ("unknown_event", None, None, None),
        9: ("settled", "loss", -10, "pre"),
        10: ("unknown_line", None, None, "pre"),
        11: ("settled", "win", 10, "pre"),
        12: ("settled", "push", 0, "in_play"),
        13: ("settled", "win", 9, "pre"),
    }


def test_how_near_predictions_were(judged: SmallMarket) -> None:
    columns = (
        "status, prediction_count, scored_as, outcome, brier, round(log_loss, 4), close_probability, close_brier,"
        " round(close_log_loss, 4)"
    )
    rows = judged.rows(f"select prediction_id, {columns} from gold.prediction_scores")
    found = {int(row[0]): tuple(map(rounded, row[1:])) for row in rows}
    close = (d("0.625"), d("0.140625"), d("0.4700"))
    unscored = (None, None, None)
    assert found == {
        1: ("superseded", 2, "binary", 1, d("0.16"), d("0.5108"), *close),
        3: ("ok", 1, "binary", 1, d("0.09"), d("0.3567"), *close),
        4: ("after_start", 1, "binary", *unscored, d("0.625"), None, None),
        5: ("ok", 1, "binary", 0, d("0.3025"), d("0.7985"), None, None, None),
        6: ("push", 1, "binary", *unscored, None, None, None),
        7: ("incoherent", 2, "binary", *unscored, d("0.625"), None, None),
        9: ("not_graded", 1, "binary", *unscored, None, None, None),
        # 0.25 + 0.49 + 0.04, and 0.25 + 0.5625 + 0.0625 of 0.5, 0.25, 0.25
        10: ("ok", 3, "three_way", 0, d("0.78"), d("1.2040"), d("0.5"), d("0.875"), d("1.3863")),
        13: ("ok", 1, "binary", 1, d("0.5625"), d("1.3863"), d("0.25"), d("0.5625"), d("1.3863")),
        14: ("unknown_event", 1, "binary", *unscored, None, None, None),
        15: ("repeated", 1, "binary", *unscored, d("0.625"), None, None),
        16: ("repeated", 1, "binary", *unscored, d("0.625"), None, None),
        17: ("ok", 1, "binary", 1, d("0.16"), d("0.5108"), *close),
        18: ("ok", 1, "binary", 0, d("0.09"), d("0.3567"), d("0.375"), d("0.140625"), d("0.4700")),
        19: ("not_graded", 1, "binary", *unscored, None, None, None),
    }


def test_the_scores_beside_the_close(judged: SmallMarket) -> None:
    columns = (
        "ledger, market_key, scored_as, n_predictions, n_events, brier, common_n, close_brier, brier_difference, publishable"
    )
    rows = judged.rows(f"select {columns} from gold.prediction_evaluation")
    assert sorted(tuple(map(rounded, row)) for row in rows) == [
        ("draws", "h2h", "binary", 1, 1, d("0.5625"), 1, d("0.5625"), 0, False),
        ("model", "h2h", "binary", 1, 1, d("0.09"), 1, d("0.140625"), d("-0.050625"), False),
        ("model", "h2h", "three_way", 1, 1, d("0.78"), 1, d("0.875"), d("-0.095"), False),
        ("model", "totals", "binary", 1, 1, d("0.3025"), 0, None, None, False),
        ("three names", "h2h", "binary", 2, 1, d("0.125"), 2, d("0.140625"), d("-0.015625"), False),
    ]
    bins = judged.rows("select ledger, scored_as, bin, n_predictions, hit_rate from gold.prediction_bins")
    assert sorted(bins) == [
        ("draws", "binary", 2, 1, 1),
        ("model", "binary", 5, 1, 0),
        ("model", "binary", 7, 1, 1),
        ("model", "three_way", 5, 1, 0),
        ("three names", "binary", 3, 1, 0),
        ("three names", "binary", 6, 1, 1),
    ]


def test_bets_touch_no_event_and_cover_nothing(judged: SmallMarket) -> None:
    for table in ("silver.coverage", "silver.event_sightings"):
        assert judged.rows(f"select count(*) from {table} where captured_at >= '{at(500).isoformat()}'") == [(0,)]


def test_before_the_start_there_is_no_close_yet(market: SmallMarket) -> None:
    poll(market, 100, 0.5, 44.5)
    take(market, 106, "bets", BETS[:1])
    take(market, 106, "predictions", PREDICTIONS[:2])
    market.publish()
    columns = "status, was_there, clv_status, close_status, clv_ev, grade is null or grade = 'unresolved', profit"
    assert ledger(market, columns) == {1: ("open", "yes", "no_close", "provisional", None, True, None)}
    assert market.rows("select status, close_probability, brier from gold.prediction_scores") == [("not_graded", None, None)]


def test_the_newest_capture_counts(market: SmallMarket) -> None:
    first, second = bet(1, stake=5), bet(1, stake=50)
    late = take(market, 600, "bets", [second])
    take(market, 500, "bets", [first, bet(2)])
    market.publish()
    columns = "bet_id, stake, captured_at, first_captured_at"
    assert market.rows(f"select {columns} from gold.bets order by 1") == [
        ("01", 50, at(600), at(500)),
        ("02", 10, at(500), at(500)),
    ]
    context = RunContext(market.warehouse, market.project, market.clock)
    answer_id = str(exchange_id(late, 0, 1))
    assert not withdraw_answer(context, answer_id, "it was another ledger's").withheld
    assert market.rows("select stake from gold.bets where bet_id = '01'") == [(5,)]
    retry_answers(context, [answer_id])
    assert market.rows("select stake from gold.bets where bet_id = '01'") == [(50,)]


TABLES = ("bets", "predictions", "bet_ledger", "prediction_scores", "prediction_evaluation", "prediction_bins")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_order_of_games_bets_and_corrections_is_no_matter(
    market: SmallMarket, judged: SmallMarket, order: tuple[int, ...]
) -> None:
    """Bets before the games, after them, late, and one at a time; wrong at first, corrected, and one capture withdrawn."""
    wrong = [{**each, "stake": 1} for each in BETS]

    def mistaken() -> None:
        batch = take(market, 490, "bets", [*wrong, bet(99)])
        market.publish()
        withdraw_answer(RunContext(market.warehouse, market.project, market.clock), str(exchange_id(batch, 0, 1)), "a draft")

    def entries() -> None:
        take(market, 480, "bets", wrong)
        take(market, 500, "bets", BETS)
        take(market, 500, "predictions", PREDICTIONS)
        market.publish()

    def played() -> None:
        games(market)
        market.publish()

    steps = (mistaken, entries, played)
    for step in order:
        steps[step]()
    # what was written down first differs on purpose
    left_out = {"bets": ", first_captured_at"}
    for table in TABLES:
        names = [
            name
            for [name] in market.rows(
                "select column_name from information_schema.columns where table_schema = 'gold' and table_name = "
                f"'{table}' order by ordinal_position"
            )
            if name not in left_out.get(table, "")
        ]
        query = f"select {', '.join(names)} from gold.{table} order by 1, 2, 3, 4, 5, 6"
        assert market.rows(query) == judged.rows(query), table
