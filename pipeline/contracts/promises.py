"""The contracts of tables as full ODCS documents, built: columns from dbt's YAML, the rest from what is promised beyond it.

``contracts/warehouse/<schema>.<table>.yml`` holds what a table promises, ``_shared.yml`` what all of them share, and
``promise.schema.json`` says what may stand in them. Nothing that dbt's YAML says stands there again.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.contracts.described import MODELS, DescribedColumn, DescribedModel, described_models
from pipeline.contracts.strict_yaml import load
from pipeline.errors import SetupError
from pipeline.resources import resource

FOLDER: Final = "contracts/warehouse"
SUFFIX: Final = ".yml"
SHARED_FILE: Final = f"{FOLDER}/_shared.yml"
SHARED: Final = "shared"
# In `broken_by`, whose other keys are columns with SQL over a good row, the one that is none: which good rows are broken so.
WHERE: Final = "where"
CUTS: Final = ("stretch", "moment", "hindsight", "newest")
_LOGICAL_TYPES: Final[Mapping[str, str]] = {
    "bigint": "integer",
    "boolean": "boolean",
    "date": "date",
    "integer": "integer",
    "jsonb": "object",
    "numeric": "number",
    "text": "string",
    "timestamptz": "timestamp",
    "uuid": "string",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """What one table promises beyond its model's YAML, with what it shares filled in.

    Attributes:
        name: ``schema.table``.
        model: what dbt's YAML says of it.
        facts: as its file has them.
        values: column → the only values that it may have.
        rules: id → what stands under it, in order.
    """

    name: str
    model: DescribedModel
    facts: Mapping[str, Any]
    values: Mapping[str, Any]
    rules: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row: as promised, else as dbt's YAML has them."""
        return tuple(self.facts.get("key") or self.model.primary_key or self.model.unique)

    @property
    def evaluated(self) -> str:
        """When its rules are evaluated."""
        return str(self.facts.get("evaluated") or ("whole_table" if self.model.is_view else "per_batch"))


def project_files(root: Path | None = None) -> dict[str, str]:
    """What contracts are built from: path below the root → text.

    Args:
        root: the folder that holds ``contracts`` and ``dbt``; by default the project's own.
    """
    top = resource("contracts").parent if root is None else root
    found = [*(top / FOLDER).glob("*"), *(top / MODELS).rglob("*")]
    return {path.relative_to(top).as_posix(): path.read_text(encoding="utf-8") for path in found if is_source(path.name)}


def is_source(name: str) -> bool:
    """Whether contracts are built from a file of this name, in one of their folders."""
    return name.endswith((".yml", ".yaml", ".md"))


