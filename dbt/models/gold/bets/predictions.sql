{{ config(materialized='view') }}
-- The predictions of all ledgers, each as its newest capture has it.
{{ latest_entries(ref('prediction_captures'), 'prediction_id', [
    'made_at', 'event_id', 'sport_key', 'market_key', 'description', 'outcome_name', 'point', 'probability'
]) }}
