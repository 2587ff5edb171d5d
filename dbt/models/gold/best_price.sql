{{ config(
    row_key=['line_id', 'valid_from'],
    scope=rows_of_tails('gold.best_price', by='line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- The best usable price of each outcome on each line, over time.
with {{ touched('line') }},

{{ keys_of_touched() }},

quoted as materialized (
    select
        touched.tail_from,
        history.series_id, history.line_rank, history.event_id, history.bookmaker_key, history.market_key,
        history.description, history.line_point,
        {{ line_key('history') }} as line_key,
        history.outcome_name, history.outcome_side, history.price_decimal,
        history.phase_as_known, history.valid_from, history.valid_to
    from touched
    cross join lateral {{ reaching_rows(ref('price_history'), by='line') }} as history
    where history.price_side = 'back'
),

-- the times from the tail's beginning on at which something on a line changed
times as materialized (
    {{ times_of_change('line_key') }}
),

standing_then as (
    select
        times.at,
        quoted.*
    from {{ times_with_standing('line_key') }}
),

-- what the last answer then said of the quote's set
judged as (
    select
        standing_then.*,
        quote.outcome_set,
        quote.is_complete,
        quote.overround,
        quote.implied_probability,
        quote.problem,
        quote.quote_at
    from standing_then
    cross join lateral {{ quote_then('standing_then', ['outcome_set', 'is_complete', 'overround', 'implied_probability', 'problem', 'quote_at']) }} as quote
),

profiled as (
    select
        judged.*,
        coalesce(profile.operator_group, judged.bookmaker_key) as operator_group,
        {{ price_net('judged.price_decimal', 'profile') }} as price_net
    from judged
    {{ with_profile('judged.bookmaker_key', 'judged.at') }}
    where judged.problem is null
        -- of several answers at one time the stored price may be that of one without a price, and the set another's
        and judged.price_decimal is not null
        and judged.outcome_set <> 'other'
        and {{ has_own_prices('profile') }}
),

-- a field is complete when a book quotes nearly all the runners that any book quotes
fields as (
    select
        profiled.at, profiled.event_id, profiled.line_key,
        count(distinct profiled.outcome_name) as runners
    from profiled
    where profiled.outcome_set = 'field'
    group by profiled.at, profiled.event_id, profiled.line_key
),

book_fields as (
    select
        profiled.at, profiled.event_id, profiled.line_key, profiled.bookmaker_key,
        count(distinct profiled.outcome_name) as runners
    from profiled
    where profiled.outcome_set = 'field'
    group by
        profiled.at, profiled.event_id, profiled.line_key, profiled.bookmaker_key
),

complete_fields as (
    select book_fields.*
    from book_fields
    join fields
        on fields.at = book_fields.at
        and fields.event_id = book_fields.event_id
        and fields.line_key = book_fields.line_key
    where cast(book_fields.runners as numeric) / fields.runners >= {{ parameter('field_coverage_min') }}
),

complete as (
    select profiled.*
    from profiled
    left join complete_fields
        on complete_fields.at = profiled.at
        and complete_fields.event_id = profiled.event_id
        and complete_fields.line_key = profiled.line_key
        and complete_fields.bookmaker_key = profiled.bookmaker_key
    where profiled.is_complete
        or (
            profiled.outcome_set = 'field'
            and complete_fields.runners is not null
            and profiled.overround <= {{ parameter('field_overround_max') }}
        )
),

-- a book that shows an outcome twice speaks with the first
one_per_book as materialized (
    select distinct on (at, event_id, line_key, outcome_set, outcome_name, bookmaker_key)
        complete.*,
        cast(complete.implied_probability / complete.overround as numeric(12, 10)) as fair_probability
    from complete
    order by at, event_id, line_key, outcome_set, outcome_name, bookmaker_key, line_rank
),

-- one voice per operator group: its lowest margin
voices as (
    select distinct on (at, event_id, line_key, outcome_set, outcome_name, operator_group)
        at, event_id, line_key, outcome_set, outcome_name, operator_group, fair_probability
    from one_per_book
    order by
        at, event_id, line_key, outcome_set, outcome_name, operator_group, overround, bookmaker_key
),

ranked_voices as (
    select
        voices.*,
        cast(row_number() over (
            partition by at, event_id, line_key, outcome_set, outcome_name
            order by fair_probability, operator_group
        ) as integer) as position,
        array_agg(fair_probability) over (
            partition by at, event_id, line_key, outcome_set, outcome_name
            order by fair_probability, operator_group
            rows between unbounded preceding and unbounded following
        ) as ordered_probabilities
    from voices
),

against_others as (
    select
        one_per_book.*,
        cardinality(ranked_voices.ordered_probabilities) - 1 as other_groups,
        {{ median_of_others('ranked_voices.ordered_probabilities', 'ranked_voices.position') }} as median_of_others
    from one_per_book
    join ranked_voices
        on ranked_voices.at = one_per_book.at
        and ranked_voices.event_id = one_per_book.event_id
        and ranked_voices.line_key = one_per_book.line_key
        and ranked_voices.outcome_set = one_per_book.outcome_set
        and ranked_voices.outcome_name = one_per_book.outcome_name
        and ranked_voices.operator_group = one_per_book.operator_group
),

usable as (
    select
        against_others.*,
        max(price_net) over (
            partition by at, event_id, line_key, outcome_set, outcome_name
        ) as best_price_decimal
    from against_others
    where not (
        other_groups >= {{ parameter('outlier_min_groups') }}
        and abs(fair_probability - median_of_others) > case
            when phase_as_known = 'pre' then {{ parameter('outlier_pre') }} else {{ parameter('outlier_in_play') }}
        end
    )
),

best as (
    select
        at, event_id, line_key, outcome_set, outcome_name,
        min(market_key) as market_key,
        min(description) as description,
        min(line_point) as line_point,
        min(outcome_side) as outcome_side,
        min(best_price_decimal) as best_price_decimal,
        array_agg(bookmaker_key order by bookmaker_key) filter (where price_net = best_price_decimal) as books,
        max(price_net) filter (where price_net < best_price_decimal) as runner_up_price_decimal,
        cast(count(*) as integer) as book_count,
        max(quote_at) filter (where price_net = best_price_decimal) as quote_at
    from usable
    group by at, event_id, line_key, outcome_set, outcome_name
),

held as (
    select
        best.*,
        case
            when count(*) over one_line = case outcome_set when 'three_way' then 3 when 'field' then -1 else 2 end
                then cast(1 - 1 / sum(1 / best_price_decimal) over one_line as numeric(16, 10))
        end as best_hold
    from best
    window one_line as (partition by at, event_id, line_key, outcome_set)
),

keyed as materialized (
    select
        cast({{ dbt_utils.generate_surrogate_key(
            ['event_id', 'market_key', key_part('description'), 'line_point', 'outcome_set', key_part('outcome_name')]
        ) }} as uuid) as line_id,
        held.*
    from held
),

reaching_in as materialized (
    select standing.*
    from touched
    cross join lateral {{ reaching_rows(this, by='line') }} as standing
    where standing.valid_from < touched.tail_from
),

lines as (
    select line_id, event_id, line_key, market_key, description, line_point from keyed
    union
    select
        line_id, event_id,
        {{ line_key('reaching_in') }} as line_key,
        market_key, description, line_point
    from reaching_in
),

timeline as (
    select
        lines.line_id, times.at, keyed.line_id is not null as has_price, false as reaches_in,
        lines.event_id, lines.market_key, lines.description, lines.line_point, keyed.outcome_set, keyed.outcome_name,
        keyed.outcome_side, keyed.best_price_decimal, keyed.books, keyed.runner_up_price_decimal, keyed.book_count, keyed.best_hold,
        {{ seconds_between('keyed.quote_at', 'times.at') }} as age_at_open_seconds
    from lines
    join times
        on times.event_id = lines.event_id
        and times.line_key = lines.line_key
    left join keyed on keyed.line_id = lines.line_id and keyed.at = times.at
    union all
    select
        line_id, valid_from, true, true,
        event_id, market_key, description, line_point, outcome_set, outcome_name,
        outcome_side, best_price_decimal, books, runner_up_price_decimal, book_count, best_hold,
        age_at_open_seconds
    from reaching_in
),

compared as (
    select
        timeline.*,
        has_price <> coalesce(lag(has_price) over one_line, false)
        or (
            has_price
            and {{ differs_from_before(
                ['best_price_decimal', 'books', 'runner_up_price_decimal', 'book_count', 'best_hold'], 'line_id'
            ) }}
        ) as is_change
    from timeline
    window one_line as (partition by line_id order by at)
),

stretches as (
    select
        compared.*,
        lead(at) over (partition by line_id order by at) as valid_to
    from compared
    where is_change
)

select
    stretches.line_id,
    stretches.event_id,
    event_keys.sport_key,
    stretches.market_key,
    stretches.description,
    stretches.line_point,
    stretches.outcome_set,
    stretches.outcome_name,
    stretches.outcome_side,
    stretches.at as valid_from,
    stretches.valid_to,
    stretches.best_price_decimal,
    stretches.books,
    stretches.runner_up_price_decimal,
    stretches.book_count,
    stretches.best_hold,
    stretches.age_at_open_seconds
from stretches
{{ with_sport_key('stretches.event_id', 'stretches.at') }}
where stretches.has_price
