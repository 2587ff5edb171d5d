"""The sandbox over a real socket: what a client meets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.clock import SystemClock, from_iso
from pipeline.errors import SetupError
from pipeline.market.sandbox.sandbox_clock import FollowingClock, SandboxClock
from pipeline.market.sandbox.server import Application, serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ODDS = "/v4/sports/basketball_nba/odds"
START = "2026-01-04T17:00:00Z"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    system = SystemClock()
    with serving(Sandbox(SimulatedMarket(7), SandboxClock.parse(f"{START}*0", system), system)) as url:
        yield url


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def ask(
    session: requests.Session, url: str, path: str = ODDS, fault: str | None = None, timeout: float = 5.0
) -> requests.Response:
    headers = {} if fault is None else {"X-Sandbox-Fault": fault}
    params = {"apiKey": KEY, "regions": "us"}
    return session.get(url + path, params=params, headers=headers, timeout=timeout, allow_redirects=False)


def test_answers_are_compressed_where_that_is_asked_for(url: str, session: requests.Session) -> None:
    small = ask(session, url)
    session.headers["Accept-Encoding"] = "identity"
    whole = ask(session, url)
    assert small.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in whole.headers
    assert small.content == whole.content == json.dumps(whole.json(), ensure_ascii=False, separators=(",", ":")).encode()
    assert int(small.headers["Content-Length"]) * 3 < int(whole.headers["Content-Length"]) == len(whole.content)
    assert small.headers["Date"] == "Sun, 04 Jan 2026 17:00:00 GMT"
    assert "Server" not in small.headers


def test_a_connection_is_kept(url: str, session: requests.Session) -> None:
    def port() -> int:
        with session.get(f"{url}{ODDS}", params={"apiKey": KEY}, stream=True, timeout=5) as response:
            sock = response.raw.connection.sock
            assert response.content
            return int(sock.getsockname()[1])

    assert port() == port()


def test_a_reset_in_mid_body(url: str, session: requests.Session) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset by peer"):
        ask(session, url, fault="reset")


def test_silence_until_the_caller_hangs_up_or_the_time_is_over(url: str, session: requests.Session) -> None:
    with pytest.raises(requests.ReadTimeout):
        ask(session, url, fault="timeout", timeout=0.2)
    with pytest.raises(requests.ConnectionError):
        ask(session, url, fault="timeout=0.1")
    assert ask(session, url).status_code == 200  # nobody else waits


def test_a_cut_answer_is_whole_for_http(url: str, session: requests.Session) -> None:
    with session.get(
        url + ODDS, params={"apiKey": KEY, "regions": "us", "sandboxFault": "cut_gzip"}, stream=True, timeout=5
    ) as cut:
        data = cut.raw.read(decode_content=False)
    assert int(cut.headers["Content-Length"]) == len(data) > 100
    with pytest.raises(EOFError):
        gzip.decompress(data)


def test_a_drip_is_slow_and_whole(url: str, session: requests.Session) -> None:
    begun = time.monotonic()
    path = "/v4/sports/soccer_fifa_world_cup/odds"  # []
    assert ask(session, url, path, fault="drip=0.1").content == ask(session, url, path).content == b"[]"
    assert time.monotonic() - begun > 0.2


def test_html_and_a_fault_that_is_none(url: str, session: requests.Session) -> None:
    page = ask(session, url, fault="html")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html") and page.text.startswith("<!doctype")
    wrong = ask(session, url, fault="unlucky")
    assert wrong.status_code == 400 and "FAULT_INVALID" in wrong.json()["message"]


def test_the_controls(url: str, session: requests.Session) -> None:
    clock = FollowingClock(url)
    before = session.get(f"{url}/sandbox", timeout=5).json()
    assert clock.now() == from_iso(before["now"])
    after = session.post(f"{url}/sandbox/clock", json={"step": 90}, timeout=5).json()
    assert clock.now() == from_iso(after["now"]) == from_iso(START) + (from_iso(before["now"]) - from_iso(START)) + 90 * SECOND
    assert session.post(f"{url}/sandbox/clock", json={"at": START, "rate": 0}, timeout=5).json()["now"] == START
    assert session.post(f"{url}/sandbox/faults", json=["events:404", "500"], timeout=5).json()["faults"] == [
        "events:404",
        "500",
    ]
    assert [ask(session, url).status_code for _ in range(2)] == [500, 200]
    assert ask(session, url, "/v4/sports/basketball_nba/events").status_code == 404
    calls = session.get(f"{url}/sandbox", timeout=5).json()["calls"]
    assert [call["status"] for call in calls[-3:]] == [500, 200, 404]
    assert KEY not in json.dumps(calls)


SECOND = from_iso("2026-01-01T00:00:01Z") - from_iso("2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", b"no json"),
        ("clock", b"[]"),
        ("clock", b'{"speed": 3}'),
        ("clock", b'{"at": "noon"}'),
        ("clock", b'{"at": 5}'),
        ("clock", b'{"rate": "x"}'),
        ("faults", b'{"a": 1}'),
        ("faults", b"[7]"),
        ("faults", b'["unlucky"]'),
    ],
)
def test_a_control_that_cannot_be_meant_changes_nothing(url: str, session: requests.Session, path: str, body: bytes) -> None:
    before = session.get(f"{url}/sandbox", timeout=5).json()
    assert session.post(f"{url}/sandbox/{path}", data=body, timeout=5).status_code == 400
    assert session.get(f"{url}/sandbox", timeout=5).json() == before


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", "/clock"), ("GET", "/x"), ("DELETE", "/faults")])
def test_other_controls_are_not_there(url: str, session: requests.Session, method: str, path: str) -> None:
    assert session.request(method, f"{url}/sandbox{path}", timeout=5).status_code == 404


@pytest.mark.parametrize(("caller", "status"), [("127.0.0.9", 200), ("::1", 200), ("192.0.2.7", 404), ("2001:db8::1", 404)])
def test_only_this_machine_has_controls(caller: str, status: int) -> None:
    system, sent = SystemClock(), list[MutableMapping[str, Any]]()
    application = Application(Sandbox(SimulatedMarket(7), SandboxClock(system), system))

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    asyncio.run(application({"raw_path": b"/sandbox", "method": "GET", "client": (caller, 1), "headers": []}, receive, send))
    assert sent[0]["status"] == status


def test_a_port_that_is_taken(url: str) -> None:
    port = int(url.rpartition(":")[2])
    system = SystemClock()
    with (
        pytest.raises(SetupError, match="PORT_UNUSABLE"),
        serving(Sandbox(SimulatedMarket(7), SandboxClock(system), system), port=port),
    ):
        pass


def test_nobody_tells_the_time() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(SetupError, match="SANDBOX_UNREACHABLE"):
            FollowingClock(f"http://127.0.0.1:{unused.getsockname()[1]}").now()


def test_it_stops_although_somebody_waits() -> None:
    system = SystemClock()
    begun = time.monotonic()
    with serving(Sandbox(SimulatedMarket(7), SandboxClock(system), system)) as url:

        def wait() -> None:
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{url}/v4/sports?apiKey={KEY}", headers={"X-Sandbox-Fault": "timeout"}, timeout=30)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not requests.get(f"{url}/sandbox", timeout=5).json()["calls"]:
            time.sleep(0.01)
    waiting.join(10)
    assert not waiting.is_alive() and time.monotonic() - begun < 8


def test_the_command(session: requests.Session) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "sandbox", "--port", "0", "--seed", "7", "--print-url", "--key", "good"]
    command += ["--credits", "1", "--clock", START, "--faults", "ok,500"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            statuses = [
                session.get(f"{url}{ODDS}?regions=us&apiKey={key}", timeout=10).status_code
                for key in ("good", "good", "bad", "good")
            ]
            assert statuses == [200, 500, 401, 401]
            assert session.get(f"{url}/sandbox", timeout=5).json()["credits"] == {"quota": 1, "used": 1, "remaining": 0}
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
