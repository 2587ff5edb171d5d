{{ config(materialized='view') }}
-- How well the probabilities of each book and of the consensus fit what happened.
select
    o.sport_key, o.market_key, o.outcome_set, o.bookmaker_key, o.method, o.horizon_hours,
    cast(count(*) as integer) as n_events,
    {{ mean_of('o.brier') }} as brier,
    {{ standard_error_of('o.brier') }} as brier_se,
    {{ mean_of('o.log_loss') }} as log_loss,
    {{ standard_error_of('o.log_loss') }} as log_loss_se,
    count(*) >= {{ parameter('calibration_min_events') }} as publishable
from {{ ref('calibration_observations') }} as o
group by o.sport_key, o.market_key, o.outcome_set, o.bookmaker_key, o.method, o.horizon_hours
