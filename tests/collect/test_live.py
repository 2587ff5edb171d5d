import datetime as dt
import gzip
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock, SystemClock
from pipeline.collect.collector import collect, collect_again
from pipeline.collect.live import Conduct
from pipeline.collect.plan import ExplicitPlan, MarketPlan, Step
from pipeline.collect.plan_file import PlanFile
from pipeline.collect.scheduled import forbidden
from pipeline.errors import ApiError
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Budget
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.adapters import LiveAdapter
from pipeline.recording.model import Batch, Exchange, PlanIdentity
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.secret import Secret

AT = dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC)
NOW = dt.datetime(2025, 10, 9, 0, 42, 50, 123456, tzinfo=dt.UTC)
NHL = "icehockey_nhl"
ODDS = ApiRequest.of("odds", sport=NHL, params={"markets": "h2h", "regions": "us"})
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

Answering = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A real HTTP server on this machine; ``answering`` says what it does next."""

    def __init__(self) -> None:
        self.answering: Answering = lambda handler: None
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.answering(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def two_servers() -> Iterator[tuple[Server, Server]]:
    servers = Server(), Server()
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def server(two_servers: tuple[Server, Server]) -> Server:
    two_servers[0].asked.clear()
    return two_servers[0]


def say(status: int, body: bytes, **headers: str) -> Answering:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def run(path: Path, base_url: str, *requests_: ApiRequest, key: str = KEY, timeout: float = 5.0) -> Batch:
    plan = ExplicitPlan(PlanIdentity({"kind": "test"}), tuple(Step(place, one) for place, one in enumerate(requests_)))
    with open_session(LiveAdapter(ManualClock(NOW))) as session:
        session.trust_env = False
        client = OddsApiClient(
            session, clock=ManualClock(NOW), base_url=base_url, api_key=Secret(key), timeout=(timeout, timeout)
        )
        return collect(plan, AT, client, RecordingWriter(path), source="live")


def one(path: Path, base_url: str, request: ApiRequest = ODDS, timeout: float = 5.0) -> Exchange:
    batch = run(path / "r", base_url, request, timeout=timeout)
    assert list(Recording.open(path / "r").batches()) == [batch]
    # what came over the network replays as it is, failures too
    assert collect_again(batch, RecordingWriter(path / "again")) == batch
    (exchange,) = batch.exchanges
    return exchange


def test_an_answer_is_kept_byte_for_byte(tmp_path: Path, server: Server) -> None:
    body = '[{"key": "é", "price": 1.0}]\r\n'.encode()
    server.answering = say(200, body, Content_Type="application/json", X_Requests_Remaining="499", Set_Cookie="a=b", Server="x")
    exchange = one(tmp_path, server.url)
    assert (exchange.status, exchange.body, exchange.failure, exchange.captured_at) == (200, body, None, NOW)
    assert dict(exchange.headers).keys() == {"content-type", "date", "x-requests-remaining"}
    assert server.asked == [f"/v4/sports/icehockey_nhl/odds?markets=h2h&regions=us&apiKey={KEY}"]


def test_a_compressed_answer_is_kept_decoded(tmp_path: Path, server: Server) -> None:
    server.answering = say(200, gzip.compress(b"[1, 2]"), Content_Encoding="gzip")
    exchange = one(tmp_path, server.url)
    assert exchange.body == b"[1, 2]"
    assert "content-encoding" not in dict(exchange.headers)


@pytest.mark.parametrize(
    ("status", "error_code", "code"),
    [
        (401, "INVALID_KEY", "INVALID_KEY"),
        (401, "OUT_OF_USAGE_CREDITS", "OUT_OF_USAGE_CREDITS"),
        (404, "EVENT_NOT_FOUND", "EVENT_NOT_FOUND"),
        (422, "INVALID_MARKET_COMBO", "INVALID_MARKET_COMBO"),
        (429, "EXCEEDED_FREQ_LIMIT", "EXCEEDED_FREQ_LIMIT"),
        (500, None, "HTTP_500"),
    ],
)
def test_an_error_status_is_a_recorded_failure(tmp_path: Path, server: Server, status: int, error_code: str, code: str) -> None:
    body = json.dumps({"message": "why", "error_code": error_code}).encode()
    server.answering = say(status, body)
    exchange = one(tmp_path, server.url)
    assert (exchange.status, exchange.body, exchange.failure) == (status, body, Failure(code, "why"))


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)
    handler.close_connection = True


def stalling(handler: BaseHTTPRequestHandler) -> None:
    say(200, b"[", Content_Length="100")(handler)
    handler.wfile.flush()
    time.sleep(0.5)
    handler.close_connection = True


def resetting(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def hanging_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def half(handler: BaseHTTPRequestHandler) -> None:
    say(200, b"[1,", Content_Length="100")(handler)
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answering", "code"),
    [
        (silent, "TIMEOUT"),
        (stalling, "TIMEOUT"),
        (resetting, "RESET"),
        (hanging_up, "RESET"),
        (half, "RESET"),
        (say(200, b"no gzip", Content_Encoding="gzip"), "DECODE"),
        (say(200, b"[]", Content_Length="2, 9"), "PROTOCOL"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_answer_is_a_recorded_failure(tmp_path: Path, server: Server, answering: Answering, code: str) -> None:
    server.answering = answering
    exchange = one(tmp_path, server.url, timeout=0.2)
    assert exchange.failure is not None
    assert (exchange.failure.code, exchange.status, exchange.body, exchange.captured_at) == (code, None, None, NOW)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        exchange = one(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert exchange.failure == Failure("CONNECT", "No connection (ConnectionRefusedError).")


def test_plain_http_where_tls_is_expected(tmp_path: Path, server: Server) -> None:
    server.answering = say(200, b"[]")
    exchange = one(tmp_path, server.url.replace("http:", "https:"), timeout=2.0)
    assert exchange.failure is not None and exchange.failure.code == "TLS"


def test_a_failed_request_stops_nothing(tmp_path: Path, server: Server) -> None:
    def answering(handler: BaseHTTPRequestHandler) -> None:
        (hanging_up if "/s1/" in handler.path else say(200, b"[]"))(handler)

    server.answering = answering
    batch = run(tmp_path / "r", server.url, *(ApiRequest.of("events", sport=f"s{number}") for number in range(3)))
    assert [exchange.status for exchange in batch.exchanges] == [200, None, 200]


def test_a_historical_answer_bears_the_time_of_its_envelope(tmp_path: Path, server: Server) -> None:
    request = ApiRequest.of("historical_events", sport=NHL, params={"date": "2023-10-24T12:00:00Z"})
    server.answering = say(200, b'{"timestamp": "2023-10-24T11:55:38Z", "data": []}')
    assert one(tmp_path / "a", server.url, request).captured_at == dt.datetime(2023, 10, 24, 11, 55, 38, tzinfo=dt.UTC)
    server.answering = say(200, b'{"timestamp": "?"}')
    assert one(tmp_path / "b", server.url, request).captured_at == NOW
    # a live answer with such a field is no envelope
    server.answering = say(200, b'{"timestamp": "2023-10-24T11:55:38Z", "data": []}')
    assert one(tmp_path / "c", server.url).captured_at == NOW


def test_a_market_plan_over_the_network_and_its_replay(tmp_path: Path, server: Server) -> None:
    def answering(handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        if path.endswith("/events"):
            say(200, json.dumps([{"id": "e1", "sport_key": NHL}, {"id": "e2", "sport_key": NHL}]).encode())(handler)
        elif path.endswith("/e2/odds"):
            say(404, b'{"message": "gone", "error_code": "EVENT_NOT_FOUND"}')(handler)
        else:
            say(200, b"{}")(handler)

    server.answering = answering
    plan = MarketPlan(endpoints=("events", "event_odds"), sports=(NHL,), regions=("us",), event_markets=("btts",))
    with open_session(LiveAdapter(SystemClock())) as session:
        session.trust_env = False
        client = OddsApiClient(session, clock=SystemClock(), base_url=server.url, api_key=Secret(KEY))
        batch = collect(plan, AT, client, RecordingWriter(tmp_path / "live"), source="live")
        paid = len(server.asked)
        assert collect(plan, AT, client, RecordingWriter(tmp_path / "live"), source="live") == batch
    assert [exchange.request.event_id for exchange in batch.exchanges] == [None, "e1", "e2"]
    assert [exchange.failure and exchange.failure.code for exchange in batch.exchanges] == [None, None, "EVENT_NOT_FOUND"]
    assert len(server.asked) == paid == 3
    assert collect_again(batch, RecordingWriter(tmp_path / "again")) == batch


# --- the key -----------------------------------------------------------------------------------------------------

KEYS = st.text("0123456789abcdef", min_size=32, max_size=40) | st.text(
    st.characters(exclude_categories=("Cs", "Cc")), min_size=12, max_size=40
).filter(lambda key: len(set(key)) > 4)


@given(KEYS, st.sampled_from([200, 301, 302, 307, 401, 422, 500]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_key_is_nowhere(
    tmp_path_factory: pytest.TempPathFactory, two_servers: tuple[Server, Server], key: str, status: int, lost: bool
) -> None:
    server, elsewhere = two_servers
    server.asked.clear()
    elsewhere.asked.clear()
    elsewhere.answering = say(200, b"[]")

    def echo(handler: BaseHTTPRequestHandler) -> None:
        (got,) = parse_qs(urlsplit(handler.path).query, keep_blank_values=True)["apiKey"]
        assert got == key
        text = f"key {got} in {handler.path} quoted {quote(got)}"
        body = json.dumps({"message": text, "error_code": got, "raw": 1}).encode() + text.encode()
        say(
            status,
            body,
            ETag=quote(got),
            Content_Type=handler.path,
            X_Requests_Last=handler.path,
            Set_Cookie=f"key={quote(got)}; Path=/",
            Location=f"{elsewhere.url}{handler.path}",
        )(handler)
        if lost:  # and the body breaks off
            handler.close_connection = True

    server.answering = echo
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record) + repr(record.args))

    root, handler = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    path = tmp_path_factory.mktemp("key")
    try:
        batch = run(path / "r", server.url, ODDS, ApiRequest.of("sports"), key=key)
        nobody = run(path / "n", "http://127.0.0.1:1", ODDS, key=key)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert len(server.asked) == 2 and elsewhere.asked == []
    assert any("/v4/sports" in line for line in lines)
    written = b"\n".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    said = "\n".join([*lines, repr(batch), repr(batch.exchanges[0].body), repr(nobody), str(list(path.rglob("*")))])
    for form in {key, quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], repr(key)[1:-1]}:
        assert form.encode() not in written
        assert form not in said


def test_no_cookie_comes_back(tmp_path: Path, server: Server) -> None:
    seen: list[str | None] = []

    def answering(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Cookie"])
        say(200, b"[]", Set_Cookie="a=b; Path=/")(handler)

    server.answering = answering
    run(tmp_path / "r", server.url, ODDS, ODDS)
    assert seen == [None, None]


@pytest.mark.parametrize("budget", [Budget(per_month=500), Budget(reserve=1)])
def test_an_api_that_does_not_answer_is_told_as_that(tmp_path: Path, budget: Budget) -> None:
    """And not as credits that are unknown: nobody was there to tell them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock = ManualClock(NOW)
    with open_session(LiveAdapter(clock, clock)) as session:
        client = OddsApiClient(session, clock=clock, base_url=f"http://user:hidden@127.0.0.1:{port}", api_key=Secret(KEY))
        plan = MarketPlan(endpoints=("odds",), sports=(NHL,), markets=("h2h",), regions=("us",))
        with pytest.raises(ApiError) as caught:
            collect(
                plan, AT, client, RecordingWriter(tmp_path / "r"), source="live", conduct=Conduct(timer=clock, budget=budget)
            )
        assert caught.value.code == "API_UNREACHABLE"
        assert f"127.0.0.1:{port}" in caught.value.message
        assert "hidden" not in str(caught.value) and KEY not in str(caught.value) and "credits" not in str(caught.value)
        found = forbidden(PlanFile("plan", plan, None, budget), client)
        assert found is not None and found.code == "API_UNREACHABLE"
        assert forbidden(PlanFile("plan", plan, None, Budget()), client) is None
