{{ config(materialized='view') }}
-- Of the outcomes that were held for some 30 %: how many came?
with binned as (
    select
        o.sport_key, o.market_key, o.outcome_set, o.bookmaker_key, o.method, o.horizon_hours, o.probability, o.outcome,
        bins.bin
    from {{ ref('calibration_observations') }} as o
    {{ with_bin('o.probability') }}
),

counted as (
    select sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, bin, {{ bin_counts() }}
    from binned
    group by sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, bin
)

select
    sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, bin, {{ bin_columns('n_events') }}
from counted
