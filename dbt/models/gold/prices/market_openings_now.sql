{{ config(materialized='view') }}
-- When the markets of events that have not begun opened, by what is known so far.
{{ market_openings_of(coming_events()) }}
