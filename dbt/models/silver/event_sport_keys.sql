{{ config(
    row_key=['event_id', 'valid_from'],
    scope=rows_of_tails('silver.event_sport_keys'),
    indexes=[{'columns': ['event_id', 'valid_to']}],
    when_made=["create index event_sport_keys_moved on silver.event_sport_keys (sport_key, valid_to) where moved_from is not null"],
) }}
-- The sport key that each event belonged to over time: the one under which it was last shown up to then.
with touched as materialized (
    select event_id, tail_from from {{ source('ops', 'touched_events') }}
),

-- of one time the answer that is read last, as for all that an event's newest answer says
shown as (
    select distinct on (touched.event_id, sighting.captured_at)
        touched.event_id, sighting.sport_key, sighting.captured_at
    from touched
    cross join lateral (
        select s.sport_key, s.captured_at, s.source_rank, s.place, s.exchange_id
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.tail_from
        offset 0
    ) as sighting
    order by
        touched.event_id, sighting.captured_at, sighting.source_rank desc, sighting.place desc, sighting.exchange_id desc
),

reaching_in as (
    select standing.event_id, standing.sport_key, standing.valid_from, standing.moved_from
    from touched
    cross join lateral {{ reaching_rows(this) }} as standing
    where standing.valid_from < touched.tail_from
),

timeline as (
    select event_id, sport_key, captured_at as at, cast(null as text) as moved_from from shown
    union all
    select event_id, sport_key, valid_from as at, moved_from from reaching_in
),

compared as (
    select
        timeline.*,
        lag(sport_key) over (partition by event_id order by at) as key_before
    from timeline
)

select
    event_id,
    sport_key,
    at as valid_from,
    lead(at) over (partition by event_id order by at) as valid_to,
    coalesce(moved_from, key_before) as moved_from
from compared
where sport_key is distinct from key_before
