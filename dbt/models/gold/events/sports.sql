{{ config(
    row_key=['sport_key'],
    scope="t.sport_key in (select s.sport_key from silver.sport_sightings as s join ops.pending as p on p.exchange_id = s.exchange_id)
        or exists (select 1 from ops.pending as p where not p.admitted)",
    scope_key='sport_key',
) }}
-- One row per sport key that any answer named.
with keys as (
    select distinct s.sport_key from {{ ref('sport_sightings') }} as s
    where s.exchange_id = any (array(select p.exchange_id from {{ source('ops', 'pending') }} as p))
    union
    -- an answer that is withdrawn may have named any of them
    select standing.sport_key from {{ this }} as standing
    where exists (select 1 from {{ source('ops', 'pending') }} as p where not p.admitted)
),

first_sightings as (
    select keys.sport_key, min(sighting.captured_at) as first_seen_at
    from keys
    cross join (values (true), (false)) as kinds (is_catalogue)
    cross join lateral (
        select s.captured_at from {{ ref('sport_sightings') }} as s
        where s.sport_key = keys.sport_key and s.is_catalogue = kinds.is_catalogue
        order by s.captured_at limit 1
    ) as sighting
    group by keys.sport_key
),

latest_of_each_kind as (
    select keys.sport_key, kinds.is_catalogue, sighting.*
    from keys
    cross join (values (true), (false)) as kinds (is_catalogue)
    cross join lateral (
        select s.captured_at, s.place, s.body_sha256, s.exchange_id, s.sport_title, s.sport_group, s.has_outrights
        from {{ ref('sport_sightings') }} as s
        where s.sport_key = keys.sport_key and s.is_catalogue = kinds.is_catalogue
        order by s.captured_at desc, s.place, s.body_sha256, s.exchange_id limit 1
    ) as sighting
),

titles as (
    select distinct on (sport_key) sport_key, sport_title from latest_of_each_kind
    order by sport_key, captured_at desc, is_catalogue desc
)

select
    first_sightings.sport_key, titles.sport_title as title, catalogue.sport_group, catalogue.has_outrights,
    first_sightings.first_seen_at
from first_sightings
join titles on titles.sport_key = first_sightings.sport_key
left join latest_of_each_kind as catalogue on catalogue.sport_key = first_sightings.sport_key and catalogue.is_catalogue
