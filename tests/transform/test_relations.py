"""What follows from the models of gold is in step with them: which are digested, and that BI tools read them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.contracts.tables import read_contracts
from pipeline.errors import SetupError
from pipeline.resources import resource
from pipeline.transform.relations import EXPOSURE, digested, exposure_text
from pipeline.warehouse.digest import FILE, GoldTable, relations, relations_of, relations_text, stored_tables, views
from tests.conftest import Project

DUE = "write it anew: python3 -m nox -s program"


def test_the_files_are_of_the_models_as_they_stand(project: Project) -> None:
    found = digested(project.manifest(), read_contracts())
    assert resource(FILE).read_text(encoding="utf-8") == relations_text(found), DUE
    assert (resource("dbt") / EXPOSURE).read_text(encoding="utf-8") == exposure_text(resource("dbt")), DUE


def test_a_relation_comes_after_what_it_reads(project: Project) -> None:
    manifest = project.manifest()
    names = [each.name for each in relations()]
    assert names.index("gold.price_history") < names.index("gold.stale_quotes") < names.index("gold.best_price")
    for node in manifest.nodes.values():
        if f"{node.schema}.{node.name}" in names:
            read = [manifest.nodes[each] for each in node.depends_on.nodes if each in manifest.nodes]
            earlier = names[: names.index(f"{node.schema}.{node.name}")]
            assert {f"{each.schema}.{each.name}" for each in read if each.schema == "gold"} <= set(earlier)


def test_the_file_is_read_as_it_is_written() -> None:
    some = (GoldTable("gold.a", ("x", "y"), "x"), GoldTable("gold.b", ("z",)))
    assert relations_of(relations_text(some)) == some
    assert {*stored_tables(), *views()} == set(relations()) and all(each.scope_key for each in stored_tables())


@dataclass
class Config:
    """As dbt has it."""

    materialized: str
    given: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        return self.given.get(name)


def manifest_of(name: str, config: Config) -> Any:
    node = SimpleNamespace(
        resource_type="model", schema="gold", alias=name, config=config, depends_on=SimpleNamespace(nodes=["seed.a"])
    )
    return SimpleNamespace(nodes={f"model.{name}": node})


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("events", Config("ledgered"), "gold.events is stored, and its config has no scope_key"),
        ("nothing", Config("view"), "gold.nothing has no contract"),
    ],
)
def test_a_model_that_cannot_be_digested_is_named(name: str, config: Config, said: str) -> None:
    with pytest.raises(SetupError, match=said) as caught:
        digested(manifest_of(name, config), read_contracts())
    assert caught.value.code == "MODEL_INCOMPLETE"


def test_a_view_is_kept_in_no_digest() -> None:
    [stored] = digested(manifest_of("events", Config("ledgered", {"scope_key": "event_id"})), read_contracts())
    [view] = digested(manifest_of("events", Config("view")), read_contracts())
    assert (stored, view) == (GoldTable("gold.events", ("event_id",), "event_id"), GoldTable("gold.events", ("event_id",)))
