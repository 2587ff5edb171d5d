-- gold.moves and gold.steam, the rows of touched events from the tail's beginning on: one row per broken rule and row.
with touched as materialized (
    select event_id, tail_from from {{ source('ops', 'touched_events') }}
),

moved as materialized (
    select later.*
    from touched
    cross join lateral (
        select m.* from {{ ref('moves') }} as m where m.event_id = touched.event_id and m.changed_at >= touched.tail_from offset 0
    ) as later
),

triggered as materialized (
    select later.*
    from touched
    cross join lateral (
        select s.* from {{ ref('steam') }} as s where s.event_id = touched.event_id and s.triggered_at >= touched.tail_from offset 0
    ) as later
),

-- a group of a steam, and how often it moved that way within the window
members as (
    select triggered.event_id, triggered.market_id, triggered.direction, triggered.triggered_at, member.operator_group, within.moves
    from triggered
    cross join lateral unnest(triggered.groups) as member (operator_group)
    cross join lateral (
        select count(*) as moves
        from {{ ref('moves') }} as m
        where m.event_id = triggered.event_id
            and m.changed_at <= triggered.triggered_at
            and m.changed_at >= triggered.triggered_at - {{ parameter_interval('steam_window_seconds') }}
            and m.market_id = triggered.market_id
            and m.outcome_set = triggered.outcome_set
            and m.direction = triggered.direction
            and m.operator_group = member.operator_group
    ) as within
)

select
    'moves: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.market_key, c.bookmaker_key, c.changed_at) as key,
    cast(to_jsonb(c) as text) as detail
from moved as c
cross join lateral (
    values
    ('market_id is the hash of event, market and description', c.market_id = {{ market_id_of('c') }}),
    ('its event is in events', exists (select 1 from {{ ref('events') }} as e where e.event_id = c.event_id offset 0)),
    (
        'it is as far as a move must be',
        coalesce(
            abs(c.delta_point) >= {{ parameter('move_min_points') }} or abs(c.delta_probability) >= {{ parameter('move_min_probability') }},
            false
        )
    ),
    (
        'its book has that line then, before the start',
        exists (
            select 1
            from (
                select m.* from {{ ref('margins') }} as m where m.event_id = c.event_id and m.valid_to is null
                union all
                select m.* from {{ ref('margins') }} as m where m.event_id = c.event_id and m.valid_to > c.changed_at
            ) as sets
            where sets.bookmaker_key = c.bookmaker_key
                and sets.market_key = c.market_key
                and sets.description is not distinct from c.description
                and sets.line_point is not distinct from c.new_line_point
                and sets.outcome_set = c.outcome_set
                and sets.valid_from <= c.changed_at
                and sets.is_sound
                and sets.phase_as_known = 'pre'
                and c.new_probability = any (sets.fair_power)
            offset 0
        )
    ),
    (
        'its run starts with a move that way',
        exists (
            select 1
            from {{ ref('moves') }} as m
            where m.event_id = c.event_id
                and m.changed_at = c.run_began_at
                and m.run_began_at = c.run_began_at
                and m.market_id = c.market_id
                and m.outcome_set = c.outcome_set
                and m.direction = c.direction
            offset 0
        )
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'steam: ' || rules.rule,
    concat_ws(' ', c.event_id, c.market_key, c.direction, c.triggered_at),
    cast(to_jsonb(c) as text)
from triggered as c
cross join lateral (
    values
    ('market_id is the hash of event, market and description', c.market_id = {{ market_id_of('c') }}),
    (
        'its groups are as many as it takes',
        c.size >= {{ parameter('steam_min_groups') }}
        and c.size >= {{ parameter('steam_min_share') }} * c.quoting_count
        and c.other_way_count < {{ parameter('steam_other_way_share') }} * c.quoting_count
    ),
    ('it is too coarse where the gap is longer than the window', c.too_coarse = (c.capture_gap_seconds > {{ parameter('steam_window_seconds') }})),
    (
        'a move of an episode without another row triggers it',
        exists (
            select 1
            from {{ ref('moves') }} as m
            where m.event_id = c.event_id
                and m.changed_at = c.triggered_at
                and m.market_id = c.market_id
                and m.outcome_set = c.outcome_set
                and m.direction = c.direction
                and not exists (
                    select 1
                    from {{ ref('steam') }} as s
                    where s.event_id = c.event_id
                        and s.triggered_at < c.triggered_at
                        and s.triggered_at >= m.run_began_at
                        and s.market_id = c.market_id
                        and s.outcome_set = c.outcome_set
                        and s.direction = c.direction
                )
            offset 0
        )
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'steam: each of its groups moved that way within the window',
    concat_ws(' ', m.event_id, m.market_id, m.direction, m.triggered_at, m.operator_group),
    cast(to_jsonb(m) as text)
from members as m
where m.moves = 0
