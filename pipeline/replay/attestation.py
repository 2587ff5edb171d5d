"""What a replay gave, written down so that another machine can find the same: a recording, a program, a place, and digests.

It is one sealed file of JSON. The seal finds a byte that changed by accident; who it is from, the user's own key says, by the
signatures that OpenSSH makes of files (``ssh-keygen -Y``).
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pipeline import __version__
from pipeline.errors import CheckFailed, RecordingError, SetupError
from pipeline.recording.seals import seal_of, sealed
from pipeline.recording.store import Recording
from pipeline.replay.options import ReplayOptions
from pipeline.replay.run import replay
from pipeline.runs.context import RunContext
from pipeline.runs.load import WINDOW
from pipeline.warehouse.connect import Connection, Role
from pipeline.warehouse.digest import overall_digests
from pipeline.whole_files import written_whole

FORMAT: Final = 1
# What a signature is for, so that one for something else is none.
NAMESPACE: Final = "sports-market-attestation"

_PLACE: Final = """
    select current_setting('server_version'), datcollate, pg_encoding_to_char(encoding), current_setting('TimeZone')
    from pg_database where datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it was computed; none of it bears on the digests.

    Attributes:
        postgres: the server's version.
        collation: of the database.
        encoding: of the database.
        time_zone: of the sessions.
        python: its version.
        machine: the processor's architecture.
    """

    postgres: str
    collation: str
    encoding: str
    time_zone: str
    python: str
    machine: str

    @classmethod
    def of(cls, connection: Connection) -> Place:
        """That of a connection and of this process."""
        row = connection.execute(_PLACE).fetchone()
        assert row is not None
        postgres, collation, encoding, time_zone = row
        return cls(postgres, collation, encoding, time_zone, platform.python_version(), platform.machine())


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a replay gave.

    Attributes:
        batches: batch id → the sha256 of its content, all that were replayed.
        program: hash of models, macros, seeds, parameters, and of what rendered them.
        release: the version of sports-market.
        digests: of each table and view of gold, after the last batch.
        place: where it was.
    """

    batches: Mapping[str, str]
    program: str
    release: str
    digests: Mapping[str, str]
    place: Place

    @property
    def recording(self) -> str:
        """One hash of all batches."""
        lines = "".join(f"{batch_id} {content}\n" for batch_id, content in sorted(self.batches.items()))
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "format": FORMAT,
            "recording": {"sha256": self.recording, "batches": dict(self.batches)},
            "program": {"key": self.program, "release": self.release},
            "place": asdict(self.place),
            "digests": dict(self.digests),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Attestation:
        """The inverse; raises ``KeyError`` or ``TypeError`` for what is none."""
        return cls(
            batches=document["recording"]["batches"],
            program=document["program"]["key"],
            release=document["program"]["release"],
            digests=document["digests"],
            place=Place(**document["place"]),
        )


def attest(recording: Recording, context: RunContext, program: str, scratch: Path) -> Attestation:
    """Replay a recording, and tell what it gave.

    Args:
        recording: all of it is replayed.
        context: what it works with; the warehouse has no batches.
        program: the key of the context's engine.
        scratch: an empty folder.

    Raises:
        CheckFailed: ``ATTEST_NOT_SOUND``: a batch was withheld, a check failed, or a state differs from its snapshot.
    """
    summary = replay(recording, context, ReplayOptions(step=WINDOW), scratch)
    if summary.exit_code:
        told = "; ".join(line.strip() for line in summary.lines()[:4])
        raise CheckFailed("ATTEST_NOT_SOUND", f"{recording.path}: {told}.", "See `sports-market replay` of it.")
    with context.warehouse.connect(Role.READER) as reader:
        place = Place.of(reader)
    with context.warehouse.connect(Role.INGESTER) as ingester:
        batches: dict[str, str] = dict(
            ingester.execute("select batch_id, content_sha256 from bronze.batches order by batch_id").fetchall()
        )
    return Attestation(batches, program, __version__, summary.digests, place)


def write_attestation(attestation: Attestation, out: Path, key: Path | None) -> None:
    """Write the file, and beside it ``.sig``, its signature, where there is a key to sign with.

    Raises:
        SetupError: ``ATTEST_KEY``: ssh-keygen is not there, or does not take the key.
    """
    with written_whole(out) as file:
        file.write_bytes(sealed(attestation.to_json())[0])
    signature_of(out).unlink(missing_ok=True)
    if key is not None:
        done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, str(out))
        if done.returncode:
            raise SetupError("ATTEST_KEY", f"{key} does not sign: {_last_words(done)}.", "Name a private key of OpenSSH.")


