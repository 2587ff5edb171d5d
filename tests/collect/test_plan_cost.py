import datetime as dt
import json
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.clock import UTC, ManualClock
from pipeline.collect.collector import collect
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_cost import EndpointCost, PlanCost
from pipeline.collect.plan_file import PlanFile, load_plan_file
from pipeline.errors import UsageError
from pipeline.market.simulator import SimulatedMarket, SimulatorAdapter
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Bill, Budget
from pipeline.recording.store import RecordingWriter

NBA, NFL = "basketball_nba", "americanfootball_nfl"
AT = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
EVERYTHING = MarketPlan(
    endpoints=("sports", "events", "odds", "scores", "participants", "event_odds", "event_markets"),
    sports=(NBA, NFL),
    markets=("h2h", "totals"),
    regions=("us", "uk", "eu"),
    event_markets=("player_points", "btts"),
    scores_days_from=1,
)
PAST = MarketPlan(
    endpoints=("events", "odds", "event_odds"),
    sports=(NBA,),
    bookmakers=tuple("abcdefghijk"),
    event_markets=("btts",),
    historical=True,
)


def cost_of(plan: MarketPlan, events: int, every: dt.timedelta | None = None, budget: Budget | None = None) -> PlanCost:
    return PlanCost.of(PlanFile("x", plan, every, budget or Budget()), events)


def test_every_endpoint_counts() -> None:
    assert cost_of(EVERYTHING, 4).endpoints == (
        EndpointCost("sports", 1, 0),
        EndpointCost("events", 2, 0),
        EndpointCost("odds", 2, 2 * 2 * 3),
        EndpointCost("event_odds", 8, 8 * 2 * 3),
        EndpointCost("event_markets", 8, 8),
        EndpointCost("scores", 2, 4),
        EndpointCost("participants", 2, 2),
    )
    assert cost_of(EVERYTHING, 4).per_run == 74
    assert cost_of(EVERYTHING, 0).per_run == 18


def test_history_costs_ten_times_as_much_and_ten_books_are_a_region() -> None:
    assert [(row.endpoint, row.credits) for row in cost_of(PAST, 3).endpoints] == [
        ("historical_events", 1),
        ("historical_odds", 20),
        ("historical_event_odds", 60),
    ]


def test_a_month_has_as_many_runs_as_begin_in_it() -> None:
    assert cost_of(EVERYTHING, 4, dt.timedelta(days=31)).per_month == 74
    assert cost_of(EVERYTHING, 4, dt.timedelta(days=7)).runs_per_month == 5
    assert cost_of(EVERYTHING, 4, dt.timedelta(minutes=1)).per_month == 31 * 1440 * 74
    assert cost_of(EVERYTHING, 4).per_month is None


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        (Budget(), ()),
        (Budget(per_run=74, per_month=74 * 31), ()),
        (Budget(per_run=73), ("per_run",)),
        (Budget(per_month=74 * 31 - 1), ("per_month",)),
    ],
)
def test_a_plan_over_its_budget_is_told(budget: Budget, over: tuple[str, ...]) -> None:
    found = cost_of(EVERYTHING, 4, dt.timedelta(days=1), budget)
    assert (found.over, found.exit_code) == (over, 1 if over else 0)


