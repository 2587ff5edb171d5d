"""No look-ahead: the final gold, cut at k in plain SQL, is gold after k batches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import UTC
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import stored_tables, views
from tests.conftest import Project
from tests.replay.support import Databases, batches_of, take
from tests.replay.transcript import Transcript
from tests.replay.truncation import RULES, Clip, Filter, Rows, columns_of, rows_cut

BUNDLED = Recording.open(resource("fixtures/recordings/simulated"))
CUT = tuple(name for name, rule in RULES.items() if isinstance(rule, Clip | Filter))
NEVER = dt.datetime(9999, 1, 1, tzinfo=UTC)
SAMPLE_KEY = ("event_id", "bookmaker_key", "market_key", "outcome_set", "outcome_side", "minutes_to_start")
Samples = dict[tuple[Any, ...], dict[str, Any]]

# which files, what an import must be told, and after which batches
RECORDED = {
    # a match is played from the 328th file on
    "worldcup_quarterfinals_2026": ((0, 120, 240, 300, *range(328, 340, 2)), (2, 6, 8)),
    # before the season, and in it
    "nfl_decimal_repeats_2023": (range(0, 21, 2), (3, 7, 10)),
}


def test_every_relation_of_gold_has_a_rule() -> None:
    assert set(RULES) == {each.name for each in (*stored_tables(), *views())}
    assert [name for name, rule in RULES.items() if not isinstance(rule, Clip | Filter) and not rule.reason] == []


def test_rules_name_columns_that_are_there(prepared: Warehouse) -> None:
    with prepared.connect(Role.READER) as connection:
        for name in CUT:
            rule = RULES[name]
            named = {rule.moment} if isinstance(rule, Filter) else {rule.start, rule.end, *rule.open, *rule.moving}
            assert named | set(rule.left_out) <= set(columns_of(connection, name)), name


def last_capture(batch: Batch) -> dt.datetime:
    return max(exchange.captured_at for exchange in batch.exchanges)


def samples(connection: Connection) -> Samples:
    """What quotes_sampled says of events that have begun, and of those to come."""
    found: Samples = {}
    for name in ("gold.quotes_sampled", "gold.quotes_sampled_now"):
        columns = columns_of(connection, name)
        for values in connection.execute(f"select * from {name}".encode()):
            row = dict(zip(columns, values, strict=True))
            found[tuple(row[column] for column in SAMPLE_KEY)] = row
    return found


def assert_samples_stand(then: Samples, final: Samples) -> int:
    """The grid hangs on the start; where that is the same, so is what was sampled. How many rows were compared."""
    held = {key: row for key, row in then.items() if key in final and final[key]["start_at"] == row["start_at"]}
    # a sample goes with the start that it was counted from, and with nothing else
    starts = {key[0]: row["start_at"] for key, row in final.items()}
    lost = [key for key, row in then.items() if key not in final and starts.get(key[0], row["start_at"]) == row["start_at"]]
    assert not lost, f"{len(lost)} samples are gone: {lost[:1]}"
    other = [(row, final[key]) for key, row in held.items() if final[key] != row]
    assert not other, f"{len(other)} samples were otherwise then: {other[0]}"
    return len(held)


def all_rows(connection: Connection, at: dt.datetime) -> dict[str, Rows]:
    return {name: rows_cut(connection, name, at) for name in CUT}


def assert_no_look_ahead(
    batches: Sequence[Batch], after: Sequence[int], warehouse: Warehouse, project: Project, transcript: Transcript
) -> None:
    """Take the batches in order; what gold was after each k must be what the final gold cut there is."""
    then: dict[int, dict[str, Rows]] = {}
    sampled: dict[int, Samples] = {}
    with transcript.instead_of_dbt(), warehouse.connect(Role.READER, autocommit=True) as reader:
        done = 0
        for k in (*after, len(batches)):
            take(warehouse, project, batches[done:k], step=0)
            done = k
            then[k] = all_rows(reader, NEVER)
            sampled[k] = samples(reader)
        filled = {name for name, rows in then[len(batches)].items() if rows}
        for k in after:
            at = max(map(last_capture, batches[:k]))
            later = min(exchange.captured_at for batch in batches[k:] for exchange in batch.exchanges)
            assert at < later, f"batch {k} reaches into the next one: no cut tells them apart"
            found = all_rows(reader, at)
            for name in CUT:
                lost = [row for row in then[k][name] if row not in found[name]]
                made = [row for row in found[name] if row not in then[k][name]]
                assert found[name] == then[k][name], (
                    f"{name} after batch {k}: {len(lost)} rows were otherwise then; then {lost[:1]}, cut {made[:1]}"
                )
    # what is sampled is hindsight, by the start alone; values are as of their time
    compared = {k: assert_samples_stand(sampled[k], sampled[len(batches)]) for k in after}
    assert compared[max(after)] > 0, compared
    # what never has a row proves nothing
    assert {"gold.price_history", "gold.best_price", "gold.margins", "gold.consensus", "gold.line_movement"} <= filled


def test_the_bundled_recording_cut_at_k_is_gold_after_k(prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    assert_no_look_ahead(list(BUNDLED.batches()), (3, 9, 17, 22), prepared, project, transcript)
    with prepared.connect(Role.READER) as connection:
        # the simulated market hangs no two lines far enough apart; recorded ones do
        assert [name for name in CUT if not rows_cut(connection, name, NEVER)] == ["gold.middles"]


@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDED)
def test_a_real_recording_cut_at_k_is_gold_after_k(
    name: str,
    recorded_dir: Path,
    tmp_path: Path,
    databases: Databases,
    project: Project,
    transcript: Transcript,
) -> None:
    places, after = RECORDED[name]
    batches = batches_of(recorded_dir / f"{name}.tar.xz", places, {"endpoints": ["odds"]}, tmp_path)
    with databases() as warehouse:
        assert_no_look_ahead(batches, after, warehouse, project, transcript)


def test_a_fact_from_later_is_found(prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    """A rule that cuts nothing sees the later rows."""
    batches = list(BUNDLED.batches())[:4]
    at = max(map(last_capture, batches[:2]))
    with transcript.instead_of_dbt(), prepared.connect(Role.READER, autocommit=True) as reader:
        take(prepared, project, batches[:2], step=0)
        then = all_rows(reader, NEVER)
        take(prepared, project, batches[2:], step=0)
        final = all_rows(reader, NEVER)
        assert [name for name in CUT if final[name] == then[name]] != list(CUT)
        assert all_rows(reader, at) == then
        sampled = samples(reader)
        assert assert_samples_stand(sampled, sampled) > 0
        with prepared.connect(Role.TRANSFORMER) as writer:
            writer.execute(
                "update gold.price_history set price_decimal = price_decimal + 1 where valid_from <= %s and valid_to > %s",
                [at, at],
            )
        assert "gold.price_history" in [name for name, rows in all_rows(reader, at).items() if rows != then[name]]
        with pytest.raises(AssertionError, match="samples were otherwise then"):
            assert_samples_stand(sampled, samples(reader))
