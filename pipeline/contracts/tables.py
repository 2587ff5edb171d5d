"""Contracts of published tables and views: Open Data Contract Standard documents, validated, compared with dbt.

The documents are built (:mod:`pipeline.contracts.promises`), and what the program knows of a table is what its document says.

A contract says what holds of each row. What its structure says (a column that is required, the values a column may have, the
key) are checks as much as the rules that are written out, so that nothing is said twice. A check's condition is tested as a
CHECK constraint's is: it fails where it is false, and holds where it is null.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.contracts.promises import FOLDER, documents, project_files
from pipeline.contracts.strict_yaml import FASTEST
from pipeline.errors import SetupError

# of a full document: as they are written out, and as they were kept before they were built
SUFFIX: Final = ".odcs.yaml"
KEY_IS_UNIQUE: Final = "key_is_unique"
VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")

# When a table's rules are evaluated: a property of the table, beyond the standard's.
EVALUATED: Final = "evaluated"
PER_BATCH: Final = "per_batch"
WHOLE_TABLE: Final = "whole_table"
PER_ANSWER: Final = "per_answer"

# Units of a latency.
SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
# What dbt's files and the catalogue call the same type.
_TYPE_NAMES: Final[Mapping[str, str]] = {"timestamptz": "timestamp with time zone"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a published table.

    Attributes:
        name: its name.
        physical_type: PostgreSQL's, as dbt's files write it, e.g. ``numeric(14,8)``.
        logical_type: the standard's, e.g. ``number``.
        required: whether it is never null.
        description: for people.
        unit: of its values, if they have one.
        values: the only ones it may have; empty = any.
    """

    name: str
    physical_type: str
    logical_type: str
    required: bool
    description: str
    unit: str | None
    values: tuple[str, ...]

    @property
    def catalogue_type(self) -> str:
        """Its type as PostgreSQL's ``format_type`` writes it."""
        return _TYPE_NAMES.get(self.physical_type, self.physical_type)


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds of every row.

    Attributes:
        name: stable, unique within its contract.
        description: for people.
        dimension: the standard's dimension of quality.
        severity: ``error``, or ``warning`` for what is worth a look only.
        condition: SQL over the row's columns; false = broken. Empty for the rule that the key is unique.
    """

    name: str
    description: str
    dimension: str
    severity: str
    condition: str


@dataclass(frozen=True, slots=True)
class TableContract:
    """What one published table or view promises.

    Attributes:
        schema: ``silver`` or ``gold``.
        table: its name in there.
        version: of the contract, ``major.minor.patch``.
        status: the standard's, e.g. ``active``.
        is_view: whether it is computed on reading.
        purpose: what it is there for, in one sentence.
        description: for people.
        grain: what one row is.
        is_checked_per_batch: whether its rules are evaluated on the rows of each batch, which they hold back; else they are
            evaluated on whole tables only, by ``contracts run``, ``verify`` and at night.
        of_endpoint: of a view whose rows tell of one answer of an endpoint each: its name. ``verify`` holds such a view to its
            rules on the newest answers only, as it opens a body for each; the others look at all. Else None.
        freshness: how soon a fact is there, in words.
        latency: the same as a time; None where none is promised.
        owner: the team.
        columns: in order.
        key: columns that identify a row, in order.
        written_rules: those that are written out; :attr:`rules` has all.
    """

    schema: str
    table: str
    version: str
    status: str
    is_view: bool
    purpose: str
    description: str
    grain: str
    is_checked_per_batch: bool
    of_endpoint: str | None
    freshness: str
    latency: dt.timedelta | None
    owner: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    written_rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.table}"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What its structure says of every row, then what is written out; the key last."""
        there = tuple(
            Rule(
                f"{column.name}_is_there",
                f"{column.name} is never null.",
                "completeness",
                "error",
                f"{column.name} is not null",
            )
            for column in self.columns
            if column.required
        )
        known = tuple(
            Rule(
                f"{column.name}_is_known",
                f"{column.name} is one of {', '.join(column.values)}.",
                "conformity",
                "error",
                f"{column.name} in ({', '.join(_literal(value) for value in column.values)})",
            )
            for column in self.columns
            if column.values
        )
        text = f"{', '.join(self.key)}: no two rows have the same."
        return (*there, *known, *self.written_rules, Rule(KEY_IS_UNIQUE, text, "uniqueness", "error", ""))


