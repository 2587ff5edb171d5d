-- gold.consensus_line, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
with touched as materialized (
{{ touched('fresh market') }}
),

tail as materialized (
{{ tail_of(ref('consensus_line'), 'fresh market') }}
),

chained as materialized (
    select
        tail.*,
        lag(tail.valid_from) over one_market as began_before,
        lag(tail.valid_to) over one_market as ended_before
    from tail
    window one_market as (partition by tail.market_id order by tail.valid_from)
),

-- the sound and fresh sets of spreads and totals that stand now
standing as materialized (
    select {{ market_id_of('sets') }} as market_id, sets.event_id, sets.bookmaker_key, sets.market_key, sets.line_point,
        sets.valid_from
    from touched
    cross join lateral (
        select m.*
        from {{ ref('margins') }} as m
        where m.event_id = touched.event_id and m.valid_to is null and {{ is_looked_at('m', 'fresh market') }}
    ) as sets
    where sets.is_sound and sets.outcome_set = 'two_way'
        and not {{ set_is_stale('sets', ref('stale_quotes')) }}
),

markets as materialized (
    select shown.market_key
    from (select distinct market_key from standing) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
    where rule.family in ('spreads', 'totals') and not rule.is_point_in_key
),

extremes as (
    select tail.market_id, tail.event_id, tail.valid_from, extreme.line_point
    from tail
    cross join lateral (values (tail.line_min), (tail.line_max)) as extreme (line_point)
    where tail.valid_to is null
)

select
    'consensus_line: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.market_id, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    ('market_id is the hash of event, market and description', c.market_id = {{ market_id_of('c') }}),
    ('rows of a market do not overlap, and at most one is open', c.began_before is null or coalesce(c.ended_before <= c.valid_from, false)),
    (
        'its event is in events',
        exists (select 1 from {{ ref('events') }} as e where e.event_id = c.event_id offset 0)
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'consensus_line: the lowest and the highest are lines of sets that stand',
    concat_ws(' ', e.event_id, e.market_id, e.line_point),
    cast(to_jsonb(e) as text)
from extremes as e
-- null: a spread or a total has a point
left join standing on standing.market_id = e.market_id and standing.line_point = e.line_point
where standing.market_id is null

union all

select
    'consensus_line: where a line stands the market has a row',
    concat_ws(' ', s.event_id, s.market_id, s.bookmaker_key),
    cast(to_jsonb(s) as text)
from standing as s
join markets on markets.market_key = s.market_key
left join tail on tail.market_id = s.market_id and tail.valid_to is null
{{ with_profile('s.bookmaker_key', 's.valid_from') }}
where tail.market_id is null and {{ has_own_prices('profile') }}
