{#- What game_lines tells of its three markets. Each macro gives expressions, or a complete select. -#}

{% macro game_markets() -%}
    {{ return({'h2h': ['home', 'draw', 'away'], 'spreads': ['home', 'away'], 'totals': ['over', 'under']}) }}
{%- endmacro %}

{#- The events of a run whose game_lines are looked at: those whose facts or score changed, and those that are due. -#}
{% macro games_of_run() -%}
select changes.scope_key as event_id from ops.row_changes as changes where changes.table_name in ('gold.events', 'gold.results')
    union
    select due.event_id from ops.due_events as due
{%- endmacro %}

{#-
  The lines of one market of the events of `reached`, one row each: as it opened, as it closed by the consensus, and between the two.
  The side looked at is home, or Over.
-#}
{% macro game_lines_of(market, sides) -%}
{%- set side = sides[0] -%}
select
    reached.event_id,
    opening.opened_at, opening.opening_basis, opening.line_point as opening_line_point, opening.probability as opening_probability,
    closing.outcome_set as closing_outcome_set, closing.line_point as closing_line_point,
    {% for each in sides -%}
    closing.probability_{{ each }}, best.price_{{ each }}, best.books_{{ each }},
    {% endfor -%}
    best.best_hold, closing.group_count,
    coalesce(closing.close_status, case when reached.start_is_suspect then 'provisional' else 'none' end) as close_status,
    between_them.line_point_min, between_them.line_point_max, held.probability_min, held.probability_max
from reached
left join lateral (
    select opened.first_seen_at as opened_at, opened.opening_basis, opened.line_point, opened.probability
    from opened
    where opened.event_id = reached.event_id and opened.market_key = '{{ market }}' and opened.outcome_side = '{{ side }}'
        and not opened.is_left_censored and opened.first_seen_at < reached.start_at
    order by opened.first_seen_at, opened.outcome_set limit 1
) as opening on true
left join lateral (
    select min(c.outcome_set) as outcome_set, min(c.line_point) as line_point, min(c.group_count) as group_count,
        {% for each in sides -%}
        min(c.fair_median) filter (where c.outcome_side = '{{ each }}') as probability_{{ each }},
        {% endfor -%}
        -- of a line all outcomes have one, but for who is too few
        (array_agg(c.close_status order by c.close_status = 'too_few_groups' desc, c.close_status = 'ok', c.outcome_side))[1] as close_status
    from {{ ref('closing_consensus') }} as c
    where c.event_id = reached.event_id and c.market_key = '{{ market }}' and c.description is null and c.is_main_line
    -- an answer may name other teams than the one before it
    having count(*) filter (where c.outcome_side = '{{ side }}') > 0
) as closing on true
-- as it stood up to the start
left join lateral (
    select
        {% for each in sides -%}
        min(b.best_price_decimal) filter (where b.outcome_side = '{{ each }}') as price_{{ each }},
        min(b.books) filter (where b.outcome_side = '{{ each }}') as books_{{ each }},
        {% endfor -%}
        min(b.best_hold) as best_hold
    from {{ ref('best_price') }} as b
    where b.event_id = reached.event_id and b.valid_from < reached.start_at and (b.valid_to is null or b.valid_to >= reached.start_at)
        and b.market_key = '{{ market }}' and b.description is null and b.outcome_set is not distinct from closing.outcome_set
        and b.line_point is not distinct from closing.line_point
) as best on true
left join lateral (
    select min(l.line_modal) as line_point_min, max(l.line_modal) as line_point_max
    from {{ ref('consensus_line') }} as l
    where l.event_id = reached.event_id and l.market_key = '{{ market }}' and l.description is null
        and l.valid_from < reached.start_at and coalesce(l.valid_to, 'infinity') > coalesce(opening.opened_at, '-infinity')
) as between_them on true
left join lateral (
    select min(c.fair_median) as probability_min, max(c.fair_median) as probability_max
    from {{ ref('consensus') }} as c
    where c.event_id = reached.event_id and c.market_key = '{{ market }}' and c.description is null and c.outcome_side = '{{ side }}'
        and c.outcome_set is not distinct from closing.outcome_set and c.line_point is not distinct from closing.line_point
        and c.valid_from < reached.start_at and coalesce(c.valid_to, 'infinity') > coalesce(opening.opened_at, '-infinity')
) as held on true
{%- endmacro %}
