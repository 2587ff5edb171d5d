"""``replay``: prove a recording."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pipeline.cli.arguments import Commands, at_least, command, database_option, digests_option, engine_option, json_option
from pipeline.cli.opening import context_of, database_of_its_own, engine_of, recording_at, scratch_folder, server_of
from pipeline.cli.screen import Screen

BUNDLED: Final = "fixtures/recordings/simulated"


def add_replay(commands: Commands) -> None:
    """``replay``, and what it accepts."""
    one = command(commands, "replay", _run, "replay a recording in a database of its own, and prove every batch")
    one.add_argument("recording", metavar="RECORDING", type=Path, nargs="?", help="its folder (default: the bundled one)")
    json_option(one)
    digests_option(one)
    one.add_argument("--batches", metavar="N", type=at_least(1), help="only the first N batches")
    database_option(one, "the server on which the replay makes its own database")
    one.add_argument("--keep", action="store_true", help="keep that database, and say where it is")
    one.add_argument("--order", choices=("recorded", "reversed", "shuffled"), default="recorded", help="order of the batches")
    one.add_argument("--seed", metavar="S", type=int, default=0, help="of the shuffle (default: 0)")
    one.add_argument("--step", metavar="N", type=at_least(0), default=1, help="batches per run; 0 = all at once")
    engine_option(one)
    one.add_argument("--require-snapshots", action="store_true", help="a state without a snapshot is a difference")
    one.add_argument("--update", action="store_true", help="write the snapshots, and show what changes")


def _run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.replay.options import ReplayOptions
    from pipeline.resources import resource

    wanted = ReplayOptions(
        batches=options.batches,
        order=options.order,
        seed=options.seed,
        step=options.step,
        require_snapshots=options.require_snapshots,
        update=options.update,
    )
    wanted.check()
    recording = options.recording or resource(BUNDLED)
    found = recording_at(recording, options, screen)
    screen.note(f"Recording: {recording} ({len(found)} batches)")
    from pipeline.replay.run import replay

    with (
        server_of(options, screen) as server,
        database_of_its_own(server, engine := engine_of(options, screen), options.keep, screen) as warehouse,
        scratch_folder(options) as scratch,
    ):
        screen.progress("batch")(0, min(len(found), options.batches or len(found)))
        summary = replay(found, context_of(warehouse, engine, screen), wanted, scratch)
    return screen.end(summary)
