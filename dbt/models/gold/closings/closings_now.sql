{{ config(materialized='view') }}
-- The last sound quote of each series of events that have not begun.
{{ closings_of(coming_events()) }}
