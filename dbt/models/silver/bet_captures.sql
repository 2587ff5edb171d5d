{{ config(
    row_key=['exchange_id', 'ledger', 'bet_id'],
    scope=rows_of_pending(),
    indexes=[{'columns': ['ledger', 'bet_id', 'captured_at']}, {'columns': ['event_id']}],
) }}
-- Every bet of every admitted answer, as it was written down then. Not by month: they are few, and none is ever archived.
select
    exchange_id,
    ledger,
    bet_id,
    place,
    body_sha256,
    captured_at,
    placed_at,
    event_id,
    sport_key,
    market_key,
    description,
    outcome_name,
    point,
    bookmaker_key,
    price_native,
    odds_format,
    {{ price_decimal('price_native', 'odds_format') }} as price_decimal,
    stake
from {{ staged('stg_bets') }} as staged