def read_contracts(root: Path | None = None) -> tuple[TableContract, ...]:
    """All contracts, in order of their names.

    Args:
        root: the folder that holds ``contracts`` and ``dbt``; by default the project's own.

    Raises:
        SetupError: ``CONTRACT_INVALID``, with every fault of every file.
    """
    return contracts_of(project_files(root))


def contracts_of(files: Mapping[str, str]) -> tuple[TableContract, ...]:
    """All contracts of a state of the project, in order of their names.

    Args:
        files: path below the project's root → text, of ``contracts/warehouse`` and ``dbt/models``. Where full documents
            are among them, as before they were built, those are read.

    Raises:
        SetupError: ``CONTRACT_INVALID``, with every fault of every file.
    """
    kept = sorted(path for path in files if path.startswith(f"{FOLDER}/") and path.endswith(SUFFIX))
    if kept:
        return _every(lambda path: parse_contract(files[path], path.rpartition("/")[2]), kept)
    return contracts_in(documents(files))


def contracts_in(built: Mapping[str, Any]) -> tuple[TableContract, ...]:
    """What full documents say, by name.

    Raises:
        SetupError: ``CONTRACT_INVALID``, with every fault of every document.
    """
    return _every(lambda name: _contract(built[name], f"{name}{SUFFIX}"), built)


def _every(read: Callable[[str], TableContract], names: Iterable[str]) -> tuple[TableContract, ...]:
    """What is read under each name, or the faults of all."""
    contracts, faults = [], []
    for name in names:
        try:
            contracts.append(read(name))
        except SetupError as error:
            faults.append(error.message)
    if faults:
        raise SetupError("CONTRACT_INVALID", "; ".join(faults), "Mend what is named.")
    return tuple(contracts)


def parse_contract(text: str, file_name: str) -> TableContract:
    """One document.

    Args:
        text: YAML.
        file_name: ``<schema>.<table>.odcs.yaml``; must agree with what the document says.

    Raises:
        SetupError: ``CONTRACT_INVALID``: breaks the standard's schema, or what this project asks beyond it.
    """
    try:
        document = yaml.load(text, Loader=FASTEST)
    except yaml.YAMLError as error:
        raise _invalid(file_name, [f"is no YAML ({' '.join(str(error).split())})"]) from None
    return _contract(document, file_name)


def _contract(document: Any, file_name: str) -> TableContract:
    """What a document says, once it keeps the standard and what this project asks beyond it."""
    faults = [f"{_pointer(error)}: {error.message}" for error in _standard().iter_errors(document)]
    if not faults:
        faults = list(_house_faults(document, file_name))
    if faults:
        raise _invalid(file_name, faults)
    [table] = document["schema"]
    schema, _, name = table["physicalName"].partition(".")
    keyed = [each for each in table["properties"] if each.get("primaryKey")]
    columns = tuple(_column(each) for each in table["properties"])
    return TableContract(
        schema=schema,
        table=name,
        version=document["version"],
        status=document["status"],
        is_view=table["physicalType"] == "view",
        purpose=document["description"]["purpose"],
        description=table["description"],
        grain=table["dataGranularityDescription"],
        is_checked_per_batch=_evaluated(table) == PER_BATCH,
        of_endpoint=_endpoint(columns) if _evaluated(table) == PER_ANSWER else None,
        freshness="; ".join(
            f"{each['property']} {each['value']} {each.get('unit', '')}: {each.get('description', '')}"
            for each in document["slaProperties"]
        ),
        latency=next((_latency(each) for each in document["slaProperties"] if each["property"] == "latency"), None),
        owner=document["team"]["name"],
        columns=columns,
        key=tuple(each["name"] for each in sorted(keyed, key=lambda each: each["primaryKeyPosition"])),
        written_rules=tuple(
            Rule(
                each["id"],
                each["description"],
                each["dimension"],
                each["severity"],
                _condition(each["query"], table["physicalName"]),
            )
            for each in table.get("quality", ())
        ),
    )


def in_step(contracts: Sequence[TableContract], manifest: Any) -> list[str]:
    """What differs between contracts and dbt's models, and on which side.

    Args:
        contracts: all of them.
        manifest: dbt's, as parsed.

    Returns:
        One line per difference; empty where they agree. Views say nothing of nulls in dbt, so theirs are not compared.
    """
    models = {f"{node.schema}.{node.alias}": node for node in _models(manifest)}
    promised = {contract.name: contract for contract in contracts}
    differences = [f"{name}: dbt has a model, and there is no contract" for name in sorted(models.keys() - promised.keys())]
    differences += [f"{name}: there is a contract, and dbt has no model" for name in sorted(promised.keys() - models.keys())]
    for name in sorted(models.keys() & promised.keys()):
        differences += [f"{name}{text}" for text in _differences(promised[name], models[name])]
    return differences


