"""The whole path of an answer: into a recording, out of it, judged, into bronze, and applied on a real PostgreSQL."""

from __future__ import annotations

import base64
import datetime as dt
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import ManualClock
from pipeline.collect.collector import collect_again
from pipeline.errors import SportsMarketError, WarehouseError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project

NOON: Final = dt.datetime(2024, 10, 29, 12, tzinfo=dt.UTC)
PLAN: Final = PlanIdentity({"kind": "import", "name": "fuzz"})


class Fault(Exception):
    """Something that must never happen did."""


@dataclass
class Way:
    """Takes answers and indices all the way, into one warehouse.

    Attributes:
        warehouse: prepared.
        project: the dbt project.
        batches: taken so far; each has a minute of its own.
        admitted: answers that were admitted so far.
    """

    warehouse: Warehouse
    project: Project
    batches: int = 0
    admitted: int = 0
    refused: int = 0

    def answers(self, exchanges: Sequence[Exchange]) -> None:
        """Take answers as one batch.

        Raises:
            Fault: an error that is none of ours, or an admitted answer that SQL or a check refuses.
        """
        at = self._at()
        with tempfile.TemporaryDirectory(prefix="sm-fuzz-") as folder:
            writer = RecordingWriter(Path(folder) / "r", durable=False)
            begun = writer.begin(PLAN.batch_id(at), at, PLAN, "import")
            for place, exchange in enumerate(exchanges):
                begun.add(replace(exchange, place=place, attempt=1, captured_at=at))
            begun.seal()
            self.load(list(Recording.open(Path(folder) / "r").batches()))

    def files(self, bodies: Sequence[bytes], endpoint: str) -> None:
        """Take answers as the files that a user has.

        Raises:
            Fault: as :meth:`answers` does.
        """
        with tempfile.TemporaryDirectory(prefix="sm-fuzz-") as folder:
            source = Path(folder) / "in"
            source.mkdir()
            for body in bodies:
                (source / f"{self._at():%Y%m%dT%H%M%SZ}.json").write_bytes(body)
            try:
                report = import_recording(source, Path(folder) / "r", ImportOptions(endpoint=endpoint))
            except SportsMarketError as error:
                raise Fault(f"an import of files ended in {error}") from error
            if report.total.exchanges:
                self.load(list(Recording.open(Path(folder) / "r").batches()))

    def read(self, good: Batch, data: bytes, *, consistent: bool) -> list[Batch]:
        """The batch of an index, under an id of its own; none where it is refused. No database is asked.

        Args:
            good: the batch as it was.
            data: its index, changed.
            consistent: whether its id is made to follow from what it says.

        Raises:
            Fault: as :meth:`answers` does, or the error names no file.
        """
        batch_id = good.batch_id
        if consistent:
            try:
                document = json.loads(data)
                at = dt.datetime.fromisoformat(document["scheduled_at"])
                document["batch_id"] = batch_id = PlanIdentity(document["plan"]).batch_id(at)
                data = json.dumps(document).encode()
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                pass
        with tempfile.TemporaryDirectory(prefix="sm-fuzz-") as folder:
            path = Path(folder) / "r"
            batch = path / "batches" / batch_id
            batch.mkdir(parents=True)
            (path / "recording.json").write_text(json.dumps({"format": 1, "name": "fuzz"}))
            for exchange in good.exchanges:
                if exchange.body is not None:
                    name = f"{exchange.place:03d}-{exchange.attempt}.{exchange.request.endpoint}.json"
                    (batch / name).write_bytes(exchange.body)
            (batch / "index.json").write_bytes(data)
            try:
                found = list(Recording.open(path).batches())
            except SportsMarketError as error:
                self.refused += 1
                if str(batch) not in error.message and batch_id not in error.message:
                    raise Fault(f"the error names no file: {error}") from error
                return []
            with tempfile.TemporaryDirectory(prefix="sm-fuzz-") as again:
                for one in found:
                    try:
                        collect_again(one, RecordingWriter(Path(again) / "r", durable=False))
                    except SportsMarketError as error:
                        raise Fault(f"an index that was accepted cannot be replayed: {error}") from error
        at = self._at()
        return [replace(one, batch_id=one.plan.batch_id(at), scheduled_at=at) for one in found]

    def _at(self) -> dt.datetime:
        self.batches += 1
        return NOON + dt.timedelta(minutes=self.batches)

    def load(self, batches: Sequence[Batch]) -> None:
        """Take batches into bronze, and apply them together.

        Raises:
            Fault: an error that is none of ours, or an admitted answer that SQL or a check refuses.
        """
        if not batches:
            return
        clock = ManualClock(NOON)
        try:
            with self.warehouse.connect(Role.INGESTER) as ingester:
                for batch in batches:
                    loaded = load_batch(ingester, batch, clock)
                    self.admitted += loaded.answers - loaded.quarantined
            applied = apply_batches(self.warehouse, self.project, [batch.batch_id for batch in batches], clock)
        except SportsMarketError as error:
            if isinstance(error, WarehouseError) or error.code == "INTERNAL":
                raise Fault(f"a load ended in {error}") from error
            return
        if not applied.published:
            failed = ", ".join(f"{check.name} ({check.message or check.failures})" for check in applied.failed)
            raise Fault(f"an admitted answer fails a check: {failed}")


