"""dbt's YAML beside the models, read without dbt: of each model its columns, their types and meaning, and its key.

A description may take its text from a doc block, ``{{ doc('event_id') }}``, as dbt has it; no other Jinja is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.contracts.strict_yaml import load

MODELS: Final = "dbt/models"
LAYERS: Final = ("silver", "gold")
_BLOCK: Final = re.compile(r"\{%-?\s*docs\s+(\w+)\s*-?%\}(.*?)\{%-?\s*enddocs\s*-?%\}", re.DOTALL)
_DOC: Final = re.compile(r"\{\{\s*doc\(\s*(['\"])(\w+)\1\s*\)\s*\}\}")


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column as dbt's YAML has it.

    Attributes:
        name: its name.
        data_type: PostgreSQL's, e.g. ``numeric(14,8)``.
        description: for people.
        is_not_null: whether the table refuses a null in it.
        unit: ``config.meta.unit``; None where it does not say.
    """

    name: str
    data_type: str
    description: str
    is_not_null: bool
    unit: str | None


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A model as dbt's YAML has it.

    Attributes:
        name: ``schema.table``; the schema is the folder's name.
        description: for people.
        columns: in order.
        primary_key: of a table; empty where there is none, as in a view.
        unique: columns of which a test says that no two rows have the same; empty where no test does.
    """

    name: str
    description: str
    columns: tuple[DescribedColumn, ...]
    primary_key: tuple[str, ...]
    unique: tuple[str, ...]

    @property
    def is_view(self) -> bool:
        """Whether it is computed on reading: every stored model has a primary key, and no view can have one."""
        return not self.primary_key


def described_models(files: Mapping[str, str], faults: list[str]) -> dict[str, DescribedModel]:
    """The models of silver and gold by name, ``schema.table``, in the order of the files.

    Args:
        files: path below the project's root → text, of at least ``dbt/models``.
        faults: what is wrong with them is added here; a model that is not described whole is left out.
    """
    blocks = {
        name: text.strip()
        for path, content in files.items()
        if path.startswith(f"{MODELS}/") and path.endswith(".md")
        for name, text in _BLOCK.findall(content)
    }
    found: dict[str, DescribedModel] = {}
    for path, layer in _yaml_of_layers(files):
        if "\nmodels:" not in files[path]:  # unit tests
            continue
        for model in load(files[path], path, faults).get("models") or ():
            name = f"{layer}.{model.get('name')}"
            wrong = list(_faults(model, blocks))
            faults += [f"{path}: {name}{each}" for each in wrong]
            if not wrong:
                found[name] = _model(name, model, blocks)
    return found


def _yaml_of_layers(files: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for path in sorted(files):
        parts = path.split("/")
        if path.startswith(f"{MODELS}/") and path.endswith((".yml", ".yaml")) and len(parts) > 3 and parts[2] in LAYERS:
            yield path, parts[2]


def _faults(model: Mapping[str, Any], blocks: Mapping[str, str]) -> Iterable[str]:
    yield from _text_faults("", model.get("description"), blocks)
    columns = model.get("columns") or ()
    if not columns:
        yield " lacks columns"
    for column in columns:
        if not column.get("data_type"):
            yield f".{column.get('name')} lacks data_type"
        yield from _text_faults(f".{column.get('name')}", column.get("description"), blocks)


def _text_faults(what: str, text: str | None, blocks: Mapping[str, str]) -> Iterable[str]:
    if not text:
        yield f"{what} lacks description"
        return
    yield from (
        f"{what}: its description takes doc block {found[1]}, which no .md file has"
        for found in _DOC.findall(text)
        if found[1] not in blocks
    )
    if "{{" in _DOC.sub("", text) or "{%" in text:
        yield f"{what}: its description has Jinja other than {{{{ doc('…') }}}}"


def _model(name: str, model: Mapping[str, Any], blocks: Mapping[str, str]) -> DescribedModel:
    keys = [each["columns"] for each in model.get("constraints") or () if each["type"] == "primary_key"]
    tests = [each for each in model.get("data_tests") or () if isinstance(each, Mapping)]
    unique = [
        test["dbt_utils.unique_combination_of_columns"]["arguments"]["combination_of_columns"]
        for test in tests
        if "dbt_utils.unique_combination_of_columns" in test
    ]
    return DescribedModel(
        name,
        _resolved(model["description"], blocks),
        tuple(
            DescribedColumn(
                str(column["name"]),
                str(column["data_type"]),
                _resolved(column["description"], blocks),
                any(each["type"] == "not_null" for each in column.get("constraints") or ()),
                ((column.get("config") or {}).get("meta") or {}).get("unit"),
            )
            for column in model["columns"]
        ),
        tuple(keys[0]) if keys else (),
        tuple(unique[0]) if unique else (),
    )


def _resolved(text: str, blocks: Mapping[str, str]) -> str:
    return _DOC.sub(lambda found: blocks[found[2]], text)
