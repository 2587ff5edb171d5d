{{ config(
    row_key=['event_id', 'bookmaker_key', 'market_key', 'outcome_set', 'outcome_side', 'minutes_to_start'],
    scope=rows_of_due_events(),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['sport_key', 'start_at']}],
) }}
-- What each book's main line, and what it held for fair, were at set times before the start.
{{ quotes_sampled_of(due_events()) }}
