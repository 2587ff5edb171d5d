{{ config(materialized='view') }}
-- Of the outcomes that a ledger held for some 30 %: how many came?
with binned as (
    select p.ledger, p.sport_key, p.market_key, p.outcome_set, p.scored_as, p.probability, p.outcome, {{ bin_of('p.probability') }} as bin
    from {{ ref('prediction_scores') }} as p
    where p.status = 'ok'
),

counted as (
    select ledger, sport_key, market_key, outcome_set, scored_as, bin, {{ bin_counts() }}
    from binned
    group by ledger, sport_key, market_key, outcome_set, scored_as, bin
)

select
    ledger, sport_key, market_key, outcome_set, scored_as, bin, {{ bin_columns('n_predictions') }}
from counted
