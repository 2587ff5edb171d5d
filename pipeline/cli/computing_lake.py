"""``compute``: gold on a cluster of Spark, as a lake."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.arguments import Commands, at_least, command, digests_option, json_option
from pipeline.cli.screen import Screen


def add_compute(commands: Commands) -> None:
    """``compute``, and what it accepts."""
    one = command(commands, "compute", _run, "compute gold from recordings on Spark, as files that prove themselves")
    one.description = (
        "Compute gold from recordings on Spark: events are spread over tasks, each of which runs the program of a batch in a"
        " database of its own. The folder is that of an export: export --verify proves it, and diff compares it."
    )
    one.add_argument(
        "--master", metavar="URL", required=True, help="of Spark: local[2], local-cluster[2,1,1024] or spark://host:7077"
    )
    one.add_argument(
        "--recordings", metavar="PATH", type=Path, nargs="+", required=True, help="recordings, where all workers see them"
    )
    one.add_argument(
        "--out",
        metavar="LAKE",
        type=Path,
        required=True,
        help="the folder of the files, where all workers see it: made, or replaced",
    )
    one.add_argument("--since", metavar="TIME", help="only batches scheduled from this time on: a day, or 2025-10-09T00:42:48Z")
    one.add_argument("--until", metavar="TIME", help="only batches scheduled before this time")
    one.add_argument("--sport", metavar="KEY", help="only answers to requests about this sport")
    one.add_argument("--shards", metavar="N", type=at_least(1), help="tasks (default: by cores and outcomes)")
    one.add_argument("--conf", metavar="NAME=VALUE", action="append", default=[], help="a setting of Spark; repeatable")
    json_option(one)
    digests_option(one)


def _run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.compute.submitting import Asked, settings_of_spark, submit

    conf = settings_of_spark(options.conf)
    asked = Asked(
        options.master,
        tuple(options.recordings),
        options.out,
        options.since,
        options.until,
        options.sport,
        options.shards,
        conf,
    )
    return screen.end(submit(asked, screen.note))
