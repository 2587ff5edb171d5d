{#- What is odd about how a book's markets stand in an answer. `outcomes` names a CTE of staged outcomes, `markets` one of their markets'
    rules, `superseded` one of superseded_entries; each macro is a complete select. -#}

{#-
  The entries that say nothing: a book or market may stand twice in one event; the entry that was read last speaks, then the first,
  and the others are kept.
-#}
{% macro superseded_entries(outcomes) -%}
select ordered.exchange_id, ordered.event_id, ordered.book_ordinal, ordered.market_ordinal
from (
    -- one sort, and no grouping: of what an answer holds the server guesses millions, and makes room for as many
    select shown.exchange_id, shown.event_id, shown.book_ordinal, shown.market_ordinal,
        dense_rank() over (
            partition by shown.exchange_id, shown.event_id, shown.bookmaker_key, shown.market_key
            order by shown.last_update desc nulls last, shown.book_ordinal, shown.market_ordinal
        ) as entry_no
    from {{ outcomes }} as shown
) as ordered
where ordered.entry_no > 1
{%- endmacro %}

{#-
  The lines on which nobody can say which set is whose: one market shows a player's or a runner's outcome at one point twice, and no
  other name's. A market that doubles several names is a doubled list of one person each.
-#}
{% macro lines_of_namesakes(outcomes, markets, superseded) -%}
with doubled as materialized (
    select shown.exchange_id, shown.event_id, shown.bookmaker_key, shown.market_key, shown.description, shown.point,
        coalesce(shown.description, shown.outcome_name) as person
    from {{ outcomes }} as shown
    join {{ markets }} as rule on rule.market_key = shown.market_key
    where rule.family in ('props', 'outrights')
        and (shown.exchange_id, shown.event_id, shown.book_ordinal, shown.market_ordinal)
            not in (select exchange_id, event_id, book_ordinal, market_ordinal from {{ superseded }})
    group by
        shown.exchange_id, shown.event_id, shown.bookmaker_key, shown.market_key, shown.book_ordinal, shown.market_ordinal,
        shown.description, shown.outcome_name, shown.point
    having count(*) > 1
)

select distinct exchange_id, event_id, bookmaker_key, market_key, description, point
from doubled
where (exchange_id, event_id, bookmaker_key, market_key) in (
    select exchange_id, event_id, bookmaker_key, market_key from doubled
    group by exchange_id, event_id, bookmaker_key, market_key having count(distinct person) = 1
)
{%- endmacro %}

{#- Description and point of an outcome as two texts, which tell none from empty. -#}
{% macro line_of_person() -%}
coalesce('=' || description, ''), coalesce(cast(point as text), '')
{%- endmacro %}
