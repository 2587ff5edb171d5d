"""Where a value may be null, ``=`` and ``<>`` are neither true nor false: a change to or from nothing would be none.

What decides a change or the sameness of a state is compared by ``is [not] distinct from``. Where ``=`` or ``<>`` is meant all
the same, a comment ``-- null: why`` stands on its line, or right above the line that its clause begins on.

SQL is read as text, as its models are templates; names are looked up in the contracts of the relations that a file reads (in
macros: of all stored ones). It is told of each name by itself whether it may be null:

* a column that is not required by the contract of a relation that the file reads, or by any where the file reads none;
* a column of what is joined by a left join;
* what ``lag``, ``lead``, ``nullif`` or a CASE without ELSE gives, and other names for any of these.

It reports ``<>`` with such an operand, and ``=`` with such an operand on either side and a name on both. An equality with a
literal says what the value is to be, and null is not that; so does ``= any (…)``. Of ``<``, ``>``, ``<=`` and ``>=`` it reports
those with what ``lag`` or ``lead`` gave, which tell whether something changed by much (but valid_to, whose null is no end, and
is asked for beside it). Within ``coalesce(…)`` it is said what null means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from pipeline.contracts.tables import read_contracts

REPOSITORY = Path(__file__).resolve().parents[2]
READ = ("dbt/models", "dbt/macros", "dbt/tests/blocking")

TOKEN = re.compile(
    r"(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_]\w*(?:\.(?:[A-Za-z_]\w*|\*))*)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<operator><>|!=|<=|>=|::|->>|->|#>>|\|\||&&|[=<>])|(?P<other>[^\s])"
)
COMMENT = re.compile(r"--[^\n]*")
REASON = re.compile(r"--\s*null:\s*\S")
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
REF = re.compile(r"\bref\('(\w+)'\)")
LITERALS = {"true", "false", "null"}
BEFORE_EXPRESSIONS = {",", "select", "distinct", "from", "join"}
WINDOWED = {"lag", "lead"}
GIVES_NULL = {*WINDOWED, "nullif", "case"}
KEYWORDS = {
    "select",
    "distinct",
    "where",
    "on",
    "and",
    "or",
    "not",
    "when",
    "then",
    "else",
    "case",
    "having",
    "in",
    "any",
    "is",
}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    line: int
    depth: int
    # the queries and parentheses around it that it sees, outermost first, each by its place
    blocks: tuple[int, ...]


def tokens_of(source: str) -> list[Token]:
    """The SQL of a template, without comments; what a template puts in is one name, of which nothing is known."""

    def blanked(match: re.Match[str], word: str) -> str:
        return word + "\n" * match[0].count("\n") if "\n" in match[0] else word

    text = JINJA.sub(lambda match: blanked(match, " put_in " if match[0].startswith("{{") else " "), source)
    text = COMMENT.sub("", text)
    found: list[Token] = []
    around: list[tuple[int, ...]] = [(0,)]
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or ""
        word = match[0].lower() if kind == "name" else match[0]
        if word == ")" and len(around) > 1:
            around.pop()
        elif word == "union":
            # each branch has its own aliases
            around[-1] = (*around[-1][:-1], len(found))
        found.append(Token(kind, word, text.count("\n", 0, match.start()) + 1, len(around), around[-1]))
        if word == "(":
            # a common table expression sees nothing of the query after it
            is_named = len(found) > 1 and found[-2].text in ("as", "materialized")
            around.append((len(found),) if is_named else (*around[-1], len(found)))
    return found


@cache
def optional_columns() -> dict[str, frozenset[str]]:
    """Relation → its columns that may be null."""
    return {
        contract.name.partition(".")[2]: frozenset(column.name for column in contract.columns if not column.required)
        for contract in read_contracts()
    }


@cache
def stored() -> frozenset[str]:
    return frozenset(contract.name.partition(".")[2] for contract in read_contracts() if contract.is_checked_per_batch)


def findings(source: str) -> list[str]:
    """``line: comparison`` for each comparison of what may be null that carries no reason."""
    tokens = tokens_of(source)
    optional = _optional_names(source, tokens)
    joined = list(_left_joined(tokens))
    moved = _optional_names(source, tokens, start=set())
    lines = source.splitlines()
    found = []
    for place, token in enumerate(tokens):
        if token.text not in ("=", "<>", "!=", "<", ">", "<=", ">=") or _in_coalesce(tokens, token):
            continue
        left, right = _before(tokens, place), _after(tokens, place)
        if token.text == "=" and not (_names(left) and _names(right)):
            continue
        if token.text in ("=", "<>", "!="):
            outer = {alias for alias, blocks, own in joined if token.blocks[: len(blocks)] == blocks and place not in own}
            is_doubtful = any(_may_be_null(each, optional, outer) for each in (left, right))
        else:
            is_doubtful = any(_may_be_null(each, moved - {"valid_to"}, set()) for each in (left, right))
        if is_doubtful and not _has_reason(lines, token.line):
            found.append(f"{token.line}: {' '.join(each.text for each in (*left, token, *right))}")
    return found


def _in_coalesce(tokens: Sequence[Token], token: Token) -> bool:
    return any(block > 1 and tokens[block - 1].text == "(" and tokens[block - 2].text == "coalesce" for block in token.blocks)


def _optional_names(source: str, tokens: Sequence[Token], start: set[str] | None = None) -> set[str]:
    """The names that may be null; from none on, those that ``lag`` and ``lead`` give."""
    gives = GIVES_NULL if start is None else WINDOWED
    optional = set(start or ())
    if start is None:
        read = set(REF.findall(source)) & optional_columns().keys() or stored()
        optional = set().union(*(optional_columns()[name] for name in read))
    while True:
        more = {alias for alias, expression in _aliases(tokens) if _gives_null(expression, optional, gives)} - optional
        if not more:
            return optional
        optional |= more


def _aliases(tokens: Sequence[Token]) -> Iterator[tuple[str, Sequence[Token]]]:
    """Each ``expression as name`` of a select list."""
    for place, token in enumerate(tokens[:-1]):
        if token.text != "as" or tokens[place + 1].kind != "name":
            continue
        begin = place
        while begin and not (
            tokens[begin - 1].depth < token.depth
            or (
                tokens[begin - 1].depth == token.depth and tokens[begin - 1].text in (",", "select", "distinct", "from", "join")
            )
        ):
            begin -= 1
        if begin < place and (begin == 0 or tokens[begin - 1].text not in ("from", "join")):
            yield tokens[place + 1].text, tokens[begin:place]


def _gives_null(expression: Sequence[Token], optional: set[str], gives: set[str]) -> bool:
    words = [each.text for each in expression]
    is_condition = {"distinct", "exists"} & set(words) or words[-1] == "null"
    if words[0] == "coalesce" or is_condition:
        return False
    if len(words) == 1:
        return words[0].rpartition(".")[2] in optional
    if words[0] == "case" and words[-1] == "end":
        return "case" in gives and not any(each.text == "else" and each.depth == expression[0].depth for each in expression)
    return words[0] in gives


def _left_joined(tokens: Sequence[Token]) -> Iterator[tuple[str, tuple[int, ...], range]]:
    """Of each left join: the alias, its parentheses, and the places of its own condition, where it is still whole."""
    ends = {"left", "join", "cross", "where", "group", "order", "union", "window", "limit", ")"}
    for place, token in enumerate(tokens[:-1]):
        if (token.text, tokens[place + 1].text) != ("left", "join"):
            continue
        rest = [at for at in range(place + 2, len(tokens)) if tokens[at].depth <= token.depth]
        named = next((at for at in rest if tokens[at].text == "as" and tokens[at].depth == token.depth), None)
        if named is None:
            continue
        end = next((at for at in rest if at > named and tokens[at].text in ends), len(tokens))
        yield tokens[named + 1].text, token.blocks, range(named, end)


def _before(tokens: Sequence[Token], place: int) -> Sequence[Token]:
    begin = place - 1
    if begin >= 0 and tokens[begin].text in (")", "]"):
        opening = {")": "(", "]": "["}[tokens[begin].text]
        depth = tokens[begin].depth
        begin -= 1
        while begin > 0 and not (tokens[begin].text == opening and tokens[begin].depth == depth):
            begin -= 1
        if begin > 0 and tokens[begin - 1].kind == "name" and tokens[begin - 1].text not in KEYWORDS:
            begin -= 1
    return tokens[max(begin, 0) : place]


def _after(tokens: Sequence[Token], place: int) -> Sequence[Token]:
    end = place + 1
    if end < len(tokens) and tokens[end].text == "-":
        end += 1
    if end < len(tokens) and tokens[end].kind == "name" and end + 1 < len(tokens) and tokens[end + 1].text == "(":
        end += 1
    if end < len(tokens) and tokens[end].text == "(":
        depth = tokens[end].depth
        while end < len(tokens) and not (tokens[end].text == ")" and tokens[end].depth == depth):
            end += 1
    return tokens[place + 1 : end + 1]


def _names(operand: Sequence[Token]) -> bool:
    """Whether it has a column in it; ``any (…)``, a CASE and a subquery are left to themselves."""
    words = [each.text for each in operand]
    if not words or words[0] in ("any", "case", "end") or "select" in words:
        return False
    return any(each.kind == "name" and each.text not in LITERALS | KEYWORDS for each in operand)


def _may_be_null(operand: Sequence[Token], optional: set[str], outer: set[str]) -> bool:
    words = [each.text for each in operand]
    if not words or words[0] in ("coalesce", "count", "any", "array", "concat_ws", "case", "end") or "select" in words:
        return False
    if words[0] in WINDOWED:
        return True
    for each in operand:
        if each.kind == "name":
            table, _, column = each.text.rpartition(".")
            if column in optional or table in outer:
                return True
    return False


def _has_reason(lines: Sequence[str], line: int) -> bool:
    """A reason on its line, or above the line, or the lines of the join, condition or row that it is part of."""
    at = line - 1
    if REASON.search(lines[at]):
        return True
    while at > 0:
        at -= 1
        text = lines[at].strip()
        if text.startswith("--"):
            if REASON.search(text):
                return True
            continue
        if not re.match(r"(and|or|on|when|then|\)|\()", lines[at + 1].strip()):
            return False
    return False


def sources() -> list[Path]:
    return sorted(path for folder in READ for path in (REPOSITORY / folder).rglob("*.sql"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_may_be_null_is_compared_as_such_or_says_why_not(path: Path) -> None:
    assert findings(path.read_text(encoding="utf-8")) == []


def test_a_reason_is_asked_for_no_more_often_than_one_can_read() -> None:
    reasons = [line for path in sources() for line in path.read_text(encoding="utf-8").splitlines() if REASON.search(line)]
    assert 10 < len(reasons) < 40, reasons


# a stretch that goes on although its format and its price changed, as one of them is none
FORMER = """
with compared as (
    select
        timeline.*,
        lag(compared_native) over one_series as was_native,
        lag(compared_decimal) over one_series as was_decimal,
        lag(compared_format) over one_series as was_format
    from timeline
)
select
    case
        when compared_format = was_format and compared_native <> was_native then 'changed'
        when compared_format <> was_format
            and abs(compared_decimal - was_decimal) > 0.006 + 0.0005 * was_decimal * was_decimal then 'changed'
    end as beginning
