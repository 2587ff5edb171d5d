"""``attest``: write down what a recording gives, for another machine to find the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.arguments import Commands, command, database_option, digests_option, json_option
from pipeline.cli.opening import context_of, database_of_its_own, engine_of, recording_at, scratch_folder, server_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError
from pipeline.report.out import check_out


def add_attest(commands: Commands) -> None:
    """``attest``, and what it accepts."""
    one = command(commands, "attest", _run, "write down what a recording gives, or see whether it gives that here too")
    one.description = (
        "Replay a recording in a database of its own, and write down its hash, the program's, where that was, and the digest of"
        " each table; signed, where a key is given. With --check: replay it, and compare with such a file. Exit code 1: it is"
        " not the same."
    )
    one.add_argument("recording", metavar="RECORDING", type=Path, help="its folder")
    work = one.add_mutually_exclusive_group(required=True)
    work.add_argument("--out", metavar="FILE", type=Path, help="the file to write")
    work.add_argument("--check", metavar="FILE", type=Path, help="the file to compare with")
    one.add_argument("--key", metavar="FILE", type=Path, help="with --out: a private key of OpenSSH; writes FILE.sig too")
    one.add_argument(
        "--signers", metavar="FILE", type=Path, help="with --check: OpenSSH's allowed_signers, one of whom must have signed"
    )
    database_option(one, "the server on which the replay makes its own database")
    json_option(one)
    digests_option(one)


def _run(options: argparse.Namespace, screen: Screen) -> int:
    _check(options)
    from pipeline.replay.attestation import Attested, Checked, attest, read_attestation, signer_of, write_attestation
    from pipeline.transform.program import Program

    there, signer = None, None
    if options.check is not None:
        there, signer = read_attestation(options.check), signer_of(options.check, options.signers)
    found = recording_at(options.recording, options, screen)
    screen.note(f"Recording: {options.recording} ({len(found)} batches)")
    with (
        server_of(options, screen) as server,
        database_of_its_own(server, engine := engine_of(options, screen), False, screen) as warehouse,
        scratch_folder(options) as scratch,
    ):
        assert isinstance(engine, Program)
        screen.progress("batch")(0, len(found))
        (scratch / "replay").mkdir()
        here = attest(found, context_of(warehouse, engine, screen), engine.key, scratch / "replay")
        screen.end_progress()
    if there is not None:
        return screen.end(Checked(there, here, signer))
    write_attestation(here, options.out, options.key)
    return screen.end(Attested(here, options.out, options.key is not None))


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant."""
    if options.key is not None and options.out is None:
        raise UsageError("ATTEST_OPTIONS", "--key signs what --out writes.", "Use --out, or leave --key out.")
    if options.signers is not None and options.check is None:
        raise UsageError(
            "ATTEST_OPTIONS", "--signers says whose signature --check accepts.", "Use --check, or leave --signers out."
        )
    for file in (options.key, options.signers):
        if file is not None and not file.is_file():
            raise UsageError("ATTEST_OPTIONS", f"{file} does not exist.", "Name a file.")
    if options.out is not None:
        check_out(options.out, "ATTEST_OUT")
