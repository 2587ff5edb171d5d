"""All rules of a table in one query: which rule is broken by how many rows, and by which for example."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contracts.tables import KEY_IS_UNIQUE, TableContract
from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule found.

    Attributes:
        rule: its name.
        failing: rows that break it; of the rule on the key, keys that several rows have.
        example: the key of one of them, its columns joined by blanks; None where there is none.
    """

    rule: str
    failing: int
    example: str | None


def rows_query(contract: TableContract, relation: str | None = None) -> str:
    """A query of (rule, failing, example), one row per rule, that reads the relation once.

    Args:
        contract: whose rules.
        relation: what to read in place of the contract's own table, e.g. a copy of it.
    """
    written = [rule for rule in contract.rules if rule.condition]
    key = f"concat_ws(' ', {', '.join(contract.key)})"
    # an example costs nothing until a row fails: what an aggregate leaves out is not computed for it
    counts = [f"count(*) filter (where not ({rule.condition}))" for rule in written]
    examples = [f"min({key}) filter (where not ({rule.condition}))" for rule in written]
    counts.append("(select count(*) from repeated)")
    examples.append("(select min(repeated.key_text) from repeated)")
    names = [f"'{rule.name}'" for rule in written] + [f"'{KEY_IS_UNIQUE}'"]
    # a view is computed once for all rules; a table is read where it lies
    kind = "materialized" if contract.is_view else "not materialized"
    return f"""
        with contracted as {kind} (select * from {relation or contract.name}),
        repeated as materialized (
            select {key} as key_text from contracted group by {", ".join(contract.key)} having count(*) > 1
        ),
        measured as (
            select array[{", ".join(counts)}] as failing, array[{", ".join(examples)}] as examples from contracted
        )
        select found.rule, found.failing, found.example
        from measured
        cross join lateral unnest(array[{", ".join(names)}]::text[], measured.failing, measured.examples)
            as found (rule, failing, example)
    """


def types_query(contract: TableContract) -> str:
    """A query of (rule, failing, example), one row per column: whether it has its type and, in tables, its NOT NULL."""
    wanted = ", ".join(
        f"('{column.name}', '{column.catalogue_type}', {str(column.required).lower()})" for column in contract.columns
    )
    nulls = "true" if contract.is_view else "found.attnotnull = wanted.required"
    return f"""
        select
            wanted.name || '_has_its_type' as rule,
            case when format_type(found.atttypid, found.atttypmod) = wanted.type and {nulls} then 0 else 1 end as failing,
            coalesce(
                format_type(found.atttypid, found.atttypmod) || case when found.attnotnull then ' not null' else '' end,
                'no such column'
            ) as example
        from (values {wanted}) as wanted (name, type, required)
        left join pg_attribute as found
            on found.attrelid = to_regclass('{contract.name}')
            and found.attname = wanted.name
            and found.attnum > 0
            and not found.attisdropped
    """


def count_broken(connection: Connection, contract: TableContract, relation: str | None = None) -> tuple[RuleCount, ...]:
    """The rules that some row breaks, on a connection of ours; without Great Expectations."""
    rows = connection.execute(rows_query(contract, relation).encode()).fetchall()
    assert len(rows) == len(contract.rules), contract.name
    return tuple(RuleCount(*row) for row in rows if row[1])
