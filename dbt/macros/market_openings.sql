{#- When the markets of some events opened, over all books, a complete select; `events` as due_events gives them. -#}
{% macro market_openings_of(events) -%}
select
    {{ outcome_id_of('event.event_id', 'opening') }} as line_id,
    event.event_id, event.sport_key, opening.market_key, opening.description, opening.line_point, opening.outcome_set,
    opening.outcome_name, opening.outcome_side, event.start_at, opening.opening_basis, opening.operator_groups,
    opening.bookmaker_key, opening.price_decimal,
    cast(opening.probability as numeric(12, 10)) as probability,
    opening.first_seen_at, opening.is_left_censored,
    case when not opening.is_left_censored then opening.first_seen_at end as opened_at
from {{ events }} as event
cross join lateral (
    with series as (
        select
            openings.series_id, openings.bookmaker_key, openings.market_key, openings.description, openings.is_left_censored,
            openings.first_seen_at, coalesce(profile.operator_group, openings.bookmaker_key) as operator_group,
            coalesce(profile.sharp_weight, 0) as sharp_weight,
            {{ line_key('openings', point="case when rule.is_point_in_key then coalesce(cast(openings.line_point as text), '') end") }} as market_line
        from {{ ref('openings') }} as openings
        cross join lateral {{ market_rule('openings.market_key') }} as rule
        {{ with_profile('openings.bookmaker_key', 'openings.first_seen_at') }}
        where openings.event_id = event.event_id and {{ has_own_prices('profile') }}
    ),

    -- the first sound quote of each sharp series that was not there when it was first asked for; what comes in play opens nothing
    sharp as (
        select distinct on (series.market_line)
            series.market_line, series.operator_group, series.bookmaker_key, quote.market_key, quote.description,
            quote.line_point, quote.duplicate_no, quote.exchange_id, quote.captured_at
        from series
        cross join lateral (
            select q.* from {{ ref('quotes') }} as q
            where q.event_id = event.event_id and q.series_id = series.series_id and q.line_rank = 1 and q.problem is null
                and q.captured_at < event.start_at
            order by q.moment_at, q.captured_at desc, q.place, q.exchange_id limit 1
        ) as quote
        where series.sharp_weight > 0 and not series.is_left_censored
        order by
            series.market_line, series.sharp_weight desc, series.operator_group, quote.captured_at, series.bookmaker_key, series.series_id
    ),

    sharp_outcomes as (
        select sharp.market_key, sharp.description, sharp.line_point, q.outcome_set, q.outcome_name, q.outcome_side,
            'sharp' as opening_basis, array[sharp.operator_group] as operator_groups, sharp.bookmaker_key, q.price_decimal,
            case when q.outcome_set <> 'field' then cast(q.implied_probability / q.overround as numeric(12, 10)) end as probability,
            sharp.captured_at as first_seen_at,
            false as is_left_censored
        from sharp
        join {{ ref('quotes') }} as q
            on q.exchange_id = sharp.exchange_id and q.event_id = event.event_id
            and q.bookmaker_key = sharp.bookmaker_key and q.market_key = sharp.market_key
            and q.description is not distinct from sharp.description
            and q.line_point is not distinct from sharp.line_point and q.duplicate_no = sharp.duplicate_no
    ),

    -- what stood on each line of the other markets
    stretches as (
        select h.series_id, h.line_rank, h.market_key, h.description, h.line_point, h.valid_from, h.valid_to,
            coalesce(profile.operator_group, h.bookmaker_key) as operator_group,
            {{ line_key('h') }} as line_key,
            {{ line_key('h', point="case when rule.is_point_in_key then coalesce(cast(h.line_point as text), '') end") }} as market_line,
            coalesce(
                h.valid_from = lag(h.valid_to) over one_series and h.line_point is not distinct from lag(h.line_point) over one_series,
                false
            ) as goes_on
        from {{ ref('price_history') }} as h
        cross join lateral {{ market_rule('h.market_key') }} as rule
        {{ with_profile('h.bookmaker_key', 'h.valid_from') }}
        where h.event_id = event.event_id and h.price_side = 'back' and {{ has_own_prices('profile') }}
        window one_series as (partition by h.series_id, h.line_rank order by h.valid_from)
    ),

    -- the captures before the start at which a quote came to a line: only there can the groups on it become enough
    arrivals as (
        select distinct stretches.market_line, stretches.line_key, stretches.valid_from as at
        from stretches
        left join sharp on sharp.market_line = stretches.market_line
        where not stretches.goes_on and sharp.market_line is null and stretches.valid_from < event.start_at
    ),

    candidates as (
        select arrivals.market_line, arrivals.line_key, arrivals.at,
            array_agg(stretches.series_id order by stretches.series_id, stretches.line_rank) as series_ids,
            array_agg(stretches.line_rank order by stretches.series_id, stretches.line_rank) as line_ranks,
            array_agg(stretches.operator_group order by stretches.series_id, stretches.line_rank) as operator_groups
        from arrivals
        join stretches on stretches.line_key = arrivals.line_key and {{ stands_at('stretches', 'arrivals.at') }}
        group by arrivals.market_line, arrivals.line_key, arrivals.at
        having count(distinct stretches.operator_group) >= {{ parameter('opening_min_groups') }}
    ),

    first_agreement as (
        select markets.market_line, agreed.*
        from (select distinct candidates.market_line from candidates) as markets
        cross join lateral (
            select candidates.line_key, candidates.at, candidates.series_ids, candidates.line_ranks, candidates.operator_groups,
                sound.outcome_set
            from candidates
            cross join lateral (
                select quote.outcome_set, count(distinct standing.operator_group) as group_count, min(abs(quote.line_point)) as distance,
                    min(quote.line_point) as line_point
                from unnest(candidates.series_ids, candidates.line_ranks, candidates.operator_groups)
                    as standing (series_id, line_rank, operator_group)
                cross join lateral {{ quote_until(
                    'candidates.at', 'event.event_id', 'standing.series_id', 'standing.line_rank',
                    ['outcome_set', 'problem', 'is_complete', 'line_point']
                ) }} as quote
                where quote.problem is null and quote.is_complete
                group by quote.outcome_set
                having count(distinct standing.operator_group) >= {{ parameter('opening_min_groups') }}
            ) as sound
            where candidates.market_line = markets.market_line
            order by candidates.at, sound.group_count desc, sound.distance, sound.line_point, sound.outcome_set limit 1
        ) as agreed
    ),

    -- one voice per operator group: its lowest margin
    voices as (
        select distinct on (first_agreement.market_line, quote.outcome_name, standing.operator_group)
            first_agreement.market_line, first_agreement.at, standing.operator_group,
            quote.market_key, quote.description, quote.line_point, quote.outcome_set, quote.outcome_name, quote.outcome_side,
            cast(quote.implied_probability / quote.overround as numeric(12, 10)) as fair_probability
        from first_agreement
        cross join lateral unnest(first_agreement.series_ids, first_agreement.line_ranks, first_agreement.operator_groups)
            as standing (series_id, line_rank, operator_group)
        cross join lateral {{ quote_until(
            'first_agreement.at', 'event.event_id', 'standing.series_id', 'standing.line_rank', ['*']
        ) }} as quote
        where quote.problem is null and quote.is_complete and quote.outcome_set = first_agreement.outcome_set
        order by
            first_agreement.market_line, quote.outcome_name, standing.operator_group, quote.overround, quote.bookmaker_key,
            standing.line_rank
    ),

    agreed_outcomes as (
        select
            voices.market_key, voices.description, voices.line_point, voices.outcome_set, voices.outcome_name, voices.outcome_side,
            'groups' as opening_basis,
            array_agg(voices.operator_group order by voices.operator_group) as operator_groups,
            cast(null as text) as bookmaker_key,
            cast(null as numeric(14, 8)) as price_decimal,
            cast({{ median_of('array_agg(voices.fair_probability order by voices.fair_probability)') }} as numeric(12, 10)) as probability,
            voices.at as first_seen_at,
            not exists (
                select 1 from series
                where series.market_line = voices.market_line and series.first_seen_at <= voices.at and not series.is_left_censored
            ) as is_left_censored
        from voices
        group by
            voices.market_line, voices.market_key, voices.description, voices.line_point, voices.outcome_set, voices.outcome_name,
            voices.outcome_side, voices.at
    )

    select * from sharp_outcomes
    union all
    select * from agreed_outcomes
) as opening
{%- endmacro %}
