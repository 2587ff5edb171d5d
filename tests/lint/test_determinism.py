"""Nothing stored may come from a clock, from chance, or from an order that nobody fixed: the sources of it are banned.

Python is read as a syntax tree, with imports resolved. SQL is read as text without comments: its models are templates.
Where something cannot be told from the code alone (the order of a set, the type of an expression), the snapshots tell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# The one place that may ask the machine for the time.
CLOCK = REPOSITORY / "pipeline" / "clock.py"
# The one place that may ask chance, for passwords.
CHANCE = REPOSITORY / "pipeline" / "secret.py"

BANNED_NAMES = {
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today", "utcfromtimestamp")),
    "datetime.date.today",
    *(f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime")),
    "uuid.uuid1",
    "uuid.uuid4",
    "os.urandom",
    "os.getrandom",
    "hash",
}
BANNED_MODULES = {"random", "secrets", "numpy.random"}
# Without this argument they take the machine's time zone.
NEEDS_ARGUMENTS = {"fromtimestamp": 2, "astimezone": 1}

BANNED_SQL = {
    "the time of the run": r"now\s*\(|current_(?:timestamp|date|time)\b|local(?:timestamp|time)\b|timeofday\b"
    r"|(?:clock|statement|transaction)_timestamp\b|run_started_at\b|age\s*\(|'(?:now|today|tomorrow|yesterday)'",
    "chance": r"random\s*\(|gen_random_\w+|uuid_generate_\w+|uuidv[47]\b|tablesample\b|setseed\b",
    "a sequence": r"nextval\b|(?:big|small)?serial\b|generated\s+(?:always|by\s+default)\s+as\s+identity\b",
    "a binary fraction": r"double\s+precision\b|float[48]?\b|real\b|type_float\b|percentile_cont\b|date_part\b|money\b",
}
ORDERED_AGGREGATES = r"\b(?:string_agg|array_agg|jsonb?_agg|jsonb?_object_agg|xmlagg)\s*(?=\()"
ORDERED_WINDOWS = r"\b(?:row_number|rank|dense_rank|ntile|lag|lead|first_value|last_value|nth_value)\s*(?=\()"


# --- Python ----------------------------------------------------------------------------------------------------------


def python_findings(source: str) -> list[str]:
    """``line: what`` for each banned thing that a Python source names."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    findings: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {name.asname or name.name.partition(".")[0]: _whole(name) for name in node.names}
            found = [(node.lineno, name.name) for name in node.names if name.name in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            found = [(node.lineno, name) for name in names if name in BANNED_MODULES]
        else:
            continue
        findings += found
    hashing = _within_hash_methods(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = _dotted(node, known)
            # a value's own hash may be asked for where a class defines hashing
            if (name in BANNED_NAMES and not (name == "hash" and node in hashing)) or _in_banned_module(name):
                findings.append((node.lineno, name or ""))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            needed = NEEDS_ARGUMENTS.get(node.func.attr, 0)
            if len(node.args) + len(node.keywords) < needed:
                findings.append((node.lineno, f"{node.func.attr} without a time zone"))
    return [f"{line}: {what}" for line, what in sorted(set(findings))]


def _whole(name: ast.alias) -> str:
    return name.name if name.asname else name.name.partition(".")[0]


def _dotted(node: ast.expr, known: dict[str, str]) -> str | None:
    """The full name that an expression stands for, imports resolved."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        holder = _dotted(node.value, known)
        return None if holder is None else f"{holder}.{node.attr}"
    return None


def _in_banned_module(name: str | None) -> bool:
    return name is not None and any(name.startswith(f"{module}.") for module in BANNED_MODULES)


def _within_hash_methods(tree: ast.Module) -> set[ast.AST]:
    methods = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__hash__")
    return {inner for method in methods for inner in ast.walk(method)}


# --- SQL -------------------------------------------------------------------------------------------------------------


def sql_findings(source: str) -> list[str]:
    """``line: what`` for each banned thing in an SQL template."""
    text = _without_comments(source.lower())
    findings: list[tuple[int, str]] = []
    for what, pattern in BANNED_SQL.items():
        # on its own, or as a macro such as dbt.current_timestamp()
        found_here = re.finditer(rf"(?:(?<![\w.])|\bdbt\.)(?:{pattern})", text)
        findings += [(found.start(), f"{found[0].strip()} ({what})") for found in found_here]
    for found in re.finditer(ORDERED_AGGREGATES, text):
        inside, end = _parenthesis(text, found.end())
        if not re.search(r"\border\s+by\b|^\s*distinct\b", inside) and not _window_is_ordered(text, end):
            findings.append((found.start(), f"{found[0].strip()} without order by"))
    for found in re.finditer(ORDERED_WINDOWS, text):
        _, end = _parenthesis(text, found.end())
        if re.match(r"\s*(?:filter|over)\b", text[end:]) and not _window_is_ordered(text, end):
            findings.append((found.start(), f"{found[0].strip()} over a window without order by"))
    for found in re.finditer(r"\bdistinct\s+on\b", text):
        if not re.search(r"\border\s+by\b", _same_level(text[found.end() :])):
            findings.append((found.start(), "distinct on without order by"))
    for found in re.finditer(r"\blimit\s+(?!all\b|0\b)", text):
        before = _same_level(text[: found.start()][::-1].translate(str.maketrans("()", ")(")))[::-1]
        if not re.search(r"\border\s+by\b", before.rpartition(";")[2]):
            findings.append((found.start(), "limit without order by"))
    lines = [(text.count("\n", 0, place) + 1, what) for place, what in findings]
    return [f"{line}: {what}" for line, what in sorted(set(lines))]


def _without_comments(text: str) -> str:
    """Comments blanked out, line ends kept."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    for pattern in (r"\{#.*?#\}", r"/\*.*?\*/", r"--[^\n]*"):
        text = re.sub(pattern, blank, text, flags=re.DOTALL)
    return text


def _parenthesis(text: str, start: int) -> tuple[str, int]:
    """What stands in the parenthesis that opens at ``start``, and where it ends."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place], place + 1
    return text[start + 1 :], len(text)


def _window_is_ordered(text: str, place: int) -> bool:
    """Whether ``over (… order by …)`` follows, or ``over name`` of such a window."""
    if found := re.match(r"\s*filter\s*(?=\()", text[place:]):
        _, place = _parenthesis(text, place + found.end())
    if found := re.match(r"\s*over\s*(?=\()", text[place:]):
        inside, _ = _parenthesis(text, place + found.end())
        if re.search(r"\border\s+by\b", inside):
            return True
        name = re.match(r"\s*(\w+)\s*$", inside)
    else:
        name = re.match(r"\s*over\s+(\w+)", text[place:])
    if name is None:
        return False
    # its own select's window clause comes after it; another select may use the name again
    defined = re.compile(rf"\b{name[1]}\s+as\s*(?=\()").search(text, place)
    return defined is not None and "order by" in " ".join(_parenthesis(text, defined.end())[0].split())


def _same_level(text: str) -> str:
    """The text up to the end of the parenthesis it stands in, without what stands in deeper ones."""
    depth, kept = 0, []
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            break
        if depth == 0:
            kept.append(letter)
    return "".join(kept)


# --- the project -----------------------------------------------------------------------------------------------------


def python_files() -> Iterator[Path]:
    for folder in ("pipeline", "init_db"):
        files = (REPOSITORY / folder).rglob("*.py")
        yield from sorted(path for path in files if "_data" not in path.parts and path not in (CLOCK, CHANCE))


def sql_files() -> Iterator[Path]:
    for folder in ("models", "macros", "tests", "analyses", "snapshots", "stand_in"):
        yield from sorted((REPOSITORY / "dbt" / folder).rglob("*.sql"))


def test_no_python_file_asks_a_clock_or_chance() -> None:
    files = list(python_files())
    assert len(files) > 30
    found = {str(path.relative_to(REPOSITORY)): python_findings(path.read_text(encoding="utf-8")) for path in files}
    assert {path: findings for path, findings in found.items() if findings} == {}


def test_no_sql_file_depends_on_time_chance_or_order() -> None:
    files = list(sql_files())
    assert len(files) > 20
    found = {str(path.relative_to(REPOSITORY)): sql_findings(path.read_text(encoding="utf-8")) for path in files}
    assert {path: findings for path, findings in found.items() if findings} == {}


def test_the_clock_would_be_found_if_it_stood_elsewhere() -> None:
    assert python_findings(CLOCK.read_text(encoding="utf-8")) != []


def test_chance_is_asked_for_passwords_only() -> None:
    found = python_findings(CHANCE.read_text(encoding="utf-8"))
    assert [what.partition(": ")[2] for what in found] == ["secrets", "secrets.token_urlsafe"]


# --- each ban fires --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "import datetime as dt\nx = dt.datetime.now(dt.UTC)",
        "import datetime\nx = datetime.datetime.utcnow()",
        "from datetime import datetime\nx = datetime.today()",
        "from datetime import date as day\nx = day.today()",
        "from dataclasses import field\nfrom datetime import datetime as d\nx = field(default_factory=d.now)",
        "import datetime as dt\nx = dt.datetime.fromtimestamp(0)",
        "def f(moment):\n    return moment.astimezone()",
        "import time\nx = time.time()",
        "from time import time_ns\nx = time_ns()",
        "import time as t\nx = t.strftime('%Y')",
        "import random\n",
        "import random as r\nx = r.Random(1)",
        "from random import shuffle\n",
        "import numpy.random\n",
        "from numpy import random\n",
        "import numpy as np\nx = np.random.default_rng(1)",
        "import secrets\n",
        "import uuid\nx = uuid.uuid4()",
        "from uuid import uuid1\nx = uuid1()",
        "import os\nx = os.urandom(8)",
        "x = hash('a')",
        "x = sorted('ab', key=hash)",
    ],
)
def test_a_banned_python_source_is_found(source: str) -> None:
    assert python_findings(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "import datetime as dt\nx = dt.datetime.fromtimestamp(0, dt.UTC)",
        "from pipeline.clock import Clock\ndef f(clock: Clock):\n    return clock.now()",
        "import time\ntime.sleep(1)\nx = time.monotonic()",
        "import uuid\nx = uuid.UUID(bytes=bytes(16))",
        "class A:\n    def __hash__(self):\n        return hash(1)",
        "def f(moment, zone):\n    return moment.astimezone(zone)",
    ],
)
def test_an_honest_python_source_passes(source: str) -> None:
    assert python_findings(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "select now()",
        "select NOW ( )",
        "select current_timestamp",
        "select {{ dbt.current_timestamp() }}",
        "select current_date - 1",
        "select localtimestamp",
        "select clock_timestamp()",
        "select 'now'::timestamptz",
        "select age(start_at)",
        "select '{{ run_started_at }}'",
        "select random()",
        "select gen_random_uuid()",
        "select * from a tablesample system (10)",
        "select nextval('a')",
        "create table a (id bigserial)",
        "select cast(price as double precision)",
        "select price::float",
        "select price::float8",
        "select cast(price as real)",
        "select cast(price as {{ dbt.type_float() }})",
        "select percentile_cont(0.5) within group (order by price)",
        "select date_part('hour', at)",
        "select string_agg(name, ',') from a",
        "select array_agg(name) filter (where (x = 1)) from a",
        "select jsonb_agg(name) from (select name from a order by name) as b",
        "select row_number() over (partition by a)",
        "select row_number() over () from a",
        "select lag(price) over (partition by a) from b",
        "select lag(price) over w from b window w as (partition by a)",
        "select lag(a) over w from b window w as (partition by a) union select lag(a) over w from b window w as (order by a)",
        "select array_agg(x) over (partition by a) from b",
        "select distinct on (a) a, b from c",
        "select * from (select distinct on (a) a, b from c) as d order by a",
        "select a from b limit 1",
        "select (select a from b limit 1) from c order by c",
    ],
)
def test_a_banned_sql_source_is_found(source: str) -> None:
    assert sql_findings(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "select a.now, known_at -- now()\nfrom a /* random() */ {# current_date #}",
        "select string_agg(name, ',' order by name) from a",
        "select array_agg(distinct name) from a",
        "select row_number() over (partition by a order by b) from c",
        "select lag(price) over w from b window w as (partition by a order by c)",
        "select lag(price) over (w) from b window w as (partition by a order by c)",
        "select array_agg(x) over (order by a) from b",
        "select count(*) over w from b window w as (partition by a); select lag(a) over w from b window w as (order by a)",
        "select distinct on (a) a, b from c order by a, b",
        "select a from b order by a limit 1",
        "select * from (select a from b order by a limit 1) as c",
        "select is_real, unreal, realised, float_free, average from a",
        "select percentile_disc(0.5) within group (order by price)",
    ],
)
def test_an_honest_sql_source_passes(source: str) -> None:
    assert sql_findings(source) == []


def test_a_finding_names_its_line() -> None:
    assert python_findings("import time\n\nx = time.time()\n") == ["3: time.time"]
    assert sql_findings("select 1,\n -- now()\n now()") == ["3: now( (the time of the run)"]
