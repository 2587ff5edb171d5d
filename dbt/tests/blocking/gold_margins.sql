-- gold.margins, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
with touched as materialized (
{{ touched('line') }}
),

tail as materialized (
{{ tail_of(ref('margins'), 'line') }}
),

chained as materialized (
    select
        tail.set_id, tail.event_id, tail.bookmaker_key, tail.market_key, tail.description, tail.line_point, tail.set_no,
        tail.valid_from, tail.valid_to,
        lag(tail.valid_from) over one_set as began_before,
        lag(tail.valid_to) over one_set as ended_before
    from tail
    window one_set as (partition by tail.set_id order by tail.valid_from)
),

-- the prices of the touched events that stand now, and the sets they are in
standing as materialized (
    select
        open_row.event_id, open_row.bookmaker_key, open_row.market_key, open_row.description, open_row.line_point,
        open_row.outcome_name, open_row.implied_probability, open_row.series_id, open_row.line_rank
    from touched
    cross join lateral (
        select h.*
        from {{ ref('price_history') }} as h
        where h.event_id = touched.event_id and h.valid_to is null and {{ is_looked_at('h', 'line') }}
    ) as open_row
    where open_row.price_side = 'back'
),

counted as (
    select event_id, bookmaker_key, market_key, description, line_point, outcome_name, implied_probability, series_id, line_rank,
        1 as prices, 0 as places
    from standing
    union all
    select
        tail.event_id, tail.bookmaker_key, tail.market_key, tail.description, tail.line_point, outcome.outcome_name,
        outcome.implied_probability, null, null, 0, 1
    from tail
    cross join lateral unnest(tail.outcome_names, tail.implied_probabilities) as outcome (outcome_name, implied_probability)
    where tail.valid_to is null
),

unequal as (
    select event_id, bookmaker_key, market_key, description, line_point, outcome_name,
        sum(prices) as prices, sum(places) as places,
        array_agg(series_id order by series_id, line_rank) filter (where prices = 1) as series_ids,
        array_agg(line_rank order by series_id, line_rank) filter (where prices = 1) as line_ranks
    from counted
    group by event_id, bookmaker_key, market_key, description, line_point, outcome_name, implied_probability
    having sum(prices) <> sum(places)
)

select
    'margins: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.set_id, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    (
        'set_id is the hash of the set',
        c.set_id = cast({{ dbt_utils.generate_surrogate_key(
            ['c.event_id', 'c.bookmaker_key', 'c.market_key', key_part('c.description'), 'c.line_point', 'c.set_no']
        ) }} as uuid)
    ),
    ('rows of a set do not overlap, and at most one is open', c.began_before is null or coalesce(c.ended_before <= c.valid_from, false)),
    (
        'its event is in events',
        exists (select 1 from {{ ref('events') }} as e where e.event_id = c.event_id offset 0)
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'margins: every price that stands is in one set, with its probability',
    concat_ws(' ', u.event_id, u.bookmaker_key, u.market_key, u.description, u.line_point, u.outcome_name),
    concat_ws(' ', u.prices, 'prices,', u.places, 'places,', silent.entries, 'of entries that do not speak')
from unequal as u
-- asked of few: a market that stands twice has one entry that speaks
cross join lateral (
    select count(*) as entries
    from unnest(u.series_ids, u.line_ranks) as price (series_id, line_rank)
    cross join lateral {{ quote_until("'infinity'", 'u.event_id', 'price.series_id', 'price.line_rank', ['problem']) }} as told
    where told.problem = 'superseded'
) as silent
where u.prices - silent.entries <> u.places
