{#- The last sound quote of each series of some events before they began, a complete select; `events` as due_events gives them. -#}
{% macro closings_of(events) -%}
select
    series.series_id, event.event_id, event.sport_key, series.bookmaker_key, series.market_key, series.description,
    series.outcome_name, series.outcome_side, event.start_at, quote.point, quote.line_point, quote.price_native,
    quote.odds_format, quote.price_decimal, quote.implied_probability, quote.outcome_set, quote.overround,
    (
        select cast(fair.probability as numeric(12, 10)) from {{ fair_then('quote', 'quote.line_point', at='quote.captured_at') }} as fair
        -- that very price, in whichever format a stretch has it: two formats of one price differ by their rounding
        where abs(1 / fair.q - quote.price_decimal) <= 0.006 + 0.0005 * quote.price_decimal * quote.price_decimal
    ) as fair_probability,
    quote.captured_at, quote.quote_at,
    {{ seconds_between('quote.quote_at', 'event.start_at') }} as closing_age_seconds,
    judged.close_status,
    {{ is_closing('judged.close_status') }} as is_closing
from {{ events }} as event
cross join lateral {{ first_rows_of(
    'event.event_id', ['series_id', 'bookmaker_key', 'market_key', 'description', 'outcome_name', 'outcome_side', 'valid_from']
) }} as series
-- a stretch that spans the start: the last covering answer until then showed the series
cross join lateral (
    select exists (
        select 1 from {{ ref('price_history') }} as h
        where h.series_id = series.series_id and h.line_rank = 1 and {{ stands_at('h', 'event.start_at') }}
    ) as is_quoting
) as standing
left join lateral (
    select q.* from {{ ref('quotes') }} as q
    where q.event_id = event.event_id and q.series_id = series.series_id and q.line_rank = 1 and q.problem is null
        and q.quote_at <= event.start_at
        and (
            -- what is settled afterwards, or known better, was not known then
            event.start_basis in ('settled_rival', 'override')
            or q.quote_at < (
                select c.start_as_known + interval '10 minutes'
                from {{ ref('event_start_changes') }} as c
                where c.event_id = event.event_id and c.captured_at <= q.captured_at
                order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc limit 1
            )
        )
    order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id limit 1
) as quote on true
cross join lateral (
    select
        case
            when event.status = 'gone_early' then 'unplayed'
            when event.start_is_suspect or not event.is_reached then 'provisional'
            when quote.captured_at is null then 'none'
            when not standing.is_quoting and quote.captured_at <= event.start_at then 'not_quoting'
            when {{ seconds_between('quote.quote_at', 'event.start_at') }} > {{ parameter('closing_aged_seconds') }} then 'old'
            when {{ seconds_between('quote.quote_at', 'event.start_at') }} > {{ parameter('closing_ok_seconds') }} then 'aged'
            else 'ok'
        end as close_status
) as judged
-- what was first quoted after the start has no closing, and comes and goes without one
where series.valid_from <= event.start_at or quote.captured_at is not null
{%- endmacro %}
