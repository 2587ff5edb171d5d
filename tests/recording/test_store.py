import datetime as dt
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConflictError, RecordingError, SetupError, SportsMarketError, UsageError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording import store
from pipeline.recording.model import Batch, Coverage, Exchange, Failure, PlanIdentity
from pipeline.recording.store import BatchWriter, Recording, RecordingWriter, content_sha256

AT = dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC)
PLAN = PlanIdentity({"kind": "test", "sports": ["icehockey_nhl"]})
ODDS = ApiRequest.of("odds", sport="icehockey_nhl", params={"markets": "h2h", "regions": "us"})


def exchange(place: int = 0, attempt: int = 1, body: bytes | None = b'[{"price": 1.0}]\r\n', **changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "request": ODDS,
        "coverage": Coverage("icehockey_nhl", None, ("h2h",), ("fanduel",)),
        "captured_at": AT.replace(microsecond=20),
        "status": 200,
        "headers": (("content-type", "application/json"), ("x-requests-last", "1")),
    }
    return Exchange(place, attempt, body=body, **(values | changes))


TIMEOUT = exchange(1, 1, None, status=None, headers=(), failure=Failure("TIMEOUT", "No answer."))
EXCHANGES = (
    exchange(0),
    TIMEOUT,
    exchange(1, 2, b""),
    exchange(2, 1, b"{}", status=404, failure=Failure("EVENT_NOT_FOUND", "?")),
)


def begin(path: Path, at: dt.datetime = AT) -> BatchWriter:
    return RecordingWriter(path).begin(PLAN.batch_id(at), at, PLAN, "live")


def write(path: Path, exchanges: tuple[Exchange, ...] = EXCHANGES, at: dt.datetime = AT) -> Batch:
    batch = begin(path, at)
    for one in exchanges:
        batch.add(one)
    return batch.seal()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    write(path)
    return path


def index_of(recording: Path) -> Path:
    (index,) = recording.glob("batches/*/index.json")
    return index


def edit(recording: Path, change: Callable[[Any], object]) -> Path:
    index = index_of(recording)
    document = json.loads(index.read_bytes())
    change(document)
    index.write_text(json.dumps(document))
    return index


def refused(recording: Path) -> SportsMarketError:
    with pytest.raises(RecordingError) as caught:
        list(Recording.open(recording).batches())
    assert caught.value.next_step
    return caught.value


def files(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


# --- what is written ---------------------------------------------------------------------------------------------


def test_a_batch_comes_back_as_it_was_written(recording: Path) -> None:
    opened = Recording.open(recording)
    (batch,) = opened.batches()
    assert batch == Batch(PLAN.batch_id(AT), AT, PLAN, "live", EXCHANGES)
    assert (opened.name, len(opened), opened.batch_ids) == ("recording", 1, (PLAN.batch_id(AT),))


def test_the_folder(recording: Path) -> None:
    batch = f"batches/{PLAN.batch_id(AT)}"
    assert set(files(recording)) == {
        *(".gitattributes", "recording.json", f"{batch}/index.json"),
        *(f"{batch}/000-1.odds.json", f"{batch}/001-2.odds.json", f"{batch}/002-1.odds.json"),
    }
    assert files(recording)[f"{batch}/000-1.odds.json"] == b'[{"price": 1.0}]\r\n'
    assert not (recording / "unsealed").exists()
    text = index_of(recording).read_text()
    assert text.endswith("}\n") and list(json.loads(text)) == sorted(json.loads(text))
    assert (json.loads(text)["clock"], json.loads(text)["format"]) == ("system", 1)


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "same")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@given(st.lists(st.binary(max_size=200), max_size=4))
@settings(deadline=None)
def test_bodies_are_kept_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("bodies") / "recording"
    given_ = tuple(exchange(place, body=body) for place, body in enumerate(bodies))
    write(path, given_)
    assert [one.exchanges for one in Recording.open(path).batches()] == [given_]


def test_batches_are_read_in_order_of_time(tmp_path: Path) -> None:
    for minutes in (20, 0, 10):
        write(tmp_path / "r", at=AT + dt.timedelta(minutes=minutes))
    ids = Recording.open(tmp_path / "r").batch_ids
    assert ids == tuple(PLAN.batch_id(AT + dt.timedelta(minutes=minutes)) for minutes in (0, 10, 20))
    assert [batch.batch_id for batch in Recording.open(tmp_path / "r").batches()] == list(ids)


