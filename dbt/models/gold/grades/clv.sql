{{ config(
    row_key=['series_id', 'horizon'],
    scope=rows_of_due_events(),
    scope_key='event_id',
    indexes=[{'columns': ['event_id']}, {'columns': ['sport_key', 'start_at']}],
) }}
-- What prices at set times before the start turned out to be worth when the event began.
{{ clv_of(due_events(), ref('closings'), ref('closing_consensus')) }}
