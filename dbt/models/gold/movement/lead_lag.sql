{{ config(materialized='view') }}
-- Of two operator groups that move one way within the hour: which one moves first.
with group_moves as (
    select sport_key, market_key, event_id, market_id, outcome_set, direction, operator_group, changed_at,
        min(prev_seen_at) as prev_seen_at
    from {{ ref('moves') }}
    group by sport_key, market_key, event_id, market_id, outcome_set, direction, operator_group, changed_at
),

-- for each move of one group those of another nearby
near as (
    select
        one.sport_key, one.market_key, one.market_id, one.outcome_set, one.direction, one.operator_group, one.changed_at,
        other.operator_group as other_group,
        one.changed_at <= other.prev_seen_at as is_lead,
        other.changed_at <= one.prev_seen_at as is_lag,
        -- the coarser of the two decides what can be told
        greatest(
            {{ seconds_between('one.prev_seen_at', 'one.changed_at') }}, {{ seconds_between('other.prev_seen_at', 'other.changed_at') }}
        ) as capture_gap_seconds,
        rank() over (
            partition by one.market_id, one.outcome_set, one.direction, one.operator_group, one.changed_at, other.operator_group
            order by greatest(other.changed_at - one.changed_at, one.changed_at - other.changed_at)
        ) as nearness
    from group_moves as one
    join group_moves as other
        on {{ same_in('other', 'one', ['market_id', 'outcome_set', 'direction']) }}
        and other.operator_group <> one.operator_group
        and other.changed_at >= one.changed_at - {{ parameter_interval('lead_lag_window_seconds') }}
        and other.changed_at <= one.changed_at + {{ parameter_interval('lead_lag_window_seconds') }}
),

-- where one as near came before and one after, neither is said to lead
compared as (
    select sport_key, market_key, operator_group, other_group,
        bool_and(is_lead) as is_lead,
        bool_and(is_lag) as is_lag,
        max(capture_gap_seconds) as capture_gap_seconds
    from near
    where nearness = 1
    group by sport_key, market_key, market_id, outcome_set, direction, operator_group, changed_at, other_group
),

counted as (
    select sport_key, market_key, operator_group, other_group,
        cast(count(*) filter (where is_lead) as integer) as lead_count,
        cast(count(*) filter (where is_lag) as integer) as lag_count,
        cast(count(*) filter (where not is_lead and not is_lag) as integer) as tie_count,
        {{ median_of('array_agg(capture_gap_seconds order by capture_gap_seconds)') }} as captures_median_gap_seconds
    from compared group by sport_key, market_key, operator_group, other_group
),

judged as (
    select counted.*,
        lead_count + lag_count as decided,
        lead_count + lag_count >= {{ parameter('lead_lag_min_decided') }} as is_enough,
        cast(round(tie_count, 40) / (lead_count + lag_count + tie_count) as numeric(12, 10)) as tie_share
    from counted
),

-- two-sided sign test by the normal distribution, half a count taken off each side: erfc(x) with x = (|lead - lag| - 1) / sqrt(2 n)
tested as (
    select judged.*,
        case
            when is_enough then round(greatest(abs(lead_count - lag_count) - 1, 0), 40) / sqrt(round(2 * decided, 40))
        end as x
    from judged
)

select
    sport_key, market_key, operator_group, other_group, lead_count, lag_count, tie_count, tie_share,
    cast(case when is_enough then round(lead_count - lag_count, 40) / decided end as numeric(12, 10)) as score,
    cast(round({{ erfc('x') }}, 6) as numeric(12, 10)) as p_value,
    captures_median_gap_seconds,
    is_enough and tie_share <= {{ parameter('lead_lag_max_tie_share') }} as is_known
from tested
