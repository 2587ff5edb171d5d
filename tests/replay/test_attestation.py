"""``sports-market attest``: what it writes another machine can check, and finds any difference."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.recording.seals import sealed
from pipeline.recording.store import Recording
from pipeline.replay.snapshots import FOLDER
from pipeline.resources import resource
from tests.recordings import BUNDLED, bundled_part

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not here")


pytestmark = pytest.mark.usefixtures("command_place")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return bundled_part(tmp_path / "two", 2, with_snapshots=False)


@pytest.fixture
def proof(recording: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert cli.main(["attest", str(recording), "--out", "proof.json"]) == 0
    capsys.readouterr()
    return Path("proof.json")


def key(name: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name], check=True)
    return Path(name)


def signers(**keys: Path) -> Path:
    lines = [f"{name}@example.org {key.with_suffix('.pub').read_text()}" for name, key in keys.items()]
    Path("signers").write_text("".join(lines))
    return Path("signers")


def checked(recording: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any], str]:
    code = cli.main(["attest", str(recording), "--check", "proof.json", "--json", *more])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_the_same_recording_is_verified(recording: Path, proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(proof.read_text())
    assert list(document["recording"]["batches"]) == list(Recording.open(recording).batch_ids)
    assert document["digests"]["gold.price_history"].startswith("sum128:")
    assert document["place"]["time_zone"] == "UTC"
    code, found, err = checked(recording, capsys)
    assert (code, found["verified"], found["other_tables"], found["signer"]) == (0, True, [], None)
    assert "verified: the same 2 batches give the same digests of" in err
    assert "signed by: nobody" in err


def test_another_digest_is_named(recording: Path, proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(proof.read_text())
    del document["seal"]
    document["digests"]["gold.margins"] = f"sum128:1:{'0' * 32}"
    document["program"]["key"] = "another"
    document["place"]["machine"] = "aarch64"
    proof.write_bytes(sealed(document)[0])
    code, found, err = checked(recording, capsys)
    assert (code, found["verified"], found["other_tables"], found["other_batches"]) == (1, False, ["gold.margins"], [])
    assert not found["same_program"]
    assert "  other table: gold.margins" in err
    assert "the program is another one: another there" in err
    assert "machine: aarch64 there" in err


def test_another_batch_is_named(proof: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = bundled_part(tmp_path / "other", 2, first=1, with_snapshots=False)
    code, found, _ = checked(other, capsys)
    first, _, third = Recording.open(resource(BUNDLED)).batch_ids[:3]
    assert (code, found["other_batches"]) == (1, [first, third])


def test_a_byte_that_changed_is_found(recording: Path, proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof.write_bytes(proof.read_bytes().replace(b'"UTF8"', b'"UTF7"'))
    code, _, err = checked(recording, capsys)
    assert code == 3
    assert "ATTESTATION_BROKEN" in err


def test_a_newer_one_and_none_are_told(recording: Path, proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(proof.read_text())
    del document["seal"]
    proof.write_bytes(sealed({**document, "format": 99})[0])
    assert "ATTESTATION_NEWER" in checked(recording, capsys)[2]
    proof.unlink()
    assert "ATTESTATION_NOT_FOUND" in checked(recording, capsys)[2]


def test_what_is_not_sound_is_not_attested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state that differs from its snapshot."""
    recording = bundled_part(tmp_path / "one", 1)
    [snapshot] = (recording / FOLDER).iterdir()
    document = json.loads(snapshot.read_text())
    document["digests"]["gold.events"] = f"sum128:1:{'0' * 32}"
    snapshot.write_text(json.dumps(document))
    assert cli.main(["attest", str(recording), "--out", "proof.json"]) == 1
    assert "ATTEST_NOT_SOUND" in capsys.readouterr().err
    assert not Path("proof.json").exists()


@needs_ssh
def test_a_signature_says_whose_it_is(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = key("ours"), key("theirs")
    assert cli.main(["attest", str(recording), "--out", "proof.json", "--key", str(ours)]) == 0
    assert "signed in proof.json.sig" in capsys.readouterr().out

    code, found, _ = checked(recording, capsys)
    assert (code, found["signer"].startswith("SHA256:")) == (0, True)
    code, found, _ = checked(recording, capsys, "--signers", str(signers(theirs=theirs, ours=ours)))
    assert (code, found["signer"]) == (0, "ours@example.org")

    code, _, err = checked(recording, capsys, "--signers", str(signers(theirs=theirs)))
    assert (code, "ATTEST_SIGNATURE" in err) == (1, True)
    document = json.loads(Path("proof.json").read_text())
    del document["seal"]
    Path("proof.json").write_bytes(sealed({**document, "release": "0"})[0])
    code, _, err = checked(recording, capsys, "--signers", str(signers(ours=ours)))
    assert (code, "ATTEST_SIGNATURE" in err) == (1, True)
    Path("proof.json.sig").unlink()
    code, _, err = checked(recording, capsys, "--signers", str(signers(ours=ours)))
    assert (code, "ATTEST_SIGNATURE" in err) == (1, True)


@needs_ssh
def test_what_is_no_key_is_refused(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("no_key").write_text("nothing")
    Path("no_key").chmod(0o600)
    assert cli.main(["attest", str(recording), "--out", "proof.json", "--key", "no_key"]) == 3
    assert "ATTEST_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--check", "x", "--key", "y"], "ATTEST_OPTIONS"),
        (["--out", "x", "--signers", "y"], "ATTEST_OPTIONS"),
        (["--out", "x", "--key", "y"], "ATTEST_OPTIONS"),
        (["--out", "."], "ATTEST_OUT"),
        (["--out", "nowhere/x"], "ATTEST_OUT"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["attest", "nowhere", *words]) == 2
    assert code in capsys.readouterr().err
