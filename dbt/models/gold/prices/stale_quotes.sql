{{ config(
    row_key=['series_id', 'line_rank', 'valid_from'],
    scope=rows_of_tails('gold.stale_quotes', by='series'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
    post_hook="{{ find_touched_lines('gold.stale_quotes') }}",
) }}
-- When a quoted line was not fresh, over time: its book had been read too long before the answer that showed it.
{% call(standing) holds_over_time(
    ref('price_history'), only_if="r.price_side = 'back'", by='series', line=stale_line('r'),
    key=['series_id', 'line_rank'], changes=['r.set_id', 'r.outcome_set'], may_hold=times_of_stale_quotes()
) %}
select
    quotes.at, quotes.series_id, quotes.line_rank, quotes.event_id, quotes.bookmaker_key, quotes.market_key, quotes.description,
    quotes.outcome_name, quotes.point, quotes.line_point, told.outcome_set,
    {{ set_id_of('quotes', 'quotes.line_point', 'told.duplicate_no') }} as set_id,
    quotes.phase_as_known,
    {{ seconds_between('told.quote_at', 'told.captured_at') }} as age_at_open_seconds
from {{ standing }} as quotes
cross join lateral {{ quote_then('quotes', ['captured_at', 'quote_at', 'outcome_set', 'duplicate_no']) }} as told
where {{ is_stale('told', 'quotes.phase_as_known') }}
{% endcall %}