def test_exchanges_are_sealed_in_order_whatever_order_they_came_in(tmp_path: Path) -> None:
    assert write(tmp_path / "a", EXCHANGES[::-1]) == write(tmp_path / "b", EXCHANGES)


def test_content_hash_is_of_what_came_and_not_of_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = write(tmp_path / "a")
    monkeypatch.setattr("pipeline.__version__", "9.9.9")
    assert content_sha256(batch) == content_sha256(write(tmp_path / "b"))
    others = [
        exchange(0, body=b"[]"),
        exchange(0, captured_at=AT),
        exchange(0, coverage=Coverage("icehockey_nhl")),
        exchange(0, headers=()),
        exchange(0, request=ApiRequest.of("odds", sport="icehockey_nhl")),
        exchange(0, status=201),
    ]
    hashes = {content_sha256(Batch(batch.batch_id, AT, PLAN, "live", (one, *EXCHANGES[1:]))) for one in others}
    assert len(hashes | {content_sha256(batch)}) == len(others) + 1


def test_an_id_that_does_not_follow_from_plan_and_time_is_refused(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r")
    with pytest.raises(ValueError, match="does not follow"):
        writer.begin("20251009T004248Z-000000000000", AT, PLAN, "live")
    with pytest.raises(ValueError, match="fractions"):
        writer.begin(PLAN.batch_id(AT), AT.replace(microsecond=1), PLAN, "live")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UsageError, match="RECORDING_FOLDER_IN_USE"):
            RecordingWriter(path)
    assert files(tmp_path) == {"thesis.txt": b"mine"}


# --- once more -------------------------------------------------------------------------------------------------


def test_sealing_the_same_twice_changes_nothing(recording: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in recording.rglob("*")}
    assert begin(recording).exchanges == EXCHANGES
    assert write(recording) == begin(recording).seal()
    assert {file: file.stat().st_mtime_ns for file in recording.rglob("*")} == before


@pytest.mark.parametrize("other", [EXCHANGES[:2], (exchange(0, body=b"[]"), *EXCHANGES[1:]), (*EXCHANGES, exchange(3))])
def test_other_content_under_a_sealed_id_is_a_conflict(recording: Path, other: tuple[Exchange, ...]) -> None:
    before = files(recording)
    with pytest.raises(ConflictError) as caught:
        write(recording, other)
    assert caught.value.code == "BATCH_CONFLICT"
    for exchanges in (EXCHANGES, other):
        assert content_sha256(Batch(PLAN.batch_id(AT), AT, PLAN, "live", exchanges)) in caught.value.message
    assert files(recording) == before


def test_another_exchange_at_a_taken_place_is_a_conflict(tmp_path: Path) -> None:
    batch = begin(tmp_path / "r")
    batch.add(exchange(0))
    batch.add(exchange(0))
    with pytest.raises(ConflictError, match="BATCH_CONFLICT"):
        batch.add(exchange(0, body=b"[]"))
    assert batch.seal().exchanges == (exchange(0),)


# --- crashes ---------------------------------------------------------------------------------------------------