def read_attestation(file: Path) -> Attestation:
    """The inverse.

    Raises:
        RecordingError: ``ATTESTATION_NOT_FOUND``, ``ATTESTATION_BROKEN``, ``ATTESTATION_NEWER``.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RecordingError(
            "ATTESTATION_NOT_FOUND", f"{file}: {error.strerror}.", "Name the file that `attest` wrote."
        ) from None
    try:
        if seal_of(data) is None:
            raise ValueError("its seal is not its own")
        document = json.loads(data)
        if (version := int(document["format"])) > FORMAT:
            raise RecordingError("ATTESTATION_NEWER", f"{file} is of format {version}.", "Upgrade sports-market.")
        return Attestation.from_json(document)
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError("ATTESTATION_BROKEN", f"{file}: {error}.", "Ask for it again from who made it.") from None


def signature_of(file: Path) -> Path:
    """Where the signature of an attestation is."""
    return file.with_name(f"{file.name}.sig")


def signer_of(file: Path, signers: Path | None) -> str | None:
    """Who signed an attestation; None where nobody did.

    Args:
        file: the attestation.
        signers: OpenSSH's ``allowed_signers``: whose key is whose. Without it a signature is that of a key, not of a person.

    Raises:
        CheckFailed: ``ATTEST_SIGNATURE``: it is not of this file, or of none of the signers; or there is none, and is to be.
    """
    signature, step = signature_of(file), "Do not rely on it, or name the file of keys that you rely on with --signers."
    if not signature.is_file():
        if signers is not None:
            raise CheckFailed("ATTEST_SIGNATURE", f"{signature} is not there.", step)
        return None
    named, data = ("-n", NAMESPACE, "-s", str(signature)), file.read_bytes()
    if signers is None:
        done = _ssh_keygen("check-novalidate", *named, stdin=data)
        found = done.stdout.rpartition(" ")[2].strip()
    else:
        done = _ssh_keygen("find-principals", "-s", str(signature), "-f", str(signers))
        found = done.stdout.partition("\n")[0]
        if not done.returncode:
            done = _ssh_keygen("verify", "-f", str(signers), "-I", found, *named, stdin=data)
    if done.returncode:
        raise CheckFailed("ATTEST_SIGNATURE", f"{signature} is not good: {_last_words(done)}.", step)
    return found


def _ssh_keygen(work: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SetupError("ATTEST_NO_SSH", "Signatures are made by ssh-keygen, which is not here.", "Install OpenSSH's client.")
    text = stdin.decode(errors="surrogateescape")
    return subprocess.run(
        [program, "-Y", work, *words], input=text, capture_output=True, check=False, encoding="utf-8", errors="surrogateescape"
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    told = (done.stderr or done.stdout).strip().splitlines()
    return told[-1] if told else f"it ended with {done.returncode}"


@dataclass(frozen=True, slots=True)
class Attested:
    """What ``attest`` wrote.

    Attributes:
        attestation: it.
        out: where.
        is_signed: whether beside it is a signature.
    """

    attestation: Attestation
    out: Path
    is_signed: bool

    exit_code = 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {**self.attestation.to_json(), "file": str(self.out), "signed": self.is_signed}

    def lines(self) -> list[str]:
        """For people."""
        signed = f", signed in {signature_of(self.out).name}" if self.is_signed else ""
        return [
            f"{self.out}: {len(self.attestation.batches):,} batches, program {self.attestation.program},"
            f" {len(self.attestation.digests):,} digests{signed}",
        ]

    def every_digest(self) -> dict[str, str]:
        """The digest of each table and view."""
        return dict(self.attestation.digests)


@dataclass(frozen=True, slots=True)
class Checked:
    """How an attestation compares with what is found here.

    Attributes:
        there: the attestation.
        here: what the same recording gave here.
        signer: who signed it, or None.
    """

    there: Attestation
    here: Attestation
    signer: str | None

    @property
    def other_batches(self) -> tuple[str, ...]:
        """Batches that are not the same in both, in order."""
        there, here = self.there.batches, self.here.batches
        return tuple(sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name)))

    @property
    def other_tables(self) -> tuple[str, ...]:
        """Relations whose digests differ, in order."""
        there, here = self.there.digests, self.here.digests
        return tuple(sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name)))

    @property
    def exit_code(self) -> int:
        """0 where the recording is the same and gave the same; else 1."""
        return 1 if self.other_batches or self.other_tables else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "verified": not self.exit_code,
            "signer": self.signer,
            "same_program": self.there.program == self.here.program,
            "other_batches": list(self.other_batches),
            "other_tables": list(self.other_tables),
            "there": {"program": self.there.program, "release": self.there.release, **asdict(self.there.place)},
            "here": {"program": self.here.program, "release": self.here.release, **asdict(self.here.place)},
        }

    def lines(self) -> list[str]:
        """For people."""
        of_all = ", ".join(f"{count} {kind}" for kind, (count, _) in overall_digests(self.there.digests).items())
        told = [
            "NOT verified: here is something else"
            if self.exit_code
            else f"verified: the same {len(self.here.batches):,} batches give the same digests of {of_all}",
            f"signed by: {self.signer or 'nobody'}",
        ]
        if self.there.program != self.here.program:
            told.append(f"the program is another one: {self.there.program} there, {self.here.program} here")
        for name, there in asdict(self.there.place).items():
            if (here := getattr(self.here.place, name)) != there:
                told.append(f"{name}: {there} there, {here} here")
        for kind, names in (("batch", self.other_batches), ("table", self.other_tables)):
            told += [f"  other {kind}: {name}" for name in names[:10]]
            if len(names) > 10:
                told.append(f"  and {len(names) - 10:,} more")
        return told
