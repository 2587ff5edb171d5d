{{ config(materialized='view') }}
-- The same of events that have not begun, up to the newest answer.
{{ quotes_sampled_of(coming_events()) }}
