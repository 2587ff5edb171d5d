{#- What is odd about how a book's markets stand in an answer. `outcomes` names a CTE of staged outcomes, `markets` one of their markets'
    rules, `superseded` one of superseded_entries; each macro is a complete select. -#}

{#-
  The entries that say nothing: a book or market may stand twice in one event; the entry that was read last speaks, then the first,
  and the others are kept.
-#}
{% macro superseded_entries(outcomes) -%}
with doubled as materialized (
    select exchange_id, event_id, bookmaker_key, market_key
    from {{ outcomes }}
    group by exchange_id, event_id, bookmaker_key, market_key
    having min(book_ordinal) < max(book_ordinal) or min(market_ordinal) < max(market_ordinal)
),

entries as (
    select distinct exchange_id, event_id, bookmaker_key, market_key, book_ordinal, market_ordinal, last_update
    from {{ outcomes }}
    where (exchange_id, event_id, bookmaker_key, market_key) in (select exchange_id, event_id, bookmaker_key, market_key from doubled)
),

ordered as (
    select entries.*,
        row_number() over (
            partition by exchange_id, event_id, bookmaker_key, market_key
            order by last_update desc nulls last, book_ordinal, market_ordinal
        ) as place_among
    from entries
)

select exchange_id, event_id, book_ordinal, market_ordinal from ordered where place_among > 1
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
