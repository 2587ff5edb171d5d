"""A run that failed is told in one line, in the log and to a webhook, whose address stays out of the log."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from pipeline.orchestration.sensors import failure_text
from tests.orchestration.conftest import BATCH_IDS


class Hook(ThreadingHTTPServer):
    """Keeps what it is sent; answers with :attr:`status`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.taken: list[tuple[str, Any]] = []


class Taker(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Not to the screen."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with Hook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("SPORTS_MARKET_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hooks/t0ken")
        yield server
        server.shutdown()


@dg.op
def breaks() -> None:
    raise dg.Failure("ROWS_BROKEN: two rows\nand more\nof it")


@dg.job
def broken() -> None:
    breaks()


def tell_of_a_failure(defs: dg.Definitions) -> list[str]:
    """Let a run fail, and the sensor see it; what it logged."""
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/partition": BATCH_IDS[0]}
        result = broken.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        [event] = [each for each in result.all_events if each.event_type_value == "PIPELINE_FAILURE"]
        context = dg.build_run_status_sensor_context(
            sensor_name="failures",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            partition_key=None,
        ).for_run_failure()
        told: list[str] = []
        context.log.error = told.append  # type: ignore[method-assign, assignment]
        [sensor] = [each for each in defs.get_repository_def().sensor_defs if each.name == "failures"]
        sensor(context)  # type: ignore[operator]
    return told


def test_a_failure_is_logged_and_posted(defs: dg.Definitions, hook: Hook) -> None:
    [line] = tell_of_a_failure(defs)
    assert line.startswith(f"broken ({BATCH_IDS[0]}) failed: ROWS_BROKEN: two rows and more [run ")
    assert hook.taken == [("/hooks/t0ken", {"text": line})]


def test_a_webhook_that_refuses_is_told_without_its_address(defs: dg.Definitions, hook: Hook) -> None:
    hook.status = 500
    first, second = tell_of_a_failure(defs)
    assert "ROWS_BROKEN" in first
    assert second == "The webhook did not take it: HTTPError."
    assert len(hook.taken) == 1


def test_without_a_webhook_it_is_logged_alone(defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPORTS_MARKET_WEBHOOK_URL", raising=False)
    assert len(tell_of_a_failure(defs)) == 1


def test_a_run_that_never_began_has_a_text_too() -> None:
    run = dg.DagsterRun(job_name="ingest", run_id="6f1")
    assert failure_text(run, []) == "ingest (no partition) failed: it failed before its first step [run 6f1]"
