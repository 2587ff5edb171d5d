{#- The last sound quote of each series of some events before they began, a complete select; `events` as due_events gives them. -#}
{% macro closings_of(events) -%}
select
    closing.series_id, event.event_id, event.sport_key, closing.bookmaker_key, closing.market_key, closing.description,
    closing.outcome_name, closing.outcome_side, event.start_at, closing.point, closing.line_point, closing.price_native,
    closing.odds_format, closing.price_decimal, closing.implied_probability, closing.outcome_set, closing.overround,
    cast(closing.fair_probability as numeric(12, 10)) as fair_probability,
    closing.captured_at, closing.quote_at,
    {{ seconds_between('closing.quote_at', 'event.start_at') }} as closing_age_seconds,
    judged.close_status,
    {{ is_closing('judged.close_status') }} as is_closing
from {{ events }} as event
cross join lateral (
    with shown as materialized (
        select
            series.series_id, series.bookmaker_key, series.market_key, series.description, series.outcome_name,
            series.outcome_side,
            quote.exchange_id, quote.duplicate_no, quote.is_complete, quote.point, quote.line_point, quote.price_native,
            quote.odds_format, quote.price_decimal, quote.implied_probability, quote.outcome_set, quote.overround,
            quote.captured_at, quote.quote_at,
            (
                select fair.probability from {{ fair_then('quote', 'quote.line_point', at='quote.captured_at') }} as fair
                -- null: of an outright's field the others decide
                where fair.q = quote.implied_probability and (quote.outcome_set = 'field' or fair.rounded_overround = quote.overround)
            ) as probability_then
        from {{ first_rows_of(
            'event.event_id', ['series_id', 'bookmaker_key', 'market_key', 'description', 'outcome_name', 'outcome_side', 'valid_from']
        ) }} as series
        left join lateral (
            select sound.*
            from (
                select q.* from {{ ref('quotes') }} as q
                where q.event_id = event.event_id and q.series_id = series.series_id and q.line_rank = 1 and q.problem is null
                    and q.quote_at <= event.start_at
                order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id
                -- a fence: from the newest on, so that what was known is looked up for hardly more than one
                offset 0
            ) as sound
            -- what is settled afterwards, or known better, was not known then
            where event.start_basis in ('settled_rival', 'override')
                or sound.quote_at < (
                    select c.start_as_known + interval '10 minutes'
                    from {{ ref('event_start_changes') }} as c
                    where c.event_id = event.event_id and c.captured_at <= sound.captured_at
                    order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc limit 1
                )
            order by sound.captured_at desc, sound.moment_at desc, sound.place, sound.exchange_id limit 1
        ) as quote on true
        -- what was first quoted after the start has no closing, and comes and goes without one
        where series.valid_from <= event.start_at or quote.captured_at is not null
    ),

    -- where margins have another answer of the same moment, the closing quote's own set tells
    alone as materialized (
        select q.exchange_id, q.bookmaker_key, q.market_key, q.description, q.line_point, q.duplicate_no,
            array_agg(q.outcome_name order by q.outcome_name) as outcome_names,
            array_agg({{ implied_exactly('q.price_native', 'q.odds_format') }} order by q.outcome_name) as implied_probabilities
        from (
            select distinct exchange_id, bookmaker_key, market_key, description, line_point, duplicate_no
            from shown
            -- null: what has no quote has no set
            where probability_then is null and is_complete and outcome_set <> 'field'
        ) as one_set
        join {{ ref('quotes') }} as q
            on q.event_id = event.event_id and q.problem is null
            and {{ same_in('q', 'one_set', ['exchange_id', 'bookmaker_key', 'market_key', 'duplicate_no']) }}
            and q.description is not distinct from one_set.description and q.line_point is not distinct from one_set.line_point
        group by q.exchange_id, q.bookmaker_key, q.market_key, q.description, q.line_point, q.duplicate_no
    ),

    asked as (
        select distinct alone.implied_probabilities, (select round(sum(each.q), 32) from unnest(alone.implied_probabilities) as each (q)) as overround
        from alone
    ),

    powers as materialized ({{ fair_power('asked') }}),

    worked_out as (
        select alone.exchange_id, alone.bookmaker_key, alone.market_key, alone.description, alone.line_point, alone.duplicate_no,
            outcome.outcome_name, outcome.probability
        from alone
        join powers on powers.implied_probabilities = alone.implied_probabilities
        cross join lateral unnest(alone.outcome_names, powers.fair_power) as outcome (outcome_name, probability)
    )

    select shown.*, coalesce(shown.probability_then, worked_out.probability) as fair_probability
    from shown
    left join worked_out
        on shown.probability_then is null
        and {{ same_in('worked_out', 'shown', ['exchange_id', 'bookmaker_key', 'market_key', 'duplicate_no', 'outcome_name']) }}
        and worked_out.description is not distinct from shown.description
        and worked_out.line_point is not distinct from shown.line_point
) as closing
-- a stretch that spans the start: the last covering answer until then showed the series; looked up where nothing else tells
cross join lateral (
    select exists (
        select 1 from {{ ref('price_history') }} as h
        where h.series_id = closing.series_id and h.line_rank = 1 and {{ stands_at('h', 'event.start_at') }}
    ) as is_quoting
) as standing
cross join lateral (
    select
        case
            when event.status = 'gone_early' then 'unplayed'
            when event.start_is_suspect or not event.is_reached then 'provisional'
            when closing.captured_at is null then 'none'
            when not standing.is_quoting and closing.captured_at <= event.start_at then 'not_quoting'
            when {{ seconds_between('closing.quote_at', 'event.start_at') }} > {{ parameter('closing_aged_seconds') }} then 'old'
            when {{ seconds_between('closing.quote_at', 'event.start_at') }} > {{ parameter('closing_ok_seconds') }} then 'aged'
            else 'ok'
        end as close_status
) as judged
{%- endmacro %}
