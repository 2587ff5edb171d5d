{{ config(materialized='view') }}
{%- set covers_market -%}
(
    c.moment_at <> asked.moment_at
    and asked.market_key = any (c.markets) and asked.bookmaker_key = any (c.books)
    and event.commence_time_first >= coalesce(c.commence_from, '-infinity')
    and event.commence_time_first <= coalesce(c.commence_to, 'infinity')
    and {{ tells_of_market('c', 'event.event_id', 'asked.bookmaker_key', 'asked.market_key') }}
)
{%- endset %}
-- The first quote of each series, and whether it is known to be an opening.
select
    opening.series_id, event.event_id, opening.sport_key, opening.bookmaker_key, opening.market_key,
    opening.description, opening.outcome_name, opening.outcome_side, opening.point, opening.line_point,
    opening.price_native, opening.odds_format, opening.price_decimal, opening.implied_probability,
    opening.outcome_set, opening.overround, opening.is_complete, opening.problem, opening.phase_as_known,
    opening.valid_from as first_seen_at, opening.quote_at,
    opening.not_yet_at is null as is_left_censored,
    case when opening.not_yet_at is not null then opening.valid_from end as opened_at,
    opening.not_yet_at
from {{ whole_events() }} as event
cross join lateral (
    with first_quotes as materialized (
        select first_row.*,
            quote.moment_at, quote.quote_at, quote.outcome_set, quote.overround, quote.is_complete, quote.problem
        from {{ first_rows_of('event.event_id', [
            'series_id', 'sport_key', 'bookmaker_key', 'market_key', 'description', 'outcome_name', 'outcome_side', 'point', 'line_point', 'price_native',
            'odds_format', 'price_decimal', 'implied_probability', 'phase_as_known', 'valid_from',
        ]) }} as first_row
        cross join lateral (
            select q.moment_at, q.quote_at, q.outcome_set, q.overround, q.is_complete, q.problem
            from {{ ref('quotes') }} as q
            where q.event_id = event.event_id and q.series_id = first_row.series_id and q.line_rank = 1
                and q.captured_at = first_row.valid_from
            order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id limit 1
        ) as quote
    ),

    -- the series of a book's market that came together have one answer
    asked as (
        select distinct sport_key, bookmaker_key, market_key, valid_from, moment_at from first_quotes
    ),

    covered_before as materialized (
        select asked.*, covering.captured_at
        from asked
        cross join lateral (
            select max(
                coalesce(
                    -- mostly one of the last few answers; only where none of them did are all looked through
                    (
                        select max(c.captured_at)
                        from (
                            select near.captured_at, near.moment_at, near.markets, near.books, near.held_back, near.commence_from, near.commence_to
                            from {{ ref('coverage') }} as near
                            where near.sport_key = asked.sport_key and near.event_id = scopes.event_id
                                and near.captured_at < asked.valid_from
                            order by near.captured_at desc limit 4
                        ) as c
                        where {{ covers_market }}
                    ),
                    (
                        select max(c.captured_at) from {{ ref('coverage') }} as c
                        where c.sport_key = asked.sport_key and c.event_id = scopes.event_id and c.captured_at < asked.valid_from
                            and {{ covers_market }}
                    )
                )
            ) as captured_at
            from (values (''), (event.event_id)) as scopes (event_id)
        ) as covering
    )

    select first_quotes.*, covered_before.captured_at as not_yet_at
    from first_quotes
    join covered_before
        on {{ same_in('covered_before', 'first_quotes', ['sport_key', 'bookmaker_key', 'market_key', 'valid_from', 'moment_at']) }}
) as opening
