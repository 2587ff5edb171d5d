{{ config(
    row_key=['exchange_id', 'ledger', 'prediction_id'],
    scope=rows_of_pending(),
    indexes=[{'columns': ['ledger', 'prediction_id', 'captured_at']}, {'columns': ['event_id']}],
) }}
-- Every prediction of every admitted answer, as it was written down then. Not by month: they are few, and none is ever archived.
select
    exchange_id,
    ledger,
    prediction_id,
    place,
    body_sha256,
    captured_at,
    made_at,
    event_id,
    sport_key,
    market_key,
    description,
    outcome_name,
    point,
    probability
from {{ staged('stg_predictions') }} as staged
