{{ config(materialized='view') }}
-- Every series that the newest covering answer shows, and whether its quote is one to act on.
select
    quoted.event_id, quoted.sport_key, odds.series_id, odds.line_rank, odds.bookmaker_key, odds.operator_group,
    odds.market_key, odds.description, odds.outcome_name, odds.outcome_side, odds.point, odds.line_point,
    odds.price_native, odds.odds_format, odds.price_decimal, odds.implied_probability, odds.valid_from,
    odds.captured_at, odds.quote_at, odds.quote_age_seconds, odds.phase, known.known_until, known.phase_now, odds.outcome_set,
    odds.overround,
    odds.is_complete, odds.is_outlier,
    odds.reason is null as is_usable,
    odds.reason
from (
    select distinct h.event_id, e.sport_key
    from {{ ref('price_history') }} as h
    join {{ ref('events') }} as e on e.event_id = h.event_id
    where h.valid_to is null and h.price_side = 'back'
) as quoted
cross join lateral {{ known_now('quoted') }} as known
cross join lateral (
    with newest as (
        select
            open_row.series_id, open_row.line_rank, open_row.bookmaker_key, open_row.market_key, open_row.description,
            open_row.outcome_name, open_row.outcome_side, open_row.valid_from, open_row.phase_as_known as phase,
            quote.point, quote.line_point, quote.price_native, quote.odds_format, quote.price_decimal,
            quote.implied_probability, quote.captured_at, quote.quote_at, quote.outcome_set, quote.is_complete as has_all_outcomes,
            quote.overround, quote.problem,
            case when quote.last_update is not null then {{ seconds_between('quote.quote_at', 'quote.captured_at') }} end
                as quote_age_seconds,
            concat_ws(
                '|', open_row.market_key, coalesce('=' || open_row.description, ''), coalesce(cast(quote.line_point as text), ''),
                quote.outcome_set
            ) as line_key
        from {{ ref('price_history') }} as open_row
        cross join lateral (
            select q.* from {{ ref('quotes') }} as q
            where {{ same_in('q', 'open_row', ['event_id', 'series_id', 'line_rank']) }}
            order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id limit 1
        ) as quote
        where open_row.event_id = quoted.event_id and open_row.valid_to is null and open_row.price_side = 'back'
    ),

    profiled as (
        select newest.*,
            coalesce(profile.operator_group, newest.bookmaker_key) as operator_group,
            coalesce(profile.price_kind, 'back_fixed') as price_kind
        from newest
        {{ with_profile('newest.bookmaker_key', 'newest.captured_at') }}
    ),

    -- a field is complete when a book quotes nearly all the runners that any book quotes
    book_fields as (
        select line_key, bookmaker_key, array_agg(distinct outcome_name) as runners from profiled
        where outcome_set = 'field' and problem is null and price_kind in ('back_fixed', 'back_net')
        group by line_key, bookmaker_key
    ),

    fields as (
        select book_fields.line_key, count(distinct runner.outcome_name) as runners
        from book_fields
        cross join lateral unnest(book_fields.runners) as runner (outcome_name)
        group by book_fields.line_key
    ),

    completed as (
        select profiled.*,
            case
                when profiled.outcome_set = 'field'
                    then coalesce(
                        cast(cardinality(book_fields.runners) as numeric) / fields.runners >= {{ parameter('field_coverage_min') }},
                        false
                    )
                else profiled.has_all_outcomes
            end as is_complete
        from profiled
        left join fields on fields.line_key = profiled.line_key
        left join book_fields
            on book_fields.line_key = profiled.line_key and book_fields.bookmaker_key = profiled.bookmaker_key
    ),

    judged as (
        select completed.*,
            case
                when problem is not null then problem
                when price_kind not in ('back_fixed', 'back_net') then 'price_kind'
                when not is_complete then 'incomplete'
                when outcome_set = 'field' and overround > {{ parameter('field_overround_max') }} then 'overround_too_high'
            end as set_reason
        from completed
    ),

    -- of those that are fresh; a book that shows an outcome twice speaks with the first
    speaking as (
        select distinct on (line_key, outcome_name, bookmaker_key)
            line_key, outcome_set, outcome_name, bookmaker_key, operator_group, overround, phase as phase_as_known,
            cast(implied_probability / overround as numeric(12, 10)) as ratio
        from judged
        where set_reason is null and not {{ is_stale('judged', 'judged.phase') }}
        order by line_key, outcome_name, bookmaker_key, line_rank
    ),

    compared as ({{ votes_against_others('speaking', ['line_key']) }})

    select judged.*, compared.is_outlier,
        case
            when judged.set_reason is not null then judged.set_reason
            when judged.quote_age_seconds is null then 'age_unknown'
            -- as old as it is by the newest answer about the event, and not only by the one that showed it
            when known.known_until - judged.quote_at > {{ age_limit('usable', 'known.phase_now') }} then 'too_old'
            when compared.is_outlier then 'outlier'
        end as reason
    from judged
    left join compared on {{ same_in('compared', 'judged', ['line_key', 'outcome_name', 'bookmaker_key']) }}
) as odds
