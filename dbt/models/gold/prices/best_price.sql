{{ config(
    row_key=['line_id', 'valid_from'],
    scope=rows_of_tails('gold.best_price', by='fresh line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- The best price of each outcome on each line, over time, of complete, unbroken and fresh sets that are not far from the others.
{% set outcome = 'at, event_id, line_key, outcome_set, outcome_name' %}
{% call(standing, _) holds_over_time(
    ref('price_history'), only_if="r.price_side = 'back'", by='fresh line', line=line_key('r'), also=ref('stale_quotes'),
    key=['line_id'], changes=['r.best_price_decimal', 'r.books', 'r.runner_up_price_decimal', 'r.book_count', 'r.best_hold']
) %}
-- what stands, with what the last answer then said of its set, and as its bettor is paid
with heard as (
    select quotes.*, told.outcome_set, told.is_complete, told.overround, told.quote_at, told.duplicate_no, told.problem,
        {{ is_stale('told', 'quotes.phase_as_known') }} as is_stale,
        cast(told.implied_probability / told.overround as numeric(12, 10)) as ratio,
        coalesce(profile.operator_group, quotes.bookmaker_key) as operator_group,
        {{ price_net('quotes.price_decimal', 'profile') }} as price_net,
        {{ has_own_prices('profile') }} as has_own_price,
        -- while a book shows two people of one name nobody can say whose price any book's is; of a field, that runner's
        coalesce(bool_or(told.problem = 'namesakes' and quotes.line_rank > 1) over (
            partition by quotes.at, quotes.event_id, quotes.line_key,
                case when quotes.outcome_side = 'runner' then quotes.outcome_name end
        ), false) as is_of_namesakes
    from {{ standing }} as quotes
    cross join lateral {{ quote_then('quotes', ['outcome_set', 'is_complete', 'overround', 'implied_probability', 'problem', 'captured_at', 'quote_at', 'duplicate_no']) }} as told
    {{ with_profile('quotes.bookmaker_key', 'quotes.at') }}
),

quoted as (
    select heard.* from heard
    where heard.problem is null and not heard.is_of_namesakes
        -- of several answers at one time the stored price may be that of one without a price, and the set another's
        and heard.price_decimal is not null and heard.outcome_set <> 'other' and heard.has_own_price
),

-- a set is fresh or not as a whole
judged as (
    select quoted.*, bool_or(is_stale) over (partition by at, event_id, line_key, outcome_set, bookmaker_key, duplicate_no) as is_set_stale
    from quoted
),

-- a field is complete when a book quotes nearly all the runners that any book quotes
book_fields as (
    select at, event_id, line_key, bookmaker_key, array_agg(distinct outcome_name) as runners
    from quoted
    where outcome_set = 'field'
    group by at, event_id, line_key, bookmaker_key
),

fields as (
    select book_fields.at, book_fields.event_id, book_fields.line_key, count(distinct runner.outcome_name) as runners
    from book_fields
    cross join lateral unnest(book_fields.runners) as runner (outcome_name)
    group by book_fields.at, book_fields.event_id, book_fields.line_key
),

complete_fields as (
    select book_fields.at, book_fields.event_id, book_fields.line_key, book_fields.bookmaker_key
    from book_fields
    join fields using (at, event_id, line_key)
    where cast(cardinality(book_fields.runners) as numeric) / fields.runners >= {{ parameter('field_coverage_min') }}
),

-- a book that shows an outcome twice speaks with the first
one_per_book as materialized (
    select distinct on ({{ outcome }}, bookmaker_key) judged.* from judged
    where not is_set_stale
        and (
            is_complete
            or (
                outcome_set = 'field'
                and overround <= {{ parameter('field_overround_max') }}
                and (at, event_id, line_key, bookmaker_key) in (select at, event_id, line_key, bookmaker_key from complete_fields)
            )
        )
    order by {{ outcome }}, bookmaker_key, line_rank
),

counting as ({{ votes_that_count('one_per_book', ['at', 'event_id', 'line_key', 'outcome_set']) }}),

offered as (
    select counting.*, max(price_net) over (partition by {{ outcome }}) as best_price_decimal from counting
),

best as (
    select
        {{ outcome }},
        {{ same_of(['market_key', 'description', 'line_point', 'outcome_side', 'best_price_decimal']) }},
        array_agg(bookmaker_key order by bookmaker_key) filter (where price_net = best_price_decimal) as books,
        max(price_net) filter (where price_net < best_price_decimal) as runner_up_price_decimal,
        cast(count(*) as integer) as book_count,
        {{ seconds_between('max(quote_at) filter (where price_net = best_price_decimal)', 'at') }} as age_at_open_seconds
    from offered group by {{ outcome }}
)

select
    cast({{ dbt_utils.generate_surrogate_key(
        ['event_id', 'market_key', key_part('description'), 'line_point', 'outcome_set', key_part('outcome_name')]
    ) }} as uuid) as line_id,
    at, event_id, market_key, description, line_point, outcome_set, outcome_name, outcome_side,
    best_price_decimal, books, runner_up_price_decimal, book_count, age_at_open_seconds,
    {{ hold_across('best_price_decimal', 'outcome_set') }} as best_hold
from best
window one_line as (partition by at, event_id, line_key, outcome_set)
{% endcall %}