def test_a_run_never_costs_more(tmp_path: Path) -> None:
    clock = ManualClock(AT)
    with open_session(SimulatorAdapter(SimulatedMarket(7), clock)) as session:
        client = OddsApiClient(session, clock=clock)
        batch = collect(EVERYTHING, AT, client, RecordingWriter(tmp_path / "r", durable=False), source="simulated")
    listed = [len(json.loads(one.body or b"")) for one in batch.exchanges if one.request.endpoint == "events"]
    bill = Bill.of((one.request, one) for one in batch.exchanges)
    assert bill.differing == () and bill.reported == bill.computed
    bound = cost_of(EVERYTHING, max(listed))
    assert 0 < bill.charged <= bound.per_run
    assert len(batch.exchanges) <= sum(row.requests for row in bound.endpoints)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(
        "endpoints: [events, event_odds]\nsports: [basketball_nba]\nregions: [us]\nevent_markets: [btts]\n"
        "cadence: 1d\nbudget: {per_month: 300}\n"
    )
    assert cli.main(["plan", "cost", str(file), "--events", "10", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["credits_per_run"], shown["runs_per_month"], shown["credits_per_month"]) == (10, 31, 310)
    assert shown["over"] == ["per_month"] and shown["endpoints"]["event_odds"] == {"requests": 10, "credits": 10}
    assert cli.main(["plan", "cost", str(file), "--events", "9"]) == 0
    assert cli.main(["plan", "cost", str(tmp_path / "none.yml")]) == 2
    told = capsys.readouterr().err
    assert "error PLAN_NOT_FOUND" in told and "closing, example, props" in told


@pytest.mark.parametrize("name", ["closing", "example", "props"])
def test_the_plans_of_the_package_keep_within_their_own_budgets(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "cost", name]) == 0
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("budget", "cadence", "why"),
    [
        ("{per_month: 1000, closing_hour: 99}", "{1h: 5m}", "closing_hour is 99, of 1000"),
        ("{per_month: 1000, closing_hour: 1001}", "{1h: 5m}", "closing_hour is 1001, of 1000"),
        ("{closing_hour: 10}", "{1h: 5m}", "closing_hour is 10, of 0"),
        ("{per_month: 1000, closing_hour: 100}", "1h", "nothing of it is asked in the closing hour"),
        ("{per_month: 1000, closing_hour: 100}", "{2h: 5m}", "nothing of it is asked in the closing hour"),
    ],
)
def test_credits_for_the_closing_hour_are_a_tenth_at_least(tmp_path: Path, budget: str, cadence: str, why: str) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(
        f"endpoints: [events, odds]\nsports: [a]\nregions: [us]\nmarkets: [h2h]\ncadence: {cadence}\nbudget: {budget}\n"
    )
    with pytest.raises(UsageError, match=why):
        load_plan_file(file)


def test_a_plan_that_can_eat_what_is_kept_for_closing_hours_is_over_its_budget(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"

    def over(otherwise: str, kept: int) -> tuple[str, ...]:
        file.write_text(
            "endpoints: [events, odds]\nsports: [a]\nregions: [us]\nmarkets: [h2h]\n"
            f"cadence: {{1h: 5m, otherwise: {otherwise}}}\nbudget: {{per_month: 1000, closing_hour: {kept}}}\n"
        )
        return PlanCost.of(load_plan_file(file), 5).over

    # by the hour a month has 744; 12 in each closing hour beside them
    assert over("1h", 100) == ("per_month",)
    assert over("1h", 500) == ("per_month", "closing_hour")
    assert over("1d", 500) == ()
    file.write_text(
        "endpoints: [odds]\nsports: [a]\nregions: [us]\nmarkets: [h2h]\nhistorical: true\ncadence: 1d\n"
        "budget: {per_month: 1000, closing_hour: 800}\n"
    )
    # 31 snapshots at 10 credits
    assert PlanCost.of(load_plan_file(file), 5).over == ("closing_hour",)


def test_a_market_that_nobody_knows_is_told_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(
        "endpoints: [events, event_odds]\nsports: [basketball_nba]\nregions: [us]\n"
        "event_markets: [player_ponits, player_threes_alternate, batter_hits, alternate_totals_q1, team_total]\n"
    )
    assert cli.main(["plan", "cost", str(file)]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: there may be no market player_ponits; the nearest that is known is player_points.",
        "warning: there may be no market team_total; the nearest that is known is team_totals.",
    ]
    assert cli.main(["plan", "cost", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unknown_markets"] == {
        "player_ponits": "player_points",
        "team_total": "team_totals",
    }


def test_a_plan_of_the_package_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_plan_file("example").name == "example"
    (tmp_path / "example").write_text("no plan")  # a name is a name, whatever lies about; a file is named ./example
    assert load_plan_file("example").name == "example"
    with pytest.raises(UsageError, match="PLAN_INVALID"):
        load_plan_file(Path.cwd() / "example")


def test_the_command_states_what_it_takes_for_granted(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", "cost", "closing", "--events", "16", "--sports", "6"]
    assert cli.main([*command, "--starts", "5", "--listed", "14d", "--in-play", "3h", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["assumed"] == {"events": 16, "starts": 5, "listed": "14d", "in_play": "3h"}
    assert shown["credits_per_month"] < 31 * 288 * shown["credits_per_run"] / 5
    assert cli.main(command) == 0
    told = capsys.readouterr().out
    assert "16 different starts at a time, which do not move,\n  and are listed from 7d before" in told
    assert all(len(line) <= 100 for line in told.splitlines())
    assert cli.main([*command, "--listed", "long"]) == 2
    assert "error PERIOD_INVALID" in capsys.readouterr().err
