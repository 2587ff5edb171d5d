{{ config(materialized='view') }}
-- What the market holds each outcome of events for that have not begun, as closing_consensus has it.
{{ closing_consensus_of(coming_events(), ref('closings_now')) }}
