{{ config(materialized='view') }}
-- What prices at set times before the start of events that have not begun are worth against the newest quotes.
{{ clv_of(coming_events(), ref('closings_now'), ref('closing_consensus_now')) }}
