"""A table's rules in one query: which rule is broken by how many rows, and by which for example.

The same conditions are asked in two ways: of all rows (:func:`rows_query`), and of the rows that a batch touched
(:func:`batch_query`). The second asks the catalogue, and no row, for what the table refuses by itself: nulls, and two rows of
one key. So it costs what the batch touched, however long the table is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.contracts.tables import KEY_IS_UNIQUE, Rule, TableContract

# Of a view that opens a body per answer, so many answers are looked at where not all are.
NEWEST_ANSWERS: Final = 50
_WORD: Final = re.compile(r"\w+")
# A row of a query's answer: the rule, failing rows, an example.
Answer: TypeAlias = tuple[str, int, str | None]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule found.

    Attributes:
        rule: its name.
        failing: rows that break it; of the rule on the key, keys that several rows have.
        example: one of them, its key and the columns that the rule reads, as text; None where there is none.
    """

    rule: str
    failing: int
    example: str | None


def rows_query(contract: TableContract, relation: str | None = None) -> str:
    """A query of (rule, failing, example), one row per rule, over all rows.

    Args:
        contract: whose rules.
        relation: what to read in place of the contract's own table, e.g. a copy of it.
    """
    # a view is computed once for all rules; a table is read where it lies
    kind = "materialized" if contract.is_view else "not materialized"
    return f"""
        with contracted as {kind} (select * from {relation or contract.name}),
        repeated as materialized (
            select {_key(contract)} as key_text from contracted group by {", ".join(contract.key)} having count(*) > 1
        ),
        {_measured(contract, [rule for rule in contract.rules if rule.condition])}
        union all
        select '{KEY_IS_UNIQUE}', count(*), min(repeated.key_text) from repeated
    """


def newest_answers(contract: TableContract) -> str | None:
    """What :func:`rows_query` reads in place of a view with rows per answer, so that it opens few bodies; None for all others.

    It reads ``ops`` and ``bronze`` too, which no reader may.
    """
    if contract.of_endpoint is None:
        return None
    return f"""(
            select * from {contract.name} where exchange_id = any (array(
                select exchanges.exchange_id
                from ops.ledger as ledger
                join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id
                where ledger.applied and exchanges.endpoint = '{contract.of_endpoint}'
                order by exchanges.captured_at desc, exchanges.exchange_id
                limit {NEWEST_ANSWERS}
            ))
        ) as newest"""


def batch_query(contract: TableContract, scope: str) -> str:
    """A query of (rule, failing, example), one row per rule, over the rows that a batch touched. Its text serves every batch.

    Args:
        contract: of a stored table.
        scope: condition over alias ``t`` that picks the touched rows, through an index.
    """
    return f"""
        with contracted as not materialized (select t.* from {contract.name} as t where {scope}),
        {_measured(contract, _asked_of_rows(contract))}
        union all
        {_catalogue_query(contract)}
    """


def broken_query(scopes: Mapping[str, str], contracts: Sequence[TableContract]) -> str:
    """A query of the contracts for which :func:`batch_query` finds a broken rule. Mostly none: then no more is asked.

    Args:
        scopes: name of each contract → its condition.
        contracts: of stored tables.
    """
    touched = (
        f"select '{each.name}' as contract where exists ("
        f"select 1 from {each.name} as t where ({scopes[each.name]}) and {_is_broken(_asked_of_rows(each))})"
        for each in contracts
    )
    return " union all ".join((*touched, _lax_query(contracts)))


def _lax_query(contracts: Sequence[TableContract]) -> str:
    """A query of the contracts whose table takes a null or two rows of one key."""
    wanted = ", ".join(
        f"('{each.name}', {_names(column.name for column in each.columns if column.required)}, {_names(each.key)})"
        for each in contracts
    )
    return f"""
        select wanted.contract
        from (values {wanted}) as wanted (contract, required, key)
        where not (wanted.required <@ array(
                select found.attname from pg_attribute as found
                where found.attrelid = to_regclass(wanted.contract) and found.attnotnull and not found.attisdropped
            ))
            or not {_KEY_IS_UNIQUE}
    """


