"""An explanation of a row as one HTML page: a tree that unfolds, from the row down to the bytes of the answers.

The same explanation gives the same bytes: there is no clock in it, and no chance, and it needs no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode

from pipeline.replay.cell_answers import Piece, Row
from pipeline.replay.cell_explain import Explanation, Found, worded
from pipeline.replay.cell_reads import OF_ANSWERS
from pipeline.texts import NULL, shown

_TEMPLATE: Final = "explanation.html.j2"
# Levels that are open at first sight; the rest unfolds.
OPEN_LEVELS: Final = 2

# Relation and key → the address of that row's explanation; None where nothing gives one.
Link = Callable[[str, dict[str, Any]], str | None]


def nowhere(relation: str, key: dict[str, Any]) -> str | None:
    """The link of a page that stands alone."""
    return None


def address_of(root: str, relation: str, key: Mapping[str, Any]) -> str:
    """Where a row is explained below a root, such as ``/explain``; without a key, where some rows are listed."""
    named = {name: NULL if value is None else worded(value) for name, value in key.items()}
    return f"{root}/{quote(relation)}" + (f"?{urlencode(named)}" if named else "")


@dataclass(frozen=True, slots=True)
class _Node:
    """A row of the tree, with what it was computed from."""

    found: Found
    depth: int
    rule: str
    seeds: tuple[str, ...]
    link: str | None
    again: bool
    children: tuple[_Node, ...]

    @property
    def is_open(self) -> bool:
        return self.depth < OPEN_LEVELS

    @property
    def piece(self) -> Piece | None:
        return self.found.piece

    @property
    def is_closed_answer(self) -> bool:
        """Whether an answer says it that was not opened."""
        return self.found.piece is None and self.found.relation in OF_ANSWERS


def _tree(explanation: Explanation, link: Link) -> _Node:
    told: set[int] = set()

    def node(number: int, depth: int) -> _Node:
        found, again = explanation.found[number], number in told
        told.add(number)
        model = explanation.models[found.relation]
        children = () if again else tuple(node(each, depth + 1) for each in found.reads)
        where = link(found.relation, dict(found.key)) if depth else None
        return _Node(found, depth, model.rule, model.seeds, where, again, children)

    return node(0, 0)


def render_explanation(explanation: Explanation, link: Link = nowhere) -> str:
    """The page of one row.

    Args:
        explanation: of it.
        link: where rows on the way are explained.
    """
    model = explanation.models.get(explanation.relation)
    row = explanation.row or {}
    columns = explanation.columns or (() if model is None else tuple(model.lineage))
    cells = [(name, row.get(name), () if model is None else model.lineage.get(name, ())) for name in columns]
    tree = None if explanation.row is None else _tree(explanation, link)
    return _rendered(title=explanation.relation, explanation=explanation, cells=cells, tree=tree)


def render_choice(relation: str, key: Mapping[str, str | None], rows: Sequence[Row], names: Sequence[str], link: Link) -> str:
    """The page of a key that several rows fit, or none was given: the first of them, each with a link.

    Args:
        relation: theirs.
        key: as far as it is given.
        rows: the first that fit.
        names: the columns of the whole key.
        link: where each is explained.
    """
    found = [
        ([(name, row.get(name)) for name in names], link(relation, {name: row.get(name) for name in names})) for row in rows
    ]
    return _rendered(title=relation, choice=found, names=names, key=key)


def render_tables(names: Sequence[str], root: str) -> str:
    """The page of the relations whose rows can be explained."""
    return _rendered(title="explain", tables=[(name, address_of(root, name, {})) for name in names])


def render_told(what: str) -> str:
    """A page that says why there is no other."""
    return _rendered(title="explain", what=what)


def _rendered(title: str, **told: Any) -> str:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.ChainableUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown, "text": worded}
    template = environment.from_string(_file(_TEMPLATE))
    return template.render(title=title, css=Markup(_file("page.css")), **told)


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
