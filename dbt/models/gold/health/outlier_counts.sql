{{ config(
    row_key=['event_id', 'bookmaker_key', 'horizon_hours'],
    scope=rows_of_due_events(),
    scope_key='event_id',
    indexes=[{'columns': ['sport_key', 'start_at']}],
) }}
-- How many of a book's sets were outliers some hours before each start, of those that could be compared.
{{ outlier_counts_of(due_events()) }}
