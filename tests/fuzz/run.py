"""Break real answers and indices at random, take them all the way, and keep what goes wrong, reduced, as a test.

    python -m tests.fuzz.run [--minutes N] [--seed S]

Nothing may end in a traceback, no admitted answer may fail SQL or a check, and memory stays under 500 MB. What is found is
reduced and written to tests/fuzz/found, which an ordinary test replays; then this ends with 1. The seed is printed: with it,
the same is tried again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pipeline.contracts.judgement import judge
from pipeline.errors import SportsMarketError
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Batch, Exchange
from pipeline.recording.store import Recording
from pipeline.recording.store import _index as index_document
from pipeline.settings import Settings
from pipeline.transform.apply import prepare
from pipeline.transform.current_program import load_program
from pipeline.transform.program import Program
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.embedded import EmbeddedServer
from tests.contracts.mutations.answers import good_answers
from tests.fuzz.mutations import fewer, mutated, reduced
from tests.fuzz.path import NOON, PLAN, Case, Way, small

REPOSITORY: Final = Path(__file__).resolve().parents[2]
RECORDED: Final = Path(os.environ.get("SPORTS_MARKET_RECORDED") or REPOSITORY.parent / "shared" / "recorded")
FOUND: Final = REPOSITORY / "tests" / "fuzz" / "found"
CARELESS: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Larger archives take longer to read than they are worth.
ARCHIVE_LIMIT: Final = 400_000
ANSWERS, FILES, INDICES = 40, 8, 120
MEMORY_LIMIT_MB: Final = 500
# of reducing one finding
REDUCING_SECONDS: Final = 120.0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def bases(folder: Path) -> list[Exchange]:
    """Good answers of the bundled recording, and of the real ones where they are."""
    found = good_answers()
    archives = [path for path in sorted(RECORDED.glob("*.tar.xz")) if path.stat().st_size < ARCHIVE_LIMIT]
    for archive in archives:
        try:
            report = import_recording(archive, folder / archive.name, ImportOptions(endpoint="odds"))
            if report.total.exchanges:
                found += [each for batch in Recording.open(folder / archive.name).batches() for each in batch.exchanges]
        except SportsMarketError as error:
            say(f"{archive.name} is left out: {error}")
    say(f"{len(found)} answers, of the bundled recording and {len(archives)} recorded archives")
    return [each for each in found if each.failure is None and each.body]


class Fuzz:
    """One run."""

    def __init__(self, server: Server, template: Warehouse, project: Program, found: list[Exchange], seed: int) -> None:
        self._server = server
        self._template = template
        self._project = project
        self._bases = found
        self._chance = random.Random(seed)
        self._clones = 0
        self.cases = 0
        self.admitted = 0
        self.refused = 0
        self.accepted = 0

    @contextmanager
    def fresh(self) -> Iterator[Way]:
        """The whole path, into a warehouse without a batch."""
        self._clones += 1
        made = self._server.clone_database(self._template, f"fuzz_{os.getpid()}_{self._clones}")
        try:
            yield Way(made, self._project)
        finally:
            self._server.drop_database(made)

    def until(self, end: float) -> Path | None:
        """Try until a time of the monotonic clock; the file of the first finding."""
        rounds = 0
        with self.fresh() as path:
            while time.monotonic() < end or not rounds:
                rounds += 1
                case = (self._answers, self._indices, self._files)[(rounds - 1) % 3](path)
                if case is not None:
                    return self._keep(case)
                self.admitted, self.refused = path.admitted, path.refused
        return None

    def _answers(self, path: Way) -> Case | None:
        made = []
        for _ in range(ANSWERS):
            good = small(self._chance.choice(self._bases), self._chance)
            made.append(replace(good, body=mutated(good.body or b"", self._chance)))
        self.cases += len(made)
        return self._try(path, Case("answers", "", tuple(made)))

    def _files(self, path: Way) -> Case | None:
        chosen = self._chance.choice(self._bases)
        alike = [each for each in self._bases if each.request.endpoint == chosen.request.endpoint]
        bodies = [small(self._chance.choice(alike), self._chance).body or b"" for _ in range(FILES)]
        self.cases += FILES
        broken = tuple(mutated(body, self._chance) for body in bodies)
        return self._try(path, Case("files", "", endpoint=chosen.request.endpoint, bodies=broken))

    def _indices(self, path: Way) -> Case | None:
        chosen = self._chance.sample(self._bases, 2)
        at = NOON.replace(day=NOON.day + 1)
        good = tuple(
            replace(small(each, self._chance), place=place, attempt=1, captured_at=at) for place, each in enumerate(chosen)
        )
        document = {**index_document(Batch(PLAN.batch_id(at), at, PLAN, "import", good)), "format": 1}
        data = json.dumps(document).encode()
        accepted: list[tuple[Case, list[Batch]]] = []
        for _ in range(INDICES):
            self.cases += 1
            case = Case("index", "", good, bodies=(mutated(data, self._chance),), consistent=self._chance.random() < 0.5)
            read: list[Batch] = []
            said = problem(lambda case=case, read=read: read.extend(case.read_index(path)))
            if said is not None:
                return replace(case, said=said)
            if read:
                accepted.append((case, read))
        self.accepted += len(accepted)
        said = problem(lambda: path.load([batch for _, read in accepted for batch in read]))
        if said is None:
            return None

        def fails(some: list[tuple[Case, list[Batch]]]) -> bool:
            with self.fresh() as alone:
                return problem(lambda: alone.load([batch for _, read in some for batch in read])) is not None

        case, _ = halved(accepted, fails)
        return replace(case, said=said)

    def _try(self, path: Way, case: Case) -> Case | None:
        said = problem(lambda: case.take(path))
        return None if said is None else replace(case, said=said)

    def _keep(self, case: Case) -> Path:
        say(f"FOUND: {case.said}")
        end = time.monotonic() + REDUCING_SECONDS

        def fails(smaller: Case) -> bool:
            if time.monotonic() > end:
                return False
            if smaller.kind == "index":  # most are refused, which needs no database
                read: list[Batch] = []
                said = problem(lambda: read.extend(smaller.read_index(Way(self._template, self._project))))
                if not read:
                    return said is not None and said.partition(":")[0] == case.said.partition(":")[0]
            with self.fresh() as path:
                said = problem(lambda: smaller.take(path))
            return said is not None and said.partition(":")[0] == case.said.partition(":")[0]

        case = self._reduce(case, fails)
        name = hashlib.sha256(repr((case.kind, case.exchanges, case.bodies)).encode()).hexdigest()[:12]
        FOUND.mkdir(exist_ok=True)
        file = FOUND / f"{case.kind}-{name}.json"
        case.write(file)
        return file

    def _reduce(self, case: Case, fails: Callable[[Case], bool]) -> Case:
        if not fails(case):
            say("It does not fail in a warehouse of its own, so it is kept as it is.")
            return case
        if case.kind == "answers":
            few = fewer(list(case.exchanges), lambda some: fails(replace(case, exchanges=tuple(some))))
            for number, exchange in enumerate(few):

                def at(body: bytes, number: int = number, exchange: Exchange = exchange) -> Case:
                    put = (*few[:number], replace(exchange, body=body), *few[number + 1 :])
                    return replace(case, exchanges=tuple(put))

                few[number] = replace(exchange, body=reduced(exchange.body or b"", lambda body, at=at: fails(at(body))))
            return replace(case, exchanges=tuple(few))
        bodies = fewer(list(case.bodies), lambda some: fails(replace(case, bodies=tuple(some))))
        for number, body in enumerate(bodies):

            def put(part: bytes, number: int = number) -> Case:
                return replace(case, bodies=(*bodies[:number], part, *bodies[number + 1 :]))

            bodies[number] = reduced(body, lambda part, put=put: fails(put(part)))
        return replace(case, bodies=tuple(bodies))


def halved(items: list[Any], fails: Callable[[list[Any]], bool]) -> Any:
    """One of the items that makes them fail, by halves."""
    while len(items) > 1:
        half = items[: len(items) // 2]
        items = half if fails(half) else items[len(items) // 2 :]
    return items[0]


def problem(take: Callable[[], None]) -> str | None:
    """What went wrong, beginning with its kind; None where nothing did."""
    try:
        take()
    except SportsMarketError as error:
        return f"{error.code}: {error}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name} {where.name}: {' '.join(str(error).split())[:500]}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to try (default 2)")
    parser.add_argument("--seed", type=int, help="of all that is tried (default: another one each time, and printed)")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="sm-fuzz-", dir="/tmp") as folder:
        work = Path(folder)
        embedded = EmbeddedServer.start(work / "state", options=CARELESS)
        with Server(embedded.warehouse(Settings().role_prefix), embedded, "the fuzz's embedded server") as server:
            project = load_program(work / "dbt", print)
            template = server.create_database(f"fuzz_{os.getpid()}")
            bootstrap(template)
            prepare(template, project)
            good = [each for each in bases(work) if judge(each).verdict != "quarantined"]
            started = time.monotonic()
            fuzz = Fuzz(server, template, project, good, seed)
            found = fuzz.until(started + 60 * options.minutes)
            server.drop_database(template)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{fuzz.cases} mutants in {time.monotonic() - started:.0f} s, {fuzz.admitted} answers admitted and applied,"
        f" of the indices {fuzz.refused} refused by name and {fuzz.accepted} accepted; {memory:.0f} MB; seed {seed}"
    )
    if found is not None:
        print(f"FAILED: {found.relative_to(REPOSITORY)}: {Case.read(found).said}")
    if memory > MEMORY_LIMIT_MB:
        print(f"FAILED: {memory:.0f} MB are more than {MEMORY_LIMIT_MB}")
    return int(found is not None or memory > MEMORY_LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
