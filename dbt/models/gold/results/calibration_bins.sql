{{ config(materialized='view') }}
-- Of the outcomes that were held for some 30 %: how many came?
with binned as (
    select
        o.sport_key, o.market_key, o.outcome_set, o.bookmaker_key, o.method, o.horizon_hours, o.probability, o.outcome,
        cast(least(floor(o.probability * 10), 9) as integer) as bin
    from {{ ref('calibration_observations') }} as o
),

counted as (
    select sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, bin,
        count(*) as n,
        cast(sum(outcome) as numeric) as hits,
        {{ mean_of('probability') }} as mean_probability,
        {{ mean_of('outcome') }} as hit_rate
    from binned
    group by sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, bin
)

select
    sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, bin,
    cast(n as integer) as n_events,
    mean_probability, hit_rate,
    cast(greatest({{ wilson_bound('hits', 'n', '-') }}, 0) as numeric(12, 10)) as hit_rate_low,
    cast(least({{ wilson_bound('hits', 'n', '+') }}, 1) as numeric(12, 10)) as hit_rate_high,
    n >= {{ parameter('calibration_min_events') }} as publishable
from counted