def documents(files: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The document of each table, by name, in order of names.

    Args:
        files: as :func:`project_files` gives them.

    Raises:
        SetupError: ``CONTRACT_INVALID``, with every fault of every file.
    """
    shared, promises = read_promises(files)
    return {promise.name: _document(promise, shared) for promise in promises}


def read_promises(files: Mapping[str, str]) -> tuple[Mapping[str, Any], tuple[Promise, ...]]:
    """What all tables share, and what each of them promises, in order of names.

    Raises:
        SetupError: ``CONTRACT_INVALID``, with every fault of every file.
    """
    faults: list[str] = []
    models = described_models(files, faults)
    shared: dict[str, Any] = {}
    if SHARED_FILE in files:
        shared = load(files[SHARED_FILE], SHARED_FILE, faults)
        faults += _schema_faults(shared, SHARED_FILE, "shared")
    else:
        faults.append(f"there is no {SHARED_FILE}")
    promises = []
    for path in [] if faults else sorted(files):
        folder, _, file_name = path.rpartition("/")
        if folder != FOLDER or not path.endswith(SUFFIX) or path == SHARED_FILE:
            continue
        facts = load(files[path], path, faults)
        name = file_name.removesuffix(SUFFIX)
        wrong = _schema_faults(facts, path, None)
        if not wrong and name not in models:
            wrong = [f"{path}: {MODELS} describes no model {name}"]
        if not wrong:
            promise = Promise(
                name,
                models[name],
                facts,
                _filled(facts.get("values"), shared["values"]),
                _filled(facts.get("rules"), shared["rules"]),
            )
            wrong = [f"{path}: {each}" for each in _faults(promise, shared)]
            promises.append(promise)
        faults += wrong
    if not promises and not faults:
        faults.append(f"there is no promise in {FOLDER}")
    if faults:
        raise SetupError("CONTRACT_INVALID", "; ".join(faults), "Mend what is named.")
    return shared, tuple(promises)


def _filled(own: Mapping[str, Any] | None, shared: Mapping[str, Any]) -> dict[str, Any]:
    """What is said, with what is shared in its place; what nobody shares stays as it is, which is a fault."""
    return {name: shared.get(name, SHARED) if value == SHARED else value for name, value in (own or {}).items()}


def _faults(promise: Promise, shared: Mapping[str, Any]) -> Iterable[str]:
    """What a promise says that does not fit its model, or what is shared."""
    facts, model = promise.facts, promise.model
    columns = {column.name for column in model.columns}
    for what, given in (("values", promise.values), ("rules", promise.rules)):
        yield from (f"{what}: {SHARED_FILE} has no {name}" for name, value in given.items() if value == SHARED)
    named = {
        "dated_by": [facts["dated_by"]],
        "key": promise.key,
        "never_null": facts.get("never_null", ()),
        "month": [facts["month"]] if "month" in facts else [],
        "values": promise.values,
        **_cut_columns(facts.get("cut", {})),
        "good_rows": [column for row in facts.get("good_rows", ()) for column in row],
        **{
            f"rules/{name}/broken_by": [column for each in rule["broken_by"] for column in each if column != WHERE]
            for name, rule in promise.rules.items()
            if rule != SHARED
        },
    }
    yield from (
        f"{what}: the model has no column {name}" for what, names in named.items() for name in names if name not in columns
    )
    if "never_null" in facts and not model.is_view:
        yield "never_null: of a table, dbt's YAML says which columns are not_null"
    if not promise.key:
        yield "key: neither a primary key nor a test in dbt's YAML says what identifies a row, so the promise must"
    if promise.evaluated not in (("whole_table", "per_answer") if model.is_view else ("whole_table", "per_batch")):
        yield f"evaluated: a {'view' if model.is_view else 'table'} is not evaluated {promise.evaluated}"
    if promise.name.startswith("gold.") and sum(kind in facts.get("cut", {}) for kind in CUTS) != 1:
        yield f"cut: says how a table of gold is cut at a time, or why not: one of {', '.join(CUTS)}"
    yield from (
        f"column {column.name}: no logical type is known of {column.data_type}"
        for column in model.columns
        if _logical_type(column.data_type) is None
    )


def _cut_columns(cut: Mapping[str, Any]) -> dict[str, Iterable[str]]:
    moment = [cut["moment"]] if "moment" in cut else []
    return {"cut": [*cut.get("stretch", ()), *moment, *cut.get("open", ()), *cut.get("moving", ()), *cut.get("left_out", ())]}


def _document(promise: Promise, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The Open Data Contract of a table."""
    facts, model = promise.facts, promise.model
    table = promise.name.partition(".")[2]
    latency = {**shared["latency"], **facts.get("latency", {})}
    evaluated = promise.evaluated
    return {
        **{name: value for name, value in shared["document"].items() if name != "team"},
        "id": f"{shared['document']['dataProduct']}.{promise.name}",
        "name": promise.name,
        "version": facts["version"],
        "status": facts.get("status", shared["document"]["status"]),
        "description": {
            "purpose": facts.get("purpose") or re.split(r"(?<=\.) ", model.description)[0],
            "usage": facts.get("usage", shared["usage"]),
        },
        "schema": [
            {
                "name": table,
                "physicalName": promise.name,
                "physicalType": "view" if model.is_view else "table",
                "logicalType": "object",
                "description": model.description,
                "dataGranularityDescription": f"One row per {', '.join(promise.key)}.",
                "customProperties": [
                    {"property": "evaluated", "value": evaluated, "description": shared["evaluated"][evaluated]}
                ],
                "properties": [_property(column, promise, shared["units"]) for column in model.columns],
                "quality": [_quality(promise.name, name, rule) for name, rule in promise.rules.items()],
            }
        ],
        "slaProperties": [{"property": "latency", "element": f"{table}.{facts['dated_by']}", **latency}],
        "team": dict(shared["document"]["team"]),
    }


def _property(column: DescribedColumn, promise: Promise, units: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name, "physicalType": column.data_type}
    logical_type = _logical_type(column.data_type)
    if column.data_type.endswith("[]"):
        found |= {"logicalType": "array", "items": {"logicalType": logical_type}}
    else:
        found["logicalType"] = logical_type
    if column.is_not_null or column.name in promise.facts.get("never_null", ()):
        found["required"] = True
    if column.name in promise.key:
        found |= {"primaryKey": True, "primaryKeyPosition": promise.key.index(column.name) + 1}
    found["description"] = column.description
    if column.name in promise.values:
        found["enum"] = [{"value": value} for value in promise.values[column.name]]
    unit = column.unit or units["types"].get(column.data_type) or _unit_of_name(column.name, units["columns"])
    if unit is not None:
        found["customProperties"] = [{"property": "unit", "value": unit}]
    return found


def _unit_of_name(name: str, columns: Mapping[str, list[str]]) -> str | None:
    return next((unit for unit, names in columns.items() if name in names), None)


def _quality(table: str, name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "description": rule["says"],
        "dimension": rule["dimension"],
        "severity": rule.get("severity", "error"),
        "type": "sql",
        "query": f"select count(*) from {table} where not ({' '.join(rule['holds'].split())})",
        "mustBe": 0,
    }


def _logical_type(data_type: str) -> str | None:
    """The standard's type, of an array that of its elements; None where it is not known."""
    return _LOGICAL_TYPES.get(data_type.removesuffix("[]").partition("(")[0])


def _schema_faults(document: Mapping[str, Any], path: str, part: str | None) -> list[str]:
    return [
        f"{path}: {'/'.join(str(each) for each in error.instance_path) or 'it'}: {error.message}"
        for error in _schema(part).iter_errors(document)
    ]


@functools.cache
def _schema(part: str | None) -> Any:
    """The compiled schema of a promise, or of a part that its schema defines."""
    import jsonschema_rs

    document = json.loads((resource(FOLDER) / "promise.schema.json").read_text(encoding="utf-8"))
    if part is not None:
        document = {"$schema": document["$schema"], "$defs": document["$defs"], "$ref": f"#/$defs/{part}"}
    return jsonschema_rs.validator_for(document)
