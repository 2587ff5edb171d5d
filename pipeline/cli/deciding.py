"""``quarantine …``: what is held back, and what is decided on it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from pipeline.cli.arguments import Commands, Run, command, database_option, digests_option, group, json_option, prove_option
from pipeline.cli.opening import check_database, context_of, engine_of, server_of
from pipeline.cli.screen import Screen, Summary
from pipeline.errors import UsageError


def add_quarantine(commands: Commands) -> None:
    """The commands of ``quarantine``, and what they accept."""
    steps = group(commands, "quarantine", "answers, and elements of them, that their contract refuses")

    def one_command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        one = command(steps, name, run, text)
        database_option(one)
        json_option(one)
        return one

    def answer(one: argparse.ArgumentParser, nargs: str | None = None) -> None:
        one.add_argument(
            "answer",
            metavar="ANSWER",
            nargs=nargs,
            help="an exchange id, or the beginning of one; of an element, its pointer after it",
        )

    def selection(one: argparse.ArgumentParser, everything: str) -> None:
        one.add_argument("--all", action="store_true", help=everything)
        one.add_argument("--batch", metavar="ID", help="those of this batch")
        one.add_argument("--rule", metavar="ID", help="those with a finding of this rule")

    one = one_command("list", _run_list, "list the answers and elements that are held back, and by which rule")
    selection(one, "also those that were released, waived or withdrawn")
    one = one_command("show", _run_show, "show an answer's findings, verdicts and request")
    answer(one)
    one.add_argument("--body", action="store_true", help="write its body to stdout as it came, and nothing else")
    one = one_command("retry", _run_retry, "judge answers again, and admit those that the contract takes now")
    prove_option(one)
    digests_option(one)
    answer(one, "*")
    selection(one, "every answer in quarantine")
    for name, run, text in (
        ("waive", _run_waive, "admit an answer or element although the contract refuses it"),
        ("withdraw", _run_withdraw, "take back an answer or element that was admitted by mistake"),
    ):
        one = one_command(name, run, text)
        prove_option(one)
        digests_option(one)
        answer(one)
        one.add_argument("--reason", metavar="TEXT", required=True, help="why; kept with the verdict")


def _run_list(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.bronze.lookup import Selection, held_back
    from pipeline.warehouse.connect import Role

    with server_of(options, screen) as server, server.warehouse().connect(Role.INGESTER) as ingester:
        return screen.end(held_back(ingester, Selection(options.batch, options.rule, options.all)))


def _run_show(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.bronze.lookup import body, case, find_part
    from pipeline.warehouse.connect import Role

    if options.body and options.json:
        raise UsageError("SHOW_OPTIONS", "A body is shown as it came, and not as JSON.", "Leave out --json or --body.")
    _check_answers(options)
    with server_of(options, screen) as server, server.warehouse().connect(Role.INGESTER) as ingester:
        part = find_part(ingester, options.answer)
        if options.body:
            screen.write(body(ingester, part.answer))
            return 0
        return screen.end(case(ingester, part))


def _run_retry(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.bronze.lookup import Selection

    if bool(options.answer) == bool(options.all or options.batch or options.rule):
        raise UsageError("RETRY_OPTIONS", "Wanted are answers, or some of --all, --batch and --rule.", "Say which to retry.")
    _check_answers(options)
    from pipeline.runs.quarantine import retry_answers

    return _decide(options, screen, retry_answers, options.answer or Selection(options.batch, options.rule))


def _run_waive(options: argparse.Namespace, screen: Screen) -> int:
    _check_answers(options)
    from pipeline.runs.quarantine import waive_answer

    return _decide(options, screen, waive_answer, options.answer, options.reason)


def _run_withdraw(options: argparse.Namespace, screen: Screen) -> int:
    _check_answers(options)
    from pipeline.runs.quarantine import withdraw_answer

    return _decide(options, screen, withdraw_answer, options.answer, options.reason)


def _check_answers(options: argparse.Namespace) -> None:
    from pipeline.bronze.lookup import answer_range

    given = options.answer if isinstance(options.answer, list) else [options.answer]
    for text in given:
        answer_range(text)
    check_database(options)


def _decide(options: argparse.Namespace, screen: Screen, decide: Callable[..., Summary], *wanted: Any) -> int:
    with server_of(options, screen) as server:
        context = context_of(server.warehouse(), engine_of(options, screen), screen, prove=options.prove)
        summary = decide(context, *wanted)
    return screen.end(summary)
