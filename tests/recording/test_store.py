import datetime as dt
import errno
import json
import random
import shutil
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
from pipeline.recording.store import BatchWriter, Recording, RecordingWriter, content_sha256, reseal

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
    """Changes an index of a recording without seals, so that only what it says can be refused."""
    index = index_of(old(recording))
    document = json.loads(index.read_bytes())
    change(document)
    index.write_text(json.dumps(document))
    return index


def old(recording: Path) -> Path:
    """Makes it one as format 1 was: without seals."""
    shutil.rmtree(recording / "seals", ignore_errors=True)
    for file in (recording / "recording.json", *recording.glob("batches/*/index.json")):
        document = json.loads(file.read_bytes())
        document.pop("seal")
        document.pop("days", None)
        file.write_text(json.dumps(document | {"format": 1}, sort_keys=True, indent=2) + "\n")
    return recording


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
        *(".gitattributes", "recording.json", "seals/20251009.json", f"{batch}/index.json"),
        *(f"{batch}/000-1.odds.json", f"{batch}/001-2.odds.json", f"{batch}/002-1.odds.json"),
    }
    assert files(recording)[f"{batch}/000-1.odds.json"] == b'[{"price": 1.0}]\r\n'
    assert not (recording / "unsealed").exists()
    text = index_of(recording).read_text()
    assert text.endswith("}\n") and list(json.loads(text)) == sorted(json.loads(text))
    assert (json.loads(text)["clock"], json.loads(text)["format"]) == ("system", 2)


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "same")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
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


@pytest.mark.parametrize(("of", "at"), [(store, "_tidy"), (store._Lists, "add")])
def test_what_a_crash_leaves_of_a_sealed_batch_goes_although_nobody_begins_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: Any, at: str
) -> None:
    """Killed right after the batch came to be there: its journal, and the folder of unsealed batches."""
    for name in ("r", "undisturbed"):
        batch = begin(tmp_path / name)
        for one in EXCHANGES:
            batch.add(one)
        with monkeypatch.context() as patch:
            if name == "r":
                patch.setattr(of, at, lambda *_: 1 // 0)
                with pytest.raises(ZeroDivisionError):
                    batch.seal()
            else:
                batch.seal()
    RecordingWriter(tmp_path / "r").heal()
    assert files(tmp_path / "r" / "batches") == files(tmp_path / "undisturbed" / "batches")
    assert not (tmp_path / "r" / "unsealed").exists()
    assert Recording.open(tmp_path / "r").remarks == ()


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


@pytest.mark.parametrize("step", range(80))
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
    write(tmp_path / "undisturbed" / "r")
    assert files(path) == files(tmp_path / "undisturbed" / "r")
    assert Recording.open(path).remarks == ()


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
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"format": 3, "exchanges": "elsewhere"}))
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


# --- seals -------------------------------------------------------------------------------------------------------


def several(path: Path, minutes: tuple[int, ...] = (0, 5, 1440)) -> Path:
    for each in minutes:
        write(path, at=AT + dt.timedelta(minutes=each))
    return path


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    whole = several(tmp_path / "r")
    chance = random.Random(8)
    names = sorted(name for name in files(whole) if name != ".gitattributes")
    sizes = [len(files(whole)[name]) for name in names]
    assert {name.rpartition("/")[2] for name in names} >= {"recording.json", "20251009.json", "index.json", "000-1.odds.json"}
    missed = []
    for _ in range(300):
        # each kind of file as often as the others, and in it each bit
        name = chance.choice([name for name, size in zip(names, sizes, strict=True) if size])
        file = whole / name
        data = file.read_bytes()
        bit = chance.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            list(Recording.open(whole).batches())
        except RecordingError as error:
            assert error.next_step
        else:
            missed.append((name, bit))
        file.write_bytes(data)
    assert missed == []
    assert len(list(Recording.open(whole).batches())) == 3


