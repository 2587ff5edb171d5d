{#- What the market held each outcome of some events for when they began, a complete select; `closings`: those of the same events. -#}
{% macro closing_consensus_of(events, closings) -%}
select
    {{ outcome_id_of('event.event_id', 'agreed') }} as line_id,
    event.event_id, event.sport_key, agreed.market_key, agreed.description,
    cast(agreed.line_point as numeric(8, 3)) as line_point,
    agreed.outcome_set, agreed.outcome_name, agreed.outcome_side, event.start_at,
    cast(agreed.fair_median as numeric(12, 10)) as fair_median,
    cast(agreed.fair_mean as numeric(12, 10)) as fair_mean,
    cast(agreed.fair_sharp as numeric(12, 10)) as fair_sharp,
    agreed.sharp_basis, agreed.fair_basis, agreed.median_sum, agreed.group_count, agreed.book_count,
    agreed.is_main_line, agreed.oldest_quote_at, agreed.newest_quote_at, agreed.closing_age_seconds, agreed.close_status,
    {{ is_closing('agreed.close_status') }} as is_closing
from {{ events }} as event
cross join lateral (
    with closed as materialized (
        select
            closing.bookmaker_key, closing.market_key, closing.description, closing.line_point, closing.outcome_set,
            closing.outcome_name, closing.outcome_side, closing.overround, closing.quote_at, closing.close_status, closing.is_closing,
            closing.fair_probability as probability,
            cast(closing.implied_probability / closing.overround as numeric(12, 10)) as ratio,
            {{ line_key('closing', after='closing.outcome_set') }} as line_key,
            coalesce(profile.operator_group, closing.bookmaker_key) as operator_group,
            coalesce(profile.sharp_weight, 0) as sharp_weight,
            coalesce(profile.is_exchange, false) as is_exchange,
            -- read before the start, if not always received before it
            'pre' as phase_as_known
        from {{ closings }} as closing
        {{ with_profile('closing.bookmaker_key', 'closing.captured_at') }}
        where closing.event_id = event.event_id and closing.price_native is not null and {{ has_own_prices('profile') }}
    ),

    whole as (
        select closed.*,
            -- before the start, and while it is suspect, the newest quotes stand in for the closing ones
            bool_and(closed.probability is not null and (closed.is_closing or closed.close_status = 'provisional'))
                over (partition by closed.line_key, closed.bookmaker_key) as is_sound
        from closed
    ),

    dated as (
        select whole.*, max(whole.quote_at) over (partition by whole.line_key) as newest_quote_at
        from whole where whole.is_sound
    ),

    members as (
        select dated.* from dated
        where {{ seconds_between('dated.quote_at', 'dated.newest_quote_at') }} <= {{ parameter('closing_apart_seconds') }}
    ),

    counting as ({{ votes_that_count('members', ['line_key']) }}),

    counted as (
        select line_key, outcome_name,
            {{ same_of(['market_key', 'description', 'line_point', 'outcome_set', 'outcome_side']) }},
            {{ counted_votes() }},
            min(quote_at) filter (where speaks) as oldest_quote_at,
            max(quote_at) filter (where speaks) as newest_quote_at,
            bool_or(close_status = 'provisional') as is_provisional
        from counting group by line_key, outcome_name
    ),

    enough as (
        select counted.*,
            cast(sum(median) over (partition by line_key) as numeric(12, 10)) as median_sum,
            group_count >= {{ parameter('consensus_min_groups') }} as is_enough,
            {{ seconds_between('newest_quote_at', 'event.start_at') }} as closing_age_seconds
        from counted
    ),

    -- how far a line is from even, by its home side, Over or Yes
    lines as (
        select line_key,
            {{ same_of(['market_key', 'description', 'line_point', 'outcome_set']) }},
            max(group_count) as group_count,
            min(abs(median / median_sum - 0.5)) filter (where outcome_side in ('home', 'over', 'yes')) as from_even
        from enough group by line_key
    ),

    ranked_lines as (
        select line_key,
            row_number() over (
                partition by market_key, description
                order by group_count desc, from_even, abs(line_point), line_point, outcome_set
            ) = 1 as is_main_line
        from lines
    )

    select
        enough.market_key, enough.description, enough.line_point, enough.outcome_set, enough.outcome_name, enough.outcome_side,
        {{ agreed_values() }},
        {{ fair_basis('rule.family', 'enough.line_point') }} as fair_basis,
        enough.median_sum, enough.group_count, enough.book_count, ranked_lines.is_main_line, enough.oldest_quote_at,
        enough.newest_quote_at, enough.closing_age_seconds,
        case
            when enough.is_provisional then 'provisional'
            when not enough.is_enough then 'too_few_groups'
            when enough.closing_age_seconds > {{ parameter('closing_ok_seconds') }} then 'aged'
            else 'ok'
        end as close_status
    from enough
    join ranked_lines on ranked_lines.line_key = enough.line_key
    cross join lateral {{ market_rule('enough.market_key') }} as rule
) as agreed
{%- endmacro %}
