{{ config(
    row_key=['exchange_id', 'event_id', 'bookmaker_key', 'market_key', 'captured_at'],
    scope=rows_of_pending(),
    by_month=true,
    indexes=[{'columns': ['event_id', 'captured_at']}],
) }}
-- Which markets a book was recently seen to offer for an event, from the event markets endpoint.
select
    exchange_id,
    event_id,
    bookmaker_key,
    market_key,
    min(sport_key) as sport_key,
    min(captured_at) as captured_at,
    max(last_update) as last_update
from {{ staged('stg_event_markets') }} as staged
where market_key is not null
group by exchange_id, event_id, bookmaker_key, market_key