def _asked_of_rows(contract: TableContract) -> list[Rule]:
    """The rules that no catalogue answers."""
    structural = {f"{column.name}_is_there" for column in contract.columns if column.required}
    return [rule for rule in contract.rules if rule.condition and rule.name not in structural]


# Whether an index of ``wanted.contract`` refuses two rows of ``wanted.key``.
_KEY_IS_UNIQUE: Final = """exists (
                select 1
                from pg_index as found
                where found.indrelid = to_regclass(wanted.contract)
                    and found.indisunique
                    and found.indisvalid
                    and found.indpred is null
                    and wanted.key = array(
                        select columns.attname
                        from unnest(found.indkey::int2[]) with ordinality as part (attnum, place)
                        join pg_attribute as columns on columns.attrelid = found.indrelid and columns.attnum = part.attnum
                        -- a key of a partitioned table names the time that its months go by, which the row's answer determines
                        where columns.attname = any (wanted.key)
                            or not exists (
                                select 1 from pg_partitioned_table as parted
                                where parted.partrelid = found.indrelid and columns.attnum = any (parted.partattrs::int2[])
                            )
                        order by part.place
                    )
            )"""


def _catalogue_query(contract: TableContract) -> str:
    """A query of (rule, failing, example): whether the table refuses nulls, and two rows of one key."""
    required = _names(column.name for column in contract.columns if column.required)
    return f"""
        select
            wanted.name || '_is_there' as rule,
            case when found.attnotnull then 0 else 1 end as failing,
            case when found.attnotnull then null else 'the table takes a null in ' || wanted.name end as example
        from unnest({required}) as wanted (name)
        left join pg_attribute as found
            on found.attrelid = to_regclass('{contract.name}') and found.attname = wanted.name and not found.attisdropped
        union all
        select
            '{KEY_IS_UNIQUE}',
            case when held.is_unique then 0 else 1 end,
            case when not held.is_unique then 'the table takes two rows of one (' || array_to_string(held.key, ', ') || ')' end
        from (
            select wanted.key, {_KEY_IS_UNIQUE} as is_unique
            from (values ('{contract.name}', {_names(contract.key)})) as wanted (contract, key)
        ) as held
    """


def _names(names: Iterable[str]) -> str:
    """An array of names of columns; they need no quotes."""
    return f"'{{{', '.join(names)}}}'::name[]"


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


def broken_rules(contract: TableContract, rows: Sequence[Answer]) -> tuple[RuleCount, ...]:
    """The rules that are broken, of what a query answered. A rule that was not answered did not run, which breaks it."""
    answered = {row[0] for row in rows}
    silent = [RuleCount(rule.name, 1, "the rule did not run") for rule in contract.rules if rule.name not in answered]
    return (*(RuleCount(*row) for row in rows if row[1]), *silent)


def _measured(contract: TableContract, rules: Sequence[Rule]) -> str:
    """The rest of a query over ``contracted``: what each rule counts, of the few rows that break any."""
    counts = ", ".join(f"count(*) filter (where not ({rule.condition}))" for rule in rules)
    examples = ", ".join(f"min({_example(contract, rule)}) filter (where not ({rule.condition}))" for rule in rules)
    names = ", ".join(f"'{rule.name}'" for rule in rules)
    return f"""broken as materialized (select * from contracted where {_is_broken(rules)}),
        measured as (
            select array[{counts}]::bigint[] as failing, array[{examples}]::text[] as examples from broken
        )
        select found.rule, found.failing, found.example
        from measured
        cross join lateral unnest(array[{names}]::text[], measured.failing, measured.examples)
            as found (rule, failing, example)"""


def _is_broken(rules: Sequence[Rule]) -> str:
    """The condition of a row that breaks any."""
    return f"not ({' and '.join(f'({rule.condition})' for rule in rules) or 'true'})"


def _example(contract: TableContract, rule: Rule) -> str:
    """The key of a row, and what the rule reads of it."""
    words = set(_WORD.findall(rule.condition))
    read = [column.name for column in contract.columns if column.name in words]
    values = ", ".join(f"'{name}', {name}" for name in read)
    return f"{_key(contract)} || ': ' || jsonb_build_object({values})::text"


def _key(contract: TableContract) -> str:
    return f"concat_ws(' ', {', '.join(contract.key)})"
