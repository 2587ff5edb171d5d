{{ config(
    row_key=['series_id'],
    scope=rows_of_due_events(),
    scope_key='event_id',
    indexes=[{'columns': ['event_id']}, {'columns': ['sport_key', 'start_at']}],
) }}
-- The last sound quote of each series before its event began.
{{ closings_of(due_events()) }}
