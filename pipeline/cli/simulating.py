"""The simulated market: ``simulate`` and ``sandbox``."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from pipeline.cli.arguments import Commands, at_least, command, port
from pipeline.cli.screen import Screen


def add_simulate(commands: Commands) -> None:
    """``simulate``, and what it accepts."""
    one = command(commands, "simulate", _run_simulate, "record the simulated market: the bundled recording, made anew")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the recording's folder: new or empty")


def _run_simulate(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.collect.simulated import record_simulated

    batches = record_simulated(options.out, screen.progress("batch"))
    screen.end_progress()
    screen.tell(f"{options.out}: {batches} batches of the simulated market")
    return 0


def add_sandbox(commands: Commands) -> None:
    """``sandbox``, and what it accepts."""
    one = command(commands, "sandbox", _run_sandbox, "serve the simulated market over HTTP, as the API does, until stopped")
    one.add_argument("--port", metavar="N", type=port, default=0, help="0 = any free one (default)")
    one.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: this machine only)")
    one.add_argument("--seed", metavar="S", type=int, default=0, help="of the market (default: 0)")
    one.add_argument("--key", metavar="K", help="the only key that is good (default: any of 32 or 40 letters and digits)")
    one.add_argument("--credits", metavar="N", type=at_least(0), default=100_000, help="credits per month (default: 100000)")
    one.add_argument("--clock", metavar="TIME", default="wall", help="where its time begins, and perhaps its rate: TIME*60")
    one.add_argument("--faults", metavar="LIST", default="", help="what befalls the first calls: 500,ok,event_odds:reset")
    one.add_argument("--print-url", action="store_true", help="print its URL on stdout, and nothing else there")


def _run_sandbox(options: argparse.Namespace, screen: Screen) -> int:
    import threading

    from pipeline.clock import SystemClock
    from pipeline.market.sandbox.sandbox_clock import SandboxClock
    from pipeline.market.sandbox.server import serving
    from pipeline.market.sandbox.service import Sandbox
    from pipeline.market.simulator import SimulatedMarket
    from pipeline.secret import Secret

    system = SystemClock()
    sandbox = Sandbox(
        SimulatedMarket(options.seed),
        SandboxClock.parse(options.clock, system),
        system,
        key=Secret(options.key) if options.key else None,
        credits=options.credits,
        faults=[fault for fault in options.faults.split(",") if fault],
    )
    with serving(sandbox, options.host, options.port) as url, contextlib.suppress(KeyboardInterrupt):
        screen.tell(url if options.print_url else f"The sandbox is at {url}; Ctrl-C stops it.")
        threading.Event().wait()
    return 0
