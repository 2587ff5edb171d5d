-- gold.middles, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
with touched as materialized (
{{ touched('market') }}
),

tail as materialized (
{{ tail_of(ref('middles'), 'market') }}
),

chained as materialized (
    select
        tail.*,
        lag(tail.valid_from) over one_pair as began_before,
        lag(tail.valid_to) over one_pair as ended_before
    from tail
    window one_pair as (partition by tail.middle_id order by tail.valid_from)
),

cheapest as materialized (
{{ cheapest_now('side', by='market') }}
),

-- the pairs of lines that are cheap now, so that a middle stands unless one operator has both
cheap as (
    select
        one.event_id, one.market_key, one.description_key, one.line_point, two.line_point as other_line_point, one.leg as side,
        min(one.probability + two.probability) as total,
        bool_or(one.operator_groups <> two.operator_groups or cardinality(one.operator_groups) > 1) as is_of_two
    from cheapest as one
    join cheapest as two
        on two.event_id = one.event_id
        and two.market_key = one.market_key
        and two.description_key = one.description_key
    cross join lateral {{ market_rule('one.market_key') }} as market
    where case
            when one.leg = 'over' and two.leg = 'under' then two.line_point - one.line_point
            when one.leg = 'home' and two.leg = 'away' and market.family = 'spreads' then one.line_point - two.line_point
        end >= {{ parameter('middle_width_min') }}
        and one.probability + two.probability <= 1 + {{ parameter('middle_cost_max') }}
    group by one.event_id, one.market_key, one.description_key, one.line_point, two.line_point, one.leg
),

open_rows as (
    select
        event_id, market_key, coalesce('=' || description, '') as description_key, line_point, other_line_point,
        outcome_sides[1] as side
    from tail
    where valid_to is null
),

offers as materialized (
{{ legs_of_the_tail('middle_id', 'other_line_point') }}
)

select
    'middles: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.middle_id, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    (
        'middle_id is the hash of the pair of lines',
        c.middle_id = cast({{ dbt_utils.generate_surrogate_key([
            'c.event_id', 'c.market_key', key_part('c.description'), 'c.line_point', 'c.other_line_point', 'c.outcome_sides[1]'
        ]) }} as uuid)
    ),
    ('rows of a pair do not overlap, and at most one is open', c.began_before is null or coalesce(c.ended_before <= c.valid_from, false)),
    (
        'its event is in events',
        exists (select 1 from {{ ref('events') }} as e where e.event_id = c.event_id offset 0)
    ),
    ('it is as wide and as cheap as is listed', c.width >= {{ parameter('middle_width_min') }} and c.cost_at_open <= {{ parameter('middle_cost_max') }})
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'middles: what is cheap now is open, and nothing else',
    concat_ws(' ', event_id, market_key, description_key, line_point, other_line_point),
    concat_ws(' ', c.total, o.market_key is not null)
from cheap as c
full join open_rows as o using (event_id, market_key, description_key, line_point, other_line_point, side)
where c.total is null or (o.market_key is null and c.is_of_two)

union all

select
    'middles: every leg has that price then',
    concat_ws(' ', o.event_id, o.id, o.valid_from, o.bookmaker_key),
    cast(to_jsonb(o) as text)
from offers as o
where not {{ offer_stood() }}
