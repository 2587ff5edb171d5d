-- What clv and calibration hold of a book's main line some time before the start is what quotes_sampled holds of it: one row
-- for each that differs.
with sampled as (
    select q.event_id, q.bookmaker_key, q.market_key, q.outcome_set, q.outcome_side, q.outcome_name, q.minutes_to_start,
        q.sampled_at, q.quote_state, q.line_point, q.price_net, q.fair_probability, q.seconds_since_seen
    from {{ ref('quotes_sampled') }} as q
),

-- what is sampled: one set of outcomes by book and market
markets as (
    select sampled.event_id, sampled.market_key, sampled.outcome_set from sampled
    group by sampled.event_id, sampled.market_key, sampled.outcome_set
)

select
    'clv' as table_name, cast(clv.series_id as text) as key, clv.horizon,
    concat_ws(' ', clv.line_point, clv.price_taken, clv.probability_taken) as held,
    concat_ws(' ', sampled.line_point, sampled.price_net, sampled.fair_probability) as sampled
from {{ ref('clv') }} as clv
join markets on markets.event_id = clv.event_id and markets.market_key = clv.market_key and markets.outcome_set = clv.outcome_set
left join sampled
    on sampled.event_id = clv.event_id and sampled.bookmaker_key = clv.bookmaker_key and sampled.market_key = clv.market_key
    and sampled.outcome_set = clv.outcome_set and sampled.outcome_side = clv.outcome_side
    and sampled.minutes_to_start * 60 = clv.seconds_to_start
where clv.horizon <> 'opening' and clv.description is null
    and (
        sampled.quote_state is distinct from 'quoted' or sampled.sampled_at is distinct from clv.taken_at
        or sampled.line_point is distinct from clv.line_point or sampled.price_net is distinct from clv.price_taken
        or sampled.fair_probability is distinct from clv.probability_taken
        or sampled.seconds_since_seen is distinct from clv.seconds_since_seen
    )

union all

select
    'calibration_observations', concat_ws(' ', held.event_id, held.market_key, held.bookmaker_key),
    concat(held.horizon_hours, 'h'),
    concat_ws(' ', held.line_point, held.probability),
    concat_ws(' ', sampled.line_point, sampled.fair_probability)
from {{ ref('calibration_observations') }} as held
join markets on markets.event_id = held.event_id and markets.market_key = held.market_key and markets.outcome_set = held.outcome_set
left join sampled
    on sampled.event_id = held.event_id and sampled.bookmaker_key = held.bookmaker_key and sampled.market_key = held.market_key
    and sampled.outcome_set = held.outcome_set and sampled.outcome_side in ('home', 'over')
    and sampled.minutes_to_start = held.horizon_hours * 60
where held.method = 'power' and held.bookmaker_key <> 'consensus' and held.horizon_hours > 0
    and (
        sampled.quote_state is distinct from 'quoted' or sampled.line_point is distinct from held.line_point
        or sampled.fair_probability is distinct from held.probability
    )
