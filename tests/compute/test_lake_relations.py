"""The one list of how relations are computed where events are spread over tasks: it has all of them."""

from __future__ import annotations

from pipeline.compute.lake_relations import HOW, LEAST, READ_BY, How, relations_that_are
from pipeline.warehouse.digest import relations
from tests.conftest import Project


def test_every_relation_is_on_the_list(project: Project) -> None:
    """A table or view that is new needs a thought: do its rows follow from one event alone?"""
    assert set(HOW) == {*project.program.all_tables, *project.program.all_views}


def test_gold_is_whole() -> None:
    assert {relation.name for relation in relations()} == {
        name for name in relations_that_are(How.EVENT, How.MERGED) if name.startswith("gold.")
    }


def test_what_is_shared_or_merged_tells_how() -> None:
    assert set(LEAST) == set(relations_that_are(How.SHARED))
    stored = {relation.name for relation in relations() if not relation.is_view}
    assert set(READ_BY) == stored & set(relations_that_are(How.MERGED))


def test_what_names_no_event_is_merged() -> None:
    """A row that no event tells apart can have parts in several tasks."""
    names = {"sport_key", "bookmaker_key", "operator_group", "batch_id"}
    unnamed = {relation.name for relation in relations() if relation.key[0] in names}
    assert len(unnamed) == 10
    assert unnamed <= set(relations_that_are(How.MERGED))
