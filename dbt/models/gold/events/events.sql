{{ config(
    row_key=['event_id'],
    scope=rows_of_events(),
    scope_key='event_id',
    indexes=[{'columns': ['sport_key', 'start_at']}],
    post_hook="{{ find_due_events() }}",
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
        (
            array_agg(c.new_start order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc)
                filter (where not c.accepted)
        )[1] as rival_start,
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

-- a final score is that of an answer, or what an override decides
played as (
    select touched.event_id,
        coalesce(results.completed, false) as is_completed,
        coalesce(results.completed, false) or exists (
            select 1 from {{ ref('result_override') }} as decided
            where decided.event_id = touched.event_id and decided.winner is distinct from 'void'
        ) as has_final_score
    from touched
    left join {{ ref('results') }} as results on results.event_id = touched.event_id
),

gathered as (
    select
        latest.event_id, latest.sport_key, latest.home_team, latest.away_team, kinds.has_outrights, sources.source,
        firsts.commence_time as commence_time_first, latest.commence_time as commence_time_latest,
        override.start_at as override_start, starts.start_as_known, starts.rival_start, starts.is_suspect,
        starts.change_count, firsts.captured_at as first_seen_at,
        coalesce(listings.is_listed, false) as is_listed,
        listings.event_id is not null as was_ever_listed,
        listings.last_seen_at, listings.unlisted_at, latest.captured_at as last_sighted_at,
        played.is_completed, played.has_final_score, span.listed_from, span.listed_to
    from latest
    join firsts on firsts.event_id = latest.event_id
    join kinds on kinds.event_id = latest.event_id
    join sources on sources.event_id = latest.event_id
    join starts on starts.event_id = latest.event_id
    join played on played.event_id = latest.event_id
    left join listings on listings.event_id = latest.event_id
    left join {{ ref('event_override') }} as override on override.event_id = latest.event_id
    cross join lateral {{ listed_span('latest.sport_key') }} as span
),

-- which of the two starts an event that left the list may have had
settled as (
    select gathered.*,
        case
            when override_start is not null then 'override'
            -- while it is listed, anything may come yet
            when not is_suspect or is_listed or has_outrights or not was_ever_listed then 'as_announced'
            -- null: not known how long games of the sport are listed
            when kept_fits and rival_fits and rival_start <> start_as_known then 'kept_unproven'
            when kept_fits then 'settled_kept'
            when rival_fits then 'settled_rival'
            else 'as_announced'
        end as start_basis
    from (
        select gathered.*,
            {{ start_fits('gathered.start_as_known', 'gathered', 'gathered') }} as kept_fits,
            {{ start_fits('gathered.rival_start', 'gathered', 'gathered') }} as rival_fits
        from gathered
    ) as gathered
),

begun as (
    select settled.*,
        case start_basis when 'override' then override_start when 'settled_rival' then rival_start else start_as_known end as start_at
    from settled
)

select
    event_id, sport_key, home_team, away_team, has_outrights, source, commence_time_first, commence_time_latest,
    start_at,
    start_basis = 'as_announced' and is_suspect as start_is_suspect,
    start_basis,
    cast(change_count as integer) as start_change_count,
    first_seen_at,
    case when not is_listed then last_seen_at end as last_seen_at,
    exists (
        select 1 from {{ ref('event_sightings') }} as s
        where s.event_id = begun.event_id and s.captured_at >= begun.start_at and s.source_rank < 5
    ) as seen_in_play,
    case
        when is_completed then 'completed'
        when is_listed or not was_ever_listed then case when last_sighted_at >= start_at then 'started' else 'listed' end
        when unlisted_at < start_at then 'withdrawn_before_start'
        -- null: not known how long games of the sport are listed
        when last_seen_at >= start_at and unlisted_at < start_at + listed_from and not has_outrights and not has_final_score
            and {{ list_goes_on('begun') }}
            then 'gone_early'
        else 'gone'
    end as status
from begun
