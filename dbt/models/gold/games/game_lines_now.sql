{{ config(materialized='view') }}
-- The same of games that have not begun, up to the newest answer.
{{ games_with_lines(coming_events(), 'true', 'true', ref('closing_consensus_now'), ref('market_openings_now')) }}
