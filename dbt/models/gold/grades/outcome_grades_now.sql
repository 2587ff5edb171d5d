{{ config(materialized='view') }}
-- How a bet on each outcome of events that have not begun is settled: what an override, or the market, says already.
{{ outcome_grades_of('(select coming.*, true as is_whole from ' ~ coming_events() ~ ' as coming)') }}
