{#- What the blocking tests of arbitrages and middles share. `tail` holds the rows to look at (tail_of). -#}

{#-
  Of each line that is looked at, per leg the lowest probability at which it can be backed now, and at which
  operators. `leg` tells outcomes apart: name, or side, which is another one where answers disagree on who plays.
-#}
{% macro cheapest_now(leg, by) -%}
with standing as materialized (
    select distinct on (sets.event_id, sets.market_key, sets.description, sets.line_point, sets.outcome_set, sets.outcome_names, sets.bookmaker_key)
        sets.*,
        coalesce(profile.operator_group, sets.bookmaker_key) as operator_group,
        case when profile.price_kind = 'back_net' then profile.commission else 0 end as commission
    from touched
    cross join lateral (
        select m.* from {{ ref('margins') }} as m
        where m.event_id = touched.event_id and m.valid_to is null and {{ is_looked_at('m', by) }}
    ) as sets
    {{ with_profile('sets.bookmaker_key', 'sets.valid_from') }}
    where sets.is_sound and sets.outcome_set <> 'field' and {{ has_own_prices('profile') }}
    order by
        sets.event_id, sets.market_key, sets.description, sets.line_point, sets.outcome_set, sets.outcome_names, sets.bookmaker_key,
        sets.set_no
),

backed as (
    select standing.event_id, standing.market_key, standing.description, standing.line_point, standing.outcome_set,
        standing.outcome_names, outcome.{{ leg }} as leg, standing.operator_group,
        min(cast(
            1 / (1 + (1 / round(outcome.probability, 40) - 1) * (1 - standing.commission)) as numeric(12, 10)
        )) as probability
    from standing
    cross join lateral unnest(standing.outcome_names, standing.outcome_sides, standing.implied_probabilities)
        as outcome (name, side, probability)
    group by
        standing.event_id, standing.market_key, standing.description, standing.line_point, standing.outcome_set,
        standing.outcome_names, outcome.{{ leg }}, standing.operator_group
),

lowest as (
    select backed.*,
        min(probability) over (
            partition by event_id, market_key, description, line_point, outcome_set, outcome_names, leg
        ) as lowest_probability
    from backed
)

select
    event_id, market_key, coalesce('=' || description, '') as description_key, line_point, outcome_set, outcome_names, leg,
    lowest_probability as probability,
    array_agg(operator_group order by operator_group) filter (where probability = lowest_probability) as operator_groups
from lowest
group by event_id, market_key, description, line_point, outcome_set, outcome_names, leg, lowest_probability
{%- endmacro %}

{% macro legs_of_the_tail(id, other_line_point='line_point') -%}
with legs as (
    select
        tail.{{ id }} as id, tail.event_id, tail.market_key, tail.description, tail.valid_from, moment.at,
        case when leg.leg_no = 2 then tail.{{ other_line_point }} else tail.line_point end as line_point,
        leg.outcome_name, leg.outcome_side, leg.bookmaker_key, leg.price
    from tail
    cross join lateral (
        values
        (tail.valid_from, tail.books_at_open, tail.prices_at_open),
        (tail.best_at, tail.books_at_best, tail.prices_at_best)
    ) as moment (at, books, prices)
    cross join lateral unnest(tail.outcome_names, tail.outcome_sides, moment.books, moment.prices) with ordinality
        as leg (outcome_name, outcome_side, bookmaker_key, price, leg_no)
    where moment.at >= tail.tail_from
),

markets as materialized ({{ rules_of_markets('tail', ['family', 'is_point_in_key']) }})

select legs.*, {{ series_id_on_line('legs', 'legs.bookmaker_key') }} as series_id
from legs
join markets on markets.market_key = legs.market_key
{%- endmacro %}

{% macro offer_stood() -%}
exists (
    select 1
    from {{ ref('price_history') }} as h
    {{ with_profile('o.bookmaker_key', 'o.at') }}
    where h.series_id = o.series_id and h.price_side = 'back' and {{ stands_at('h', 'o.at') }}
        and h.line_point is not distinct from o.line_point and o.price = {{ price_net('h.price_decimal', 'profile') }}
    offset 0
)
{%- endmacro %}
