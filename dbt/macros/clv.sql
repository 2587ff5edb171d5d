{#- What prices of some events at set times before the start were worth when they began, a complete select; `closings` and
    `closing_consensus`: those of the same events. -#}
{% macro clv_of(events, closings, closing_consensus) -%}
select
    judged.series_id, event.event_id, event.sport_key, judged.bookmaker_key, judged.operator_group, judged.market_key,
    judged.description, judged.outcome_name, judged.outcome_side, judged.outcome_set, event.start_at, judged.horizon,
    judged.taken_at,
    {{ seconds_between('judged.taken_at', 'event.start_at') }} as seconds_to_start,
    judged.seconds_since_seen, judged.line_point, judged.point_taken,
    cast(judged.point_closing as numeric(8, 3)) as point_closing,
    judged.price_taken,
    cast(judged.price_closing as numeric(14, 8)) as price_closing,
    judged.probability_taken,
    cast(judged.probability_closing as numeric(12, 10)) as probability_closing,
    cast(judged.consensus_closing as numeric(12, 10)) as consensus_closing,
    judged.group_count, judged.fair_basis, judged.clv_status,
    {{ clv_measures('judged') }},
    judged.close_status, judged.is_closing, judged.consensus_close_status
from {{ events }} as event
cross join lateral (
    with series as materialized (
        select
            closing.series_id, closing.event_id, closing.bookmaker_key, closing.market_key, closing.description,
            closing.outcome_name, closing.outcome_side, closing.outcome_set, closing.point, closing.line_point,
            closing.fair_probability, closing.close_status, closing.is_closing,
            -- before the start, and while it is suspect, the newest quote stands in for the closing one
            case when closing.is_closing or closing.close_status = 'provisional' then {{ price_net('closing.price_decimal', 'profile') }} end as price_net
        from {{ closings }} as closing
        {{ with_profile('closing.bookmaker_key', 'event.start_at') }}
        where closing.event_id = event.event_id and {{ has_own_prices('profile') }}
    ),

    opened as materialized (
        select opening.series_id, opening.opened_at from {{ ref('openings') }} as opening
        where opening.event_id = event.event_id and not opening.is_left_censored
    ),

    agreed as materialized (
        select
            {{ line_key('held', after='held.outcome_set') }} as line_key,
            held.outcome_name, held.fair_median, held.group_count, held.close_status
        from {{ closing_consensus }} as held where held.event_id = event.event_id
    ),

    -- no clock: a time has come when an answer about the event was received at or after it
    known as materialized (select max(newest.captured_at) as known_until from {{ newest_answers('event') }} as newest),

    moments as (
        select series.*, moment.horizon, moment.at
        from series
        left join opened on opened.series_id = series.series_id
        cross join known
        cross join lateral (
            values
            ('opening', opened.opened_at),
            ('24h', event.start_at - interval '24 hours'),
            ('6h', event.start_at - interval '6 hours'),
            ('1h', event.start_at - interval '1 hour'),
            ('15min', event.start_at - interval '15 minutes')
        ) as moment (horizon, at)
        where moment.at < event.start_at and moment.at <= known.known_until
    ),

    taken as (
        select moments.*,
            coalesce(profile.operator_group, moments.bookmaker_key) as operator_group,
            stood.point as point_taken,
            stood.line_point as line_point_taken,
            {{ price_net('stood.price_decimal', 'profile') }} as price_taken,
            fair.outcome_set as outcome_set_taken, fair.fair_basis,
            cast(fair.probability as numeric(12, 10)) as probability_taken,
            {{ seconds_between('seen.captured_at', 'moments.at') }} as seconds_since_seen
        from moments
        cross join lateral (
            select h.point, h.line_point, h.price_decimal, h.implied_probability, h.valid_to
            from {{ ref('price_history') }} as h
            where h.series_id = moments.series_id and h.line_rank = 1 and h.valid_from <= moments.at
            order by h.valid_from desc limit 1
        ) as stood
        cross join lateral {{ fair_then('moments', 'stood.line_point', at='moments.at') }} as fair
        cross join lateral {{ quote_until('moments.at', 'event.event_id', 'moments.series_id', 1, ['captured_at']) }} as seen
        {{ with_profile('moments.bookmaker_key', 'moments.at') }}
        where (stood.valid_to is null or stood.valid_to > moments.at)
            -- null: what is no price is in no sound set
            and fair.q = stood.implied_probability
    ),

    compared as (
        select taken.*,
            -- where the book closed
            {{ line_key('taken', after='taken.outcome_set') }} as line_key,
            case
                -- prices among other outcomes are another product
                when taken.price_net is null or taken.outcome_set is distinct from taken.outcome_set_taken then 'no_close'
                when taken.line_point is distinct from taken.line_point_taken then 'point_moved'
                else 'same_point'
            end as clv_status
        from taken
    )

    select
        compared.series_id, compared.bookmaker_key, compared.operator_group, compared.market_key, compared.description,
        compared.outcome_name, compared.outcome_side, compared.outcome_set_taken as outcome_set, compared.horizon,
        compared.at as taken_at, compared.seconds_since_seen, compared.line_point_taken as line_point, compared.point_taken,
        case when compared.clv_status <> 'no_close' then compared.point end as point_closing,
        compared.price_taken,
        case when compared.clv_status <> 'no_close' then compared.price_net end as price_closing,
        compared.probability_taken,
        case when compared.clv_status <> 'no_close' then compared.fair_probability end as probability_closing,
        agreed.fair_median as consensus_closing, agreed.group_count, compared.fair_basis, compared.clv_status,
        compared.clv_status = 'same_point' as is_comparable,
        compared.close_status, compared.is_closing, agreed.close_status as consensus_close_status
    from compared
    left join agreed
        on compared.clv_status = 'same_point' and agreed.line_key = compared.line_key
        and agreed.outcome_name = compared.outcome_name
) as judged
where event.status <> 'gone_early'
{%- endmacro %}
