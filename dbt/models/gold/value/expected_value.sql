{{ config(materialized='view') }}
-- What a bet at each best price that stands would bring, if the other operator groups are right.
select
    valued.line_id, event.event_id, event.sport_key, valued.bookmaker_key, valued.operator_group, valued.market_key,
    valued.description, valued.line_point, valued.outcome_set, valued.outcome_name, valued.outcome_side, event.start_at,
    valued.valid_from, valued.price_decimal,
    cast(valued.fair_probability as numeric(12, 10)) as fair_probability,
    valued.group_count, valued.ev_fraction, valued.ev_basis, valued.fair_basis, valued.captured_at, valued.quote_at,
    valued.quote_age_seconds, valued.is_usable
from {{ ref('events') }} as event
cross join lateral {{ known_now('event') }} as known
cross join lateral (
    with offered as materialized (
        select
            best.line_id, best.market_key, best.description, best.line_point, best.outcome_set, best.outcome_name,
            best.outcome_side, best.valid_from, best.best_price_decimal as price_decimal,
            {{ line_key('best') }} as place,
            {{ line_key('best', after='best.outcome_set') }} as line_key,
            book.bookmaker_key
        from {{ ref('best_price') }} as best
        cross join lateral unnest(best.books) as book (bookmaker_key)
        where best.event_id = event.event_id and best.valid_to is null
    ),

    open_rows as materialized (
        select
            history.series_id, history.line_rank, history.bookmaker_key, history.outcome_name, history.price_decimal,
            history.phase_as_known,
            {{ line_key('history') }} as place
        from {{ ref('price_history') }} as history
        where history.event_id = event.event_id and history.valid_to is null and history.price_side = 'back'
    ),

    -- the quote behind the price: a book that shows an outcome twice offers the first
    quoted as materialized (
        select distinct on (offered.line_id, offered.bookmaker_key)
            offered.*,
            coalesce(profile.operator_group, offered.bookmaker_key) as operator_group,
            open_rows.phase_as_known, quote.captured_at, quote.quote_at, quote.last_update
        from offered
        join open_rows on {{ same_in('open_rows', 'offered', ['bookmaker_key', 'place', 'outcome_name']) }}
        {{ with_profile('offered.bookmaker_key', 'offered.valid_from') }}
        cross join lateral (
            select q.captured_at, q.quote_at, q.last_update from {{ ref('quotes') }} as q
            where q.event_id = event.event_id and q.series_id = open_rows.series_id and q.line_rank = open_rows.line_rank
            order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id limit 1
        ) as quote
        -- null: what is no price is no best one
        where {{ price_net('open_rows.price_decimal', 'profile') }} = offered.price_decimal
        order by offered.line_id, offered.bookmaker_key, open_rows.line_rank
    ),

    -- every fresh set that stands, as in consensus
    standing as (
        select distinct on (line_key, sets.bookmaker_key)
            {{ line_key('sets', after='sets.outcome_set') }} as line_key,
            sets.bookmaker_key, sets.outcome_set, sets.outcome_names, sets.fair_multiplicative, sets.fair_power, sets.overround,
            sets.phase_as_known,
            coalesce(profile.operator_group, sets.bookmaker_key) as operator_group
        from {{ ref('margins') }} as sets
        {{ with_profile('sets.bookmaker_key', 'sets.valid_from') }}
        where sets.event_id = event.event_id and sets.valid_to is null and sets.is_sound
            and {{ has_own_prices('profile') }}
            and not {{ set_is_stale('sets', ref('stale_quotes')) }}
        order by line_key, sets.bookmaker_key, sets.set_no
    ),

    outcomes as (
        select
            standing.line_key, standing.bookmaker_key, standing.operator_group, standing.overround, standing.phase_as_known,
            standing.outcome_set,
            outcome.outcome_name, outcome.ratio, outcome.probability
        from standing
        cross join lateral unnest(standing.outcome_names, standing.fair_multiplicative, standing.fair_power)
            as outcome (outcome_name, ratio, probability)
    ),

    counting as ({{ votes_that_count('outcomes', ['line_key']) }}),

    -- a line as the others see it, once for each group that offers a best price on it
    seen_by_others as (
        select asked.line_key, asked.operator_group, counting.outcome_name,
            cast(count(*) as integer) as group_count,
            {{ median_of('array_agg(counting.probability order by counting.probability)') }} as median
        from (select distinct quoted.line_key, quoted.operator_group from quoted where quoted.phase_as_known = 'pre') as asked
        join counting on counting.line_key = asked.line_key and counting.operator_group <> asked.operator_group
        where counting.speaks
        group by asked.line_key, asked.operator_group, counting.outcome_name
    ),

    agreed as materialized (
        select seen_by_others.*,
            cast(sum(median) over (partition by line_key, operator_group) as numeric(12, 10)) as median_sum,
            group_count >= {{ parameter('expected_value_min_groups') }} as is_enough
        from seen_by_others
    ),

    priced as (
        select quoted.*,
            coalesce(agreed.group_count, 0) as group_count,
            case when agreed.is_enough then {{ share_of_medians('agreed.median', 'agreed.median_sum') }} end as fair_probability
        from quoted
        left join agreed on {{ same_in('agreed', 'quoted', ['line_key', 'operator_group', 'outcome_name']) }}
        where quoted.phase_as_known = 'pre'
    )

    select priced.*,
        cast(priced.price_decimal * priced.fair_probability - 1 as numeric(16, 10)) as ev_fraction,
        case when priced.fair_probability is null then 'too_few_groups' else 'median_of_others' end as ev_basis,
        {{ fair_basis('rule.family', 'priced.line_point') }} as fair_basis,
        case when priced.last_update is not null then {{ seconds_between('priced.quote_at', 'priced.captured_at') }} end
            as quote_age_seconds,
        priced.last_update is not null and known.phase_now = 'pre'
            and known.known_until - priced.quote_at <= {{ age_limit('usable', "'pre'") }} as is_usable
    from priced
    cross join lateral {{ market_rule('priced.market_key') }} as rule
) as valued
