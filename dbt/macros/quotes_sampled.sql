{#- The times before a start at which quotes are sampled, in minutes. -#}
{% macro sampled_minutes() -%}
(values (10080), (4320), (1440), (720), (360), (180), (60), (30), (15), (5))
{%- endmacro %}

{#- What each book's main line and its fair probability were at set times before some events began, a complete select. -#}
{% macro quotes_sampled_of(events) -%}
select
    event.event_id, event.sport_key, sampled.bookmaker_key, sampled.operator_group,
    sampled.market_key, sampled.outcome_set, sampled.outcome_side, sampled.outcome_name, event.start_at, sampled.minutes_to_start,
    sampled.sampled_at, sampled.seconds_to_start_as_known, sampled.quote_state, sampled.line_point, sampled.price_native,
    sampled.odds_format, sampled.price_decimal, sampled.price_net, sampled.fair_probability, sampled.fair_basis, sampled.overround,
    sampled.seconds_since_seen, sampled.quote_age_seconds, sampled.is_fresh
from {{ events }} as event
cross join lateral (
    -- no clock: a time has come when an answer about the event was received at or after it
    with known as materialized (select max(newest.captured_at) as known_until from {{ newest_answers('event') }} as newest),

    looks as materialized (
        select grid.minutes, look.at, then_known.start_as_known,
            case when then_known.start_as_known > look.at then 'pre' else 'in_play' end as phase_as_known
        from {{ sampled_minutes() }} as grid (minutes)
        cross join lateral (select event.start_at - grid.minutes * interval '1 minute' as at) as look
        -- none before the event was first heard of
        cross join lateral (
            select c.start_as_known
            from {{ ref('event_start_changes') }} as c
            where c.event_id = event.event_id and c.captured_at <= look.at
            order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc limit 1
        ) as then_known
        where look.at <= (select known.known_until from known)
    ),

    featured as materialized (
        select shown.market_key, rule.family
        from (
            select distinct m.market_key from {{ ref('margins') }} as m
            where m.event_id = event.event_id and m.valid_from < event.start_at and m.description is null
        ) as shown
        cross join lateral {{ market_rule('shown.market_key') }} as rule
        where not rule.is_point_in_key and rule.family in ('h2h', 'spreads', 'totals')
    ),

    sets as materialized (
        select m.bookmaker_key, m.market_key, m.line_point, m.set_no, m.outcome_set, m.outcome_names, m.outcome_sides,
            m.implied_probabilities, m.fair_power, m.fair_basis, m.overround, m.valid_from, m.valid_to,
            m.fair_multiplicative[side.place] as ratio
        from {{ ref('margins') }} as m
        join featured on featured.market_key = m.market_key
        cross join lateral {{ main_side('m.outcome_sides', 'featured.family') }} as side
        where m.event_id = event.event_id and m.is_sound and m.description is null and m.valid_from < event.start_at
            and m.outcome_set in ('two_way', 'three_way') and (featured.family = 'h2h' or m.outcome_set = 'two_way')
            and side.place is not null
            -- an answer may name other teams than the one before it
            and m.outcome_sides <@ array['home', 'away', 'draw', 'over', 'under']
    ),

    -- what a book ever showed of a market before the start
    cells as materialized (
        select sets.bookmaker_key, sets.market_key, sets.outcome_set, outcome.outcome_side,
            min(outcome.outcome_name) as outcome_name,
            min(sets.valid_from) as first_at
        from sets
        cross join lateral unnest(sets.outcome_names, sets.outcome_sides) as outcome (outcome_name, outcome_side)
        group by sets.bookmaker_key, sets.market_key, sets.outcome_set, outcome.outcome_side
    ),

    main_sets as materialized (
        select distinct on (looks.minutes, sets.bookmaker_key, sets.market_key, sets.outcome_set) looks.minutes, looks.at, sets.*
        from looks
        join sets on {{ stands_at('sets', 'looks.at') }}
        order by
            looks.minutes, sets.bookmaker_key, sets.market_key, sets.outcome_set, {{ nearest_to_even('sets', 'sets.ratio') }}
    ),

    main_outcomes as materialized (
        select main_sets.minutes, main_sets.at, main_sets.bookmaker_key, main_sets.market_key, main_sets.outcome_set,
            main_sets.line_point, main_sets.overround, main_sets.fair_basis, outcome.*
        from main_sets
        cross join lateral unnest(
            main_sets.outcome_names, main_sets.outcome_sides, main_sets.implied_probabilities, main_sets.fair_power
        ) as outcome (outcome_name, outcome_side, q, fair_probability)
    ),

    standing as materialized (
        select looks.minutes, h.bookmaker_key, h.market_key, h.outcome_name, h.series_id, h.line_rank, h.line_point, h.price_native,
            h.odds_format, h.price_decimal, h.implied_probability
        from looks
        join {{ ref('price_history') }} as h on {{ stands_at('h', 'looks.at') }}
        join featured on featured.market_key = h.market_key
        where h.event_id = event.event_id and h.price_side = 'back' and h.description is null and h.valid_from < event.start_at
    ),

    -- of a book that shows a line twice the row of that very price
    priced as (
        select distinct on (
            main_outcomes.minutes, main_outcomes.bookmaker_key, main_outcomes.market_key, main_outcomes.outcome_set,
            main_outcomes.outcome_side
        )
            main_outcomes.*, standing.series_id, standing.line_rank, standing.price_native, standing.odds_format,
            standing.price_decimal
        from main_outcomes
        join standing
            on standing.minutes = main_outcomes.minutes and standing.bookmaker_key = main_outcomes.bookmaker_key
            and standing.market_key = main_outcomes.market_key and standing.outcome_name = main_outcomes.outcome_name
            and standing.line_point is not distinct from main_outcomes.line_point
        order by
            main_outcomes.minutes, main_outcomes.bookmaker_key, main_outcomes.market_key, main_outcomes.outcome_set,
            main_outcomes.outcome_side, abs(standing.implied_probability - main_outcomes.q), standing.line_rank
    ),

    told as materialized (
        select priced.*, seen.captured_at, seen.quote_at, seen.last_update
        from priced
        cross join lateral {{ quote_until(
            'priced.at', 'event.event_id', 'priced.series_id', 'priced.line_rank', ['captured_at', 'quote_at', 'last_update']
        ) }} as seen
    )

    select
        cells.bookmaker_key,
        coalesce(profile.operator_group, cells.bookmaker_key) as operator_group,
        cells.market_key, cells.outcome_set, cells.outcome_side, cells.outcome_name,
        looks.minutes as minutes_to_start, looks.at as sampled_at,
        {{ seconds_between('looks.at', 'looks.start_as_known') }} as seconds_to_start_as_known,
        case
            when told.price_native is not null then 'quoted'
            when cells.first_at <= looks.at then 'not_quoted'
            else 'unknown'
        end as quote_state,
        told.line_point, told.price_native, told.odds_format, told.price_decimal,
        {{ price_net('told.price_decimal', 'profile') }} as price_net,
        cast(told.fair_probability as numeric(12, 10)) as fair_probability,
        told.fair_basis, told.overround,
        {{ seconds_between('told.captured_at', 'looks.at') }} as seconds_since_seen,
        case when told.last_update is not null then {{ seconds_between('told.quote_at', 'told.captured_at') }} end as quote_age_seconds,
        not {{ is_stale('told', 'looks.phase_as_known') }} as is_fresh
    from looks
    cross join cells
    left join told
        on told.minutes = looks.minutes
        and {{ same_in('told', 'cells', ['bookmaker_key', 'market_key', 'outcome_set', 'outcome_side']) }}
    {{ with_profile('cells.bookmaker_key', 'looks.at') }}
    where {{ has_own_prices('profile') }}
) as sampled
{%- endmacro %}
