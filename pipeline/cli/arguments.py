"""What commands accept: the parser, how a command joins it, and the options that several share.

(argparse, and not typer, whose import alone takes as long as all of ``--help``, and whose texts and wrong use are its own.)
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from pipeline.cli.ending import WRONG_USE, tell_error
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError

# What a command is added to; argparse has no public name for it.
Commands = Any


class Run(Protocol):
    """What a subcommand runs."""

    def __call__(self, options: argparse.Namespace, screen: Screen, /) -> int:
        """Run it and return the exit code."""


class Parser(argparse.ArgumentParser):
    """Ends wrong use with one message of the house: what is wrong, the nearest right word, where to look."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        nearest = self._nearest(message)
        hint = f"did you mean {nearest}? " if nearest else ""
        tell_error(UsageError("USAGE", message[:1].upper() + message[1:] + ".", f"{hint}See `{self.prog} --help`."))
        sys.exit(WRONG_USE)

    def _nearest(self, message: str) -> str | None:
        """The option or choice that a word of the message comes near to."""
        said = message.partition("(choose from")[0].split()
        words = [word.strip("'").partition("=")[0] for word in said if word.startswith(("'", "-"))]
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for action in self._actions:
            # a mapping of commands, a tuple of values
            known += [str(choice) for choice in action.choices or ()]
        # such as `--days:` and `-h/--help`: what was just given is no hint
        given = {part.strip("':,.") for word in said for part in word.split("/")} | set(words)
        for word in reversed(words):
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
            if near and word not in known and near[0] not in given:
                return near[0]
        return None


def command(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """A command, and what it runs."""
    one: argparse.ArgumentParser = commands.add_parser(name, help=text, description=_sentence(text), allow_abbrev=False)
    one.add_argument("--debug", action="store_true", help="show where an error comes from")
    loudness = one.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="show the result and errors, and nothing on the way")
    loudness.add_argument("-v", "--verbose", action="store_true", help="show each step on the way")
    one.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="what is told on the way: lines for people, or a JSON object per line, both on stderr (default: text)",
    )
    one.set_defaults(command=run, parser=one)
    return one


def group(commands: Commands, name: str, text: str) -> Commands:
    """Several commands under one word."""
    one = commands.add_parser(name, help=text, description=_sentence(text), allow_abbrev=False)
    return one.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def json_option(one: argparse.ArgumentParser) -> None:
    """``--json``."""
    one.add_argument("--json", action="store_true", help="print one JSON document on stdout, and everything else on stderr")


def digests_option(one: argparse.ArgumentParser) -> None:
    """``--digests``."""
    one.add_argument("--digests", action="store_true", help="show the digest of each table, and not one of all alone")


def database_option(one: argparse.ArgumentParser, text: str = "the warehouse, as its owner") -> None:
    """``--database-url``."""
    default = "SPORTS_MARKET_DATABASE_URL, else the embedded server"
    one.add_argument("--database-url", metavar="URL", help=f"{text} (default: {default})")


def simulated_option(one: argparse.ArgumentParser) -> None:
    """``--simulated``."""
    one.add_argument("--simulated", action="store_true", help="they are made up (else they are The Odds API's)")


def mix_sources_option(one: argparse.ArgumentParser) -> None:
    """``--mix-sources``."""
    one.add_argument("--mix-sources", action="store_true", help="take simulated and real answers into one warehouse")


def prove_option(one: argparse.ArgumentParser, otherwise: str = "") -> None:
    """``--prove``."""
    text = "before a batch is committed, compute its events anew from bronze and compare; withhold it where they differ"
    one.add_argument("--prove", action="store_true", help=f"{text}{otherwise}")


def engine_option(one: argparse.ArgumentParser) -> None:
    """``--engine``."""
    text = "what runs the SQL: the program that dbt rendered once, or dbt itself, the judge of it (default: program)"
    one.add_argument("--engine", choices=("program", "dbt"), default="program", help=text)


def at_least(least: int) -> Callable[[str], int]:
    """A whole number, and how large it must be."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def port(text: str) -> int:
    """A TCP port; 0 is any free one."""
    number = at_least(0)(text)
    if number > 65_535:
        raise argparse.ArgumentTypeError(f"{number} is more than 65535")
    return number


def tcp_port(text: str) -> int:
    """A TCP port that a server without special rights may open."""
    number = port(text)
    if number < 1024:
        raise argparse.ArgumentTypeError(f"{number} is less than 1024, and those are the system's")
    return number
