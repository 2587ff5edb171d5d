"""The whole product as a state machine: whatever is done to a warehouse, its gold is that of the answers that are admitted.

What is done is drawn by hypothesis, which shrinks what fails. Beside it runs a model in plain Python: which batches are
published, which answers of them are admitted, which months are archived. It says what each step must do or refuse.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.bronze import batch_load, verdicts
from pipeline.bronze.lookup import Selection
from pipeline.contracts.judgement import Finding, Judgement, judge
from pipeline.errors import ConflictError, SportsMarketError
from pipeline.export.readable import named
from pipeline.export.verify_export import verify_export
from pipeline.export.write_export import write_export
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.recording.store import content_sha256
from pipeline.replay.verify import verify
from pipeline.runs.archive import archive, restore
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_recording
from pipeline.runs.quarantine import DecisionSummary, retry_answers, waive_answer, withdraw_answer
from pipeline.transform import apply
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.months import month_of
from tests.conftest import Project
from tests.recordings import written
from tests.replay import wild
from tests.replay.model import is_admitted
from tests.replay.support import CLOCK, Databases, digests
from tests.runs import test_archive

# A month can be archived before any of these; the wild market is in January.
BEFORE: Final = (dt.date(2025, 10, 1), dt.date(2025, 11, 1), dt.date(2025, 12, 1), dt.date(2026, 1, 1))
EXPORTED: Final = ("events", "price_history")
REASON: Final = "as a test wants"
Digests = Mapping[str, str]


class Killed(BaseException):
    """What ends a run in its middle."""


@dataclass
class Bench:
    """What all runs of the machine share.

    Attributes:
        databases: makes prepared ones.
        project: the project.
        known: the digests of what was loaded from nothing, by what was admitted.
        fresh_every: gold is compared with a fresh load after so many steps, and at the end of each run.
        steps: by their names.
        fresh: fresh loads.
    """

    databases: Databases
    project: Project
    fresh_every: int
    known: dict[frozenset[str], Digests] = field(default_factory=dict)
    steps: Counter[str] = field(default_factory=Counter)
    fresh: int = 0

    def fresh_digests(self, batches: Sequence[Batch]) -> Digests:
        """The digests of these batches, loaded from nothing in one go."""
        key = frozenset(content_sha256(batch) for batch in batches)
        if key not in self.known:
            self.fresh += 1
            with self.databases() as warehouse, recording(batches) as folder:
                if batches:
                    assert load_recording(folder, RunContext(warehouse, self.project, CLOCK), mix_sources=True).exit_code == 0
                self.known[key] = digests(warehouse)
        return self.known[key]


@contextmanager
def recording(batches: Sequence[Batch]) -> Iterator[Path]:
    """A recording, for as long as it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="sm-machine-"))
    try:
        yield written(folder / "recording", batches)
    finally:
        shutil.rmtree(folder)


@contextmanager
def refusing(refused: Sequence[Exchange]) -> Iterator[None]:
    """Let the contract refuse some answers, wherever they are judged."""
    keys = {(each.captured_at, each.place, each.sha256) for each in refused}

    def stricter(exchange: Exchange) -> Judgement:
        found = judge(exchange)
        if (exchange.captured_at, exchange.place, exchange.sha256) in keys:
            return replace(found, verdict="quarantined", findings=(Finding("schema", "", "", "refused by a test"),))
        return found

    with pytest.MonkeyPatch.context() as patch:
        for module in (batch_load, verdicts):
            patch.setattr(module, "judge", stricter)
        yield


@dataclass
class Known:
    """What the model knows of one batch.

    Attributes:
        batch: as it was recorded.
        state: ``absent``, ``sealed``, ``withheld`` or ``published``.
        out: places of answers that the contract takes and that are not admitted, by their last verdict.
    """

    batch: Batch
    state: str = "absent"
    out: dict[int, str] = field(default_factory=dict)

    @property
    def months(self) -> set[dt.date]:
        """In which its answers came."""
        return {month_of(each.captured_at) for each in self.batch.exchanges}

    @property
    def answers(self) -> list[Exchange]:
        """Those that the contract takes."""
        return [each for each in self.batch.exchanges if is_admitted(each)]

    @property
    def admitted(self) -> Batch:
        """The batch as if what is not admitted had never come."""
        return wild.without(self.batch, frozenset(self.out))


