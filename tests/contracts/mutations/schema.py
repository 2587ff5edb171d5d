"""Mutants that the schemas themselves tell: every promise of a schema, broken at its first place in a good answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.contracts.judgement import schemas

_SAMPLES: Mapping[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 7,
    "string": "x",
    "array": [],
    "object": {},
}


@dataclass(frozen=True, slots=True)
class Break:
    """One promise, broken.

    Attributes:
        kind: what was done, e.g. ``drop a required field``.
        path: keys and indexes of the place where it shows.
        document: the whole broken answer.
    """

    kind: str
    path: tuple[str | int, ...]
    document: Any


def breaks(endpoint: str, document: Any) -> Iterator[Break]:
    """Every promise of an endpoint's schema, broken once; ``document`` is good and stays as it is."""
    for path, node, value in places(schemas()[f"{endpoint}.schema.json"], document):
        for name in node.get("required", ()) if isinstance(value, dict) else ():
            broken = copy.deepcopy(document)
            del at(broken, path)[name]
            yield Break("drop a required field", path, broken)
        for kind, wrong in _wrong(node):
            yield Break(kind, path, put(document, path, wrong))


def places(schema: Mapping[str, Any], document: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any], Any]]:
    """Every place that a schema speaks of, once: path, all that it says there, and the value; of a list, the deepest item."""
    waiting: list[tuple[tuple[str | int, ...], Mapping[str, Any], Any]] = [((), schema, document)]
    while waiting:
        path, part, value = waiting.pop(0)
        node = whole(part)
        yield path, node, value
        if isinstance(value, dict):
            for name, inner in node.get("properties", {}).items():
                waiting.append(((*path, name), inner, value.get(name)))
        elif isinstance(value, list) and value and "items" in node:
            index = max(range(len(value)), key=lambda number: _depth(value[number]))
            waiting.append(((*path, index), node["items"], value[index]))


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path."""
    for step in path:
        document = document[step]
    return document


def put(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def _depth(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(_depth, inner), default=0)


def whole(part: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to (and what it says of strings only) written into it."""
    node = {key: value for key, value in part.items() if key not in ("$ref", "if", "then")}
    for other in (part, part.get("then", {})):
        if "$ref" in other:
            file, _, name = str(other["$ref"]).rpartition("#/$defs/")
            inner = whole(schemas()[file or "common.schema.json"]["$defs"][name])
            properties = {**inner.get("properties", {}), **node.get("properties", {})}
            required = [*inner.get("required", ()), *node.get("required", ())]
            node = {**inner, **node, **({"properties": properties, "required": required} if properties else {})}
    return node


def _wrong(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values that break one keyword each."""
    types = {node["type"]} if isinstance(node.get("type"), str) else set(node.get("type", _SAMPLES))
    if "integer" in types:
        types |= {"number"}
        yield "a fraction for an integer", 1.5
    for name, sample in _SAMPLES.items():
        if name not in types:
            yield "null a key" if name == "null" else "change a type", sample
    if "maxLength" in node:
        yield "too long a text", "a" * (node["maxLength"] + 1)
    if node.get("minLength"):
        yield "an empty text", ""
    if "enum" in node:
        yield "a word that is none of the list", "hongkong"
    if "pattern" in node:
        yield "a text of another form", "Ä "
    if node.get("format") == "date-time":
        for text in ("2025-02-30T00:00:00Z", "2025-10-09T00:00:00+00:00", "2025-10-09T00:00:00.000Z"):
            yield "a time that is none, or not …Z", text
    if "maximum" in node:
        yield "a huge number", node["maximum"] * 10 + 1
    if "minimum" in node:
        yield "a number below all", node["minimum"] - 9 * abs(node["minimum"]) - 1
    if "anyOf" in node:
        yield "a price of 0", 0
