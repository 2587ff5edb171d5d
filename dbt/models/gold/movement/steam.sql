{{ config(
    row_key=['market_id', 'outcome_set', 'direction', 'triggered_at'],
    scope=rows_since_tails('gold.steam', at='triggered_at'),
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'triggered_at']}],
) }}
-- Many operator groups moving one way at nearly one time, fixed as the last one that it takes has moved.
with touched as materialized (select event_id, tail_from from {{ source('ops', 'touched_events') }}),

moved as materialized (
    select touched.tail_from, reaching.*
    from touched
    cross join lateral (
        select m.* from {{ ref('moves') }} as m
        where m.event_id = touched.event_id
            and m.changed_at >= touched.tail_from - {{ parameter_interval('steam_window_seconds') }}
        offset 0
    ) as reaching
),

-- each time of the tail at which a market moved one way
moments as materialized (
    select distinct
        tail_from, event_id, sport_key, market_id, market_key, description, outcome_set, direction, changed_at as at, run_began_at,
        quoting_groups
    from moved where changed_at >= tail_from
),

-- what each group did within the window; of one that moved both ways the last move counts
groups_then as (
    select moments.market_id, moments.outcome_set, moments.direction, moments.at, moved.operator_group,
        (array_agg(moved.direction order by moved.changed_at desc, moved.bookmaker_key))[1] = moments.direction as is_this_way,
        min(moved.changed_at) filter (where moved.direction = moments.direction) as first_at,
        (array_agg(moved.prev_seen_at order by moved.changed_at, moved.prev_seen_at)
            filter (where moved.direction = moments.direction))[1] as first_prev_seen_at
    from moments
    join moved
        on moved.market_id = moments.market_id and moved.outcome_set = moments.outcome_set
        and moved.changed_at <= moments.at
        and moved.changed_at >= moments.at - {{ parameter_interval('steam_window_seconds') }}
    group by moments.market_id, moments.outcome_set, moments.direction, moments.at, moved.operator_group
),

started as (
    select groups_then.*,
        min(first_at) filter (where is_this_way) over (partition by market_id, outcome_set, direction, at) as started_at
    from groups_then
),

counted as (
    select market_id, outcome_set, direction, at,
        min(started_at) as started_at,
        array_agg(operator_group order by operator_group) filter (where is_this_way) as groups,
        cast(count(*) filter (where is_this_way) as integer) as size,
        cast(count(*) filter (where not is_this_way) as integer) as other_way_count,
        array_agg(operator_group order by operator_group) as moving_groups,
        -- nobody is known to have moved before another who may have moved until then
        array_agg(operator_group order by operator_group) filter (where is_this_way and first_prev_seen_at < started_at) as first_movers,
        max({{ seconds_between('first_prev_seen_at', 'first_at') }}) filter (where is_this_way) as capture_gap_seconds
    from started group by market_id, outcome_set, direction, at
),

measured as (
    select moments.*,
        counted.started_at, counted.groups, counted.size, counted.other_way_count, counted.first_movers, counted.capture_gap_seconds,
        (
            select cast(count(distinct there.operator_group) as integer)
            from unnest(moments.quoting_groups || counted.moving_groups) as there (operator_group)
        ) as quoting_count
    from moments
    join counted on {{ same_in('counted', 'moments', ['market_id', 'outcome_set', 'direction', 'at']) }}
),

-- a run of moves is one episode, and its first such moment counts
firsts as (
    select distinct on (market_id, outcome_set, direction, run_began_at) measured.* from measured
    where size >= {{ parameter('steam_min_groups') }} and size >= {{ parameter('steam_min_share') }} * quoting_count
        and other_way_count < {{ parameter('steam_other_way_share') }} * quoting_count
    order by market_id, outcome_set, direction, run_began_at, at
)

select
    market_id, event_id, sport_key, market_key, description, outcome_set, direction, at as triggered_at, started_at,
    groups, size, quoting_count, other_way_count, first_movers,
    cardinality(first_movers) > 1 as first_is_tied,
    capture_gap_seconds,
    capture_gap_seconds > {{ parameter('steam_window_seconds') }} as too_coarse
from firsts
where not exists (
    select 1 from {{ this }} as s
    where s.event_id = firsts.event_id and s.triggered_at < firsts.tail_from and s.triggered_at >= firsts.run_began_at
        and {{ same_in('s', 'firsts', ['market_id', 'outcome_set', 'direction']) }}
    offset 0
)
