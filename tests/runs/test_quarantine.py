"""What is held back can be let in and taken back, and gold ends as if it had never been otherwise."""

from __future__ import annotations

import datetime as dt
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from pipeline.bronze import batch_load as bronze_load
from pipeline.bronze import held_elements, verdicts
from pipeline.bronze.lookup import HeldAnswer, Selection, held_back
from pipeline.clock import Clock
from pipeline.contracts import judgement as judging
from pipeline.contracts import strict_json
from pipeline.contracts.judgement import Judgement, contract_version, judge
from pipeline.contracts.rules import RULES
from pipeline.errors import SportsMarketError, UsageError
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.recording.store import Recording
from pipeline.replay.verify import verify
from pipeline.resources import resource
from pipeline.runs import quarantine
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_recording
from pipeline.runs.quarantine import DecisionSummary, retry_answers, waive_answer, withdraw_answer
from pipeline.transform.apply import rebuild
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import Project
from tests.replay import wild
from tests.replay.support import CLOCK, Databases, databases_of, digests, take
from tests.replay.transcript import Transcript

BUNDLED: Final = resource("fixtures/recordings/simulated")
BATCHES: Final = wild.market_of(96)
REASON: Final = "the vendor says that it is so"


class Ticking(Clock):
    """A second later each time."""

    time = CLOCK.now()

    def now(self) -> dt.datetime:
        self.time += dt.timedelta(seconds=1)
        return self.time


def load(warehouse: Warehouse, project: Project, recording: Path = BUNDLED) -> None:
    assert load_recording(recording, RunContext(warehouse, project, Ticking())).withheld == 0


def retried(warehouse: Warehouse, project: Project, *wanted: str) -> DecisionSummary:
    return retry_answers(RunContext(warehouse, project, Ticking()), wanted or Selection())


def waived(warehouse: Warehouse, project: Project, answer: UUID | str) -> DecisionSummary:
    return waive_answer(RunContext(warehouse, project, Ticking()), str(answer), REASON)


def withdrawn(warehouse: Warehouse, project: Project, answer: UUID | str) -> DecisionSummary:
    return withdraw_answer(RunContext(warehouse, project, Ticking()), str(answer), REASON)


def held_in(warehouse: Warehouse, selection: Selection = Selection()) -> tuple[HeldAnswer, ...]:  # noqa: B008
    with warehouse.connect(Role.INGESTER) as ingester:
        return held_back(ingester, selection).answers


def verdicts_of(warehouse: Warehouse, answer: UUID) -> list[tuple[str, str | None]]:
    with warehouse.connect(Role.INGESTER) as ingester:
        return ingester.execute(
            "select verdict, reason from ops.verdicts where exchange_id = %s order by verdict_no", [answer]
        ).fetchall()


def health(warehouse: Warehouse, batch_id: str, *columns: str) -> tuple[Any, ...]:
    """As a reader sees it."""
    with warehouse.connect(Role.READER) as reader:
        statement = f"select {', '.join(columns)} from ops.batch_health where batch_id = %s"
        row = reader.execute(statement.encode(), [batch_id]).fetchone()
    assert row is not None
    return row


# --- a contract that is stricter than it should be, and is mended ---------------------------------------------------------


def a_rule(patch: pytest.MonkeyPatch) -> None:
    strict = ("market.overround", "market.outcome_set", "market.placeholder_price")
    rules = {name: replace(rule, severity="quarantine") if name in strict else rule for name, rule in RULES.items()}
    patch.setattr(judging, "RULES", rules)


def a_schema(patch: pytest.MonkeyPatch) -> None:
    version, documents, registry = judging._load()
    strict = {**documents, "odds.schema.json": {**documents["odds.schema.json"], "maxItems": 4}}
    patch.setattr(judging, "_load", lambda: (version, strict, registry))
    patch.setattr(judging, "_validator", judging._validator.__wrapped__)


