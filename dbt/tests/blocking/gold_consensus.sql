-- gold.consensus, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
with touched as materialized (
{{ touched('fresh line') }}
),

tail as materialized (
{{ tail_of(ref('consensus'), 'fresh line') }}
),

chained as materialized (
    select
        tail.*,
        lag(tail.valid_from) over one_line as began_before,
        lag(tail.valid_to) over one_line as ended_before
    from tail
    window one_line as (partition by tail.line_id, tail.method order by tail.valid_from)
),

-- the medians of the open rows of a line, which were divided by their sum
summed as (
    select
        event_id, market_key, description, line_point, outcome_set, method,
        count(*) as outcomes,
        count(fair_median) as medians,
        sum(fair_median) as total,
        count(distinct median_sum) as sums
    from tail
    where valid_to is null
    group by event_id, market_key, description, line_point, outcome_set, method
),

-- what the sound and fresh sets that stand now say of each outcome
standing as materialized (
    select
        sets.event_id, sets.market_key, sets.outcome_set, outcome.outcome_name, outcome.probability,
        coalesce('=' || sets.description, '') as description_key,
        coalesce(cast(sets.line_point as text), '') as line_key
    from touched
    cross join lateral (
        select m.*
        from {{ ref('margins') }} as m
        where m.event_id = touched.event_id and m.valid_to is null and {{ is_looked_at('m', 'fresh line') }}
    ) as sets
    cross join lateral unnest(sets.outcome_names, sets.fair_power) as outcome (outcome_name, probability)
    where sets.is_sound
        and not {{ set_is_stale('sets', ref('stale_quotes')) }}
),

extremes as (
    select tail.line_id, tail.event_id, extreme.probability,
        tail.market_key, tail.outcome_set, tail.outcome_name,
        coalesce('=' || tail.description, '') as description_key,
        coalesce(cast(tail.line_point as text), '') as line_key
    from tail
    cross join lateral (values (tail.probability_min), (tail.probability_max)) as extreme (probability)
    where tail.valid_to is null
)

select
    'consensus: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.line_id, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    (
        'line_id is the hash of the line and outcome',
        c.line_id = cast({{ dbt_utils.generate_surrogate_key(
            ['c.event_id', 'c.market_key', key_part('c.description'), 'c.line_point', 'c.outcome_set', key_part('c.outcome_name')]
        ) }} as uuid)
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
    'consensus: the medians of a line sum to 1',
    concat_ws(' ', s.event_id, s.market_key, s.description, s.line_point, s.outcome_set),
    cast(to_jsonb(s) as text)
from summed as s
where s.sums <> 1 or (s.medians = s.outcomes and abs(s.total - 1) > s.outcomes * 0.0000000002)

union all

select
    'consensus: the lowest and the highest are those of sets that stand',
    concat_ws(' ', e.event_id, e.line_id, e.probability),
    cast(to_jsonb(e) as text)
from extremes as e
left join standing
    on standing.event_id = e.event_id
    and standing.market_key = e.market_key
    and standing.description_key = e.description_key
    and standing.line_key = e.line_key
    and standing.outcome_set = e.outcome_set
    and standing.outcome_name = e.outcome_name
    and standing.probability = e.probability
where standing.event_id is null
