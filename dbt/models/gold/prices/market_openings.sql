{{ config(
    row_key=['line_id'],
    scope=rows_of_due_events(),
    scope_key='event_id',
    indexes=[{'columns': ['event_id']}, {'columns': ['sport_key', 'start_at']}],
) }}
-- When a market opened, over all books: by the best-ranked sharp group, else by the first groups that agree on a line.
{{ market_openings_of(due_events()) }}
