"""PostgreSQL's text form of a parsed query, as ``pg_rewrite.ev_action`` has it for views, read into nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

_TOKEN: Final = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NOTHING: Final = "<>"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node.

    Attributes:
        tag: what it is, such as ``VAR`` or ``QUERY``.
        fields: name → value.
    """

    tag: str
    fields: Mapping[str, Value]

    def node(self, name: str) -> Node:
        """A field that is a node."""
        found = self.fields[name]
        assert isinstance(found, Node), f"{self.tag}.{name}"
        return found

    def nodes(self, name: str) -> list[Node]:
        """The nodes of a list; empty where the tree has none."""
        return [each for each in self.values(name) if isinstance(each, Node)]

    def values(self, name: str) -> list[Value]:
        """A list; empty where the tree has none."""
        found = self.fields[name]
        return found if isinstance(found, list) else []

    def text(self, name: str) -> str:
        """A field that is a word."""
        found = self.fields[name]
        assert isinstance(found, str), f"{self.tag}.{name}"
        return found

    def number(self, name: str) -> int:
        """A field that is a whole number."""
        return int(self.text(name))


Value: TypeAlias = "Node | list[Value] | str | None"


def parsed(text: str) -> Node:
    """The query of a view's rule: ``({QUERY :field value … })``; a value is a node, a list in brackets, or words."""
    open_: list[list[Value]] = [[]]
    for token in _TOKEN.findall(text):
        if token in "({":
            open_.append([])
        elif token in ")}":
            items = open_.pop()
            open_[-1].append(items if token == ")" else _node(items))
        else:
            open_[-1].append(None if token == _NOTHING else _ESCAPED.sub(r"\1", token))
    ((rule,),) = open_
    assert isinstance(rule, list)
    (query,) = rule
    assert isinstance(query, Node)
    return query


def _node(items: list[Value]) -> Node:
    tag, *rest = items
    fields: dict[str, list[Value]] = {}
    for item in rest:
        if isinstance(item, str) and item.startswith(":"):
            values = fields[item[1:]] = []
        else:
            values.append(item)
    # a constant's bytes are many words
    return Node(str(tag), {name: values[0] if len(values) == 1 else values for name, values in fields.items()})
