{{ config(
    row_key=['market_id', 'valid_from'],
    scope=rows_of_tails('gold.consensus_line', by='market'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- Where the market hangs its spread or total, over time: one voice per operator group, with its book's main line.
with {{ touched('market') }},

{{ keys_of_touched() }},

{{ main_lines() }},

-- how far results scatter, where a sport's rules say
sports as materialized (
    select shown.sport_key, rule.margin_sigma, rule.total_sigma
    from (select distinct sport_key from featured) as shown
    cross join lateral (
        select nullif(rules.margin_sigma, 0) as margin_sigma, nullif(rules.total_sigma, 0) as total_sigma
        from {{ ref('sport_rules') }} as rules
        where starts_with(shown.sport_key, coalesce(rules.sport_prefix, ''))
        order by length(coalesce(rules.sport_prefix, '')) desc
        limit 1
    ) as rule
),

hung as materialized (
    select
        main_lines.event_id, main_lines.market_line, main_lines.market_key, main_lines.description,
        main_lines.bookmaker_key, main_lines.operator_group, main_lines.line_point, main_lines.ratio, main_lines.overround,
        main_lines.at, main_lines.until_at,
        case
            when markets.period = 'full_game' and main_lines.probability > 0 and main_lines.probability < 1
                then main_lines.line_point
                    + case when main_lines.family = 'spreads' then - sports.margin_sigma else sports.total_sigma end
                    * {{ parameter('fair_line_scale') }}
                    * round(ln(round(round(main_lines.probability, 40) / (1 - main_lines.probability), 24)), 16)
        end as fair_line
    from main_lines
    join markets on markets.market_key = main_lines.market_key
    join sports on sports.sport_key = main_lines.sport_key
    where main_lines.family in ('spreads', 'totals') and main_lines.has_own_price
),

times as materialized (
    select distinct event_id, market_line, at from main_lines where at >= tail_from
),

-- one voice per operator group: its lowest margin
voices as materialized (
    select distinct on (times.at, hung.event_id, hung.market_line, hung.operator_group)
        times.at,
        hung.event_id, hung.market_line, hung.market_key, hung.description, hung.operator_group,
        hung.line_point, hung.ratio, hung.overround, hung.fair_line
    from times
    join hung
        on hung.event_id = times.event_id
        and hung.market_line = times.market_line
        and hung.at <= times.at
        and (hung.until_at is null or hung.until_at > times.at)
    order by
        times.at, hung.event_id, hung.market_line, hung.operator_group, hung.overround, hung.bookmaker_key
),

points as (
    select
        at, event_id, market_line, line_point,
        cast(count(*) as integer) as group_count,
        {{ median_of('array_agg(ratio order by ratio)') }} as ratio,
        min(overround) as overround
    from voices
    group by at, event_id, market_line, line_point
),

-- the line that most groups hang; of several the one nearest to even, then as a book's main line is found
modal_points as (
    select distinct on (at, event_id, market_line)
        at, event_id, market_line, line_point, group_count
    from points
    order by at, event_id, market_line, group_count desc, abs(ratio - 0.5), overround, abs(line_point), line_point
),

counted as (
    select
        at, event_id, market_line,
        min(market_key) as market_key,
        min(description) as description,
        cast(count(*) as integer) as group_count,
        {{ median_of('array_agg(line_point order by line_point)') }} as line_median,
        min(line_point) as line_min,
        max(line_point) as line_max,
        {{ median_of('array_agg(fair_line order by fair_line) filter (where fair_line is not null)') }} as fair_line
    from voices
    group by at, event_id, market_line
),

agreed as (
    select
        counted.*,
        modal_points.line_point as line_modal,
        round(modal_points.group_count, 40) / counted.group_count as group_share_at_modal,
        counted.group_count >= {{ parameter('consensus_min_groups') }} as is_enough
    from counted
    join modal_points
        on modal_points.at = counted.at
        and modal_points.event_id = counted.event_id
        and modal_points.market_line = counted.market_line
),

keyed as materialized (
    select
        {{ market_id_of('agreed') }} as market_id,
        event_id, market_line, at, market_key, description, group_count, line_min, line_max,
        case when is_enough then cast(line_median as numeric(8, 3)) end as line_median,
        case when is_enough then line_modal end as line_modal,
        case when is_enough then cast(group_share_at_modal as numeric(12, 10)) end as group_share_at_modal,
        case when is_enough then cast(fair_line as numeric(8, 3)) end as fair_line
    from agreed
),

reaching_in as materialized (
    select
        standing.*,
        {{ line_key('standing', after="'two_way'", point="''") }} as market_line
    from touched
    cross join lateral {{ reaching_rows(this, by='market') }} as standing
    where standing.valid_from < touched.tail_from
),

lines as (
    select market_id, event_id, market_line from keyed
    union
    select market_id, event_id, market_line from reaching_in
),

timeline as (
    select
        lines.market_id, times.at, keyed.market_id is not null as is_hung,
        lines.event_id, keyed.market_key, keyed.description, keyed.line_median, keyed.line_modal,
        keyed.group_share_at_modal, keyed.line_min, keyed.line_max, keyed.group_count, keyed.fair_line
    from lines
    join times
        on times.event_id = lines.event_id
        and times.market_line = lines.market_line
    left join keyed on keyed.market_id = lines.market_id and keyed.at = times.at
    union all
    select
        market_id, valid_from, true,
        event_id, market_key, description, line_median, line_modal,
        group_share_at_modal, line_min, line_max, group_count, fair_line
    from reaching_in
),

compared as (
    select
        timeline.*,
        is_hung <> coalesce(lag(is_hung) over one_market, false)
        or (
            is_hung
            and {{ differs_from_before(
                ['line_median', 'line_modal', 'group_share_at_modal', 'line_min', 'line_max', 'group_count', 'fair_line'],
                'market_id'
            ) }}
        ) as is_change
    from timeline
    window one_market as (partition by market_id order by at)
),

stretches as (
    select
        compared.*,
        lead(at) over (partition by market_id order by at) as valid_to
    from compared
    where is_change
)

select
    stretches.market_id,
    stretches.event_id,
    event_keys.sport_key,
    stretches.market_key,
    stretches.description,
    stretches.at as valid_from,
    stretches.valid_to,
    stretches.line_median,
    stretches.line_modal,
    stretches.group_share_at_modal,
    stretches.line_min,
    stretches.line_max,
    stretches.group_count,
    stretches.fair_line
from stretches
{{ with_sport_key('stretches.event_id', 'stretches.at') }}
where stretches.is_hung
