-- gold.arbitrages, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
with touched as materialized (
{{ touched('line') }}
),

tail as materialized (
{{ tail_of(ref('arbitrages'), 'line') }}
),

chained as materialized (
    select
        tail.*,
        lag(tail.valid_from) over one_line as began_before,
        lag(tail.valid_to) over one_line as ended_before
    from tail
    window one_line as (partition by tail.arbitrage_id order by tail.valid_from)
),

cheapest as materialized (
{{ cheapest_now('name', by='line') }}
),

-- the lines whose cheapest legs sum to less than 1, so that an arbitrage stands unless one operator has them all
profitable as (
    select
        event_id, market_key, description_key, coalesce(cast(line_point as text), '') as line_key, outcome_set, outcome_names,
        sum(probability) as total,
        max(cardinality(operator_groups)) > 1 or count(distinct operator_groups) > 1 as is_of_two
    from cheapest
    group by event_id, market_key, description_key, coalesce(cast(line_point as text), ''), outcome_set, outcome_names
    having sum(probability) < 1 - count(*) * 0.0000000001
),

open_rows as (
    select
        event_id, market_key, coalesce('=' || description, '') as description_key, coalesce(cast(line_point as text), '') as line_key,
        outcome_set, outcome_names
    from tail
    where valid_to is null
),

offers as materialized (
{{ legs_of_the_tail('arbitrage_id') }}
)

select
    'arbitrages: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.arbitrage_id, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    (
        'arbitrage_id is the hash of the line',
        c.arbitrage_id = cast({{ dbt_utils.generate_surrogate_key([
            'c.event_id', 'c.market_key', key_part('c.description'), 'c.line_point', 'c.outcome_set',
            key_part('cast(c.outcome_names as text)')
        ]) }} as uuid)
    ),
    ('rows of a line do not overlap, and at most one is open', c.began_before is null or coalesce(c.ended_before <= c.valid_from, false)),
    (
        'its event is in events',
        exists (select 1 from {{ ref('events') }} as e where e.event_id = c.event_id offset 0)
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'arbitrages: what sums to less than 1 now is open, and nothing else',
    concat_ws(' ', event_id, market_key, description_key, line_key, outcome_set),
    concat_ws(' ', p.total, o.market_key is not null)
from profitable as p
full join open_rows as o using (event_id, market_key, description_key, line_key, outcome_set, outcome_names)
where p.total is null or (o.market_key is null and p.is_of_two)

union all

select
    'arbitrages: every leg has that price then',
    concat_ws(' ', o.event_id, o.id, o.valid_from, o.bookmaker_key),
    cast(to_jsonb(o) as text)
from offers as o
where not {{ offer_stood() }}
