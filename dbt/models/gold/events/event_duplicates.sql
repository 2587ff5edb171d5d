{{ config(materialized='view') }}
-- Pairs of event ids that may be one game.
with pairs as (
    select
        earlier.event_id, later.event_id as other_event_id, earlier.sport_key, earlier.home_team, earlier.away_team,
        earlier.home_team is distinct from later.home_team as is_swapped,
        earlier.start_at, later.start_at as other_start_at,
        abs({{ seconds_between('earlier.start_at', 'later.start_at') }}) as start_gap_seconds,
        earlier.first_seen_at, later.first_seen_at as other_first_seen_at
    from {{ ref('events') }} as earlier
    join {{ ref('events') }} as later
        -- the window stands there from both sides, so that either id finds the other through an index
        on later.sport_key = earlier.sport_key
        and later.start_at between earlier.start_at - interval '6 hours' and earlier.start_at + interval '6 hours'
        and earlier.start_at between later.start_at - interval '6 hours' and later.start_at + interval '6 hours'
        and (earlier.first_seen_at, earlier.event_id) < (later.first_seen_at, later.event_id)
        -- null: who names no teams is nobody's duplicate
        and least(earlier.home_team, earlier.away_team) = least(later.home_team, later.away_team)
        and greatest(earlier.home_team, earlier.away_team) = greatest(later.home_team, later.away_team)
    where earlier.home_team is not null and earlier.away_team is not null
        and later.home_team is not null and later.away_team is not null
)

select
    pairs.event_id, pairs.other_event_id, pairs.sport_key, pairs.home_team, pairs.away_team, pairs.is_swapped,
    pairs.start_at, pairs.other_start_at, pairs.start_gap_seconds, pairs.first_seen_at, pairs.other_first_seen_at,
    case
        when together.listed_from is not null then 'both_listed'
        when extents.listed_to <= extents.other_listed_from or extents.other_listed_to <= extents.listed_from then 'replaced'
        else 'apart'
    end as kind,
    together.listed_from as both_listed_from,
    case when together.listed_from is null then
        case
            when extents.listed_to <= extents.other_listed_from then {{ seconds_between('extents.listed_to', 'extents.other_listed_from') }}
            when extents.other_listed_to <= extents.listed_from then {{ seconds_between('extents.other_listed_to', 'extents.listed_from') }}
        end
    end as replaced_after_seconds,
    exists (
        select 1 from {{ ref('event_override') }} as override
        where (override.event_id = pairs.event_id and override.same_event_as = pairs.other_event_id)
            or (override.event_id = pairs.other_event_id and override.same_event_as = pairs.event_id)
    ) as is_same_event
from pairs
left join lateral (
    select min(greatest(mine.valid_from, others.valid_from)) as listed_from
    from {{ ref('event_listing_intervals') }} as mine
    join {{ ref('event_listing_intervals') }} as others
        on others.event_id = pairs.other_event_id and others.valid_from < coalesce(mine.valid_to, 'infinity')
        and mine.valid_from < coalesce(others.valid_to, 'infinity')
    where mine.event_id = pairs.event_id
) as together on true
left join lateral (
    select
        min(l.valid_from) filter (where l.event_id = pairs.event_id) as listed_from,
        max(coalesce(l.valid_to, 'infinity')) filter (where l.event_id = pairs.event_id) as listed_to,
        min(l.valid_from) filter (where l.event_id = pairs.other_event_id) as other_listed_from,
        max(coalesce(l.valid_to, 'infinity')) filter (where l.event_id = pairs.other_event_id) as other_listed_to
    from {{ ref('event_listing_intervals') }} as l
    where l.event_id in (pairs.event_id, pairs.other_event_id)
) as extents on true