def the_parser(patch: pytest.MonkeyPatch) -> None:
    """What it refuses has no document in bronze."""
    patch.setattr(strict_json, "MAX_VALUES", 1000)


STRICTER: Final = {each.__name__: each for each in (a_rule, a_schema, the_parser)}
OLD: Final = "0.9.0+00000000"


@contextmanager
def stricter(change: Callable[[pytest.MonkeyPatch], None], version: str = OLD) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        for module in (bronze_load, verdicts, held_elements):
            patch.setattr(module, "contract_version", lambda: version)
        yield


@pytest.fixture(scope="module")
def loaded(databases: Databases, project: Project, transcript: Transcript) -> Iterator[Warehouse]:
    """The bundled recording, of which nothing is held back. Clone it."""
    with databases() as warehouse:
        with transcript.instead_of_dbt():
            load(warehouse, project)
        assert held_in(warehouse) == ()
        yield warehouse


@pytest.fixture(scope="module")
def golden(loaded: Warehouse) -> dict[str, str]:
    """Its digests."""
    return digests(loaded)


@pytest.fixture(scope="module")
def holding_template(databases: Databases, project: Project, transcript: Transcript) -> Iterator[Warehouse]:
    with databases() as warehouse:
        with transcript.instead_of_dbt(), stricter(a_rule):
            load(warehouse, project)
        yield warehouse