def test_a_crash_before_the_seal_resumes_with_what_was_kept(tmp_path: Path) -> None:
    first = begin(tmp_path / "r")
    for one in EXCHANGES[:3]:
        first.add(one)
    with pytest.raises(RecordingError, match="RECORDING_EMPTY"):
        Recording.open(tmp_path / "r")
    again = begin(tmp_path / "r")
    assert again.exchanges == EXCHANGES[:3]
    again.add(EXCHANGES[3])
    again.seal()
    write(tmp_path / "undisturbed")
    assert files(tmp_path / "r" / "batches") == files(tmp_path / "undisturbed" / "batches")


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_half_a_journal_line_is_forgotten(tmp_path: Path, cut: int) -> None:
    first = begin(tmp_path / "r")
    for one in EXCHANGES[:2]:
        first.add(one)
    (journal,) = (tmp_path / "r").glob("unsealed/*/exchanges.jsonl")
    journal.write_bytes(journal.read_bytes()[:-cut])
    again = begin(tmp_path / "r")
    assert again.exchanges == EXCHANGES[:1]
    for one in EXCHANGES[1:]:
        again.add(one)
    assert begin(tmp_path / "r").exchanges == EXCHANGES
    again.seal()
    assert Recording.open(tmp_path / "r").read(PLAN.batch_id(AT)).exchanges == EXCHANGES


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", range(60))
def test_a_crash_at_any_step_loses_no_kept_answer_and_shows_no_half_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    path = tmp_path / "r"
    RecordingWriter(path)
    left = step
    real = {name: getattr(Path, name) for name in ("open", "mkdir", "replace", "rename", "unlink", "rmdir")}

    def crashing(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return real[name](*args, **kwargs)

        return call

    kept: list[Exchange] = []
    sealed = False
    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(Path, name, crashing(name))
        try:
            batch = begin(path)
            for one in EXCHANGES:
                batch.add(one)
                kept.append(one)
            batch.seal()
            sealed = True
        except Crash:
            pass
    again = begin(path)
    assert again.exchanges[: len(kept)] == tuple(kept)
    there = RecordingWriter(path).batch_ids
    assert there or not sealed
    assert [batch.exchanges for batch in (Recording.open(path).batches() if there else ())] == [EXCHANGES] * len(there)
    assert write(path).exchanges == EXCHANGES
    write(tmp_path / "undisturbed")
    assert files(path / "batches") == files(tmp_path / "undisturbed" / "batches")


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "DISK_FULL"), (errno.EACCES, "RECORDING_NOT_WRITABLE")])
def test_a_full_disk_says_so_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    batch = begin(tmp_path / "r")
    batch.add(EXCHANGES[0])
    with monkeypatch.context() as patch:
        real = store._flush

        def full(stream: Any, durable: bool) -> None:
            real(stream, durable)
            if stream.name.endswith(".jsonl"):  # the line is written, but not safely
                raise OSError(number, "no")

        patch.setattr(store, "_flush", full)
        with pytest.raises(SetupError) as caught:
            batch.add(EXCHANGES[1])
    assert caught.value.code == code
    assert batch.exchanges == EXCHANGES[:1]
    for one in EXCHANGES[1:]:
        batch.add(one)
    assert begin(tmp_path / "r").exchanges == EXCHANGES
    assert batch.seal().exchanges == EXCHANGES


def test_a_discarded_batch_leaves_nothing(tmp_path: Path) -> None:
    batch = begin(tmp_path / "r")
    batch.add(EXCHANGES[0])
    batch.discard()
    assert begin(tmp_path / "r").exchanges == ()
    assert set(files(tmp_path / "r")) == {".gitattributes", "recording.json"}


def test_sealing_under_another_time(tmp_path: Path) -> None:
    batch = begin(tmp_path / "r")
    batch.add(EXCHANGES[0])
    earlier = AT - dt.timedelta(minutes=5)
    sealed = batch.seal(earlier)
    assert (sealed.batch_id, sealed.scheduled_at) == (PLAN.batch_id(earlier), earlier)
    assert list(Recording.open(tmp_path / "r").batches()) == [sealed]
    second = begin(tmp_path / "r")
    second.add(exchange(0, body=b"[]"))
    with pytest.raises(ConflictError):
        second.seal(earlier)


# --- bad input -------------------------------------------------------------------------------------------------


def test_no_folder_an_empty_folder_and_another_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing").code == "RECORDING_NOT_FOUND"
    assert refused(tmp_path).code == "RECORDING_EMPTY"
    RecordingWriter(tmp_path / "new")
    assert refused(tmp_path / "new").code == "RECORDING_EMPTY"
    assert refused(tmp_path).code == "RECORDING_NOT_FOUND"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("name", ["recording.json", "index.json"])
def test_a_truncated_index_names_its_file(recording: Path, share: float, name: str) -> None:
    (file,) = recording.rglob(name)
    data = file.read_bytes().rstrip()
    file.write_bytes(data[: int(len(data) * share)])
    error = refused(recording)
    assert error.code == "RECORDING_INDEX_BROKEN"
    assert str(file) in error.message


