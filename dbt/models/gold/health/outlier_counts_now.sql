{{ config(materialized='view') }}
-- The same of events that have not begun, as far as answers reach.
{{ outlier_counts_of(coming_events()) }}
