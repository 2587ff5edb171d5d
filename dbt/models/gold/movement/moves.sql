{{ config(
    row_key=['market_id', 'outcome_set', 'bookmaker_key', 'changed_at'],
    scope=rows_since_tails('gold.moves', at='changed_at', by='market'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'changed_at']}],
) }}
-- Every move of a book's main line before the start: what steam and lead_lag are made of.
with touched_now as materialized ({{ touched('market') }}),

touched as materialized (
    -- a line that was away, or in play, for no longer than that is compared with what it was before
    select event_id, is_whole, tail_from as since_at,
        tail_from - greatest({{ parameter_interval('steam_window_seconds') }}, {{ parameter_interval('start_slip_seconds') }}) as tail_from
    from touched_now
),

event_keys as materialized ({{ keys_of_touched() }}),
main_lines as materialized ({{ main_lines() }}),

shown as materialized (
    select main_lines.*,
        count(*) filter (where main_lines.phase_as_known <> 'pre') over (
            partition by main_lines.event_id, main_lines.cell_key order by main_lines.at
        ) as in_play_before
    from main_lines where main_lines.has_own_price and main_lines.bookmaker_key is not null
),

-- a start that slips makes a line pre, in play, and pre again: what it was before the start is asked of what came before
compared as (
    select shown.*,
        lag(shown.line_point) over one_cell as old_line_point,
        lag(shown.probability) over one_cell as old_probability,
        lag(shown.until_at) over one_cell as old_until_at,
        lag(shown.in_play_before) over one_cell as old_in_play_before
    from shown
    where shown.phase_as_known = 'pre'
    window one_cell as (partition by shown.event_id, shown.cell_key order by shown.at)
),

judged as (
    select compared.*,
        compared.line_point - compared.old_line_point as delta_point,
        case when compared.line_point is not distinct from compared.old_line_point then compared.probability - compared.old_probability end
            as delta_probability
    from compared
    join touched on touched.event_id = compared.event_id
    where compared.at >= touched.since_at
        -- null: a first line moved from nothing
        and compared.at - compared.old_until_at <= case
            when compared.in_play_before > compared.old_in_play_before then {{ parameter_interval('start_slip_seconds') }}
            else {{ parameter_interval('steam_window_seconds') }}
        end
),

moved as materialized (
    select
        {{ market_id_of('judged') }} as market_id,
        judged.*,
        case
            when judged.family = 'totals'
                then case when coalesce(judged.delta_probability, judged.delta_point) > 0 then 'over' else 'under' end
            -- a lower home handicap is toward home
            when coalesce(judged.delta_probability, - judged.delta_point) > 0 then 'home'
            else 'away'
        end as direction
    from judged
    where abs(judged.delta_point) >= {{ parameter('move_min_points') }}
        or abs(judged.delta_probability) >= {{ parameter('move_min_probability') }}
),

-- who hung that market then
quoting as materialized (
    select then_moved.event_id, then_moved.market_line, then_moved.at, array_agg(distinct shown.operator_group order by shown.operator_group) as groups
    from (select distinct event_id, market_line, at from moved) as then_moved
    join shown
        on shown.event_id = then_moved.event_id and shown.market_line = then_moved.market_line
        and shown.at <= then_moved.at and (shown.until_at is null or shown.until_at > then_moved.at)
    group by then_moved.event_id, then_moved.market_line, then_moved.at
),

-- The run of moves one way that a move belongs to: no pause in it is longer than a steam's quiet time. A run depends on what came
-- before alone, so that a later batch finds in the table what it goes on with.
ways as (select distinct market_id, event_id, outcome_set, direction, at from moved),

ways_before as (
    select ways.market_id, ways.event_id, ways.outcome_set, ways.direction, earlier.changed_at as at, earlier.run_began_at
    from (select distinct market_id, event_id, outcome_set, direction from ways) as ways
    join touched on touched.event_id = ways.event_id
    cross join lateral (
        select m.changed_at, m.run_began_at from {{ this }} as m
        where m.event_id = ways.event_id and m.changed_at < touched.since_at
            and m.changed_at >= touched.since_at - {{ parameter_interval('steam_quiet_seconds') }}
            and {{ same_in('m', 'ways', ['market_id', 'outcome_set', 'direction']) }}
        order by m.changed_at desc limit 1
    ) as earlier
),

ways_in_order as (
    select told.*,
        coalesce(
            told.run_began_at,
            case
                when told.at - lag(told.at) over one_way <= {{ parameter_interval('steam_quiet_seconds') }} then null
                else told.at
            end
        ) as begun_at
    from (
        select market_id, event_id, outcome_set, direction, at, cast(null as timestamptz) as run_began_at from ways
        union all
        select market_id, event_id, outcome_set, direction, at, run_began_at from ways_before
    ) as told
    window one_way as (partition by told.market_id, told.outcome_set, told.direction order by told.at)
),

runs as (
    select market_id, outcome_set, direction, at,
        max(begun_at) over (
            partition by market_id, outcome_set, direction order by at
            rows between unbounded preceding and current row
        ) as run_began_at
    from ways_in_order
)

select
    moved.market_id, moved.event_id, event_keys.sport_key, moved.market_key, moved.description, moved.outcome_set,
    moved.bookmaker_key, moved.operator_group, moved.at as changed_at, last_quote.captured_at as prev_seen_at,
    moved.direction, moved.old_line_point, moved.line_point as new_line_point,
    cast(moved.delta_point as numeric(8, 3)) as delta_point,
    moved.old_probability, moved.probability as new_probability,
    cast(moved.delta_probability as numeric(12, 10)) as delta_probability,
    quoting.groups as quoting_groups, runs.run_began_at
from moved
{{ with_sport_key('moved.event_id', 'moved.at') }}
join quoting on {{ same_in('quoting', 'moved', ['event_id', 'market_line', 'at']) }}
join runs on {{ same_in('runs', 'moved', ['market_id', 'outcome_set', 'direction', 'at']) }}
-- when the book was last seen with what it moved from
cross join lateral (
    select q.captured_at from {{ ref('quotes') }} as q
    where q.event_id = moved.event_id
        and q.series_id = {{ series_id_on_line('moved', 'moved.bookmaker_key', rule='moved') }}
        -- null: what moved stood before
        and q.captured_at < moved.old_until_at
    order by q.captured_at desc limit 1
) as last_quote
