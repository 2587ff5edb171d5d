"""``replay``: prove a recording, and tell what a change of the code changes in gold."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.cli.arguments import Commands, at_least, command, database_option, digests_option, engine_option, json_option
from pipeline.cli.comparing import diffed, out_option, write_page
from pipeline.cli.opening import context_of, database_of_its_own, engine_of, recording_at, scratch_folder, server_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError
from pipeline.export.extra import PACKAGES, require
from pipeline.replay.diff_page import check_diff_out

if TYPE_CHECKING:
    from pipeline.recording.store import Recording
    from pipeline.replay.against import Revision
    from pipeline.replay.diff_found import Diff
    from pipeline.warehouse.connect import Warehouse
    from pipeline.warehouse.database import Server

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
    one.add_argument(
        "--diff", action="store_true", help="tell what differs from the snapshots over all states, by row and cell"
    )
    one.add_argument(
        "--against",
        metavar="GIT_REV",
        help="let another revision take the recording too, and tell what differs in gold; with --diff, over all states",
    )
    out_option(one)


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
        diff=options.diff,
    )
    wanted.check()
    other = _other(options)
    recording = options.recording or resource(BUNDLED)
    found = recording_at(recording, options, screen)
    screen.note(f"Recording: {recording} ({len(found)} batches)")
    from pipeline.replay.run import replay

    with (
        server_of(options, screen) as server,
        database_of_its_own(server, engine := engine_of(options, screen), options.keep, screen) as warehouse,
        scratch_folder(options) as scratch,
    ):
        beside = None if other is None else _Beside(other, recording, options, server, warehouse, scratch, screen)
        if beside is not None and wanted.diff:
            found = beside.with_its_snapshots()
        screen.progress("batch")(0, min(len(found), options.batches or len(found)))
        (scratch / "replay").mkdir()
        summary = replay(found, context_of(warehouse, engine, screen), wanted, scratch / "replay")
        screen.end_progress()
        if beside is not None and not wanted.diff:
            for line in summary.lines()[:2]:
                screen.note(line)
            return max(summary.exit_code, screen.end(beside.diff()))
    if summary.diff is not None:
        over_all = summary.diff if beside is None else replace(summary.diff, a=beside.name)
        summary = replace(summary, diff=over_all)
        if options.out is not None:
            write_page(over_all, options.out, screen)
    return screen.end(summary)


def _other(options: argparse.Namespace) -> Revision | None:
    """The revision that is asked for beside this code; what cannot be meant is refused."""
    if options.out is not None and options.against is None and not options.diff:
        raise UsageError("REPLAY_OPTIONS", "--out goes with --diff and --against.", "See `sports-market replay --help`.")
    check_diff_out(options.out, with_cells=not options.diff)
    if options.against is None:
        return None
    if options.update:
        raise UsageError("REPLAY_OPTIONS", "--against and --update do not go together.", "Use one of them.")
    if not options.diff:
        require(*PACKAGES)
    from pipeline.replay.against import revision_of

    return revision_of(options.against)


@dataclass(frozen=True, slots=True)
class _Beside:
    """Another revision that takes the same recording."""

    revision: Revision
    recording: Path
    options: argparse.Namespace
    server: Server
    warehouse: Warehouse
    scratch: Path
    screen: Screen

    @property
    def name(self) -> str:
        """What its side is called."""
        return f"{self.recording.absolute().name}, by {self.revision.name}"

    def with_its_snapshots(self) -> Recording:
        """A copy of the recording, with the snapshots of the other revision."""
        from pipeline.recording.store import Recording
        from pipeline.replay.against import snapshots_there

        code, copy = self._unpacked(), self.scratch / self.recording.absolute().name
        snapshots_there(code, self.recording, self.options.batches, self.warehouse, self.scratch / "state", copy)
        return Recording.open(copy)

    def diff(self) -> Diff:
        """What differs between the gold of the other revision and that of the replay."""
        from pipeline.replay.against import load_there
        from pipeline.replay.diff import workroom
        from pipeline.replay.diff_rows import DatabaseRows

        code = self._unpacked()
        there = self.server.create_database(f"{self.warehouse.dbname}_other"[:63])
        try:
            if not load_there(code, self.recording, self.options.batches, there, self.scratch / "state"):
                self.screen.note(f"warning: {self.revision.name} withheld a batch, or a check of it failed.")
            with workroom(self.scratch) as room, DatabaseRows(there) as a, DatabaseRows(self.warehouse) as b:
                before, after = (self.name, a), (f"{self.recording.absolute().name}, by this code", b)
                return diffed(before, after, room, self.options.out, self.screen, with_views=True)
        finally:
            self.server.drop_database(there)

    def _unpacked(self) -> Path:
        from pipeline.replay.against import unpack_revision

        self.screen.note(f"{self.revision.name} takes {self.recording} …")
        return unpack_revision(self.revision, self.scratch / "other")
