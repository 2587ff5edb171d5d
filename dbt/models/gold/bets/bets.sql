{{ config(materialized='view') }}
-- The bets of all ledgers, each as its newest capture has it.
{{ latest_entries(ref('bet_captures'), 'bet_id', [
    'placed_at', 'event_id', 'sport_key', 'market_key', 'description', 'outcome_name', 'point', 'bookmaker_key', 'price_native',
    'odds_format', 'price_decimal', 'stake'
]) }}
