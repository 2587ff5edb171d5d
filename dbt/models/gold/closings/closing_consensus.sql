{{ config(
    row_key=['line_id'],
    scope=rows_of_due_events(),
    scope_key='event_id',
    indexes=[{'columns': ['event_id']}, {'columns': ['sport_key', 'start_at']}],
) }}
-- What the market held each outcome for when its event began: one vote per operator group, from the closing quotes.
{{ closing_consensus_of(due_events(), ref('closings')) }}
