{{ config(materialized='view') }}
{%- set covers_series -%}
(
    c.moment_at <> quote.moment_at
    and first_row.market_key = any (c.markets) and first_row.bookmaker_key = any (c.books)
    and event.commence_time_first >= coalesce(c.commence_from, '-infinity')
    and event.commence_time_first <= coalesce(c.commence_to, 'infinity')
    and {{ tells_of_market('c', 'event.event_id', 'first_row.bookmaker_key', 'first_row.market_key') }}
)
{%- endset %}
-- The first quote of each series, and whether it is known to be an opening.
select
    first_row.series_id, event.event_id, first_row.sport_key, first_row.bookmaker_key, first_row.market_key,
    first_row.description, first_row.outcome_name, first_row.outcome_side, first_row.point, first_row.line_point,
    first_row.price_native, first_row.odds_format, first_row.price_decimal, first_row.implied_probability,
    quote.outcome_set, quote.overround, quote.is_complete, quote.problem, first_row.phase_as_known,
    first_row.valid_from as first_seen_at, quote.quote_at,
    covered_before.captured_at is null as is_left_censored,
    case when covered_before.captured_at is not null then first_row.valid_from end as opened_at,
    covered_before.captured_at as not_yet_at
from {{ whole_events() }} as event
cross join lateral {{ first_rows_of('event.event_id', [
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
left join lateral (
    select max(
        coalesce(
            recent.captured_at,
            case when recent.answers = 32 then (
                select max(c.captured_at) from {{ ref('coverage') }} as c
                where c.sport_key = first_row.sport_key and c.event_id = scopes.event_id
                    and c.captured_at < first_row.valid_from and {{ covers_series }}
            ) end
        )
    ) as captured_at
    from (values (''), (event.event_id)) as scopes (event_id)
    -- mostly one of the last few answers asked for it; only where none did are all of them read
    cross join lateral (
        select count(*) as answers, max(c.captured_at) filter (where {{ covers_series }}) as captured_at
        from (
            select near.captured_at, near.moment_at, near.markets, near.books, near.held_back, near.commence_from, near.commence_to
            from {{ ref('coverage') }} as near
            where near.sport_key = first_row.sport_key and near.event_id = scopes.event_id
                and near.captured_at < first_row.valid_from
            order by near.captured_at desc limit 32
        ) as c
    ) as recent
) as covered_before on true
