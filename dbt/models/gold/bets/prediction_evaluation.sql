{{ config(materialized='view') }}
-- How near each ledger's predictions were, and whether nearer than the close on the same events.
with scored as (
    select p.ledger, p.sport_key, p.market_key, p.outcome_set, p.scored_as, p.event_id, p.brier, p.log_loss, p.close_brier,
        p.close_log_loss, p.brier - p.close_brier as brier_gap, p.log_loss - p.close_log_loss as log_loss_gap
    from {{ ref('prediction_scores') }} as p
    where p.status = 'ok'
),

alone as (
    select ledger, sport_key, market_key, outcome_set, scored_as,
        cast(count(*) as integer) as n_predictions,
        cast(count(distinct event_id) as integer) as n_events,
        {{ mean_of('brier') }} as brier,
        {{ standard_error_of('brier') }} as brier_se,
        {{ mean_of('log_loss') }} as log_loss,
        {{ standard_error_of('log_loss') }} as log_loss_se
    from scored
    group by ledger, sport_key, market_key, outcome_set, scored_as
),

beside_the_close as (
    select ledger, sport_key, market_key, outcome_set, scored_as,
        cast(count(*) as integer) as common_n,
        cast(count(distinct event_id) as integer) as common_events,
        {{ mean_of('close_brier') }} as close_brier,
        {{ mean_of('close_log_loss') }} as close_log_loss,
        {{ mean_of('brier_gap') }} as brier_difference,
        {{ standard_error_of('brier_gap') }} as brier_difference_se,
        {{ mean_of('log_loss_gap') }} as log_loss_difference,
        {{ standard_error_of('log_loss_gap') }} as log_loss_difference_se
    from scored
    where close_brier is not null
    group by ledger, sport_key, market_key, outcome_set, scored_as
)

select
    alone.ledger, alone.sport_key, alone.market_key, alone.outcome_set, alone.scored_as, alone.n_predictions, alone.n_events,
    alone.brier, alone.brier_se, alone.log_loss, alone.log_loss_se,
    coalesce(common.common_n, 0) as common_n,
    common.close_brier, common.close_log_loss, common.brier_difference, common.brier_difference_se, common.log_loss_difference,
    common.log_loss_difference_se,
    alone.n_events >= {{ parameter('calibration_min_events') }} as publishable,
    coalesce(common.common_events, 0) >= {{ parameter('calibration_min_events') }} as difference_is_publishable
from alone
left join beside_the_close as common using (ledger, sport_key, market_key, outcome_set, scored_as)
