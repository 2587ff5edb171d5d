-- gold.best_price, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
-- What holds of each row by itself is in contracts/warehouse, and evaluated beside this.
with touched as materialized (
{{ touched('fresh line') }}
),

tail as materialized (
{{ tail_of(ref('best_price'), 'fresh line') }}
),

markets as materialized (
    select shown.market_key, rule.family, rule.is_point_in_key
    from (select distinct market_key from tail) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
),

-- of the touched events, those that events has
events as materialized (
    select found.event_id
    from touched
    cross join lateral (
        select e.event_id from {{ ref('events') }} as e where e.event_id = touched.event_id offset 0
    ) as found
),

chained as materialized (
    select
        tail.*,
        lag(tail.valid_from) over one_line as began_before,
        lag(tail.valid_to) over one_line as ended_before,
        events.event_id is not null as has_event
    from tail
    left join events on events.event_id = tail.event_id
    window one_line as (partition by tail.line_id order by tail.valid_from)
),

-- the hold that the open rows of a line give, where every outcome has one
held as (
    select
        event_id, market_key, description, line_point, outcome_set,
        case
            when count(*) = case outcome_set when 'three_way' then 3 when 'field' then -1 else 2 end
                then cast(1 - 1 / sum(1 / best_price_decimal) as numeric(16, 10))
        end as hold,
        array_agg(distinct best_hold) as best_holds
    from tail
    where valid_to is null
    group by event_id, market_key, description, line_point, outcome_set
),

-- each book of a row that began in the tail: does it have that price there?
offers as materialized (
    select
        tail.line_id, tail.event_id, tail.line_point, tail.outcome_name, tail.best_price_decimal, tail.valid_from, book.bookmaker_key,
        {{ series_id_on_line('tail', 'book.bookmaker_key') }} as series_id
    from tail
    join markets on markets.market_key = tail.market_key
    cross join lateral unnest(tail.books) as book (bookmaker_key)
    where tail.valid_from >= tail.tail_from
)

select
    'best_price: ' || rules.rule as rule,
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
    ('its event is in events', c.has_event)
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'best_price: best_hold follows from the best prices of the line',
    concat_ws(' ', h.event_id, h.market_key, h.description, h.line_point, h.outcome_set),
    cast(to_jsonb(h) as text)
from held as h
where h.best_holds is distinct from array[h.hold]

union all

select
    'best_price: every book has that price then',
    concat_ws(' ', o.event_id, o.line_id, o.valid_from, o.bookmaker_key),
    cast(to_jsonb(o) as text)
from offers as o
{{ with_profile('o.bookmaker_key', 'o.valid_from') }}
where not exists (
    select 1
    from {{ ref('price_history') }} as h
    where h.series_id = o.series_id
        and h.price_side = 'back'
        and h.valid_from <= o.valid_from
        and (h.valid_to is null or h.valid_to > o.valid_from)
        and h.line_point is not distinct from o.line_point
        and o.best_price_decimal = {{ price_net('h.price_decimal', 'profile') }}
    offset 0
)