# --- cases ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What was found, as a file that a test takes all the way again.

    Attributes:
        kind: ``answers``, ``files`` or ``index``.
        said: what went wrong as it was found.
        exchanges: of ``answers``, and the good ones of ``index``.
        endpoint: of ``files``.
        bodies: of ``files``; the one index of ``index``.
        consistent: of ``index``.
    """

    kind: str
    said: str
    exchanges: tuple[Exchange, ...] = ()
    endpoint: str = ""
    bodies: tuple[bytes, ...] = ()
    consistent: bool = False

    def take(self, path: Way) -> None:
        """All the way.

        Raises:
            Exception: it still goes wrong.
        """
        if self.kind == "answers":
            path.answers(self.exchanges)
        elif self.kind == "files":
            path.files(self.bodies, self.endpoint)
        else:
            path.load(self.read_index(path))

    def read_index(self, path: Way) -> list[Batch]:
        """What an index is read as; no database is asked."""
        at = NOON + dt.timedelta(days=1)
        good = Batch(PLAN.batch_id(at), at, PLAN, "import", self.exchanges)
        return path.read(good, self.bodies[0], consistent=self.consistent)

    def write(self, file: Path) -> None:
        """As JSON; bytes that are no text are in base64."""
        document = {
            "kind": self.kind,
            "said": self.said,
            "endpoint": self.endpoint,
            "consistent": self.consistent,
            "bodies": [_text(body) for body in self.bodies],
            "exchanges": [
                {
                    "endpoint": exchange.request.endpoint,
                    "sport": exchange.request.sport,
                    "event_id": exchange.request.event_id,
                    "params": dict(exchange.request.params),
                    "coverage": exchange.coverage.to_json(),
                    "body": _text(exchange.body or b""),
                }
                for exchange in self.exchanges
            ],
        }
        file.write_text(json.dumps(document, indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Case:
        """The inverse of :meth:`write`."""
        document = json.loads(file.read_text())
        exchanges = tuple(
            Exchange(
                place,
                1,
                ApiRequest.of(each["endpoint"], sport=each["sport"], event_id=each["event_id"], params=each["params"]),
                Coverage.from_json(each["coverage"]),
                NOON,
                200,
                body=_bytes(each["body"]),
            )
            for place, each in enumerate(document["exchanges"])
        )
        bodies = tuple(map(_bytes, document["bodies"]))
        return cls(document["kind"], document["said"], exchanges, document["endpoint"], bodies, document["consistent"])


def _text(body: bytes) -> Any:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else base64.b64decode(text["base64"])


def small(exchange: Exchange, chance: random.Random) -> Exchange:
    """An answer with a few of its events and books, so that many fit into one batch."""
    try:
        document = json.loads(exchange.body or b"")
    except ValueError:
        return exchange
    data = document.get("data") if isinstance(document, dict) and "data" in document else document
    if isinstance(data, list) and len(data) > 2:
        data[:] = chance.sample(data, 2)
    for event in data if isinstance(data, list) else [data]:
        if isinstance(event, dict) and isinstance(event.get("bookmakers"), list):
            del event["bookmakers"][3:]
    return replace(exchange, body=json.dumps(document).encode())