def test_flipped_bits_of_an_index_are_found(tmp_path: Path) -> None:
    """Also one that leaves the document what it was, such as a letter of an escape sequence."""
    whole = write(tmp_path / "r", (exchange(0, status=404, failure=Failure("HTTP_404", "caf\u00e9")),)) and tmp_path / "r"
    index = index_of(whole)
    data = index.read_bytes()
    escape = data.index(b"\\u00e9") * 8
    for bit in {*range(0, len(data) * 8, 11), *range(escape, escape + 48)}:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        index.write_bytes(flipped)
        with pytest.raises(RecordingError):
            Recording.open(whole).read(PLAN.batch_id(AT))


def test_flipped_bits_of_a_journal_are_found(tmp_path: Path) -> None:
    begin(tmp_path / "r").add(exchange(0))
    (journal,) = (tmp_path / "r").glob("unsealed/*/exchanges.jsonl")
    data = journal.read_bytes()
    for bit in range(0, len(data) * 8 - 8, 11):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        journal.write_bytes(flipped)
        with pytest.raises(RecordingError):
            begin(tmp_path / "r")


def test_a_journal_of_an_older_version_is_gone_on_with(tmp_path: Path) -> None:
    begin(tmp_path / "r").add(exchange(0))
    (journal,) = (tmp_path / "r").glob("unsealed/*/exchanges.jsonl")
    journal.write_bytes(journal.read_bytes().partition(b" ")[2])
    assert begin(tmp_path / "r").exchanges == (exchange(0),)


def test_an_index_of_another_time_is_found(tmp_path: Path) -> None:
    """It is whole by its own seal, and not what is listed."""
    whole = write(tmp_path / "a" / "r") and tmp_path / "a" / "r"
    write(tmp_path / "b" / "r", EXCHANGES[:2])
    shutil.copy(index_of(tmp_path / "b" / "r"), index_of(whole))
    error = refused(whole)
    assert (error.code, str(index_of(whole)) in error.message) == ("RECORDING_SEAL_BROKEN", True)


def test_a_listed_batch_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    whole = several(tmp_path / "r")
    gone = PLAN.batch_id(AT + dt.timedelta(minutes=5))
    shutil.rmtree(whole / "batches" / gone)
    error = refused(whole)
    assert (error.code, gone in error.message) == ("RECORDING_BATCH_MISSING", True)
    assert reseal(whole).gone == (gone,)
    assert len(list(Recording.open(whole).batches())) == 2


@pytest.mark.parametrize("name", ["20251009.json", "20251010.json"])
def test_a_list_that_is_gone_is_an_error(tmp_path: Path, name: str) -> None:
    whole = several(tmp_path / "r")
    (whole / "seals" / name).unlink()
    assert name in refused(whole).message


def unlisted(path: Path) -> Path:
    """A recording whose writer was killed between the rename of a batch's folder and the renewal of its list."""
    several(path, (0,))
    lists = files(path / "seals")
    head = (path / "recording.json").read_bytes()
    several(path, (5, 1440))
    shutil.rmtree(path / "seals")
    (path / "seals").mkdir()
    for name, data in lists.items():
        (path / "seals" / name).write_bytes(data)
    (path / "recording.json").write_bytes(head)
    return path


def test_a_batch_that_no_list_has_is_read_and_told(tmp_path: Path) -> None:
    opened = Recording.open(unlisted(tmp_path / "r"))
    assert len(list(opened.batches())) == 3
    (remark,) = opened.remarks
    assert "2 of its batches" in remark and PLAN.batch_id(AT + dt.timedelta(minutes=5)) in remark


@pytest.mark.parametrize("by", ["another batch", "the same batch", "reseal"])
def test_what_no_list_has_is_listed_by_the_next_write(tmp_path: Path, by: str) -> None:
    path = unlisted(tmp_path / "r")
    if by == "reseal":
        assert len(reseal(path).listed) == 2
    else:
        several(path, (2880,) if by == "another batch" else (5,))
    assert Recording.open(path).remarks == ()
    several(tmp_path / "undisturbed" / "r", (0, 5, 1440, 2880) if by == "another batch" else (0, 5, 1440))
    assert files(path) == files(tmp_path / "undisturbed" / "r")


def test_a_broken_batch_that_no_list_has_is_not_listed(tmp_path: Path) -> None:
    path = unlisted(tmp_path / "r")
    broken = path / "batches" / PLAN.batch_id(AT + dt.timedelta(minutes=5)) / "index.json"
    broken.write_bytes(broken.read_bytes().replace(b'"live"', b'"import"'))
    several(path, (2880,))
    assert refused(path).code == "RECORDING_SEAL_BROKEN"
    assert len(Recording.open(path).remarks) == 1


