{{ config(
    row_key=['exchange_id', 'event_id'],
    scope=rows_of_pending(),
    indexes=[{'columns': ['sport_key', 'event_id', 'captured_at']}],
) }}
-- What each admitted answer asked about: one row for the whole sport (event_id ''), or one per event that was asked for; and one per
-- event that it shows under another key than it was asked for, as where such an answer was released.
with held as (
    select
        elements.exchange_id,
        bool_or(elements.kind = 'event' and elements.event_id is null) as hides_any_event,
        array_agg(distinct {{ held_name('elements') }} order by {{ held_name('elements') }})
            filter (where elements.event_id is not null) as held_back
    from {{ source('ops', 'pending') }} as pending
    join {{ source('ops', 'elements') }} as elements
        on elements.exchange_id = pending.exchange_id and elements.pointer = any (pending.held)
    group by elements.exchange_id
),

asked as (
    select
        exchanges.exchange_id,
        exchanges.endpoint,
        batches.scheduled_at as moment_at,
        exchanges.captured_at,
        exchanges.coverage ->> 'sport' as sport_key,
        -- where it does not tell which event is held back, an event that it does not show may be that one; and what names neither a
        -- sport nor events covers what it shows
        case
            when held.hides_any_event or coalesce(exchanges.coverage ->> 'sport', exchanges.coverage ->> 'events') is null then '[]'
            else exchanges.coverage -> 'events'
        end as events,
        array(select item from jsonb_array_elements_text(exchanges.coverage -> 'markets') as item order by item) as markets,
        array(select item from jsonb_array_elements_text(exchanges.coverage -> 'books') as item order by item) as books,
        {{ to_time("exchanges.coverage ->> 'commence_from'") }} as commence_from,
        {{ to_time("exchanges.coverage ->> 'commence_to'") }} as commence_to,
        coalesce(held.held_back, '{}') as held_back
    from {{ source('ops', 'pending') }} as pending
    join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = pending.exchange_id
    join {{ source('bronze', 'batches') }} as batches on batches.batch_id = exchanges.batch_id
    left join held on held.exchange_id = pending.exchange_id
    where pending.admitted
),

whole_sport as (
    select asked.*, '' as event_id
    from asked
    where jsonb_typeof(asked.events) = 'null' and asked.sport_key is not null
),

-- also an answer of `upcoming` covers the events that it shows
named_events as (
    select asked.*, event.event_id
    from asked
    cross join lateral (
        select item as event_id
        from jsonb_array_elements_text(case jsonb_typeof(asked.events) when 'array' then asked.events else '[]' end) as item
        union
        select sightings.event_id
        from {{ ref('event_sightings') }} as sightings
        where sightings.exchange_id = asked.exchange_id and sightings.captured_at = asked.captured_at
    ) as event
    where jsonb_typeof(asked.events) = 'array'
),

-- of an answer about a whole sport, the events that it shows under another key
of_other_keys as (
    select whole_sport.exchange_id, whole_sport.endpoint, whole_sport.moment_at, whole_sport.captured_at, sighting.sport_key,
        whole_sport.events, whole_sport.markets, whole_sport.books, whole_sport.commence_from, whole_sport.commence_to,
        whole_sport.held_back, sighting.event_id
    from whole_sport
    cross join lateral (
        select s.event_id, s.sport_key
        from {{ ref('event_sightings') }} as s
        where s.exchange_id = whole_sport.exchange_id and s.captured_at = whole_sport.captured_at
        offset 0
    ) as sighting
    where sighting.sport_key <> whole_sport.sport_key
),

rows as (
    select * from whole_sport
    union all
    select * from named_events
    union all
    select * from of_other_keys
)

select
    rows.exchange_id,
    rows.event_id,
    coalesce(rows.sport_key, sightings.sport_key) as sport_key,
    rows.endpoint,
    rows.moment_at,
    rows.captured_at,
    rows.markets,
    rows.books,
    rows.commence_from,
    rows.commence_to,
    rows.held_back,
    rows.endpoint in (
        'events', 'odds', 'event_odds', 'event_markets', 'historical_events', 'historical_odds', 'historical_event_odds'
    ) as covers_listing
from rows
left join {{ ref('event_sightings') }} as sightings
    on sightings.exchange_id = rows.exchange_id and sightings.event_id = rows.event_id and sightings.captured_at = rows.captured_at
where coalesce(rows.sport_key, sightings.sport_key) is not null