def test_a_missing_index_is_no_batch_less(recording: Path) -> None:
    index_of(recording).unlink()
    assert refused(recording).code == "RECORDING_INDEX_BROKEN"


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.pop("exchanges"),
        lambda index: index.update(scheduled_at="2025-10-09T00:42:49Z"),
        lambda index: index.update(scheduled_at="2025-10-09T00:42:48"),
        lambda index: index.update(batch_id="20251009T004248Z-000000000000"),
        lambda index: index.update(plan={"kind": "other"}),
        lambda index: index.update(format=0),
        lambda index: index["exchanges"].reverse(),
        lambda index: index["exchanges"].append(index["exchanges"][-1]),
        lambda index: index["exchanges"][0].pop("captured_at"),
        lambda index: index["exchanges"][0].update(place="0"),
        lambda index: index["exchanges"][0].update(status=True),
        lambda index: index["exchanges"][0].update(headers=[["date", "x"]]),
        lambda index: index["exchanges"][0].update(headers={"date": 1}),
        lambda index: index["exchanges"][0].update(coverage={}),
        lambda index: index["exchanges"][0].update(captured_at="2025-10-09"),
        lambda index: index["exchanges"][0]["request"]["params"].update(apiKey="secret"),
        lambda index: index["exchanges"][1].update(failure=None),
        lambda index: index["exchanges"].append(5),
    ],
)
def test_a_broken_index_names_its_file(recording: Path, change: Callable[[Any], object]) -> None:
    index = edit(recording, change)
    error = refused(recording)
    assert error.code == "RECORDING_INDEX_BROKEN"
    assert str(index) in error.message


@pytest.mark.parametrize("text", ["[]", "null", "5", '"x"', "NaN", "[" * 100_000, "\ud800"])
def test_json_that_is_no_index(recording: Path, text: str) -> None:
    index_of(recording).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert refused(recording).code == "RECORDING_INDEX_BROKEN"


@pytest.mark.parametrize("name", ["recording.json", "index.json"])
def test_a_newer_format(recording: Path, name: str) -> None:
    (file,) = recording.rglob(name)
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"format": 2, "exchanges": "elsewhere"}))
    assert refused(recording).code == "RECORDING_FORMAT_NEWER"


def test_an_unknown_endpoint_names_the_nearest(recording: Path) -> None:
    edit(recording, lambda index: index["exchanges"][0]["request"].update(endpoint="event_odd"))
    error = refused(recording)
    assert error.code == "RECORDING_UNKNOWN_ENDPOINT"
    assert "'event_odds'" in error.message


def test_a_missing_body(recording: Path) -> None:
    next(recording.rglob("000-1.odds.json")).unlink()
    error = refused(recording)
    assert error.code == "RECORDING_BODY_MISSING"
    assert "000-1.odds.json" in error.message and PLAN.batch_id(AT) in error.message


def test_a_wrong_hash_names_batch_file_and_both_hashes(recording: Path) -> None:
    expected = exchange(0).sha256
    changed = exchange(0, body=b'[{"price": 1.1}]\r\n')
    next(recording.rglob("000-1.odds.json")).write_bytes(changed.body or b"")
    error = refused(recording)
    assert error.code == "RECORDING_HASH_MISMATCH"
    for text in (PLAN.batch_id(AT), "000-1.odds.json", str(expected), str(changed.sha256)):
        assert text in error.message


@pytest.mark.parametrize(
    "name", ["../recording.json", "../../secret", "/etc/passwd", "..", ".", "", ".x", "a/b", "a\\b", "a\0b"]
)
def test_no_body_name_leads_out_of_the_folder(recording: Path, name: str) -> None:
    (recording / "secret").write_text("x")
    edit(recording, lambda index: index["exchanges"][0]["body"].update(file=name))
    assert refused(recording).code == "RECORDING_INDEX_BROKEN"


def test_no_link_leads_out_of_the_folder(recording: Path, tmp_path: Path) -> None:
    body = next(recording.rglob("000-1.odds.json"))
    (tmp_path / "outside").write_bytes(body.read_bytes())
    body.unlink()
    body.symlink_to(tmp_path / "outside")
    assert refused(recording).code == "RECORDING_INDEX_BROKEN"


def test_a_batch_that_is_not_there_names_the_nearest(recording: Path) -> None:
    with pytest.raises(RecordingError, match=f"nearest is '{PLAN.batch_id(AT)}'"):
        Recording.open(recording).read("../20251009T004248Z")
    assert RecordingWriter(recording).sealed("../x") is None