from compared
"""


def test_it_finds_the_comparison_that_lost_a_change_of_format() -> None:
    assert findings(FORMER) == [
        "12: compared_format = was_format",
        "12: compared_native <> was_native",
        "13: compared_format <> was_format",
        "14: abs ( compared_decimal - was_decimal ) > 0.006",
    ]


def test_it_finds_it_in_the_model_where_it_is_put_back() -> None:
    source = (REPOSITORY / "dbt/models/gold/prices/price_history.sql").read_text(encoding="utf-8")
    mended = "compared_native is distinct from was_native"
    assert source.count(mended) == 1
    assert len(findings(source.replace(mended, "compared_native <> was_native"))) == 1


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1 from {{ ref('price_history') }} as h where h.valid_to <> h.valid_from", ["1: h.valid_to <> h.valid_from"]),
        ("select 1 from {{ ref('price_history') }} as h where h.point != 3", ["1: h.point != 3"]),
        ("select 1 from {{ ref('price_history') }} as h where h.point = 3", []),
        ("select 1 from {{ ref('price_history') }} as h where h.event_id <> 'a'", []),
        ("select 1 from {{ ref('price_history') }} as h where coalesce(h.point <> 3, true)", []),
        ("select 1 from {{ ref('price_history') }} as h where h.point <> 3 -- null: it has one", []),
        ("select 1\nfrom {{ ref('price_history') }} as h\n-- null: it has one\nwhere true\n    and h.point <> 3", []),
        ("select 1 from a left join b on b.k = a.k where b.k <> a.k", []),
        ("select 1 from a left join c as b on b.k = a.k where b.k <> a.k", ["1: b.k <> a.k"]),
        ("select 1 from a left join c as b on b.k = a.k union all select 1 from c as b where b.k <> 3", []),
        ("with x as (select b.k from c as b where b.k <> 3) select 1 from x left join c as b on true", []),
        (
            "select (h.a, h.valid_to) <> (h.b, h.c) from {{ ref('price_history') }} as h",
            ["1: ( h.a , h.valid_to ) <> ( h.b , h.c )"],
        ),
    ],
)
def test_what_it_reports(sql: str, expected: list[str]) -> None:
    assert findings(sql) == expected
