{{ config(
    row_key=['event_id'],
    scope=rows_of_events(),
    scope_key='event_id',
    indexes=[{'columns': ['sport_key', 'start_at']}],
) }}
-- One row per event id, with what is known of it now.
with touched as materialized (select event_id, seen_from from {{ source('ops', 'touched_events') }}),

firsts as (
    select touched.event_id, sighting.captured_at, sighting.commence_time
    from touched
    cross join lateral (
        select s.captured_at, s.commence_time from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by s.captured_at, s.source_rank, s.place, s.exchange_id limit 1
    ) as sighting
),

latest as (
    select touched.event_id, sighting.*
    from touched
    cross join lateral (
        select s.sport_key, s.home_team, s.away_team, s.captured_at, s.commence_time
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from
        order by s.captured_at desc, s.source_rank desc, s.place desc, s.exchange_id desc limit 1
    ) as sighting
),

-- only odds answers tell whether an event is an outright
kinds as (
    select touched.event_id, coalesce(sighting.has_outrights, false) as has_outrights
    from touched
    left join lateral (
        select s.has_outrights from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.seen_from and s.has_outrights
        order by s.captured_at limit 1
    ) as sighting on true
),

starts as (
    select touched.event_id,
        (array_agg(c.start_as_known order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc))[1] as start_as_known,
        bool_or(not c.accepted) as is_suspect,
        -- null: the first start changes none
        count(*) filter (where c.accepted and c.old_start <> c.new_start) as change_count
    from touched
    join {{ ref('event_start_changes') }} as c on c.event_id = touched.event_id
    group by touched.event_id
),

listings as (
    select touched.event_id,
        bool_or(l.valid_to is null) as is_listed,
        max(l.last_seen_at) as last_seen_at,
        max(l.valid_to) as unlisted_at
    from touched
    join {{ ref('event_listing_intervals') }} as l on l.event_id = touched.event_id
    group by touched.event_id
),

-- one simulated answer is enough
sources as (
    select touched.event_id,
        case
            when exists (
                select 1 from {{ ref('event_sightings') }} as s
                where s.event_id = touched.event_id and s.captured_at >= touched.seen_from and s.source = 'simulated'
            ) then 'simulated'
            else 'the_odds_api'
        end as source
    from touched
),

gathered as (
    select
        latest.event_id, latest.sport_key, latest.home_team, latest.away_team, kinds.has_outrights, sources.source,
        firsts.commence_time as commence_time_first, latest.commence_time as commence_time_latest,
        coalesce(override.start_at, starts.start_as_known) as start_at,
        starts.is_suspect and override.start_at is null as start_is_suspect,
        starts.change_count, firsts.captured_at as first_seen_at,
        coalesce(listings.is_listed, false) as is_listed,
        listings.event_id is not null as was_ever_listed,
        listings.last_seen_at, listings.unlisted_at, latest.captured_at as last_sighted_at,
        coalesce(results.completed, false) as is_completed
    from latest
    join firsts on firsts.event_id = latest.event_id
    join kinds on kinds.event_id = latest.event_id
    join sources on sources.event_id = latest.event_id
    join starts on starts.event_id = latest.event_id
    left join listings on listings.event_id = latest.event_id
    left join {{ ref('results') }} as results on results.event_id = latest.event_id
    left join {{ ref('event_override') }} as override on override.event_id = latest.event_id
)

select
    event_id, sport_key, home_team, away_team, has_outrights, source, commence_time_first, commence_time_latest,
    start_at, start_is_suspect,
    cast(change_count as integer) as start_change_count,
    first_seen_at,
    case when not is_listed then last_seen_at end as last_seen_at,
    exists (
        select 1 from {{ ref('event_sightings') }} as s
        where s.event_id = gathered.event_id and s.captured_at >= gathered.start_at and s.source_rank < 5
    ) as seen_in_play,
    case
        when is_completed then 'completed'
        when is_listed or not was_ever_listed then case when last_sighted_at >= start_at then 'started' else 'listed' end
        when unlisted_at < start_at then 'withdrawn_before_start'
        else 'gone'
    end as status
from gathered