@pytest.fixture
def holding(server: Server, holding_template: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """The bundled recording, of which some answers are held back by a rule that was stricter."""
    with databases_of(server, holding_template, clone_names)() as warehouse:
        yield warehouse


@pytest.mark.proof
@pytest.mark.parametrize("change", STRICTER)
def test_what_was_held_until_the_contract_was_mended_is_as_if_it_had_never_been(
    change: str, golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    with transcript.instead_of_dbt():
        with stricter(STRICTER[change]):
            load(prepared, project)
            before = held_in(prepared)
            # nothing is different yet, and nothing is written
            again = retried(prepared, project)
            assert (again.count("refused"), again.batches, again.exit_code) == (len(before), 0, 1)
            assert held_in(prepared) == before
        assert before
        assert digests(prepared) != golden
        assert {len(verdicts_of(prepared, each.answer)) for each in before} == {1}

        done = retried(prepared, project)
    assert (done.count("released"), done.count("refused"), done.exit_code) == (len(before), 0, 0)
    assert done.batches == len({each.batch_id for each in before})
    assert done.digests == digests(prepared) == golden
    assert held_in(prepared) == ()
    released = held_in(prepared, Selection(everything=True))
    assert {each.answer for each in released} == {each.answer for each in before}
    assert {(each.verdict, each.contract_version) for each in released} == {("released", contract_version())}
    assert verify(prepared, project).failed == ()

    # and again: nothing to do
    once_more = retried(prepared, project, *(str(each.answer) for each in before))
    assert (once_more.count("standing"), once_more.batches, once_more.exit_code) == (len(before), 0, 0)
    assert held_in(prepared, Selection(everything=True)) == released
    if change == "the_parser":
        rebuild(prepared, project)
        assert digests(prepared) == golden


def test_what_is_still_refused_gets_a_verdict_where_the_contract_differs(
    holding: Warehouse, project: Project, transcript: Transcript
) -> None:
    with transcript.instead_of_dbt():
        one = held_in(holding)[0]
        with stricter(a_rule, "0.9.1+00000000"):
            for _ in range(2):
                done = retried(holding, project, str(one.answer))
                assert (done.count("refused"), done.batches, done.exit_code) == (1, 0, 1)
                assert done.answers[0].rule == one.rule
    assert verdicts_of(holding, one.answer) == [("quarantined", None)] * 2
    (now,) = (each for each in held_in(holding) if each.answer == one.answer)
    assert now == replace(one, contract_version="0.9.1+00000000", decided_at=now.decided_at)


def test_a_retry_is_of_what_was_asked_for(holding: Warehouse, project: Project, transcript: Transcript) -> None:
    with transcript.instead_of_dbt():
        first, second, third = held_in(holding)
        assert len({each.batch_id for each in (first, second, third)}) == 3
        by_batch = retry_answers(RunContext(holding, project, Ticking()), Selection(batch_id=first.batch_id))
        assert [each.part.answer for each in by_batch.answers] == [first.answer]
        assert second.rule is not None
        mates = [each.answer for each in (second, third) if each.rule == second.rule]
        by_rule = retry_answers(RunContext(holding, project, Ticking()), Selection(rule=second.rule))
        assert [each.part.answer for each in by_rule.answers] == mates
        for wrong, code in ((Selection(batch_id="never"), "BATCH_UNKNOWN"), (Selection(rule="no.rule"), "RULE_UNKNOWN")):
            with pytest.raises(UsageError) as raised:
                retry_answers(RunContext(holding, project, Ticking()), wrong)
            assert raised.value.code == code
        assert retry_answers(RunContext(holding, project, Ticking()), Selection(batch_id=first.batch_id)).answers == ()


# --- withdrawn ------------------------------------------------------------------------------------------------------------


def test_withdrawn_is_as_if_it_had_never_come_and_a_retry_gives_it_back(
    golden: dict[str, str],
    loaded: Warehouse,
    server: Server,
    clone_names: Iterator[str],
    databases: Databases,
    project: Project,
    transcript: Transcript,
) -> None:
    batches = list(Recording.open(BUNDLED).batches())
    chosen = {
        batch.batch_id: next(e.place for e in batch.exchanges if bronze_load.is_answer(e) and "odds" in e.request.endpoint)
        for batch in (batches[5], batches[11], batches[-1])
    }
    ids = [str(exchange_id(batch_id, place, 1)) for batch_id, place in chosen.items()]
    clones = databases_of(server, loaded, clone_names)
    with transcript.instead_of_dbt(), clones() as warehouse, databases() as never:
        for answer in ids:
            done = withdrawn(warehouse, project, answer)
            assert (done.count("withdrawn"), done.batches, done.exit_code) == (1, 1, 0)
        gone = [frozenset({chosen[batch.batch_id]} if batch.batch_id in chosen else ()) for batch in batches]
        take(never, project, [wild.without(batch, places) for batch, places in zip(batches, gone, strict=True)], step=0)
        assert digests(warehouse) == digests(never) != golden
        assert health(warehouse, batches[5].batch_id, "withdrawn", "quarantined", "state") == (1, 0, "published")

        again = withdrawn(warehouse, project, ids[0])
        assert (again.count("standing"), again.batches) == (1, 0)
        # whoever withdrew it knows why: a retry of all leaves it alone
        assert retried(warehouse, project).answers == ()
        assert retried(warehouse, project, *ids).count("released") == len(ids)
        assert digests(warehouse) == golden


# --- waived ---------------------------------------------------------------------------------------------------------------


def changed(change: Callable[[Any], Any]) -> tuple[Batch, UUID]:
    """The first batch of the market, the body of one of its odds answers changed; and that answer's id."""
    batch = BATCHES[0]
    place = next(
        e.place
        for e in batch.exchanges
        if bronze_load.is_answer(e) and e.request.endpoint == "odds" and b'"price"' in (e.body or b"")
    )

    def body(exchange: Exchange) -> bytes:
        found = change(json.loads(exchange.body or b""))
        return found if isinstance(found, bytes) else json.dumps(found).encode()

    exchanges = tuple(replace(e, body=body(e)) if e.place == place else e for e in batch.exchanges)
    return replace(batch, exchanges=exchanges), exchange_id(batch.batch_id, place, 1)


def event(**values: Any) -> Callable[[Any], Any]:
    """Some fields of every event changed, so that nothing of the answer stands; ids stay different."""
    return lambda document: [
        {**shown, **values, **({"id": f"{values['id']}{number}"} if "id" in values else {})}
        for number, shown in enumerate(document)
    ]


def held_answer(warehouse: Warehouse, project: Project, change: Callable[[Any], Any]) -> tuple[Batch, UUID]:
    """A published batch with an answer in quarantine, and another batch after it."""
    batch, answer = changed(change)
    take(warehouse, project, [batch, BATCHES[1]], step=0)
    assert [each.answer for each in held_in(warehouse)] == [answer]
    return batch, answer


def test_waived_is_as_if_the_contract_had_taken_it(
    databases: Databases, prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through dbt, with its checks."""
    batch, answer = held_answer(prepared, project, event(id="an id of another kind"))
    before = digests(prepared)
    done = waived(prepared, project, answer.hex[:10])
    assert (done.count("waived"), done.batches, done.exit_code) == (1, 1, 0)
    assert done.answers[0].rule == "schema"
    columns = ("state", "answers + failures - exchanges", "quarantined", "waived", "with_findings", "latest_waiver_reason")
    assert health(prepared, batch.batch_id, *columns) == ("published", 0, 0, 1, 1, REASON)
    report = verify(prepared, project)
    assert report.failed == ()
    assert report.answers == {"quarantined": 0, "waived": 1, "withdrawn": 0}
    assert "answers: 0 quarantined, 1 waived, 0 withdrawn" in report.lines()
    again = waived(prepared, project, answer)
    assert (again.count("standing"), again.batches) == (1, 0)

    def lenient(exchange: Exchange) -> Judgement:
        return replace(judge(exchange), verdict="accepted")

    with databases() as other, monkeypatch.context() as patch:
        patch.setattr(bronze_load, "judge", lenient)
        take(other, project, [batch, BATCHES[1]], step=0)
        assert digests(other) == digests(prepared) != before

    assert withdrawn(prepared, project, answer).exit_code == 0
    assert digests(prepared) == before
    assert health(prepared, batch.batch_id, "waived", "withdrawn", "latest_waiver_reason") == (0, 1, None)
    # it is still what the contract refuses
    assert retried(prepared, project, str(answer)).count("refused") == 1
    assert [verdict for verdict, _ in verdicts_of(prepared, answer)] == ["quarantined", "waived", "withdrawn", "quarantined"]


def with_a_number_for_an_outcome(event: dict[str, Any]) -> dict[str, Any]:
    """What the count of outcomes finds and SQL does not."""
    books = [
        {**book, "markets": [{**market, "outcomes": [*market["outcomes"], 7]} for market in book["markets"]]}
        for book in event["bookmakers"]
    ]
    return {"bookmakers": books, "sport_title": 7}


POISON: Final[dict[str, Callable[[Any], Any]]] = {
    "a model": event(commence_time="soon"),
    "what comes before the models": event(id="".join(f"{number:x}" for number in range(9000))),
    "a check": lambda document: [{**event, **with_a_number_for_an_outcome(event)} for event in document],
}


@pytest.mark.proof
@pytest.mark.parametrize("what", POISON)
def test_a_waiver_that_makes_its_batch_fail_is_undone(what: str, prepared: Warehouse, project: Project) -> None:
    batch, answer = held_answer(prepared, project, POISON[what])
    before = digests(prepared)
    done = waived(prepared, project, answer)
    assert (done.count("undone"), done.withheld, done.exit_code) == (1, 0, 1)
    assert len(done.failures) == 1 and batch.batch_id in done.failures[0]
    (first, (second, _), (third, why)) = verdicts_of(prepared, answer)
    assert (first, second, third) == (("quarantined", None), "waived", "quarantined")
    assert why is not None and why.startswith("undone, as its batch failed: ")
    assert digests(prepared) == done.digests == before
    assert health(prepared, batch.batch_id, "state", "quarantined", "waived", "failed_checks") == ("published", 1, 0, 0)
    assert verify(prepared, project).failed == ()
    # the batch's other answers go on
    take(prepared, project, BATCHES[1:3])


REFUSED: Final[dict[str, tuple[Any, str]]] = {
    "no JSON": (b"<html>", "ANSWER_NOT_JSON"),
    "a NUL": (b'["\\u0000"]', "ANSWER_NOT_JSON"),
    "an error": ({"message": "no"}, "ANSWER_OTHER_SHAPE"),
    "a text": ("no", "ANSWER_OTHER_SHAPE"),
    "nothing": (None, "ANSWER_OTHER_SHAPE"),
    "no events": ([1], "ANSWER_OTHER_SHAPE"),
    "events without ids": ([{"sport_key": "x"}], "ANSWER_OTHER_SHAPE"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_sql_cannot_take_is_not_waived(kind: str, prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    body, code = REFUSED[kind]
    with transcript.instead_of_dbt():
        _, answer = held_answer(prepared, project, lambda document: body)
        with pytest.raises(UsageError) as raised:
            waived(prepared, project, answer)
    assert raised.value.code == code
    assert verdicts_of(prepared, answer) == [("quarantined", None)]


def test_there_is_a_reason_and_something_to_decide(holding: Warehouse, project: Project, transcript: Transcript) -> None:
    with transcript.instead_of_dbt():
        held_back = str(held_in(holding)[0].answer)
        admitted = str(exchange_id(Recording.open(BUNDLED).batch_ids[0], 0, 1))
        wrong: dict[str, Callable[[], object]] = {
            "ANSWER_KEEPS_CONTRACT": lambda: waived(holding, project, held_back),
            "ANSWER_ADMITTED": lambda: waived(holding, project, admitted),
            "ANSWER_NOT_ADMITTED": lambda: withdrawn(holding, project, held_back),
            "ANSWER_UNKNOWN": lambda: withdrawn(holding, project, str(UUID(int=7))),
            "ANSWER_ID_INVALID": lambda: retried(holding, project, "latest"),
            "ANSWER_AMBIGUOUS": lambda: retried(holding, project, held_back[0], admitted[0], "0", "f"),
            "REASON_MISSING": lambda: withdraw_answer(RunContext(holding, project, Ticking()), admitted, " \t"),
        }
        for code, command in wrong.items():
            with pytest.raises(UsageError) as raised:
                command()
            assert raised.value.code == code
        assert {len(verdicts_of(holding, UUID(answer))) for answer in (held_back, admitted)} == {1}


# --- crashes --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The end of the process."""


@contextmanager
def killed_at(name: str) -> Iterator[None]:
    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(quarantine, name, die)
        yield


@pytest.mark.parametrize("by", ["the next command", "the same command", "the next load"])
def test_what_was_decided_and_not_applied_is_completed(
    by: str, golden: dict[str, str], holding: Warehouse, project: Project, transcript: Transcript
) -> None:
    with transcript.instead_of_dbt():
        before = digests(holding)
        one, other, *_ = (str(each.answer) for each in held_in(holding))
        retried(holding, project, other)
        with killed_at("apply_and_count"):
            retried(holding, project)
        assert digests(holding) != golden
        match by:
            case "the next command":
                done = withdrawn(holding, project, other)
                assert (done.count("released"), done.count("withdrawn")) == (1, 1)
            case "the same command":
                # what is decided already is not held back any more, and is completed along
                done = retried(holding, project, one)
                assert done.count("released") == 1
                withdrawn(holding, project, other)
            case _:
                load(holding, project)
                withdrawn(holding, project, other)
        assert digests(holding) != before
        retried(holding, project)
        retried(holding, project, other)
        assert digests(holding) == golden


def test_killed_before_it_was_undone_the_next_command_undoes_it(prepared: Warehouse, project: Project) -> None:
    batch, answer = held_answer(prepared, project, POISON["a model"])
    before = digests(prepared)
    with killed_at("put_back"):
        waived(prepared, project, answer)
    assert health(prepared, batch.batch_id, "state", "waived") == ("withheld", 1)
    assert digests(prepared) == before
    done = retried(prepared, project)
    assert (done.count("undone"), done.withheld, done.exit_code) == (1, 0, 1)
    assert health(prepared, batch.batch_id, "state", "waived", "quarantined") == ("published", 0, 1)
    assert digests(prepared) == before


def test_what_makes_a_batch_fail_is_withdrawn_one_after_the_other(
    prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two answers that make a batch fail, both have to be taken back: undoing the first would leave no way out."""
    batch, answer = changed(event(commence_time="soon"))
    twin = next(e for e in batch.exchanges if exchange_id(batch.batch_id, e.place, 1) == answer)
    batch = replace(batch, exchanges=(*batch.exchanges, replace(twin, place=99)))
    with monkeypatch.context() as patch, prepared.connect(Role.INGESTER) as ingester:
        patch.setattr(bronze_load, "judge", lambda exchange: replace(judge(exchange), verdict="accepted"))
        bronze_load.load_batch(ingester, batch, CLOCK)
    first = withdrawn(prepared, project, answer)
    assert (first.count("withdrawn"), first.withheld, first.exit_code) == (1, 1, 1)
    second = withdrawn(prepared, project, exchange_id(batch.batch_id, 99, 1))
    assert (second.count("withdrawn"), second.withheld, second.exit_code) == (1, 0, 0)
    assert health(prepared, batch.batch_id, "state", "withdrawn") == ("published", 2)


def test_rows_of_other_code_are_refused_before_anything_is_decided(prepared: Warehouse, project: Project) -> None:
    _, answer = held_answer(prepared, project, event(id="an id of another kind"))
    with prepared.connect(Role.TRANSFORMER, autocommit=True) as connection:
        connection.execute("update ops.fingerprints set fingerprint = 'of other code' where model = 'quotes'")
    with pytest.raises(SportsMarketError, match="MODELS_CHANGED"):
        waived(prepared, project, answer)
    assert verdicts_of(prepared, answer) == [("quarantined", None)]


# --- real answers ---------------------------------------------------------------------------------------------------------

BROKEN: Final = {
    "malformed": {"not_json_progress_text.json": "json.syntax", "api_v3_shape.json": "schema"},
    "nhl_four_endpoints_2025": {
        "event_odds/20250516T143249Z.json": "schema",
        "event_odds/20250516T143453Z.json": "schema",
    },
}
DECLARED: Final[dict[str, dict[str, Any]]] = {
    "malformed": {"endpoints": ["event_odds"], "captured_at": "2025-11-25T18:20:00Z"},
    "nhl_four_endpoints_2025": {},
}


@pytest.mark.recorded
@pytest.mark.parametrize("name", BROKEN)
def test_the_broken_files_of_real_recordings_are_held_by_the_right_rule(
    name: str,
    recorded_dir: Path,
    tmp_path: Path,
    prepared: Warehouse,
    project: Project,
    transcript: Transcript,
) -> None:
    import_recording(recorded_dir / f"{name}.tar.xz", tmp_path / "recording", ImportOptions.parse(**DECLARED[name]))
    with transcript.instead_of_dbt():
        load(prepared, project, tmp_path / "recording")
    with prepared.connect(Role.INGESTER) as ingester:
        document = json.loads(json.dumps(held_back(ingester, Selection()).to_json()))
        found = {
            bytes(row[0]): each["rule"]
            for each in document["answers"]
            for row in ingester.execute(
                "select body from bronze.exchanges join bronze.bodies using (body_sha256) where exchange_id = %s",
                [each["answer"]],
            )
        }
    with tarfile.open(recorded_dir / f"{name}.tar.xz") as archive:
        expected = {
            archive.extractfile(member).read(): rule  # type: ignore[union-attr]
            for member in archive.getmembers()
            for path, rule in BROKEN[name].items()
            if member.name.endswith(path)
        }
    assert found == expected
    assert document["quarantined"] == len(document["answers"]) == 2
