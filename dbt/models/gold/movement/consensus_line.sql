{{ config(
    row_key=['market_id', 'valid_from'],
    scope=rows_of_tails('gold.consensus_line', by='fresh market'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- Where the market hangs its spread or total, over time: one voice per operator group, with its book's main line.
{% call(standing, stale) holds_over_time(
    ref('margins'), only_if="r.is_sound and r.outcome_set = 'two_way'", by='fresh market', line=line_key('r', point="''"), also=ref('stale_quotes'),
    key=['market_id'],
    changes=[
        'r.line_median', 'r.line_modal', 'r.group_share_at_modal', 'r.line_min', 'r.line_max', 'r.group_count', 'r.fair_line'
    ]
) %}
-- featured spreads and totals, whole games and parts of them
with markets as materialized (
    select shown.market_key, rule.family, rule.period
    from (select distinct market_key from {{ standing }}) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
    where not rule.is_point_in_key and rule.family in ('spreads', 'totals')
),

-- how far results scatter, where a sport's rules say
sports as materialized (
    select shown.sport_key, nullif(rule.margin_sigma, 0) as margin_sigma, nullif(rule.total_sigma, 0) as total_sigma
    from (select distinct sport_key from {{ standing }}) as shown
    cross join lateral {{ sport_rule('shown.sport_key', ['margin_sigma', 'total_sigma']) }} as rule
),

-- of several lines that a book hangs under one key the main one, that nearest to even
main_lines as (
    select distinct on (sets.at, sets.event_id, sets.line_key, sets.bookmaker_key)
        sets.*, markets.family, markets.period,
        sets.fair_power[side.place] as probability,
        sets.fair_multiplicative[side.place] as ratio
    from {{ standing }} as sets
    join markets on markets.market_key = sets.market_key
    cross join lateral {{ main_side('sets.outcome_sides', 'markets.family') }} as side
    where side.place is not null and not {{ set_is_stale('sets', stale, at='sets.at') }}
    order by
        sets.at, sets.event_id, sets.line_key, sets.bookmaker_key,
        {{ nearest_to_even('sets', 'sets.fair_multiplicative[side.place]') }}
),

-- one voice per operator group: its lowest margin
voices as materialized (
    select distinct on (main_lines.at, main_lines.event_id, main_lines.line_key, coalesce(profile.operator_group, main_lines.bookmaker_key))
        main_lines.*,
        case
            when main_lines.period = 'full_game' and main_lines.probability > 0 and main_lines.probability < 1
                then main_lines.line_point
                    + case when main_lines.family = 'spreads' then - sports.margin_sigma else sports.total_sigma end
                    * {{ parameter('fair_line_scale') }}
                    * round(ln(round(round(main_lines.probability, 40) / (1 - main_lines.probability), 24)), 16)
        end as fair_line
    from main_lines
    join sports on sports.sport_key = main_lines.sport_key
    {{ with_profile('main_lines.bookmaker_key', 'main_lines.at') }}
    where {{ has_own_prices('profile') }}
    order by
        main_lines.at, main_lines.event_id, main_lines.line_key, coalesce(profile.operator_group, main_lines.bookmaker_key),
        main_lines.overround, main_lines.bookmaker_key
),

points as (
    select at, event_id, line_key, line_point,
        cast(count(*) as integer) as group_count,
        {{ median_of('array_agg(ratio order by ratio)') }} as ratio,
        min(overround) as overround
    from voices group by at, event_id, line_key, line_point
),

-- the line that most groups hang; of several the one nearest to even, then as a book's main line is found
modal_points as (
    select distinct on (at, event_id, line_key) at, event_id, line_key, line_point, group_count
    from points
    order by at, event_id, line_key, group_count desc, abs(ratio - 0.5), overround, abs(line_point), line_point
),

counted as (
    select at, event_id, line_key,
        {{ same_of(['market_key', 'description']) }},
        cast(count(*) as integer) as group_count,
        {{ median_of('array_agg(line_point order by line_point)') }} as line_median,
        min(line_point) as line_min,
        max(line_point) as line_max,
        {{ median_of('array_agg(fair_line order by fair_line) filter (where fair_line is not null)') }} as fair_line
    from voices group by at, event_id, line_key
),

agreed as (
    select
        counted.*, modal_points.line_point as line_modal,
        round(modal_points.group_count, 40) / counted.group_count as group_share_at_modal,
        counted.group_count >= {{ parameter('consensus_min_groups') }} as is_enough
    from counted
    join modal_points on {{ same_in('modal_points', 'counted', ['at', 'event_id', 'line_key']) }}
)

select
    {{ market_id_of('agreed') }} as market_id,
    at, event_id, market_key, description, group_count, line_min, line_max,
    case when is_enough then cast(line_median as numeric(8, 3)) end as line_median,
    case when is_enough then line_modal end as line_modal,
    case when is_enough then cast(group_share_at_modal as numeric(12, 10)) end as group_share_at_modal,
    case when is_enough then cast(fair_line as numeric(8, 3)) end as fair_line
from agreed
{% endcall %}
