{{ config(
    row_key=['middle_id', 'valid_from'],
    scope=rows_of_tails('gold.middles', by='market'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- Stretches in which two lines of a market could be bet, at two operators, so that some scores win both for little.
with touched as materialized ({{ touched_from_their_best(by='market') }}),
event_keys as materialized ({{ keys_of_touched() }}),

lined as materialized (
    select touched.tail_from, sets.*
    from touched
    cross join lateral (
        select
            s.event_id, s.bookmaker_key, s.market_key, s.description, s.line_point, s.set_no, s.outcome_set,
            s.outcome_names, s.outcome_sides, s.implied_probabilities, s.fair_multiplicative, s.overround, s.phase_as_known,
            s.valid_from, s.valid_to
        from {{ reaching_rows(ref('margins'), by='market') }} as s
        where s.is_sound and s.line_point is not null and s.outcome_set = 'two_way'
    ) as sets
),

markets as materialized ({{ rules_of_markets('lined', ['family', 'is_point_in_key']) }}),

-- the first leg is on Over or home, the second on Under or away
quoted as materialized (
    select lined.*, sides.first_side,
        -- null: sets without a first side fall out below
        case when lined.outcome_sides[1] = sides.first_side then 1 else 2 end as first_place,
        concat_ws('|', lined.market_key, sides.first_side, '=' || lined.description) as times_key
    from lined
    join markets on markets.market_key = lined.market_key
    cross join lateral (
        select
            case
                when 'over' = any (lined.outcome_sides) then 'over'
                when markets.family = 'spreads' and 'home' = any (lined.outcome_sides) then 'home'
            end as first_side
    ) as sides
    where sides.first_side is not null
),

-- the times from the tail's beginning on at which something in a market changed
times as materialized ({{ times_of_change('times_key') }}),

-- a book that shows a set twice speaks with the first
standing_then as materialized (
    select distinct on (times.at, quoted.event_id, quoted.times_key, quoted.line_point, quoted.bookmaker_key)
        times.at, quoted.*,
        coalesce(profile.operator_group, quoted.bookmaker_key) as operator_group,
        coalesce(profile.price_kind = 'back_net', false) as is_net,
        coalesce(profile.commission, 0) as commission,
        {{ net_probability('quoted.implied_probabilities[quoted.first_place]') }} as net_1,
        {{ net_probability('quoted.implied_probabilities[3 - quoted.first_place]') }} as net_2
    from {{ times_with_standing('times_key') }}
    {{ with_profile('quoted.bookmaker_key', 'times.at') }}
    where {{ has_own_prices('profile') }}
    order by times.at, quoted.event_id, quoted.times_key, quoted.line_point, quoted.bookmaker_key, quoted.set_no
),

lines as materialized (
    select at, event_id, times_key, first_side, line_point, min(net_1) as net_1, min(net_2) as net_2
    from standing_then group by at, event_id, times_key, first_side, line_point
),

-- Over a and Under b win both above a and below b; home +a and away at the home handicap b win both above -a and below -b
promising as materialized (
    select
        one.at, one.event_id, one.times_key, one.line_point, two.line_point as other_line_point,
        concat_ws('|', one.times_key, one.line_point, two.line_point) as opportunity_key
    from lines as one
    join lines as two on {{ same_in('two', 'one', ['event_id', 'at', 'times_key']) }}
    where case when one.first_side = 'over' then two.line_point - one.line_point else one.line_point - two.line_point end
        >= {{ parameter('middle_width_min') }}
        and one.net_1 + two.net_2 <= 1 + {{ parameter('middle_cost_max') }}
),

offers as materialized (
    select
        standing_then.event_id, standing_then.at, promising.opportunity_key, standing_then.times_key,
        leg.leg_no, standing_then.bookmaker_key, standing_then.operator_group, standing_then.is_net, standing_then.commission,
        leg.net_probability,
        standing_then.implied_probabilities[leg.place] as implied_probability,
        standing_then.fair_multiplicative[leg.place] as ratio,
        standing_then.overround, standing_then.phase_as_known, standing_then.market_key,
        standing_then.description, standing_then.line_point, standing_then.outcome_set,
        standing_then.outcome_names[leg.place] as outcome_name,
        standing_then.outcome_sides[leg.place] as outcome_side
    from promising
    join standing_then on {{ same_in('standing_then', 'promising', ['event_id', 'at', 'times_key']) }}
    cross join lateral (
        values
        (1, promising.line_point, standing_then.first_place, standing_then.net_1),
        (2, promising.other_line_point, 3 - standing_then.first_place, standing_then.net_2)
    ) as leg (leg_no, line_point, place, net_probability)
    -- null: only lines with a point are looked at
    where leg.line_point = standing_then.line_point
),

found as (
{{ best_legs(is_one='total <= 1 + ' ~ parameter('middle_cost_max'), edge='cast(1 - min(total) as numeric(12, 10))') }}
),

keyed as materialized (
    select
        cast({{ dbt_utils.generate_surrogate_key([
            'event_id', 'market_key', key_part('description'), 'line_points[1]', 'line_points[2]', 'outcome_sides[1]'
        ]) }} as uuid) as middle_id,
        line_points[1] as line_point,
        line_points[2] as other_line_point,
        found.*
    from found
),

reaching_in as materialized (
    select standing.*,
        concat_ws('|', standing.market_key, standing.outcome_sides[1], '=' || standing.description) as times_key
    from touched
    cross join lateral {{ reaching_rows(this, by='market') }} as standing
    where standing.valid_from < touched.tail_from
),

intervals as (
{{ opportunity_intervals(
    id='middle_id',
    identity=[
        'event_id', 'market_key', 'description', 'line_point', 'other_line_point', 'outcome_names', 'outcome_sides'
    ],
    edge_at_open='-cost_at_open',
    edge_best='-cost_best'
) }}
)

select
    intervals.middle_id, intervals.event_id, event_keys.sport_key, intervals.market_key, intervals.description,
    intervals.line_point, intervals.other_line_point, intervals.outcome_names, intervals.outcome_sides, intervals.phase,
    {{ opportunity_quality() }} as quality,
    intervals.valid_from, intervals.valid_to,
    case when intervals.valid_to is not null then seen.last_seen_at end as last_seen_at,
    case when intervals.valid_to is not null then seen.captures end as captures,
    reach.ends_at - reach.begins_at as width,
    -- on a quarter line the next score wins but half the stake
    array(
        select cast(score.n as integer)
        from generate_series(floor(reach.begins_at), ceil(reach.ends_at)) as score (n)
        where score.n > reach.begins_at + 0.25 and score.n < reach.ends_at - 0.25
        order by score.n
    ) as winning_numbers,
    -intervals.edge_at_open as cost_at_open,
    -intervals.edge_best as cost_best,
    {{ opportunity_legs() }}
from intervals
{{ with_sport_key('intervals.event_id', 'intervals.valid_from') }}
-- the scores between which both win: of totals, or of the home side's margin
cross join lateral (
    select
        case when intervals.outcome_sides[1] = 'over' then intervals.line_point else -intervals.line_point end as begins_at,
        case when intervals.outcome_sides[1] = 'over' then intervals.other_line_point else -intervals.other_line_point end as ends_at
) as reach
left join lateral {{ seen_standing('intervals', 'intervals.valid_to is not null') }} as seen on true