def readers(manifest: Any, name: str) -> list[str]:
    """The dbt models and exposures that read a published table, sorted; e.g. ``gold.best_price``.

    Args:
        manifest: dbt's, as parsed.
        name: ``schema.table``.
    """
    ids = {node.unique_id for node in _models(manifest) if f"{node.schema}.{node.alias}" == name}
    found = [
        f"{node.schema}.{node.alias}"
        for node in manifest.nodes.values()
        if str(node.resource_type) == "model" and ids & set(node.depends_on.nodes)
    ]
    found += [f"exposure {node.name}" for node in manifest.exposures.values() if ids & set(node.depends_on.nodes)]
    return sorted(found)


def _models(manifest: Any) -> list[Any]:
    """The models that readers see."""
    return [
        node for node in manifest.nodes.values() if str(node.resource_type) == "model" and node.schema in ("silver", "gold")
    ]


def _differences(contract: TableContract, model: Any) -> Iterable[str]:
    def both(what: str, ours: object, theirs: object) -> Iterable[str]:
        if ours != theirs:
            yield f"{what}: the contract says {ours!r}, dbt says {theirs!r}"

    yield from both(
        ": kind", "view" if contract.is_view else "table", "view" if model.config.materialized == "view" else "table"
    )
    yield from both(": description", contract.description, model.description)
    ours, theirs = {column.name: column for column in contract.columns}, model.columns
    yield from (f".{name}: dbt has the column, the contract has not" for name in theirs if name not in ours)
    yield from (f".{name}: the contract has the column, dbt has not" for name in ours if name not in theirs)
    if ours.keys() == theirs.keys():
        yield from both(": order of columns", list(ours), list(theirs))
    for name in ours.keys() & theirs.keys():
        yield from both(f".{name}: type", ours[name].physical_type, theirs[name].data_type)
        yield from both(f".{name}: description", ours[name].description, theirs[name].description)
        if not contract.is_view:
            constraints = [str(getattr(each.type, "value", each.type)) for each in theirs[name].constraints]
            yield from both(f".{name}: required", ours[name].required, "not_null" in constraints)
    keys = [each.columns for each in model.constraints if str(getattr(each.type, "value", each.type)) == "primary_key"]
    if not contract.is_view:
        # a partitioned table's key names the time that its months go by, which the answer determines
        parted = ["captured_at"] if model.config.get("by_month") else []
        yield from both(": key", [*contract.key, *parted], list(keys[0]) if keys else [])


def _house_faults(document: Mapping[str, Any], file_name: str) -> Iterable[str]:
    """What this project asks of a document beyond the standard."""
    missing = [each for each in ("status", "schema", "slaProperties", "team", "description") if not document.get(each)]
    if missing:
        yield f"lacks {', '.join(missing)}"
        return
    if not VERSION.fullmatch(document["version"]):
        yield f"/version: {document['version']!r} is not major.minor.patch"
    if len(document["schema"]) != 1:
        yield "/schema: must hold one table"
        return
    [table] = document["schema"]
    missing = [
        each
        for each in ("physicalName", "physicalType", "description", "dataGranularityDescription", "properties")
        if not table.get(each)
    ]
    if missing:
        yield f"/schema/0 lacks {', '.join(missing)}"
        return
    name = table["physicalName"]
    if f"{name}{SUFFIX}" != file_name or document.get("name") != name or table["name"] != name.partition(".")[2]:
        yield f"file, name and physicalName differ: {file_name}, {document.get('name')}, {name}"
    if table["physicalType"] not in ("table", "view"):
        yield f"/schema/0/physicalType: {table['physicalType']!r} is neither table nor view"
    kinds = {PER_BATCH: ("table",), WHOLE_TABLE: ("table", "view"), PER_ANSWER: ("view",)}
    if table["physicalType"] not in kinds.get(_evaluated(table), ()):
        yield (
            f"/schema/0/customProperties: {EVALUATED} is {WHOLE_TABLE}, or {PER_BATCH} where it is a table,"
            f" or {PER_ANSWER} where it is a view"
        )
    for each in document["slaProperties"]:
        if each["property"] == "latency" and _latency(each) is None:
            yield f"/slaProperties: latency must be a number, with a unit of {', '.join(SECONDS)}"
    faults = tuple(_column_faults(table["properties"]))
    yield from faults
    if _evaluated(table) == PER_ANSWER and not faults and _endpoint(tuple(map(_column, table["properties"]))) is None:
        yield f"/schema/0/properties: what is evaluated {PER_ANSWER} has an exchange_id, and an endpoint of one value"
    rules = [each.get("id") for each in table.get("quality", ())]
    yield from (
        f"/schema/0/quality: {rule} stands twice" for rule in sorted({str(rule) for rule in rules if rules.count(rule) > 1})
    )
    for place, rule in enumerate(table.get("quality", ())):
        lacks = [each for each in ("id", "description", "dimension", "severity", "query") if not rule.get(each)]
        if lacks:
            yield f"/schema/0/quality/{place} lacks {', '.join(lacks)}"
        elif rule["type"] != "sql" or rule.get("mustBe") != 0 or not _condition(rule["query"], name):
            yield (
                f"/schema/0/quality/{place}: {rule['id']} must be of type sql, mustBe 0, and its query"
                f" `select count(*) from {name} where not (CONDITION)`"
            )
        if rule.get("severity") not in ("error", "warning"):
            yield f"/schema/0/quality/{place}/severity: is neither error nor warning"