def test_two_recordings_merged_by_hand(tmp_path: Path) -> None:
    """Whichever head and lists stay: all batches are read, and the next write lists them."""
    several(tmp_path / "a", (0, 1440))
    several(tmp_path / "b", (5, 2880))
    for first, second in (("a", "b"), ("b", "a")):
        merged = tmp_path / f"{first}{second}"
        shutil.copytree(tmp_path / first, merged)
        shutil.copytree(tmp_path / second, merged, dirs_exist_ok=True)
        opened = Recording.open(merged)
        assert len(list(opened.batches())) == 4 and len(opened.remarks) == 1
        several(merged, (10,))
        assert Recording.open(merged).remarks == ()


def test_a_recording_without_seals_is_read_and_told_and_sealed(tmp_path: Path) -> None:
    several(tmp_path / "sealed" / "r")
    path = old(several(tmp_path / "r"))
    batches = list(Recording.open(path).batches())
    (remark,) = Recording.open(path).remarks
    assert "not sealed" in remark and f"sports-market recording reseal {path}" in remark
    several(path, (10,))  # a batch of a new version is sealed by itself
    assert len(list(Recording.open(path).batches())) == 4 and len(Recording.open(path).remarks) == 1
    shutil.rmtree(path / "batches" / PLAN.batch_id(AT + dt.timedelta(minutes=10)))
    assert len(reseal(path).sealed) == 3
    assert files(path) == files(tmp_path / "sealed" / "r")
    assert (list(Recording.open(path).batches()), Recording.open(path).remarks) == (batches, ())
    before = {file: file.read_bytes() for file in path.rglob("*.json")}
    assert reseal(path).lines()[1:] == [] and {file: file.read_bytes() for file in path.rglob("*.json")} == before


def test_an_index_without_a_seal_among_sealed_ones_is_refused(tmp_path: Path) -> None:
    path, other = several(tmp_path / "r", (0,)), old(several(tmp_path / "other", (5,)))
    shutil.copytree(other / "batches", path / "batches", dirs_exist_ok=True)
    assert refused(path).code == "RECORDING_NOT_SEALED"
    assert len(reseal(path).sealed) == 1 and len(list(Recording.open(path).batches())) == 2


def test_a_change_on_purpose_is_sealed_and_damage_to_a_body_is_not(tmp_path: Path) -> None:
    path = several(tmp_path / "r", (0,))
    index = index_of(path)
    index.write_bytes(index.read_bytes().replace(b'"live"', b'"import"'))
    assert refused(path).code == "RECORDING_SEAL_BROKEN"
    assert reseal(path).changed == (PLAN.batch_id(AT),)
    assert [batch.source for batch in Recording.open(path).batches()] == ["import"]
    before = files(path)
    next(path.rglob("000-1.odds.json")).write_bytes(b"[]")
    with pytest.raises(RecordingError, match="RECORDING_HASH_MISMATCH"):
        reseal(path)
    assert {name: data for name, data in files(path).items() if "000-1" not in name}.items() <= before.items()


def test_a_check_finds_a_broken_batch_before_any_is_read(tmp_path: Path) -> None:
    path = several(tmp_path / "r")
    Recording.open(path).check()
    last = path / "batches" / PLAN.batch_id(AT + dt.timedelta(minutes=1440))
    (last / "000-1.odds.json").unlink()
    with pytest.raises(RecordingError, match="RECORDING_BODY_MISSING"):
        Recording.open(path).check()
    Recording.open(path).check(Recording.open(path).batch_ids[:2])


def test_the_cost_of_a_batch_does_not_grow_with_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    real = store._write_atomically

    def count(file: Path, data: bytes, durable: bool) -> None:
        if file.name != "index.json":
            written.append(len(data))
        real(file, data, durable)

    monkeypatch.setattr(store, "_write_atomically", count)
    writer = RecordingWriter(tmp_path / "r", durable=False)
    costs = []
    for day in range(60):
        written.clear()
        at = AT + dt.timedelta(days=day)
        batch = writer.begin(PLAN.batch_id(at), at, PLAN, "live")
        batch.add(exchange(0))
        batch.seal()
        costs.append(sum(written))
    # the list of its day, and a line for the day in the head
    assert costs[-1] - costs[0] < 60 * 20