pick = st.integers(0, 2**16)


class Machine(RuleBasedStateMachine):
    """One warehouse, and what is done to it."""

    bench: Bench

    @initialize(script=wild.scripts, broken=st.integers(0, 3), there=st.integers(0, 12))
    def begin(self, script: list[wild.Poll], broken: int, there: int) -> None:
        """Batches, some of them in the warehouse: old ones of four months, and a wild market."""
        market = wild.batches_of(script)
        if broken == 0:
            market = [wild.with_broken_elements(batch, 7) for batch in market]
        self.batches = [Known(batch) for batch in (*test_archive.BATCHES, *market)]
        self.archived: set[dt.date] = set()
        self.folder = Path(tempfile.mkdtemp(prefix="sm-machine-"))
        self.database = self.bench.databases()
        self.warehouse: Warehouse = self.database.__enter__()
        self.context = RunContext(self.warehouse, self.bench.project, CLOCK)
        self.done = 0
        # what was done since these were last done
        self.unverified = self.unexported = self.unbuilt = True
        if there:
            self.load(self.batches[:there])

    def teardown(self) -> None:
        """Gold once more, and all of it."""
        if not hasattr(self, "database"):
            return
        try:
            self.compare()
            self.verified()
        finally:
            self.database.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    # --- what is there ----------------------------------------------------------------------------------------------------

    def of(self, *states: str) -> list[Known]:
        return [known for known in self.batches if known.state in states]

    def step(self, name: str) -> None:
        self.done += 1
        self.bench.steps[name] += 1
        self.unverified = self.unexported = self.unbuilt = True

    @contextmanager
    def refused(self, codes: Sequence[str]) -> Iterator[None]:
        """What is within must be refused by one of these codes, where there are any."""
        try:
            yield
        except SportsMarketError as error:
            if error.code not in codes:
                raise
        else:
            assert not codes, f"it should have been refused by {codes}"

    def needs_archived(self, *months: dt.date) -> bool:
        """Whether what is of these months needs archived ones: they and all later ones."""
        return bool(self.archived) and min(months) <= max(self.archived)

    # --- batches come -----------------------------------------------------------------------------------------------------

    def load(self, chosen: Sequence[Known]) -> None:
        """Load batches, in order of their ids; an archived month takes none."""
        here = sorted(chosen, key=lambda known: known.batch.batch_id)
        late = [known for known in here if known.state == "absent" and self.needs_archived(*known.months)]
        with recording([known.batch for known in here]) as folder, self.refused(["MONTHS_ARCHIVED"] if late else []):
            load_recording(folder, self.context, mix_sources=True)
        self.look()

    def look(self) -> None:
        """Take over which batches stand; the model says which may be withheld."""
        with self.warehouse.connect(Role.INGESTER) as ingester:
            rows = ingester.execute("select batch_id, state, detail from ops.batch_states").fetchall()
        found = {batch_id: (state, detail) for batch_id, state, detail in rows}
        for known in self.batches:
            state, detail = found.get(known.batch.batch_id, ("absent", None))
            # an event of an archived month is shown again
            assert state != "withheld" or self.archived or known.state == "withheld", detail
            known.state = state

    @precondition(lambda self: self.of("absent"))
    @rule(of=pick, refuse=st.booleans())
    def next_batch(self, of: int, refuse: bool) -> None:
        """The next one in order."""
        if waiting := self.of("absent"):
            self.step("next batch")
            self.refuse(waiting[:1], of if refuse else None)

    @precondition(lambda self: self.of("absent", "sealed", "withheld"))
    @rule(of=pick, also=pick, refuse=st.booleans())
    def late_batches(self, of: int, also: int, refuse: bool) -> None:
        """One that should have come before others, or some at once."""
        if waiting := self.of("absent", "sealed", "withheld"):
            self.step("late batches")
            chosen = waiting[of % len(waiting) :][: 1 + also % 3]
            self.refuse(chosen, also if refuse else None)

    def refuse(self, chosen: Sequence[Known], of: int | None) -> None:
        """Load batches, and let the contract refuse an answer of those that are new."""
        before = {id(known): known.state for known in chosen}
        new = [known for known in chosen if known.state == "absent" and known.answers]
        out: list[tuple[Known, Exchange]] = []
        if of is not None and new:
            known = new[of % len(new)]
            out = [(known, known.answers[of % len(known.answers)])]
        with refusing([exchange for _, exchange in out]):
            self.load(chosen)
        for known, exchange in out:
            if known.state != "absent":
                known.out[exchange.place] = "quarantined"
        assert all(known.state == "published" for known in chosen if not self.archived), before

    @precondition(lambda self: self.of("published"))
    @rule(of=pick)
    def same_batch(self, of: int) -> None:
        """A batch that is there already changes nothing."""
        if there := self.of("published"):
            self.step("same batch")
            self.load([there[of % len(there)]])

    @precondition(lambda self: self.of("published"))
    @rule(of=pick)
    def other_bytes(self, of: int) -> None:
        """The same id with other bytes is an error."""
        if there := [known for known in self.of("published") if known.batch.exchanges[0].body is not None]:
            self.step("other bytes")
            known = there[of % len(there)]
            first, *rest = known.batch.exchanges
            other = replace(known.batch, exchanges=(replace(first, body=(first.body or b"") + b" "), *rest))
            with recording([other]) as folder, pytest.raises(ConflictError):
                load_recording(folder, self.context, mix_sources=True)

    @precondition(lambda self: self.of("absent"))
    @rule(of=pick, at=st.sampled_from(("refresh_digests", "_settle", "_note_checks")))
    def cut_short(self, of: int, at: str) -> None:
        """A run that ends in its middle: the batch is sealed, and nothing of it is published."""
        if waiting := [known for known in self.of("absent") if not self.needs_archived(*known.months)]:
            self.step("cut short")
            known = waiting[of % len(waiting)]

            def dying(*arguments: Any, **named: Any) -> None:
                raise Killed

            with recording([known.batch]) as folder, pytest.MonkeyPatch.context() as patch:
                patch.setattr(apply, at, dying)
                with pytest.raises(Killed):
                    load_recording(folder, self.context, mix_sources=True)
            self.look()
            assert known.state == "sealed"

    # --- decisions --------------------------------------------------------------------------------------------------------

    def decide(self, known: Known, exchange: Exchange, decision: Callable[[str], DecisionSummary]) -> bool:
        """Decide on an answer; whether it was."""
        is_archived = self.needs_archived(month_of(exchange.captured_at))
        answer = exchange_id(known.batch.batch_id, exchange.place, exchange.attempt)
        with self.refused(["MONTHS_ARCHIVED"] if is_archived else []):
            done = decision(str(answer))
            assert done.exit_code == 0 or self.archived, done.lines()
            undone = done.count("undone")
            self.look()
            return not undone
        return False

    def there(self, *last: str) -> list[tuple[Known, Exchange]]:
        """Answers with this last verdict, of batches that somebody tried to publish."""
        return [
            (known, exchange)
            for known in self.of("published", "withheld")
            for exchange in known.answers
            if known.out.get(exchange.place, "admitted") in last
        ]

    @precondition(lambda self: self.there("quarantined", "withdrawn"))
    @rule(of=pick)
    def retry(self, of: int) -> None:
        """A refused or withdrawn answer is judged again, and is in."""
        if found := self.there("quarantined", "withdrawn"):
            self.step("retry")
            known, exchange = found[of % len(found)]
            if self.decide(known, exchange, lambda answer: retry_answers(self.context, [answer])):
                del known.out[exchange.place]

    @precondition(lambda self: self.there("quarantined"))
    @rule()
    def retry_all(self) -> None:
        """All that was refused is judged again, but for what is archived."""
        if found := [(k, e) for k, e in self.there("quarantined") if month_of(e.captured_at) not in self.archived]:
            self.step("retry all")
            if self.archived:
                return
            done = retry_answers(self.context, Selection())
            assert done.count("undone") == 0 and done.count("released") >= len(found)
            self.look()
            for known, exchange in found:
                del known.out[exchange.place]

    @precondition(lambda self: self.there("quarantined"))
    @rule(of=pick)
    def waive(self, of: int) -> None:
        """A refused answer is let in all the same."""
        if found := self.there("quarantined"):
            self.step("waive")
            known, exchange = found[of % len(found)]
            with refusing([exchange]):
                is_in = self.decide(known, exchange, lambda answer: waive_answer(self.context, answer, REASON))
            if is_in:
                del known.out[exchange.place]

    @precondition(lambda self: self.there("admitted"))
    @rule(of=pick)
    def withdraw(self, of: int) -> None:
        """An admitted answer is taken back."""
        if found := self.there("admitted"):
            self.step("withdraw")
            known, exchange = found[of % len(found)]
            if self.decide(known, exchange, lambda answer: withdraw_answer(self.context, answer, REASON)):
                known.out[exchange.place] = "withdrawn"

    # --- months -----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.of("published"))
    @rule(before=st.sampled_from(BEFORE), drop=st.booleans())
    def archive(self, before: dt.date, drop: bool) -> None:
        """Old months go, as far as they can."""
        if self.of("published"):
            self.step("archive")
            done = archive(self.warehouse, before, self.folder / "archive", CLOCK, drop=drop)
            self.archived |= {month.month for month in done.months if month.recording is not None}

    @precondition(lambda self: self.archived)
    @rule(of=pick)
    def restore(self, of: int) -> None:
        """A month comes back, and with it all later ones."""
        self.step("restore")
        since = sorted(self.archived)[of % len(self.archived)]
        restore(self.warehouse, self.bench.project, since, None)
        self.archived = {month for month in self.archived if month < since}

    # --- the whole --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.unbuilt)
    @rule()
    def rebuild(self) -> None:
        """All anew from bronze, what waits too."""
        self.step("rebuild")
        with self.refused(["MONTHS_ARCHIVED"] if self.archived else []):
            apply.rebuild(self.warehouse, self.bench.project)  # type: ignore[arg-type]
            for known in self.of("sealed"):
                known.state = "published"
        self.unbuilt = False

    @precondition(lambda self: self.unverified)
    @rule()
    def verify(self) -> None:
        """Nothing is wrong."""
        self.bench.steps["verify"] += 1
        self.verified()
        self.unverified = False

    def verified(self) -> None:
        report = verify(self.warehouse, self.bench.project)  # type: ignore[arg-type]
        assert not report.failed, [(each.name, each.message) for each in report.failed]

    @precondition(lambda self: self.unexported)
    @rule()
    def export(self) -> None:
        """Files are brought up to date, and prove themselves; what they hold is what the warehouse does."""
        self.bench.steps["export"] += 1
        write_export(self.warehouse, self.folder / "export", named(EXPORTED))
        check = verify_export(self.folder / "export")
        assert not check.faults, check.lines()
        kept = digests(self.warehouse)
        assert {kept[f"gold.{name}"] for name in EXPORTED} == set(check.digests.values())
        self.unexported = False

    @invariant()
    def gold_is_that_of_the_admitted_answers(self) -> None:
        if hasattr(self, "database") and self.done % self.bench.fresh_every == 0:
            self.compare()

    def compare(self) -> None:
        """Digests are those of the rows, and of a fresh load of what is admitted."""
        fresh = self.bench.fresh_digests([known.admitted for known in self.of("published")])
        found = digests(self.warehouse)
        assert not [name for name in fresh if found[name] != fresh[name]]
