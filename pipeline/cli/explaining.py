"""``explain``: from a cell of gold to the bytes that it came from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import Commands, at_least, command, database_option, engine_option, json_option
from pipeline.cli.opening import check_database, loaded, server_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError
from pipeline.report.out import check_out
from pipeline.texts import NULL
from pipeline.whole_files import written_whole

if TYPE_CHECKING:
    from pipeline.replay.cell_explain import Explainer, Explanation
    from pipeline.replay.cell_scope import NamedAnswer
    from pipeline.warehouse.connect import Connection, Warehouse


def add_explain(commands: Commands) -> None:
    """``explain``, and what it accepts."""
    one = command(commands, "explain", _run, "tell where a cell of gold comes from, down to the bytes of the answers")
    one.description = (
        "Tell where a row or cell of gold comes from, level by level: model, rule, rows read, down to the answer, the JSON"
        " pointer and the bytes in the stored body; and which answers were looked at and said nothing. Exit code 1: there is no"
        " such row."
    )
    one.add_argument("table", metavar="TABLE", help="a table or view, such as gold.best_price or best_price")
    one.add_argument(
        "--key",
        metavar="COLUMN=VALUE",
        action="append",
        nargs="+",
        default=[],
        help=f"what identifies the row, as far as it is needed; {NULL} for no value",
    )
    one.add_argument("--column", metavar="NAME", action="append", default=[], help="only this cell of it; repeatable")
    one.add_argument("--at", metavar="TIME", help="of rows that hold over time, the one that held then")
    one.add_argument("--random", metavar="N", type=at_least(1), help="instead of --key: N rows that chance chooses")
    one.add_argument("--seed", metavar="S", type=int, default=0, help="of --random (default: 0)")
    one.add_argument(
        "--recording", metavar="DIR", type=Path, help="load this recording into a database of its own, and look there"
    )
    one.add_argument("--out", metavar="FILE.html", type=Path, help="write it as a page too; of one row")
    one.add_argument("--all-answers", action="store_true", help="name every answer that the row can depend on, with its bytes")
    database_option(one)
    json_option(one)
    engine_option(one)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told: an explanation for each row, and all answers where they are asked for."""

    explanations: tuple[Explanation, ...]
    answers: tuple[tuple[NamedAnswer, ...] | None, ...]
    is_one: bool

    @property
    def exit_code(self) -> int:
        return max((each.exit_code for each in self.explanations), default=1)

    def to_json(self) -> dict[str, Any]:
        found = [
            {**each.to_json(), **({} if answers is None else {"answers": [answer.to_json() for answer in answers]})}
            for each, answers in zip(self.explanations, self.answers, strict=True)
        ]
        return found[0] if self.is_one else {"explanations": found}

    def lines(self) -> list[str]:
        lines = []
        for each, answers in zip(self.explanations, self.answers, strict=True):
            lines += [*each.lines(), ""]
            if answers is not None:
                lines.append(f"All {len(answers):,} answers that it can depend on:")
                lines += [f"  {line}" for answer in answers for line in _named(answer)]
                lines.append("")
        return lines[:-1]


def _named(named: NamedAnswer) -> Iterator[str]:
    answer = named.answer
    head = f"{answer.endpoint} of {answer.captured_at}, batch {answer.batch_id}, place {answer.place}"
    if not named.items:
        yield f"{head}: nothing"
    yield from (f"{head}: {pointer or '/'} bytes {found.start}–{found.end}" for pointer, found in named.items)


def _run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.export.readable import moment
    from pipeline.replay.cell_explain import relation_named

    name = relation_named(options.table)
    key = _key(options)
    at = moment(options.at, "--at")
    if options.random is not None and (key or at is not None):
        raise UsageError(
            "USAGE", "--random chooses the rows: --key and --at do not go with it.", "See `sports-market explain --help`."
        )
    if options.random is None and not key:
        raise UsageError(
            "USAGE", "Nothing says which row is meant.", "Name it with --key COLUMN=VALUE, or let --random choose."
        )
    _check_out(options)
    check_database(options)
    from pipeline.replay.cell_explain import Explainer
    from pipeline.replay.cell_scope import named_answers
    from pipeline.warehouse.connect import Role

    with _warehouse(options, screen) as warehouse, warehouse.connect(Role.TRANSFORMER) as connection:
        _check_ready(connection, warehouse)
        explainer = Explainer(connection)
        found: tuple[Explanation, ...]
        if options.random is None:
            found = (explainer.explain(name, key, tuple(options.column), at),)
        else:
            found = tuple(_at_random(explainer, name, options))
        answers = tuple(named_answers(connection, each) if options.all_answers else None for each in found)
    if options.out is not None:
        from pipeline.report.explanation_page import render_explanation

        with written_whole(options.out) as file:
            file.write_text(render_explanation(found[0]), encoding="utf-8")
    return screen.end(_Told(found, answers, options.random is None))


def _check_out(options: argparse.Namespace) -> None:
    """See, before any work, that a page can be written."""
    if options.out is None:
        return
    if options.random not in (None, 1):
        raise UsageError("EXPLAIN_OUT", "A page is of one row.", "Use --random 1, or leave --out out.")
    check_out(options.out, "EXPLAIN_OUT")


def _at_random(explainer: Explainer, name: str, options: argparse.Namespace) -> Iterator[Explanation]:
    for number in range(options.random):
        row = explainer.row_at_random(name, options.seed, number)
        if row is None:
            raise UsageError("EXPLAIN_EMPTY", f"{name} has no row.", "Name another table, or another warehouse or recording.")
        yield explainer.explain_row(name, row, explainer.checked(name, options.column))


def _key(options: argparse.Namespace) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for text in (each for group in options.key for each in group):
        column, sign, value = text.partition("=")
        if not sign or not column:
            raise UsageError("EXPLAIN_KEY", f"{text!r} names no column and value.", "Write --key event_id=… market_key=h2h.")
        found[column] = None if value == NULL else value
    return found


def _check_ready(connection: Connection, warehouse: Warehouse) -> None:
    from pipeline.errors import WarehouseError

    rows = connection.execute("select to_regclass('gold.events') is not null").fetchall()
    connection.commit()
    if rows != [(True,)]:
        raise WarehouseError(
            "DATABASE_NOT_READY",
            f"The database {warehouse.place} has no table of gold.",
            "Load a recording into it first (`sports-market load DIR`), or name one with --recording.",
        )


@contextmanager
def _warehouse(options: argparse.Namespace, screen: Screen) -> Iterator[Warehouse]:
    if options.recording is None:
        with server_of(options, screen) as server:
            yield server.warehouse()
        return
    with loaded(options.recording, options, screen) as warehouse:
        yield warehouse