# --- what an index may say ---------------------------------------------------------------------------------------

NUL, HALF = "a\0b", "\ud800"


def at(*keys: Any) -> Callable[[Any], Callable[[Any], None]]:
    """``at("a", 0)(5)`` sets that place of an index to 5."""

    def to(value: Any) -> Callable[[Any], None]:
        def change(index: Any) -> None:
            place = index
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = value

        return change

    return to


FIRST = ("exchanges", 0)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("exchanges", at("exchanges")([])),
        ("exchanges", at("exchanges")({})),
        ("source", at("source")("guess")),
        ("source", at("source")(NUL)),
        ("tool", at("tool")([])),
        ("exchanges[0].place", at(*FIRST, "place")(-1)),
        ("exchanges[0].place", at(*FIRST, "place")(2**31)),
        ("exchanges[0].place", at(*FIRST, "place")(0.0)),
        ("exchanges[0].attempt", at(*FIRST, "attempt")(0)),
        ("exchanges[0].attempt", at(*FIRST, "attempt")(2**40)),
        ("exchanges[0].status", at(*FIRST, "status")(0)),
        ("exchanges[0].status", at(*FIRST, "status")(2**31)),
        ("exchanges[0].body", at(*FIRST, "body")(None)),
        ("exchanges[0].body.bytes", at(*FIRST, "body", "bytes")(-1)),
        ("exchanges[0].body.sha256", at(*FIRST, "body", "sha256")("0" * 63)),
        ("exchanges[0].failure", at(*FIRST, "failure")({"code": "TIMEOUT", "message": ""})),
        ("exchanges[3].failure", at("exchanges", 3, "failure")(None)),
        ("exchanges[3].failure.code", at("exchanges", 3, "failure", "code")("a b")),
        ("exchanges[3].failure.message", at("exchanges", 3, "failure", "message")(NUL)),
        ("exchanges[3].failure.message", at("exchanges", 3, "failure", "message")(HALF)),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")("0001-01-01T00:00:00Z")),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")("0001-01-01T00:00:00+14:00")),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")("1989-12-31T23:59:59Z")),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")("2101-01-01T00:00:00Z")),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")("9999-12-31T23:59:59-14:00")),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")("2025-10-09T00:00:60Z")),
        ("exchanges[0].captured_at", at(*FIRST, "captured_at")(1759970568)),
        ("exchanges[0].headers.date", at(*FIRST, "headers", "date")(NUL)),
        ("exchanges[0].headers.date", at(*FIRST, "headers", "date")(HALF)),
        ("exchanges[0].headers.date", at(*FIRST, "headers", "date")(1)),
        ("exchanges[0].headers.Date", at(*FIRST, "headers", "Date")("x")),
        ("exchanges[0].headers.date", at(*FIRST, "headers", "date")("x" * 1_000_000)),
        ("exchanges[0].coverage.sport", at(*FIRST, "coverage", "sport")(5)),
        ("exchanges[0].coverage.sport", at(*FIRST, "coverage", "sport")("x" * 201)),
        ("exchanges[0].coverage.markets[1]", at(*FIRST, "coverage", "markets")(["h2h", NUL])),
        ("exchanges[0].coverage.markets[1]", at(*FIRST, "coverage", "markets")(["h2h", "h2h"])),
        ("exchanges[0].coverage.books[0]", at(*FIRST, "coverage", "books")([None])),
        ("exchanges[0].coverage.books[0]", at(*FIRST, "coverage", "books")([""])),
        ("exchanges[0].coverage.events", at(*FIRST, "coverage", "events")("all")),
        ("exchanges[0].coverage.events[2]", at(*FIRST, "coverage", "events")(["a", "b", "a"])),
        ("exchanges[0].coverage.events[0]", at(*FIRST, "coverage", "events")(["x" * 100_000])),
        ("exchanges[0].coverage.commence_from", at(*FIRST, "coverage", "commence_from")("0001-01-01T00:00:00Z")),
        (
            "exchanges[0].coverage.commence_to",
            lambda index: index["exchanges"][0]["coverage"].update(
                commence_from="2025-10-09T00:00:00Z", commence_to="2025-10-08T00:00:00Z"
            ),
        ),
        ("exchanges[0].request.params.zz", at(*FIRST, "request", "params", "zz")(NUL)),
        ("exchanges[0].request.params.zz", at(*FIRST, "request", "params", "zz")(HALF)),
        ("exchanges[0].request.params.zz", at(*FIRST, "request", "params", "zz")(None)),
        ("exchanges[0].request.params", at(*FIRST, "request", "params")({"x" * 300: ""})),
        ("exchanges[0].request.params.oddsFormat", at(*FIRST, "request", "params", "oddsFormat")("fractional")),
        ("exchanges[0].request.params.dateFormat", at(*FIRST, "request", "params", "dateFormat")("")),
        ("exchanges[0].request", at(*FIRST, "request", "event_id")("no place for one")),
        ("exchanges[0].request", at(*FIRST, "request", "sport")("..")),
        ("exchanges[0].request.sport", at(*FIRST, "request", "sport")(["icehockey_nhl"])),
        ("plan.q", at("plan", "q")(NUL)),
        ("plan.q[0].r", at("plan", "q")([{"r": HALF}])),
        ("plan.a\\x00", at("plan", "a\0")(1)),
        ("plan", at("plan")([])),
    ],
)
def test_a_field_that_cannot_be_meant_is_named(recording: Path, field: str, change: Callable[[Any], None]) -> None:
    def consistent(index: Any) -> None:
        """As a writer by hand makes it: the id follows from the plan."""
        change(index)
        if isinstance(index["plan"], dict):
            index["batch_id"] = PlanIdentity(index["plan"]).batch_id(AT)

    folder = edit(recording, consistent).parent
    batch_id = json.loads((folder / "index.json").read_bytes())["batch_id"]
    folder.rename(folder.with_name(batch_id))
    error = refused(recording)
    assert error.code == "RECORDING_INDEX_BROKEN"
    assert str(folder.with_name(batch_id) / "index.json") in error.message
    assert f" {field}: " in error.message
    assert error.message.isprintable() and len(error.message) < 1_000


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": NUL}),
        ("name", {"name": 5}),
        ("name", {"name": ""}),
        ("name", {"name": "x" * 1_000}),
        ("created_from", {"created_from": HALF}),
        ("format", {"format": "2"}),
        ("format", {"format": True}),
        ("tool", {"tool": "x"}),
        ("days", {"format": 2}),
        ("days", {"format": 2, "days": ["20251010", "20251009"]}),
        ("days[0]", {"format": 2, "days": ["../../x"]}),
    ],
)
def test_a_head_that_cannot_be_meant_names_the_field(recording: Path, field: str, change: dict[str, Any]) -> None:
    head = old(recording) / "recording.json"
    head.write_text(json.dumps(json.loads(head.read_bytes()) | change))
    error = refused(recording)
    assert error.code == "RECORDING_INDEX_BROKEN" and f"{head} cannot be read: {field}: " in error.message


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "format": 1}',
        '{"format": 1e999}',
        '{"format": 1' + "0" * 5_000 + "}",
        '{"a": ' + "[" * 40 + "]" * 40 + "}",
        '\ufeff{"format": 1}',
    ],
)
def test_json_that_says_more_than_one_thing_or_too_much(recording: Path, text: str) -> None:
    index_of(old(recording)).write_text(text)
    assert refused(recording).code == "RECORDING_INDEX_BROKEN"


@pytest.mark.parametrize(
    "changes",
    [
        {"captured_at": dt.datetime(1970, 1, 1, tzinfo=dt.UTC)},
        {"headers": (("date", NUL),)},
        {"coverage": Coverage("icehockey_nhl", None, ("h2h", "h2h"))},
        {"place": -1},
        {"status": 404},
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    batch = begin(tmp_path / "r")
    with pytest.raises(RecordingError, match="EXCHANGE_INVALID"):
        batch.add(exchange(**changes))
    batch.add(exchange(0))
    assert batch.seal().exchanges == (exchange(0),)
