import datetime as dt
from pathlib import Path

import pytest
import yaml

from pipeline.collect.plan import load_plan
from pipeline.collect.plan_file import ALERTS, load_plan_file
from pipeline.errors import UsageError
from pipeline.odds_api.credits import Budget

EXAMPLES = Path(__file__).resolve().parents[2] / "pipeline" / "plans"
GOOD = {"endpoints": ["odds"], "sports": ["icehockey_nhl"], "regions": ["us"]}


def written(path: Path, **values: object) -> Path:
    file = path / "mine.yml"
    file.write_text(yaml.safe_dump({**GOOD, **values}))
    return file


def test_a_plan_may_do_without_cadence_and_budget(tmp_path: Path) -> None:
    file = load_plan_file(written(tmp_path))
    assert (file.name, file.every, file.budget) == ("mine", None, Budget())
    assert file.plan == load_plan(tmp_path / "mine.yml")


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("90s", dt.timedelta(seconds=90)),
        ("15m", dt.timedelta(minutes=15)),
        ("6h", dt.timedelta(hours=6)),
        ("1d", dt.timedelta(1)),
    ],
)
def test_cadence_and_budget_are_read_and_change_no_identity(tmp_path: Path, text: str, every: dt.timedelta) -> None:
    plain = load_plan_file(written(tmp_path)).plan
    file = load_plan_file(written(tmp_path, name="n", cadence=text, budget={"per_run": 5, "per_month": 0, "reserve": 7}))
    assert (file.name, file.every, file.budget) == ("n", every, Budget(5, 0, 7))
    assert file.plan.identity == plain.identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cadence": "5 min"}, "PLAN_INVALID: .*cadence is '5 min'"),
        ({"cadence": "0m"}, "PLAN_INVALID"),
        ({"cadence": 15}, "PLAN_INVALID"),
        ({"budget": 7}, "PLAN_INVALID: .*budget is 7"),
        ({"budget": {"per_run": -1}}, "PLAN_INVALID: .*per_run is -1"),
        ({"budget": {"per_run": True}}, "PLAN_INVALID"),
        ({"budget": {"per_run": None}}, "PLAN_INVALID"),
        ({"budget": {"permonth": 1}}, "PLAN_UNKNOWN_KEY: .*'permonth'; the nearest is 'per_month'"),
        ({"name": 7}, "PLAN_INVALID: .*name is 7"),
        ({"cadense": "5m"}, "PLAN_UNKNOWN_KEY: .*the nearest is 'cadence'"),
    ],
)
def test_what_cannot_be_meant_is_told(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_plan_file(written(tmp_path, **change))


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_examples_are_good(path: Path) -> None:
    file = load_plan_file(path)
    assert file.name == path.stem and file.every is not None and file.budget != Budget()


def test_a_plan_names_what_it_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"

    def told(alerts: str) -> tuple[str, ...]:
        file.write_text(f"endpoints: [sports]\nalerts: {alerts}\n")
        return load_plan_file(file).alerts

    assert told("[steam, arbitrage, steam]") == ("arbitrage", "steam")
    assert told("[]") == ()
    with pytest.raises(UsageError, match="the nearest that is known is 'steam'"):
        told("[steem]")
    with pytest.raises(UsageError, match="PLAN_INVALID"):
        told("steam")
    rows = [
        line
        for line in (EXAMPLES.parents[1] / "docs" / "operate.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    for kind, text in ALERTS.items():
        assert [row for row in rows if row.startswith(f"| `{kind}` | {text}")], kind


@pytest.mark.parametrize("value", ["maybe", "1", "[true]"])
def test_a_plan_asks_for_proof_or_does_not(value: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text("endpoints: [sports]\n")
    plain = load_plan_file(file)
    assert not plain.prove
    file.write_text("endpoints: [sports]\nprove: true\n")
    asked = load_plan_file(file)
    # how a batch is taken in is no part of what is asked
    assert asked.prove and asked.plan.identity == plain.plan.identity
    file.write_text(f"endpoints: [sports]\nprove: {value}\n")
    with pytest.raises(UsageError, match=r"prove is .*true or false"):
        load_plan_file(file)