def _evaluated(table: Mapping[str, Any]) -> str:
    """When the rules of a table are evaluated; where it does not say, whenever they can be."""
    own = {item["property"]: item["value"] for item in table.get("customProperties", ())}
    return str(own.get(EVALUATED, WHOLE_TABLE if table["physicalType"] == "view" else PER_BATCH))


def _endpoint(columns: Sequence[Column]) -> str | None:
    """The one endpoint whose answers a table tells of; None where that is not said, or no row names its answer."""
    values = {column.name: column.values for column in columns}
    return values["endpoint"][0] if "exchange_id" in values and len(values.get("endpoint", ())) == 1 else None


def _latency(promise: Mapping[str, Any]) -> dt.timedelta | None:
    value, seconds = promise["value"], SECONDS.get(promise.get("unit", ""))
    return dt.timedelta(seconds=value * seconds) if isinstance(value, int | float) and seconds else None


def _column_faults(columns: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    names = [each["name"] for each in columns]
    yield from (
        f"/schema/0/properties: {name} stands twice" for name in sorted({each for each in names if names.count(each) > 1})
    )
    for each in columns:
        if not _NAME.fullmatch(each["name"]):
            yield f"/schema/0/properties: {each['name']!r} is no plain name"
        lacks = [wanted for wanted in ("physicalType", "logicalType", "description") if not each.get(wanted)]
        if lacks:
            yield f"/schema/0/properties: {each['name']} lacks {', '.join(lacks)}"
    positions = sorted(each.get("primaryKeyPosition", 0) for each in columns if each.get("primaryKey"))
    if not positions or positions != list(range(1, len(positions) + 1)):
        yield f"/schema/0/properties: positions in the key are {positions}"


def _column(each: Mapping[str, Any]) -> Column:
    own = {item["property"]: item["value"] for item in each.get("customProperties", ())}
    return Column(
        name=each["name"],
        physical_type=each["physicalType"],
        logical_type=each["logicalType"],
        required=bool(each.get("required", False)),
        description=each["description"],
        unit=own.get("unit"),
        values=tuple(str(item["value"]) for item in each.get("enum", ())),
    )


def _condition(query: str, name: str) -> str:
    """The condition in a rule's query; empty where the query has another form."""
    found = re.fullmatch(rf"select count\(\*\) from {re.escape(name)} where not \((.+)\)", " ".join(query.split()))
    # what a row's condition may not hold, as it would end or begin something
    return "" if found is None or ";" in found[1] or "--" in found[1] else found[1]


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@functools.cache
def _standard() -> Any:
    """The standard's own schema, compiled."""
    import jsonschema_rs

    text = (files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.validator_for(json.loads(text))


def _pointer(error: Any) -> str:
    return "/" + "/".join(str(part) for part in error.instance_path)


def _invalid(file_name: str, faults: Sequence[str]) -> SetupError:
    return SetupError("CONTRACT_INVALID", f"{file_name}: {'; '.join(faults)}", "Mend the document.")
