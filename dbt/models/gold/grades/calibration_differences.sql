{{ config(materialized='view') }}
-- Which of two books was nearer to what happened, on what both of them quoted.
with quoted as (
    select o.sport_key, o.market_key, o.outcome_set, o.horizon_hours, o.event_id, o.line_point,
        array_agg(o.bookmaker_key order by o.bookmaker_key) as bookmaker_keys,
        array_agg(o.brier order by o.bookmaker_key) as briers,
        array_agg(o.log_loss order by o.bookmaker_key) as log_losses
    from {{ ref('calibration_observations') }} as o
    where o.method = 'power'
    group by o.sport_key, o.market_key, o.outcome_set, o.horizon_hours, o.event_id, o.line_point
),

paired as (
    select
        quoted.sport_key, quoted.market_key, quoted.outcome_set, quoted.horizon_hours, one.bookmaker_key,
        other.bookmaker_key as other_bookmaker_key,
        one.brier - other.brier as brier_difference,
        one.log_loss - other.log_loss as log_loss_difference
    from quoted
    cross join lateral unnest(quoted.bookmaker_keys, quoted.briers, quoted.log_losses) with ordinality
        as one (bookmaker_key, brier, log_loss, place)
    cross join lateral unnest(quoted.bookmaker_keys, quoted.briers, quoted.log_losses) with ordinality
        as other (bookmaker_key, brier, log_loss, place)
    where other.place > one.place
)

select
    sport_key, market_key, outcome_set, horizon_hours, bookmaker_key, other_bookmaker_key,
    cast(count(*) as integer) as common_n,
    {{ mean_of('brier_difference') }} as brier_difference,
    {{ standard_error_of('brier_difference') }} as brier_difference_se,
    {{ mean_of('log_loss_difference') }} as log_loss_difference,
    {{ standard_error_of('log_loss_difference') }} as log_loss_difference_se,
    count(*) >= {{ parameter('calibration_min_events') }} as publishable
from paired
group by sport_key, market_key, outcome_set, horizon_hours, bookmaker_key, other_bookmaker_key
