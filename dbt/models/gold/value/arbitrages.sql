{{ config(
    row_key=['arbitrage_id', 'valid_from'],
    scope=rows_of_tails('gold.arbitrages', by='line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- Stretches in which all outcomes of a line could be bet, at more than one operator, with a profit.
with touched as materialized ({{ touched_from_their_best(by='line') }}),
event_keys as materialized ({{ keys_of_touched() }}),

quoted as materialized (
    select
        touched.tail_from, sets.event_id, sets.bookmaker_key, sets.market_key, sets.description, sets.line_point,
        sets.set_no, sets.outcome_set, sets.outcome_names, sets.outcome_sides, sets.implied_probabilities,
        sets.fair_multiplicative, sets.overround, sets.phase_as_known, sets.valid_from, sets.valid_to,
        {{ line_key('sets', after='sets.outcome_set, cast(sets.outcome_names as text)') }} as times_key
    from touched
    cross join lateral {{ reaching_rows(ref('margins'), by='line') }} as sets
    -- of a field nobody shows all outcomes
    where sets.is_sound and sets.outcome_set <> 'field'
),

markets as materialized ({{ rules_of_markets('quoted', ['family', 'is_point_in_key']) }}),

-- the times from the tail's beginning on at which something on a line changed
times as materialized ({{ times_of_change('times_key') }}),

-- a book that shows a set twice speaks with the first
standing_then as materialized (
    select distinct on (times.at, quoted.event_id, quoted.times_key, quoted.bookmaker_key)
        times.at, quoted.*,
        coalesce(profile.operator_group, quoted.bookmaker_key) as operator_group,
        coalesce(profile.price_kind = 'back_net', false) as is_net,
        coalesce(profile.commission, 0) as commission,
        {{ net_probability('quoted.implied_probabilities[1]') }} as net_1,
        {{ net_probability('quoted.implied_probabilities[2]') }} as net_2,
        {{ net_probability('quoted.implied_probabilities[3]') }} as net_3
    from {{ times_with_standing('times_key') }}
    {{ with_profile('quoted.bookmaker_key', 'times.at') }}
    where {{ has_own_prices('profile') }}
    order by times.at, quoted.event_id, quoted.times_key, quoted.bookmaker_key, quoted.set_no
),

-- few lines sum to less than 1 even over all books: only these are looked at closer
promising as materialized (
    select at, event_id, times_key from standing_then
    group by at, event_id, times_key having min(net_1) + min(net_2) + coalesce(min(net_3), 0) < 1
),

offers as materialized (
    select
        standing_then.event_id, standing_then.at, standing_then.times_key as opportunity_key, standing_then.times_key,
        leg.leg_no, standing_then.bookmaker_key, standing_then.operator_group, standing_then.is_net, standing_then.commission,
        leg.net_probability,
        standing_then.implied_probabilities[leg.leg_no] as implied_probability,
        standing_then.fair_multiplicative[leg.leg_no] as ratio,
        standing_then.overround, standing_then.phase_as_known, standing_then.market_key,
        standing_then.description, standing_then.line_point, standing_then.outcome_set,
        standing_then.outcome_names[leg.leg_no] as outcome_name,
        standing_then.outcome_sides[leg.leg_no] as outcome_side
    from promising
    join standing_then on {{ same_in('standing_then', 'promising', ['event_id', 'at', 'times_key']) }}
    cross join lateral (
        values (1, standing_then.net_1), (2, standing_then.net_2), (3, standing_then.net_3)
    ) as leg (leg_no, net_probability)
    where leg.net_probability is not null
),

found as (
{{ best_legs(is_one='total < 1 - legs * 0.0000000001', edge='cast(round(1, 40) / min(total) - 1 as numeric(16, 10))') }}
),

keyed as materialized (
    select
        cast({{ dbt_utils.generate_surrogate_key([
            'event_id', 'market_key', key_part('description'), 'line_points[1]', 'outcome_set', key_part('cast(outcome_names as text)')
        ]) }} as uuid) as arbitrage_id,
        line_points[1] as line_point,
        found.*
    from found
),

reaching_in as materialized (
    select standing.*,
        {{ line_key('standing', after='standing.outcome_set, cast(standing.outcome_names as text)') }} as times_key
    from touched
    cross join lateral {{ reaching_rows(this, by='line') }} as standing
    where standing.valid_from < touched.tail_from
),

intervals as (
{{ opportunity_intervals(
    id='arbitrage_id',
    identity=['event_id', 'market_key', 'description', 'line_point', 'outcome_set', 'outcome_names', 'outcome_sides'],
    edge_at_open='margin_at_open',
    edge_best='margin_best'
) }}
)

select
    intervals.arbitrage_id, intervals.event_id, event_keys.sport_key, intervals.market_key, intervals.description,
    intervals.line_point, intervals.outcome_set, intervals.outcome_names, intervals.outcome_sides, intervals.phase,
    {{ opportunity_quality() }} as quality,
    intervals.valid_from, intervals.valid_to,
    case when intervals.valid_to is not null then seen.last_seen_at end as last_seen_at,
    case when intervals.valid_to is not null then seen.captures end as captures,
    intervals.edge_at_open as margin_at_open,
    intervals.edge_best as margin_best,
    {{ opportunity_legs() }}
from intervals
{{ with_sport_key('intervals.event_id', 'intervals.valid_from') }}
left join lateral {{ seen_standing('intervals', 'intervals.valid_to is not null') }} as seen on true
